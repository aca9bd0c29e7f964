"""A table as other formats see it: fields with their types and the limits that hold for each value of each row.

Only rules of severity error that accept no failing row are limits: what a release may break is no part of its type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mesh.contract.model import Column, Rule, Table
from mesh.contract.predicates import FORMATS
from mesh.contract.types import INTEGER_FORMATS, ITEMS

BOUNDS = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
WORDS = (*BOUNDS, "minLength", "maxLength", "multipleOf", "pattern", "minItems", "maxItems")

# Bits of each integer type of DuckDB; an unsigned one has its sign's bit for values.
INTEGERS = {physical: (form[0] == "i", int(form[1:])) for form, physical in INTEGER_FORMATS.items()}

# Syntax of RE2 that the regular expressions of other languages read differently or not at all.
RE2_ONLY = re.compile(r"\(\?(?!:)|\\[pPAzQECZ]|\[\[:")


@dataclass(frozen=True)
class Limit:
    """One promise about each value, in the words of JSON Schema, with `notIn` for a list of forbidden values.

    `rule` is the id of the rule it came from.
    """

    word: str
    value: Any
    rule: str


@dataclass(frozen=True)
class Field:
    """One column, or one part of a nested column.

    `physical` is the DuckDB type; `needed` are the ids of the rules by which a value is never missing.
    """

    name: str
    logical: str
    physical: str
    description: str
    needed: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    properties: tuple[Field, ...] = ()
    items: Field | None = None
    classification: str | None = None

    @property
    def required(self) -> bool:
        return bool(self.needed)

    @property
    def choices(self) -> tuple[Limit | None, list[Any]]:
        """The list of valid values, where one limit gives it."""
        found = [limit for limit in self.limits if limit.word == "enum"]
        return (found[0], list(found[0].value)) if len(found) == 1 else (None, [])

    @property
    def decimal(self) -> tuple[int, int] | None:
        """Digits in all and behind the point, of a DECIMAL."""
        match = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", self.physical)
        return (int(match[1]), int(match[2])) if match else None

    @property
    def integer_range(self) -> tuple[int, int] | None:
        """The least and the greatest value of an integer type."""
        if self.physical not in INTEGERS:
            return None
        signed, bits = INTEGERS[self.physical]
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def fields(table: Table) -> list[Field]:
    """The fields of a table in published order."""
    return [_field(table, column, column.name, ()) for column in table.columns]


def _field(table: Table, given: Column, column: str, steps: tuple[str, ...]) -> Field:
    rules = [r for r in table.rules if r.columns == (column,) and r.path == steps and holds_always(r)]
    return Field(
        name=given.name,
        logical=given.logical_type,
        physical=given.physical_type,
        description=" ".join(given.description.split()),
        needed=tuple(rule.id for rule in rules if rule.kind == "nullValues"),
        limits=tuple(limit for rule in rules for limit in _limits(rule)),
        properties=tuple(_field(table, child, column, (*steps, child.name)) for child in given.children),
        items=_field(table, given.items, column, (*steps, ITEMS)) if given.items else None,
        classification=given.classification,
    )


def holds_always(rule: Rule) -> bool:
    """True where no published row may break the rule."""
    return rule.severity == "error" and rule.threshold.none_allowed


def _limits(rule: Rule) -> Iterator[Limit]:
    given = rule.arguments
    match rule.kind:
        case "invalidValues":
            if "validValues" in given:
                yield Limit("enum", list(given["validValues"]), rule.id)
            if "pattern" in given:
                yield Limit("pattern", given["pattern"], rule.id)
        case "missingValues":
            yield Limit("notIn", [value for value in given["missingValues"] if value is not None], rule.id)
        case "format":
            yield Limit("format", given["format"], rule.id)
        case "uniqueItems":
            yield Limit("uniqueItems", True, rule.id)
        case kind if kind in WORDS:
            yield Limit(kind, given[kind], rule.id)


def regular(limit: Limit) -> str | None:
    """The regular expression of a `pattern` or `format` limit; None where only RE2 reads it."""
    pattern = FORMATS.get(limit.value, "") if limit.word == "format" else str(limit.value)
    return None if not pattern or RE2_ONLY.search(pattern) else pattern
