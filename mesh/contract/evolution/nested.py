"""Changes of types, inside objects and arrays too: a new field adds, a field that goes removes."""

from __future__ import annotations

from collections.abc import Iterator

from mesh.contract.evolution.changes import Change, Direction, graded, hurting
from mesh.contract.evolution.types import type_direction
from mesh.contract.model import Column
from mesh.contract.types import ITEMS


def inside(column: Column, name: str = "") -> Iterator[tuple[str, Column]]:
    """Everything inside a column at any depth by its path: `address.street`, `lines[]`, `lines[].amount`."""
    name = name or column.name
    for child in column.children:
        yield f"{name}.{child.name}", child
        yield from inside(child, f"{name}.{child.name}")
    if column.items is not None:
        yield f"{name}{ITEMS}", column.items
        yield from inside(column.items, f"{name}{ITEMS}")


def inside_changes(table: str, place: str, old: Column, new: Column) -> Iterator[Change]:
    """Changes of the type of a column, told where they are: a field of an object is named, not the whole object."""
    root = ".".join(place.split(".")[:2]).partition(ITEMS)[0]

    def change(where: str, what: str, direction: Direction) -> Change:
        hurts = "nobody" if direction == "adds" else hurting(direction)
        return Change(where, what, direction, graded(direction), hurts, (root,), (table,))

    if old.children and new.children:
        before, after = ({child.name: child for child in column.children} for column in (old, new))
        for name in before.keys() - after.keys():
            yield change(f"{place}.{name}", "the field is gone", "removes")
        for name in after.keys() - before.keys():
            yield change(f"{place}.{name}", f"a new field of type {after[name].physical_type}", "adds")
        for name in before.keys() & after.keys():
            yield from inside_changes(table, f"{place}.{name}", before[name], after[name])
    elif old.items is not None and new.items is not None:
        yield from inside_changes(table, f"{place}{ITEMS}", old.items, new.items)
    else:
        direction = type_direction(old.physical_type, new.physical_type)
        if direction is not None:
            yield change(place, f"the type {old.physical_type} -> {new.physical_type}", direction)
        elif old.logical_type != new.logical_type:
            what = f"the logical type {old.logical_type} -> {new.logical_type}"
            yield Change(place, what, "replaces", "minor", "consumers", (root,), (table,))
