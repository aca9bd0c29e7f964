"""When things happen in the simulated year: days with their weight, hours with their rhythm.

A rhythm maps a quantile in [0, 1) to a day, so that claim k of n lands near the k/n-th part of the year without
anyone counting: the delivered files come out in order of time, day by day.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from simulator.hashing import Floats, Ints, Rand

DAY = 86_400


def day(text: str) -> int:
    """An ISO date as days since 1970-01-01."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


OPENS, CLOSES = day("2020-04-20"), day("2020-12-31")
BANK_HOLIDAYS = [day(d) for d in ("2020-05-08", "2020-05-25", "2020-08-31", "2020-12-25", "2020-12-28")]
_WEEKDAY = np.array([1.12, 1.06, 1.0, 0.97, 0.9, 0.36, 0.29])  # Monday first


class Rhythm:
    """Days from `first` to `last` (inclusive); `decay` > 0 puts the rush at the start, halving every `decay` days."""

    def __init__(self, first: int, last: int, *, decay: float = 0.0, floor: float = 0.15) -> None:
        days = np.arange(first, last + 1)
        weight = _WEEKDAY[(days + 3) % 7]  # 1970-01-01 was a Thursday
        weight = np.where(np.isin(days, BANK_HOLIDAYS), 0.3, 1.0) * weight
        if decay:
            # powers of a rational number, multiplied up, keep this free of exp()
            weight = weight * (floor + np.cumprod(np.full(days.size, 0.5 ** (1 / decay))))
        self.days = days
        self._cdf = np.cumsum(weight) / weight.sum()

    def at(self, quantile: Floats) -> Ints:
        """The day (since 1970-01-01) at each quantile."""
        place = np.searchsorted(self._cdf, quantile, side="right")
        return self.days[np.minimum(place, self.days.size - 1)].astype(np.int64)


OFFICE = (1, 1, 1, 1, 1, 2, 5, 14, 50, 95, 100, 92, 66, 72, 84, 82, 70, 46, 22, 14, 12, 10, 6, 3)
HOME = (8, 5, 3, 2, 2, 3, 8, 22, 48, 76, 88, 84, 76, 74, 72, 70, 66, 60, 56, 58, 60, 52, 36, 20)
NIGHT = (60, 62, 58, 50, 36, 20, 12, 14, 28, 40, 44, 42, 40, 40, 40, 40, 40, 42, 46, 52, 58, 66, 70, 66)


def second_of_day(rand: Rand, stream: str, hours: tuple[int, ...], *index: Ints) -> Ints:
    """Seconds after midnight (UTC), drawn from hourly weights."""
    hour = rand.pick(stream, tuple(float(h) for h in hours), *index)
    return hour * 3600 + rand.below(stream + ".second", 3600, *index)
