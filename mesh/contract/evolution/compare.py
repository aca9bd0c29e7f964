"""Two texts of one contract compared: tables, columns, rules, service levels, access, and the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mesh.access.clearance import LEVELS, classified
from mesh.contract.evolution.access import access_changes, purpose_changes
from mesh.contract.evolution.changes import GRADES, Change, Direction, graded, hurting
from mesh.contract.evolution.levels import level_changes
from mesh.contract.evolution.nested import inside, inside_changes
from mesh.contract.evolution.rules import rule_changes
from mesh.contract.evolution.words import word_changes
from mesh.contract.model import Column, Contract, Table

STATUSES = ("proposed", "draft", "active", "deprecated", "retired")


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every change from one text of a contract to the next, the gravest first; empty where only comments differ."""
    changes = [
        *_status(old, new),
        *_tables(old, new),
        *level_changes(old, new),
        *access_changes(old, new),
        *purpose_changes(old, new),
        *_quarantine(old, new),
        *word_changes(old, new),
    ]
    return tuple(sorted(changes, key=lambda change: (-GRADES.index(change.grade), change.place, change.what)))


def _status(old: Contract, new: Contract) -> Iterator[Change]:
    if old.status == new.status:
        return
    what = f"{old.status} -> {new.status}"
    before, after = (STATUSES.index(contract.status) for contract in (old, new))
    settled = STATUSES.index("active")
    if new.status == "retired" or after < settled <= before:
        yield Change("status", what, "loosens", "major", "consumers")
    elif new.status == "deprecated":
        yield Change("status", what, "loosens", "minor", "consumers")
    else:
        yield Change("status", what, "tightens", "patch", "nobody")


def _tables(old: Contract, new: Contract) -> Iterator[Change]:
    before = {table.declared: table for table in old.tables}
    after = {table.declared: table for table in new.tables}
    for name in before.keys() - after.keys():
        columns = tuple(f"{name}.{column.name}" for column in before[name].columns)
        yield Change(name, "the table is gone", "removes", "major", "consumers", columns, (name,))
    for name in after.keys() - before.keys():
        yield Change(name, "a new table", "adds", "minor", "nobody", (), (name,))
    for name in before.keys() & after.keys():
        yield from _columns(old, new, before[name], after[name])


def _columns(old: Contract, new: Contract, first: Table, second: Table) -> Iterator[Change]:
    before = {column.name: column for column in first.columns}
    after = {column.name: column for column in second.columns}
    ids_before, ids_after = _ids(old, first.declared), _ids(new, second.declared)
    renamed = {
        name: other
        for name in before.keys() - after.keys()
        for other in after.keys() - before.keys()
        if ids_before.get(name) is not None and ids_before.get(name) == ids_after.get(other)
    }
    for name in before.keys() - after.keys():
        what = f"the column is called {renamed[name]} now" if name in renamed else "the column is gone"
        yield _column(first, name, what, "removes")
    for name in after.keys() - before.keys() - set(renamed.values()):
        what = f"a new column of type {after[name].physical_type}"
        yield Change(
            f"{first.declared}.{name}",
            what,
            "adds",
            "minor",
            "nobody",
            (f"{first.declared}.{name}",),
            (first.declared,),
        )
    kept = [name for name in before if name in after]
    for name in kept:
        yield from _column_changes(first, before[name], after[name])
    if kept != [name for name in after if name in before]:
        what = "the columns stand in another order, which whoever reads them by place will notice"
        yield Change(first.declared, what, "replaces", "minor", "consumers", (), (first.declared,))
    inside_before = {name: inner for column in first.columns for name, inner in inside(column)}
    inside_after = {name: inner for column in second.columns for name, inner in inside(column)}
    yield from rule_changes(first.rules, second.rules, {*kept, *(inside_before.keys() & inside_after.keys())})


def _ids(contract: Contract, table: str) -> dict[str, str]:
    """The ids of columns that have one."""
    (schema,) = [schema for schema in contract.odcs.schema_ or () if schema.name == table]
    return {str(column.name): column.id for column in schema.properties or () if column.id}


def _column_changes(table: Table, old: Column, new: Column) -> Iterator[Change]:
    yield from inside_changes(table.declared, f"{table.declared}.{old.name}", old, new)
    if classified(old) != classified(new):
        yield _classified(table, old, new)
        return
    before, after = ({column.name: column} | dict(inside(column)) for column in (old, new))
    for name in before.keys() & after.keys():
        words = [column.classification or "not at all" for column in (before[name], after[name])]
        if words[0] != words[1]:
            what = f"classified {words[0]} -> {words[1]}; {old.name} as a whole counts as {classified(old)}, as before"
            yield Change(f"{table.declared}.{name}", what, "says", "patch", "nobody", (), (table.declared,))


def _classified(table: Table, old: Column, new: Column) -> Change:
    """A stricter class takes the column from readers whose role does not reach it; one inside it does so too."""
    words = [classified(column) for column in (old, new)]
    before, after = (_class(word) for word in words)
    what = f"classified {words[0] or 'not at all'} -> {words[1] or 'not at all'}"
    name = f"{table.declared}.{old.name}"
    if after > before:
        return Change(
            name, f"{what}: fewer roles may read it", "loosens", "major", "consumers", (name,), (table.declared,)
        )
    return Change(name, f"{what}: more roles may read it", "tightens", "minor", "nobody", (name,), (table.declared,))


def _class(classification: str | None) -> int:
    """Its place; none, or a word of its own, counts as the strictest."""
    word = (classification or "").strip().lower()
    return LEVELS.index(word) if word in LEVELS else len(LEVELS)


def _column(table: Table, name: str, what: str, direction: Direction) -> Change:
    place = f"{table.declared}.{name}"
    return Change(place, what, direction, graded(direction), hurting(direction), (place,), (table.declared,))


def _quarantine(old: Contract, new: Contract) -> Sequence[Change]:
    before, after = old.quarantine_limit_percent, new.quarantine_limit_percent
    if before == after:
        return ()
    direction: Direction = "loosens" if after > before else "tightens"
    what = f"up to {after:g} % of rows may be put aside, before {before:g} %"
    return (Change("quarantineLimitPercent", what, direction, graded(direction), hurting(direction)),)
