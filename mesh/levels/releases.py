"""Age and frequency: what the release history tells of them.

Only releases count. A rollback brings consumers nothing new, and neither does a `mesh run` that finds nothing to build:
who promises a release a day promises news, and a day without any is a gap, whoever was late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from mesh.contract import ServiceLevel
from mesh.levels.results import LevelResult, spoken
from mesh.release import Release

WINDOW = timedelta(days=30)
PERIODS = 12
"""Gaps are looked at over 30 days, or over so many times the promised length where that is longer."""

GRACE_PERCENT = 10
"""A build that starts every day at five never ends at the same second: every other gap would be too long."""


def allowed_gap(level: ServiceLevel) -> timedelta:
    """The longest time between two releases that keeps a frequency level, grace included."""
    assert level.age is not None
    return level.age * (100 + GRACE_PERCENT) / 100


def judge_age(level: ServiceLevel, records: Sequence[Release], now: datetime) -> LevelResult:
    """How old the newest release is.

    Args:
        records: of one product, oldest first.
    """
    assert level.age is not None
    releases = [record for record in records if record.kind == "release"]
    if not releases:
        return LevelResult(level, "not measured", None, "There is no release yet.")
    age = _end(records, now) - _at(releases[-1])
    return LevelResult(
        level,
        "failed" if age > level.age else "passed",
        age.total_seconds(),
        f"The newest release is {spoken(age)} old; allowed is {spoken(level.age)}.",
    )


def judge_frequency(
    level: ServiceLevel,
    records: Sequence[Release],
    now: datetime,
    promised: Callable[[Release], bool] = lambda release: True,
) -> LevelResult:
    """The gaps between releases that ended in the window, and the one since the newest once it is too long.

    Args:
        records: of one product, oldest first. One that is retired owes nothing after its end.
        promised: whether a release was under a contract that promised as much. Asked of the release before a gap that
            is too long: what nobody had promised was not missed.
    """
    assert level.age is not None
    releases, allowed = [record for record in records if record.kind == "release"], allowed_gap(level)
    if not releases:
        return LevelResult(level, "not measured", None, "There is no release yet.")
    start = now - max(WINDOW, PERIODS * level.age)
    found = [(a, _at(b) - _at(a)) for a, b in pairwise(releases) if _at(b) >= start]
    open_gap = _end(records, now) - _at(releases[-1])
    gaps = [gap for before, gap in found if gap <= allowed or promised(before)]
    lasting = open_gap > allowed and promised(releases[-1])
    if lasting:
        gaps.append(open_gap)
    if not gaps:
        told = f"There is no gap between releases to judge yet; the newest release is {spoken(open_gap)} old."
        return LevelResult(level, "not measured", None, told)
    longest, missed = max(gaps), sum(gap > allowed for gap in gaps)
    still = ", which still lasts" if lasting and longest == open_gap and records[-1].kind != "retired" else ""
    return LevelResult(
        level,
        "failed" if missed else "passed",
        longest.total_seconds(),
        f"{_counted(missed, len(gaps))} longer than {spoken(level.age)} (and {GRACE_PERCENT} % grace); the longest "
        f"{spoken(longest)}{still}.",
    )


def _at(release: Release) -> datetime:
    assert release.published_at is not None, "a release of the history is committed"
    return release.published_at


def _end(records: Sequence[Release], now: datetime) -> datetime:
    return _at(records[-1]) if records[-1].kind == "retired" else now


def _counted(missed: int, gaps: int) -> str:
    if gaps == 1:
        return "The only gap between releases was" + ("" if missed else " not")
    return f"{missed or 'None'} of the last {gaps:,} gaps between releases {'were' if missed > 1 else 'was'}"
