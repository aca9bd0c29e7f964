"""`slaProperties` of a contract: service levels, the rules that some of them give, and which are judged otherwise.

An age or retention of a column is a rule of the audit. What no snapshot holds (the age of the release, the time between
releases, how often the product could be read) is judged from the release history and from probes, see `mesh.levels`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from open_data_contract_standard.model import ServiceLevelAgreementProperty

from mesh.contract.columns import SEVERITIES
from mesh.contract.model import Contract, Rule, ServiceLevel, Severity, Table
from mesh.contract.reading import Document

LONG_NAMES = {
    "av": "availability", "th": "throughput", "er": "errorRate", "ga": "generalAvailability", "es": "endOfSupport",
    "el": "endOfLife", "re": "retention", "fy": "frequency", "ly": "latency", "td": "timeToDetect",
    "tn": "timeToNotify", "tr": "timeToRepair",
}  # fmt: skip
AGES = ("freshness", "latency")
JUDGED_BY = {
    "freshness": "the age of the newest release",
    "latency": "the age of the newest release",
    "frequency": "the time between releases",
    "availability": "the share of probes that could read it",
}
PERCENT_UNITS = ("percent", "%")
AVAILABILITY_DAYS = "availabilityWindowDays"
UNITS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800, "mo": 2678400, "month": 2678400, "months": 2678400,
    "y": 31536000, "yr": 31536000, "year": 31536000, "years": 31536000,
}  # fmt: skip
DURATION = re.compile(r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
DURATION_SECONDS = (UNITS["y"], UNITS["mo"], UNITS["w"], UNITS["d"], UNITS["h"], UNITS["m"], 1)


def service_levels(
    document: Document, entries: list[ServiceLevelAgreementProperty] | None, tables: dict[str, Table]
) -> tuple[ServiceLevel, ...]:
    """Check the service levels; the elements they name must be columns of the contract."""
    return tuple(_level(document, i, given, tables) for i, given in enumerate(entries or ()))


def _level(document: Document, i: int, given: ServiceLevelAgreementProperty, tables: dict[str, Table]) -> ServiceLevel:
    path = ("slaProperties", i)
    if not given.property:
        document.fail(path, "A service level needs `property` and `value`.")
    if given.value is None:
        document.fail(path, "A service level needs a `value`.")
    name = LONG_NAMES.get(given.property.lower(), given.property)
    by_lower = {known.lower(): known for known in (*LONG_NAMES.values(), "freshness")}
    name = by_lower.get(name.lower(), name)
    table, column = _element(document, i, given.element, tables, one=name in AGES)
    age = _age(given)
    if name in AGES:
        number = isinstance(given.value, int | float) and not isinstance(given.value, bool)
        if (number and float(given.value) <= 0) or not (number or age):
            what = f"`{name}` must be a length of time."
            document.fail((*path, "value"), what, "a number above 0 with a `unit`, or an ISO 8601 duration such as P1D")
        if number:
            document.choose((*path, "unit") if given.unit else path, given.unit, UNITS)
        # Without a column it is the age of the release.
        kind = tables[str(table)].column(column).logical_type if column else None
        if column is not None and kind not in ("date", "timestamp"):
            document.fail((*path, "element"), f"`{column}` is a {kind} and tells no time.", "a date or timestamp")
    return ServiceLevel(
        name=name,
        value=given.value,
        unit=given.unit,
        table=table,
        column=column,
        age=age,
        description=given.description or "",
    )


def _age(given: ServiceLevelAgreementProperty) -> timedelta | None:
    """The length of time that a value and its unit say, or an ISO 8601 duration says alone."""
    value, seconds = given.value, UNITS.get(given.unit or "")
    if isinstance(value, str) and given.unit is None:
        found = DURATION.fullmatch(value.strip())
        parts = [float(part) for part in found.groups(default="0")] if found else []
        length = sum(part * each for part, each in zip(parts, DURATION_SECONDS, strict=False))
        return timedelta(seconds=length) if 0 < length < 1e12 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or seconds is None:
        return None
    return timedelta(seconds=value * seconds) if abs(value * seconds) < 1e12 else None


def _element(
    document: Document, i: int, element: str | None, tables: dict[str, Table], *, one: bool
) -> tuple[str | None, str | None]:
    path = ("slaProperties", i, "element")
    if element is None:
        return None, None
    found: list[tuple[str, str | None]] = []
    for text in element.split(","):
        table, dot, column = text.strip().rpartition(".")
        if not dot and column in tables:
            found.append((column, None))
            continue
        if not dot and len(tables) == 1:
            table = next(iter(tables))
        document.choose(path, table or column, tables)
        document.choose(path, column, [known.name for known in tables[table].columns])
        found.append((table, column))
    if len(found) > 1 and one:
        document.fail(path, "One service level watches one column.", "table.column")
    return found[0]


def freshness_rules(
    document: Document, levels: tuple[ServiceLevel, ...], tables: dict[str, Table], custom: dict[str, Any]
) -> Iterator[Rule]:
    """A rule for each freshness or latency level; late data is a warning unless `freshnessSeverity: error`.

    It only warns by default because refusing a release would leave readers with data that is older still. A retention
    level says how old the oldest row may be, and is handled by `retentionSeverity` in the same way.
    """
    severity: Severity = custom.get("freshnessSeverity", "warning")
    document.choose(("customProperties",), severity, SEVERITIES)
    yield from _retention_rules(document, levels, tables, custom)
    for level in levels:
        if level.name in AGES and level.table and level.column and level.age:
            yield Rule(
                id=f"{level.table}.{level.column}.{level.name}",
                table=level.table,
                columns=(level.column,),
                kind="freshness",
                description=level.description or f"The newest {level.column} is at most {level.age} old.",
                arguments={
                    "seconds": level.age.total_seconds(),
                    "logicalType": tables[level.table].column(level.column).logical_type,
                },
                severity=severity,
                dimension="timeliness",
            )


def _retention_rules(
    document: Document, levels: tuple[ServiceLevel, ...], tables: dict[str, Table], custom: dict[str, Any]
) -> Iterator[Rule]:
    severity: Severity = custom.get("retentionSeverity", "warning")
    document.choose(("customProperties",), severity, SEVERITIES)
    for level in levels:
        if holds_retention(level, tables):
            assert level.table is not None
            assert level.column is not None
            assert level.age is not None
            yield Rule(
                id=f"{level.table}.{level.column}.retention",
                table=level.table,
                columns=(level.column,),
                kind="retention",
                description=level.description or f"The oldest {level.column} is at most {level.age} old.",
                arguments={
                    "seconds": level.age.total_seconds(),
                    "logicalType": tables[level.table].column(level.column).logical_type,
                },
                severity=severity,
                dimension="timeliness",
            )


def holds_retention(level: ServiceLevel, tables: Mapping[str, Table]) -> bool:
    """True where a retention level names a length of time and a column that tells one."""
    if level.name != "retention" or level.age is None or level.table is None or level.column is None:
        return False
    return tables[level.table].column(level.column).logical_type in ("date", "timestamp")


def of_the_release(level: ServiceLevel) -> bool:
    """True for an age that names no column: how old the newest release may be."""
    return level.name in AGES and level.age is not None and level.column is None


def holds_frequency(level: ServiceLevel) -> bool:
    """True where a frequency level names a length of time."""
    return level.name == "frequency" and level.age is not None and level.age > timedelta(0)


def promised_percent(level: ServiceLevel) -> float | None:
    """The promised availability in percent, or None where the level says no such number.

    Without a unit a number up to 1 may be a share as well as a percentage, and the two are a hundredfold apart.
    """
    number = isinstance(level.value, int | float) and not isinstance(level.value, bool)
    if level.name != "availability" or not number or not (level.unit is None or level.unit.lower() in PERCENT_UNITS):
        return None
    percent = float(level.value)  # type: ignore[arg-type]
    return percent if (1 if level.unit is None else 0) < percent <= 100 else None


def judged_in_service(level: ServiceLevel) -> bool:
    """True for what is judged from releases and probes, since no snapshot of the data holds it."""
    return of_the_release(level) or holds_frequency(level) or promised_percent(level) is not None


def availability_window(contract: Contract) -> timedelta:
    """The time over which availability is measured: 30 days, unless the contract says `availabilityWindowDays`."""
    return timedelta(days=contract.custom.get(AVAILABILITY_DAYS, 30))


def check_availability_window(document: Document, custom: Mapping[str, Any]) -> None:
    """Refuse a window that is no number of days."""
    days = custom.get(AVAILABILITY_DAYS, 30)
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= 3660:
        document.fail(("customProperties",), f"`{AVAILABILITY_DAYS}` must be a whole number of days.", "1 to 3660")
