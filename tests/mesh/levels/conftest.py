"""A shop whose contract promises levels that no snapshot holds."""

from __future__ import annotations

from tests.mesh.release.conftest import shop

__all__ = ["shop"]

LEVELS = """\
slaProperties:
  - {property: freshness, value: 2, unit: d}
  - {property: frequency, value: 1, unit: d}
  - {property: availability, value: 99.5, unit: percent}
"""
