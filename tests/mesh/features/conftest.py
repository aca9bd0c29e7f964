"""A copy of the project's contracts and domains, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.domains.desk import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of the copy."""
    for name in ("contracts", "data_products"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    return tmp_path
