"""Changes of service levels: later, rarer, shorter or less available loosens the promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.contract.evolution.changes import Change, Direction, graded, hurting
from mesh.contract.model import Contract, ServiceLevel
from mesh.contract.service import AVAILABILITY_DAYS, availability_window, promised_percent

LESS_IS_BETTER = (
    "freshness", "latency", "frequency", "errorRate", "timeToDetect", "timeToNotify", "timeToRepair",
    "generalAvailability",
)  # fmt: skip
MORE_IS_BETTER = ("retention", "availability", "throughput", "endOfSupport", "endOfLife")
ENDS = ("endOfSupport", "endOfLife")


def level_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Changes of what a contract promises about time and service."""
    before, after = ({_key(level): level for level in contract.sla} for contract in (old, new))
    for key, level in before.items():
        if key not in after:
            # An end that is called off is a promise more, not one less.
            direction: Direction = "tightens" if level.name in ENDS else "removes"
            yield _change(level, f"no longer promised: {_says(level)}", direction)
        else:
            yield from _moved(level, after[key])
    for key, level in after.items():
        if key not in before and level.name in ENDS:
            # The announcement itself takes nothing away yet.
            yield Change(_place(level), f"announced: {_says(level)}", "loosens", "minor", "consumers")
        elif key not in before:
            yield _change(level, f"newly promised: {_says(level)}", "adds")
    yield from _severity(old, new)
    yield from _window(old, new)


def _key(level: ServiceLevel) -> tuple[str, str | None, str | None]:
    return level.name, level.table, level.column


def _moved(old: ServiceLevel, new: ServiceLevel) -> Iterator[Change]:
    direction = _direction(old, new)
    if direction is not None:
        yield _change(old, f"{_says(old)} -> {_says(new)}", direction)


def _direction(old: ServiceLevel, new: ServiceLevel) -> Direction | None:
    before, after = _measure(old), _measure(new)
    same_unit = old.age is not None or _unit(old) == _unit(new)
    if before == after and same_unit:
        return None
    comparable = type(before) is type(after) and same_unit
    if not comparable or isinstance(before, bool) or old.name not in (*LESS_IS_BETTER, *MORE_IS_BETTER):
        return "replaces"
    better = (after > before) == (old.name in MORE_IS_BETTER)
    return "tightens" if better else "loosens"


def _measure(level: ServiceLevel) -> Any:
    """A length of time, a number, or text such as an ISO date, which sorts as dates do."""
    if level.age is not None:
        return level.age
    number = isinstance(level.value, int | float) and not isinstance(level.value, bool)
    return float(level.value) if number else level.value  # type: ignore[arg-type]


def _unit(level: ServiceLevel) -> str | None:
    """`%`, `percent` and a bare percentage are one unit."""
    return "percent" if promised_percent(level) is not None else level.unit


def _window(old: Contract, new: Contract) -> Iterator[Change]:
    """What is kept over every short while is kept over a long one, too; the other way round it need not be."""
    before, after = availability_window(old), availability_window(new)
    if before != after:
        promised = all(any(level.name == "availability" for level in each.sla) for each in (old, new))
        direction: Direction = "says" if not promised else "tightens" if after < before else "loosens"
        what = f"availability is measured over {after.days} days, not {before.days}"
        yield Change(AVAILABILITY_DAYS, what, direction, graded(direction), hurting(direction))


def _severity(old: Contract, new: Contract) -> Iterator[Change]:
    for name, data in (("freshnessSeverity", "late data"), ("retentionSeverity", "data that is kept too long")):
        before, after = (contract.custom.get(name, "warning") for contract in (old, new))
        if before != after:
            direction: Direction = "loosens" if after == "warning" else "tightens"
            what = f"{data} is {'an error' if after == 'error' else 'a warning'} now"
            yield Change(name, what, direction, graded(direction), hurting(direction))


def _says(level: ServiceLevel) -> str:
    return f"{level.name} {level.value}" + (f" {level.unit}" if level.unit else "")


def _place(level: ServiceLevel) -> str:
    about = ".".join(part for part in (level.table, level.column) if part)
    return f"slaProperties.{level.name}" + (f" of {about}" if about else "")


def _change(level: ServiceLevel, what: str, direction: Direction) -> Change:
    columns = (f"{level.table}.{level.column}",) if level.table and level.column else ()
    tables = (level.table,) if level.table else ()
    return Change(_place(level), what, direction, graded(direction), hurting(direction), columns, tables)
