"""Insight Mesh: data products with contracts and releases, over one lake.

`mesh.connect()` gives a read-only DuckDB connection, `mesh.read("domain/product")` one product.
"""

from typing import Any

__all__ = ["connect", "read"]


def __getattr__(name: str) -> Any:
    # Late: the command line starts in a tenth of the time when listing options loads no engine.
    if name in __all__:
        from mesh import session

        return getattr(session, name)
    raise AttributeError(f"module 'mesh' has no attribute {name!r}")
