"""The inside of a column: fields of objects, items of arrays, their types and the rules that they promise.

A nested rule judges rows: a row fails where any of its elements fails. The rule's `columns` name the column, its
argument `path` the way inside: a field by its name, the items of an array as `[]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from open_data_contract_standard.model import SchemaProperty

from mesh.contract.columns import check_value, column_rules, inside_type
from mesh.contract.model import Column, Rule
from mesh.contract.quality import quality_rules
from mesh.contract.reading import Document, Path_
from mesh.contract.types import ITEMS

ROW_METRICS = ("nullValues", "missingValues", "invalidValues")


def nested_rules(
    document: Document, path: Path_, given: SchemaProperty, table: str, column: Column, tables: frozenset[str]
) -> Iterator[Rule]:
    """The rules of everything inside a column, named by their path: `orders.lines[].amount.minimum`."""
    for here, inner, child, steps in inside(path, given, column):
        child_rules = [
            *column_rules(document, here, table, replace(child, unique=False)),
            *_quality(document, here, inner, table, child, tables),
            *_enum(document, here, inner, table, child),
        ]
        for rule in child_rules:
            name = rule.id.removeprefix(f"{table}.{child.name}.")
            label = spelled(column.name, steps)
            says = rule.description.replace(child.name, label, 1) if rule.description.startswith(child.name) else ""
            yield replace(
                rule,
                id=f"{table}.{label}.{name}",
                columns=(column.name,),
                arguments={**rule.arguments, "path": steps} | _read_as(column, steps),
                description=says or rule.description,
            )


def inside(
    path: Path_, given: SchemaProperty, column: Column, steps: tuple[str, ...] = ()
) -> Iterator[tuple[Path_, SchemaProperty, Column, tuple[str, ...]]]:
    """Everything inside a column at any depth: where it stands, as it is given, as it was read, and the way to it."""
    for i, (inner, child) in enumerate(zip(given.properties or (), column.children, strict=False)):
        here, way = (*path, "properties", i), (*steps, child.name)
        yield here, inner, child, way
        yield from inside(here, inner, child, way)
    if given.items is not None and column.items is not None:
        here, way = (*path, "items"), (*steps, ITEMS)
        yield here, given.items, column.items, way
        yield from inside(here, given.items, column.items, way)


def _read_as(column: Column, steps: tuple[str, ...]) -> dict[str, Any]:
    """`readAs`: after how many steps there stands JSON, and the type that the contract gives its inside."""
    found, here = [], column
    for depth, step in enumerate(steps):
        if here.physical_type == "JSON":
            found.append((depth, str(inside_type(here.children, here.items))))
        inner = here.items if step == ITEMS else next(child for child in here.children if child.name == step)
        assert inner is not None
        here = inner
    return {"readAs": tuple(found)} if found else {}


def spelled(column: str, steps: tuple[str, ...]) -> str:
    """`lines[].amount`."""
    return column + "".join(step if step == ITEMS else f".{step}" for step in steps)


def _quality(
    document: Document, path: Path_, given: SchemaProperty, table: str, column: Column, tables: frozenset[str]
) -> Iterator[Rule]:
    for rule in quality_rules(document, path, given.quality, table, {column.name: column}, column, tables):
        if rule.kind in ROW_METRICS:
            yield rule


def _enum(document: Document, path: Path_, given: SchemaProperty, table: str, column: Column) -> Iterator[Rule]:
    values = [entry.value for entry in given.enum or ()]
    for i, value in enumerate(values):
        check_value(document, (*path, "enum", i, "value"), column.logical_type, value)
    if values:
        yield Rule(
            id=f"{table}.{column.name}.enum",
            table=table,
            columns=(column.name,),
            kind="invalidValues",
            description=f"{column.name} is one of {', '.join(str(value) for value in values)}.",
            arguments={
                "logicalType": column.logical_type, "physicalType": column.physical_type, "validValues": values,
            },
            dimension="conformity",
        )  # fmt: skip
