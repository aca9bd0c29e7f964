"""Which of two column types holds more values."""

from __future__ import annotations

import re

from mesh.contract.evolution.changes import Direction

WHOLE = {
    "TINYINT": (-(2**7), 2**7 - 1), "SMALLINT": (-(2**15), 2**15 - 1), "INTEGER": (-(2**31), 2**31 - 1),
    "BIGINT": (-(2**63), 2**63 - 1), "HUGEINT": (-(2**127), 2**127 - 1), "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1), "UINTEGER": (0, 2**32 - 1), "UBIGINT": (0, 2**64 - 1), "UHUGEINT": (0, 2**128 - 1),
}  # fmt: skip
DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
FLOATS = ("FLOAT", "DOUBLE")
TIMES = ("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP", "TIMESTAMP_NS")


def type_direction(old: str, new: str) -> Direction | None:
    """How the promise of a DuckDB type moved.

    A wider type loosens: a consumer who read INTEGER may now meet a number that does not fit.
    """
    if old == new:
        return None
    if _holds(old, new):
        return "tightens"
    return "loosens" if _holds(new, old) else "replaces"


def _holds(wide: str, narrow: str) -> bool:
    """True where every value of `narrow` is one of `wide`, and reads the same."""
    if wide in WHOLE and narrow in WHOLE:
        (low, high), (least, most) = WHOLE[wide], WHOLE[narrow]
        return low <= least and most <= high
    first, second = DECIMAL.fullmatch(wide), DECIMAL.fullmatch(narrow)
    if first and second:
        (digits, scale), (fewer, smaller) = (tuple(map(int, match.groups())) for match in (first, second))
        return scale >= smaller and digits - scale >= fewer - smaller
    for order in (FLOATS, TIMES):
        if wide in order and narrow in order:
            return order.index(wide) > order.index(narrow)
    return False
