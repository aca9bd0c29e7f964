"""Which numbers a threshold accepts, as intervals, so that two thresholds can be put in order."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mesh.contract.evolution.changes import Direction
from mesh.contract.model import Rule, Threshold


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`; an end belongs to it where it is closed."""

    low: float
    high: float
    low_closed: bool = True
    high_closed: bool = True

    def holds(self, other: Interval) -> bool:
        """True where every number of `other` is in this one."""
        low = self.low < other.low or (self.low == other.low and (self.low_closed or not other.low_closed))
        high = self.high > other.high or (self.high == other.high and (self.high_closed or not other.high_closed))
        return low and high

    @property
    def empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and not (self.low_closed and self.high_closed))


def accepted(rule: Rule) -> tuple[Interval, ...]:
    """The numbers a rule's threshold accepts among those that can be seen: counts, percentages, or any number."""
    least, most = (-math.inf, math.inf) if rule.kind == "sql" else (0.0, math.inf)
    if rule.threshold.unit == "percent":
        most = 100.0
    whole = rule.kind != "sql" and rule.threshold.unit == "rows"
    found = []
    for interval in _intervals(rule.threshold):
        part = Interval(
            max(interval.low, least),
            min(interval.high, most),
            interval.low_closed if interval.low >= least else least != -math.inf,
            interval.high_closed if interval.high <= most else most != math.inf,
        )
        part = _whole(part) if whole and not part.empty else part
        if not part.empty:
            found.append(part)
    return tuple(found)


def _whole(part: Interval) -> Interval:
    """The same for whole numbers: `more than 2` is `3 or more`."""
    low, high = part.low, part.high
    if math.isfinite(low):
        low = math.ceil(low) if part.low_closed else math.floor(low) + 1
    if math.isfinite(high):
        high = math.floor(high) if part.high_closed else math.ceil(high) - 1
    return Interval(low, high, math.isfinite(low), math.isfinite(high))


def _intervals(threshold: Threshold) -> tuple[Interval, ...]:
    first, last, end = float(threshold.values[0]), float(threshold.values[-1]), math.inf
    match threshold.operator:
        case "mustBe":
            return (Interval(first, first),)
        case "mustNotBe":
            return Interval(-end, first, False, False), Interval(first, end, False, False)
        case "mustBeGreaterThan":
            return (Interval(first, end, False, False),)
        case "mustBeGreaterOrEqualTo":
            return (Interval(first, end, True, False),)
        case "mustBeLessThan":
            return (Interval(-end, first, False, False),)
        case "mustBeLessOrEqualTo":
            return (Interval(-end, first, False, True),)
        case "mustBeBetween":
            return (Interval(first, last),)
        case "mustNotBeBetween":
            return Interval(-end, first, False, False), Interval(last, end, False, False)
    raise ValueError(threshold.operator)


def threshold_direction(old: Rule, new: Rule) -> Direction | None:
    """How a rule's threshold moved; None where both accept the same numbers."""
    if old.threshold.unit != new.threshold.unit:
        same = old.threshold.none_allowed and new.threshold.none_allowed
        return None if same else "replaces"
    before, after = accepted(old), accepted(new)
    inside = all(any(wide.holds(part) for wide in before) for part in after)
    around = all(any(wide.holds(part) for wide in after) for part in before)
    if inside and around:
        return None
    return "tightens" if inside else "loosens" if around else "replaces"
