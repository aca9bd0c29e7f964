"""Uniqueness in two steps: eight bytes of every key in the shared scan, the keys themselves only where two agree.

Equal keys have equal hashes, so as many hashes as rows prove a key. Sorting the hashes in numpy takes a fifth of the
time of a grouped pass in DuckDB, but it holds them in memory and waits for two imports; so few hashes and very many
are counted by DuckDB, which can spill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh.contract.predicates import has_values, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 100_000
MOST = 50_000_000
"""Hashes that one scan lists, over all keys of a table: 400 MB at most, and twice that while they are gathered."""


def hashes_term(columns: tuple[str, ...], hashes: int) -> str:
    """The aggregate of a scan from which `distinct` can be told.

    Args:
        hashes: how many the scan will see, over all keys of the table.
    """
    keys = ", ".join(quoted(column) for column in columns)
    how = f"list(hash({keys}))" if FEWEST <= hashes <= MOST else f"count(distinct hash({keys}))"
    return f"{how} filter (where {has_values(columns)})"


def distinct(seen: int | NDArray[np.uint64] | None) -> int:
    """The number of different hashes in what a `hashes_term` gave."""
    if seen is None or isinstance(seen, int):
        return seen or 0
    import numpy as np

    hashes = np.sort(seen)
    return 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))


def values(table: Any) -> tuple[Any, ...]:
    """The one row of an Arrow table; a list in it as numpy array, without a Python object per item."""
    cells = [column[0] for column in table.columns]
    return tuple(
        cell.values.to_numpy() if hasattr(cell, "values") and cell.is_valid else cell.as_py() for cell in cells
    )
