"""Days and moments as whole numbers since 1970, in the proleptic Gregorian calendar."""

from __future__ import annotations

from datetime import date as Day

DAY = 86_400_000_000
HOUR = 3_600_000_000
EPOCH = Day(1970, 1, 1).toordinal()
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_day = Day.fromordinal


def date(moment: int) -> int:
    """The day of a moment."""
    return moment // DAY


def hour(moment: int) -> int:
    """0 to 23."""
    return moment // HOUR % 24


def weekday(moment: int) -> int:
    """Monday 1 to Sunday 7; 1970 began on a Thursday."""
    return (moment // DAY + 3) % 7 + 1


def year(day: int) -> int:
    """The year of a day from 0001 to 9999."""
    return _day(day + EPOCH).year


def days_in_month(day: int) -> int:
    """28 to 31."""
    found = _day(day + EPOCH)
    leap = found.month == 2 and found.year % 4 == 0 and (found.year % 100 != 0 or found.year % 400 == 0)
    return 29 if leap else MONTH_DAYS[found.month - 1]


def days_between(earlier: int, later: int) -> int:
    """Days from one day to another."""
    return later - earlier


def years_between(earlier: int, later: int) -> int:
    """Whole years; who is born on 29 February has a birthday on 1 March of other years."""
    start, end = _day(earlier + EPOCH), _day(later + EPOCH)
    return end.year - start.year - ((end.month, end.day) < (start.month, start.day))


def whole_days(earlier: int, later: int) -> int:
    """Whole days from one moment to another, towards zero as SQL divides."""
    between = later - earlier
    return between // DAY if between >= 0 else -(-between // DAY)
