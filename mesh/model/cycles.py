"""Parts of a date - a month, a weekday - and whether training saw them come round more than once.

A month that was seen once cannot be told from the moment: what was learned about June is what happened that June. So
a part of a cycle is a feature only where the training rows cover the cycle at least twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesh.model.encoding import CATEGORY, NUMBER, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

DAYS = {"year": 365.25, "month": 30.44, "week": 7.0, "day": 1.0}
TIMES_ROUND = 2

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = ("spring", "summer", "autumn", "fall", "winter")
_WORDS = {
    "year": frozenset({*_MONTHS, *(name[:3] for name in _MONTHS), "sept", *_SEASONS}),
    "week": frozenset({*_WEEKDAYS, *(name[:3] for name in _WEEKDAYS), "tues", "thur", "thurs"}),
}
# (name of the column, lowest and highest value, cycle); the first that fits counts.
_NUMBERED = (
    (r"(^|_)(day|week)_of_(the_)?month(_|$)", 0, 31, "month"),
    (r"(^|_)(week_?day|day_of_(the_)?week)(_|$)", 0, 7, "week"),
    (r"(^|_)(day_of_(the_)?year)(_|$)", 0, 366, "year"),
    (r"(^|_)(week|week_of_(the_)?year|calendar_week)(_|$)", 0, 53, "year"),
    (r"(^|_)month(_|$)", 0, 12, "year"),
    (r"(^|_)quarter(_|$)", 0, 4, "year"),
    (r"(^|_)hour(_of_(the_)?day)?(_|$)", 0, 24, "day"),
)


def cycle_of(feature: Feature, values: Floats) -> str | None:
    """`year`, `month`, `week` or `day`, where the column is a part of one; else None.

    Names of months and weekdays speak for themselves; numbers need a name that says what they count.
    """
    import numpy as np

    if feature.kind == CATEGORY:
        texts = {text.strip().lower() for text in feature.categories}
        for cycle, known in _WORDS.items():
            # One or two slips among the names, such as 0, change nothing.
            if len(texts & known) >= max(2, len(texts) - 2):
                return cycle
        numbers = [float(text) for text in texts if re.fullmatch(r"[0-9]+", text)]
        if len(numbers) < len(texts) or not numbers:
            return None
        low, high = min(numbers), max(numbers)
    elif feature.kind == NUMBER:
        known_values = values[~np.isnan(values)]
        if not known_values.size or (known_values != np.floor(known_values)).any():
            return None
        low, high = float(known_values.min()), float(known_values.max())
    else:
        return None
    for pattern, least, most, cycle in _NUMBERED:
        if re.search(pattern, feature.name) and least <= low and high <= most:
            return cycle
    return None


def days_covered(times: pa.ChunkedArray) -> float | None:
    """How many days the times of the rows cover; None where they are numbers that are no years."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.min_max(times).as_py()
    if ends["min"] is None:
        return None
    if pa.types.is_temporal(times.type):
        return float((ends["max"] - ends["min"]).total_seconds()) / 86400 + 1
    if pa.types.is_integer(times.type) and 1900 <= ends["min"] <= ends["max"] <= 2100:
        return float(ends["max"] - ends["min"] + 1) * DAYS["year"]
    return None


def comes_round(cycle: str, days: float | None) -> bool:
    """Whether rows that cover so many days see the cycle often enough; True where nobody knows."""
    # A year of rows is rarely 365.25 days to the hour.
    return days is None or days >= TIMES_ROUND * DAYS[cycle] * 0.99
