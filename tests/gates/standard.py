"""What a contract file promises, read from the words of the standard (ODCS v3.1.0 and JSON Schema) alone.

The compiler and its predicates are what these tests judge, so nothing of `mesh` is used here: a contract is plain
YAML, and each word is given its meaning once more, in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any

Row = dict[str, Any]

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
SINGLE = ("required", "minLength", "maxLength", "pattern", "multipleOf", *BOUNDS)
VALUE_METRICS = ("nullValues", "missingValues", "invalidValues")
OPERATORS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo",
    "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip


class Unknown(Exception):
    """A word that these tests cannot break yet; teach it here before a contract uses it."""


@dataclass(frozen=True)
class Promise:
    """One promise of a contract: the id under which an audit reports it, its word and what is given with it."""

    rule: str
    word: str
    columns: tuple[str, ...]
    given: Any = None
    logical: str = "string"
    operator: tuple[str, Any, str] = ("mustBe", 0, "rows")

    def allows(self, value: Any) -> bool:
        """What the standard says of one value; a missing value fails only promises about missing values."""
        if self.word in ("required", "nullValues"):
            return value is not None
        if self.word == "missingValues":
            return value not in self.given["missingValues"]
        return value is None or self._allows(value)

    def _allows(self, value: Any) -> bool:
        match self.word:
            case "minimum":
                return value >= typed(self.given, self.logical)
            case "maximum":
                return value <= typed(self.given, self.logical)
            case "exclusiveMinimum":
                return value > typed(self.given, self.logical)
            case "exclusiveMaximum":
                return value < typed(self.given, self.logical)
            case "minLength":
                return len(value) >= self.given
            case "maxLength":
                return len(value) <= self.given
            case "pattern":
                return re.search(self.given, value) is not None
            case "multipleOf":
                return Decimal(str(value)) % Decimal(str(self.given)) == 0
            case "enum":
                return value in [entry["value"] for entry in self.given]
            case "invalidValues":
                listed = "validValues" not in self.given or value in self.given["validValues"]
                return listed and ("pattern" not in self.given or re.search(self.given["pattern"], value) is not None)
        raise Unknown(f"{self.rule}: no way to break `{self.word}`")

    @property
    def judges_values(self) -> bool:
        return self.word in (*SINGLE, *VALUE_METRICS, "enum")

    def accepts(self, failing: int, rows: int) -> bool:
        """Whether so many failing of so many rows keep the promise."""
        name, bound, unit = self.operator
        seen = Fraction(100 * failing, rows) if unit == "percent" else Fraction(failing)
        return holds(name, seen, bound)


def holds(operator: str, seen: Fraction, bound: Any) -> bool:
    """The operators of the standard; both ends of a range belong to it."""
    if operator in ("mustBeBetween", "mustNotBeBetween"):
        inside = Fraction(str(bound[0])) <= seen <= Fraction(str(bound[1]))
        return inside == (operator == "mustBeBetween")
    value = Fraction(str(bound))
    return {
        "mustBe": seen == value,
        "mustNotBe": seen != value,
        "mustBeGreaterThan": seen > value,
        "mustBeGreaterOrEqualTo": seen >= value,
        "mustBeLessThan": seen < value,
        "mustBeLessOrEqualTo": seen <= value,
    }[operator]


def typed(value: Any, logical: str) -> Any:
    """A bound as a value of its column: dates and times stand in contracts as ISO 8601 text."""
    readers = {"date": date.fromisoformat, "timestamp": datetime.fromisoformat, "time": time.fromisoformat}
    return readers[logical](str(value)) if logical in readers else value if isinstance(value, str) else num(value)


def num(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


@dataclass(frozen=True)
class Column:
    """One column with the promises that judge its single values."""

    name: str
    logical: str
    physical: str
    promises: tuple[Promise, ...]
    distinct: bool

    def allows(self, value: Any, *, but: Promise | None = None) -> bool:
        """Whether a value keeps every promise; with `but`, whether it breaks that one and no other."""
        return all(promise.allows(value) == (promise is not but) for promise in self.promises)


@dataclass(frozen=True)
class Table:
    """One table of a contract and everything it promises."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    promises: tuple[Promise, ...] = field(repr=False)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


def tables(contract: Mapping[str, Any]) -> list[Table]:
    """The tables of a contract file with their promises."""
    return [_table(contract, given) for given in contract["schema"]]


def _table(contract: Mapping[str, Any], given: Mapping[str, Any]) -> Table:
    name = given["name"]
    properties = given["properties"]
    keys = sorted((p for p in properties if p.get("primaryKey")), key=lambda p: p.get("primaryKeyPosition", 1))
    key = tuple(p["name"] for p in keys)
    found = [Promise(f"{name}.schema", "schema", ())]
    if key:
        found.append(Promise(f"{name}.primary_key", "duplicateValues", key))
    columns = []
    for p in properties:
        mine = list(_of_property(name, p, key))
        found += mine
        single = tuple(promise for promise in mine if promise.judges_values)
        distinct = p["name"] in key or any(promise.word == "duplicateValues" for promise in mine)
        columns.append(Column(p["name"], p["logicalType"], p.get("physicalType", ""), single, distinct))
    found += _quality(name, None, "string", given.get("quality", ()))
    found += _relationships(name, None, given.get("relationships", ()))
    found += _service_levels(contract, name)
    return Table(name, tuple(columns), key, tuple(found))


def _of_property(table: str, given: Mapping[str, Any], key: Sequence[str]) -> Iterator[Promise]:
    name, logical = given["name"], given["logicalType"]
    place = f"{table}.{name}"
    if given.get("required") or given.get("primaryKey"):
        yield Promise(f"{place}.required", "required", (name,), None, logical)
    if given.get("unique") and list(key) != [name]:
        yield Promise(f"{place}.unique", "duplicateValues", (name,), None, logical)
    for word, value in given.get("logicalTypeOptions", {}).items():
        if word in SINGLE:
            yield Promise(f"{place}.{word}", word, (name,), value, logical)
        elif not (word == "format" and logical in ("integer", "number")):
            raise Unknown(f"{place}: no way to break `{word}`")
    yield from _quality(table, name, logical, given.get("quality", ()))
    if given.get("enum"):
        yield Promise(f"{place}.enum", "enum", (name,), given["enum"], logical)
    yield from _relationships(table, name, given.get("relationships", ()))


def _quality(table: str, column: str | None, logical: str, entries: Sequence[Mapping[str, Any]]) -> Iterator[Promise]:
    for given in entries:
        kind = given.get("type", "library")
        if kind == "text":
            continue  # for people to read
        if kind not in ("library", "sql"):
            raise Unknown(f"{table}: no way to break a rule of type {kind}")
        arguments = dict(given.get("arguments", {}))
        columns = tuple(arguments.get("properties", (column,) if column else ()))
        word = "sql" if kind == "sql" else given["metric"]
        name = given.get("id") or given.get("name") or "_".join((*(() if column else columns), word))
        [operator] = [each for each in OPERATORS if each in given]
        yield Promise(
            rule=".".join(part for part in (table, column, re.sub(r"[^A-Za-z0-9]+", "_", name)) if part),
            word=word,
            columns=columns,
            given=arguments,
            logical=logical,
            operator=(operator, given[operator], given.get("unit", "rows")),
        )


def _relationships(table: str, column: str | None, entries: Sequence[Mapping[str, Any]]) -> Iterator[Promise]:
    for given in entries:
        own, to = ([value] if isinstance(value, str) else value for value in (given.get("from", column), given["to"]))
        here = tuple(part.rpartition(".")[2] for part in own)
        goal = to[0].split(".")
        rule = ".".join((table, "_".join(here), "in", "_".join(goal[:-1])))
        yield Promise(rule, "relationships", here, tuple(tuple(each.split(".")) for each in to))


def _service_levels(contract: Mapping[str, Any], table: str) -> Iterator[Promise]:
    for given in contract.get("slaProperties", ()):
        owner, _, column = given.get("element", "").rpartition(".")
        if given["property"] in ("freshness", "latency") and column and owner in ("", table):
            allowed = given["value"] * {"s": 1, "m": 60, "h": 3600, "d": 86400}[given["unit"][0]]
            yield Promise(f"{table}.{column}.{given['property']}", "freshness", (column,), allowed)
