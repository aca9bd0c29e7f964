"""Tests of a dbt model as promises of a contract; what no contract can say is told with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from mesh.contract.columns import check_value
from mesh.contract.predicates import quoted
from mesh.contract.reading import Document
from mesh.contract.sql import check_query
from mesh.contract.types import FAMILIES, family
from mesh.errors import ContractError
from mesh.profile.names import reserved_words, snake
from mesh.scaffold.adopt.foreign import ForeignModel, ForeignTest

MAX_NAME = 50
REFERENCE = re.compile(r"""\s*ref\(\s*(?:(['"])\w+\1\s*,\s*)?(['"])(\w+)\2\s*\)\s*""")


class NotTaken(Exception):
    """A test that a contract cannot hold; the text says why."""


@dataclass
class Promises:
    """What the tests of one model promise: fields and rules by column, rules of the table, products looked into."""

    key: str | None = None
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    column_rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    table_rules: list[dict[str, Any]] = field(default_factory=list)
    looked_into: list[str] = field(default_factory=list)


Target = Callable[[str, str], str]
"""`(model, column)` as a contract names it; raises NotTaken where no rule can look there."""


def promises(
    model: ForeignModel, domain: str, target: Target
) -> tuple[Promises, list[tuple[ForeignTest, str]], list[tuple[ForeignTest, str]]]:
    """The promises of a model, the tests that were taken with what they became, and those that were not with why."""
    made, taken, left = Promises(), list[tuple[ForeignTest, str]](), list[tuple[ForeignTest, str]]()
    for test in model.tests:
        try:
            taken.append((test, _Writer(model, domain, made, target).write(test)))
        except NotTaken as why:
            left.append((test, str(why)))
    for column in model.columns:
        promised = made.fields.get(column.name, {})
        if made.key is None and promised.get("required") and promised.get("unique"):
            made.key = column.name
            made.fields[column.name] = {"required": True, "primaryKey": True, "primaryKeyPosition": 1}
    return made, taken, left


def logical_type(type_: str) -> str:
    """The logical type of a DuckDB type."""
    for logical in ("string", "date", "timestamp", "time", "integer", "number", "boolean"):
        if family(type_) in FAMILIES[logical]:
            return logical
    return "array" if type_.endswith("]") else "object"


class _Writer:
    """Writes one test after the other into the promises of a model."""

    def __init__(self, model: ForeignModel, domain: str, made: Promises, target: Target) -> None:
        self.model, self.domain, self.made, self.target = model, domain, made, target
        self.types = {column.name: column.type for column in model.columns}

    def write(self, test: ForeignTest) -> str:
        if test.unclear:
            raise NotTaken(test.unclear)
        if test.query is not None:
            return self.counted(test, f"select count(*) from (\n{test.query.strip()}\n)", None)
        kinds: Mapping[str, Callable[[ForeignTest], str]] = {
            "not_null": self.not_null,
            "unique": self.unique,
            "accepted_values": self.accepted_values,
            "relationships": self.relationships,
            "expression_is_true": self.expression_is_true,
            "unique_combination_of_columns": self.unique_combination,
            "accepted_range": self.accepted_range,
        }
        if test.name not in kinds:
            raise NotTaken("the mesh has no rule of this kind")
        if test.column is not None and test.column not in self.types:
            raise NotTaken(f"{self.model.name} has no column {test.column}")
        return kinds[test.name](test)

    def not_null(self, test: ForeignTest) -> str:
        column = self.column(test)
        if test.where:
            says = f"{plain(column)} is not null where {test.where}"
            return self.rows(test, f"{plain(column)} is null", column, says=says, dimension="completeness")
        if test.warning:
            rule = self.library("nullValues", f"{column}_present", "Every row should have a value.", "completeness")
            return self.add(test, rule, column)
        self.made.fields.setdefault(column, {})["required"] = True
        return "required"

    def unique(self, test: ForeignTest) -> str:
        column = self.column(test)
        if test.where:
            repeated = (
                f"select {plain(column)} from ${{table}} where ({test.where}) and {plain(column)} is not null "
                f"group by {plain(column)} having count(*) > 1"
            )
            return self.counted(test, f"select count(*) from ({repeated})", column, dimension="uniqueness")
        if test.warning:
            rule = self.library("duplicateValues", f"{column}_unique", "No value should repeat.", "uniqueness")
            return self.add(test, rule, column)
        self.made.fields.setdefault(column, {})["unique"] = True
        return "unique"

    def accepted_values(self, test: ForeignTest) -> str:
        column = self.column(test)
        if test.where:
            raise NotTaken("a set of values cannot be held for some rows only")
        values = [self.value(column, value) for value in test.arguments.get("values") or []]
        rule = self.library("invalidValues", f"{column}_known", "One of the known values.", "conformity")
        rule = {**rule, "arguments": {"validValues": values}}
        return self.add(test, rule, column)

    def relationships(self, test: ForeignTest) -> str:
        column = self.column(test)
        if test.where:
            raise NotTaken("a relationship cannot be held for some rows only")
        reference = REFERENCE.fullmatch(str(test.arguments.get("to", "")))
        if reference is None:
            raise NotTaken("it points to no model")
        name = reference.group(3)
        to = self.target(name, str(test.arguments.get("field", "")))
        relation: dict[str, Any] = {"type": "foreignKey", "to": to}
        if test.warning:
            relation["customProperties"] = [{"property": "severity", "value": "warning"}]
        self.made.fields.setdefault(column, {}).setdefault("relationships", []).append(relation)
        if name != self.model.name and name not in self.made.looked_into:
            self.made.looked_into.append(name)
        return f"a relationship to {to}"

    def expression_is_true(self, test: ForeignTest) -> str:
        expression = str(test.arguments.get("expression", ""))
        says = f"{test.column} {expression}" if test.column else expression
        return self.rows(test, f"not ({says})", None, says=says)

    def unique_combination(self, test: ForeignTest) -> str:
        columns = [str(name) for name in test.arguments.get("combination_of_columns") or []]
        strangers = [name for name in columns if name not in self.types]
        if strangers or not columns:
            raise NotTaken(f"{self.model.name} has no column {strangers[0] if strangers else ''}".rstrip())
        if test.where:
            raise NotTaken("it holds for some rows only")
        rule = self.library(
            "duplicateValues", f"{'_'.join(columns)}_unique", f"{' + '.join(columns)} names one row.", "uniqueness"
        )
        return self.add(test, {**rule, "arguments": {"properties": columns}}, None)

    def accepted_range(self, test: ForeignTest) -> str:
        column = self.column(test)
        sign = "=" if test.arguments.get("inclusive", True) else ""
        bounds = {">": test.arguments.get("min_value"), "<": test.arguments.get("max_value")}
        parts = [f"{plain(column)} {way}{sign} {bound}" for way, bound in bounds.items() if bound is not None]
        if not parts:
            raise NotTaken("it has no bounds")
        says = " and ".join(parts)
        return self.rows(test, f"not ({says})", column, says=says)

    def rows(
        self, test: ForeignTest, failing: str, column: str | None, *, says: str, dimension: str = "consistency"
    ) -> str:
        where = f"({test.where}) and {failing}" if test.where else failing
        query = f"select count(*) from ${{table}} where {where}"
        return self.counted(test, query, column, dimension=dimension, says=says)

    def column(self, test: ForeignTest) -> str:
        if test.column is None:
            raise NotTaken("it names no column")
        return test.column

    def value(self, column: str, given: Any) -> Any:
        """A value of a set as its column holds it."""
        logical = logical_type(self.types[column])
        value: Any = given
        if logical == "integer":
            value = int(given) if re.fullmatch(r"[+-]?\d+", str(given)) else given
        elif logical == "boolean":
            value = {"true": True, "false": False}.get(str(given).lower(), given)
        elif logical != "number":
            value = str(given)
        try:
            check_value(Document(Path("contract"), ""), (), logical, value)
        except ContractError:
            raise NotTaken(f"one of its values is no {logical}, as {column} is") from None
        return value

    def library(self, metric: str, name: str, says: str, dimension: str) -> dict[str, Any]:
        rule = {"id": name, "description": says, "type": "library", "metric": metric}
        return {**rule, "mustBe": 0, "dimension": dimension}

    def counted(
        self, test: ForeignTest, query: str, column: str | None, *, dimension: str = "consistency", says: str = ""
    ) -> str:
        """A rule whose query counts failing rows and reads nothing but the product."""
        why = _unfit(query, self.model)
        if why:
            raise NotTaken(why)
        rule = {
            "id": snake(says)[:MAX_NAME].strip("_") if says else test.label,
            "description": f"In every row: {says}." if says else f"From the dbt test {test.label}.",
            "type": "sql",
            "query": query,
        }
        return self.add(test, {**rule, "mustBe": 0, "dimension": dimension}, column)

    def add(self, test: ForeignTest, rule: dict[str, Any], column: str | None) -> str:
        rules = self.made.table_rules if column is None else self.made.column_rules.setdefault(column, [])
        taken: Collection[str] = [str(one["id"]) for one in rules]
        name, number = str(rule["id"]), 2
        while name in taken:
            name, number = f"{rule['id']}_{number}", number + 1
        rules.append({**rule, "id": name, "severity": "warning" if test.warning else "error"})
        return f"the rule {name}"


def plain(column: str) -> str:
    """A column in SQL: in quotes only where it must be."""
    return quoted(column) if column in reserved_words() else column


def _unfit(query: str, model: ForeignModel) -> str | None:
    """Why a query is no rule of a contract: it reads more than the product, or names what the product has not."""
    try:
        filled = check_query(Document(Path("contract"), ""), (), query, model.name, None, frozenset([model.name]))
    except ContractError as error:
        return _sentence(error.what)
    if "{{" in query or "{%" in query:
        return "it is written with Jinja"
    listed = ", ".join(f"{quoted(column.name)} {column.type}" for column in model.columns)
    with duckdb.connect() as con:
        try:
            con.execute(f"create table {quoted(model.name)} ({listed})")
            con.execute(f"explain {filled}")
        except duckdb.Error as error:
            return _sentence(str(error).partition(": ")[2].splitlines()[0])
    return None


def _sentence(text: str) -> str:
    text = " ".join(text.split()).rstrip(".")
    return text[:1].lower() + text[1:]
