"""The `quality` entries of a contract as rules: library metrics and SQL queries with their thresholds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from open_data_contract_standard.model import DataQuality

from mesh.contract.columns import ACTIONS, SEVERITIES, check_pattern, check_value, custom_properties
from mesh.contract.expectation import is_great_expectations, read_expectation
from mesh.contract.model import OPERATORS, Column, Rule, Threshold
from mesh.contract.reading import Document, Path_, did_you_mean
from mesh.contract.sql import check_query

METRICS = {
    "nullValues": ("column", ()),
    "missingValues": ("column", ("missingValues",)),
    "invalidValues": ("column", ("validValues", "pattern")),
    "duplicateValues": ("column or table", ("properties",)),
    "rowCount": ("table", ()),
}
DIMENSIONS = ("accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness")
USUAL_DIMENSION = {
    "nullValues": "completeness",
    "missingValues": "completeness",
    "invalidValues": "conformity",
    "duplicateValues": "uniqueness",
    "rowCount": "coverage",
}
TYPES = ("library", "sql", "text", "custom")
OTHER_SEVERITIES = {
    "critical": "error", "blocker": "error", "high": "error", "major": "error",
    "warn": "warning", "medium": "warning", "minor": "warning", "low": "warning", "info": "warning",
}  # fmt: skip
"""Words of other tools, which the standard takes too, by what they come to here: a release stops or it does not."""


def quality_rules(
    document: Document,
    path: Path_,
    entries: Sequence[DataQuality] | None,
    table: str,
    columns: dict[str, Column],
    column: Column | None,
    tables: frozenset[str],
) -> Iterator[Rule]:
    """The executed rules of one `quality` list, of a table or (with `column`) of a column."""
    names: set[str] = set()
    for i, given in enumerate(entries or ()):
        here = (*path, "quality", i)
        own = given.id or given.name
        if own and own in names:
            document.fail(here, f"The rule `{own}` stands here twice.", "each name once")
        names.add(own or "")
        kind = given.type or ("library" if given.metric or given.rule else None)
        if kind is None:
            document.fail(here, "A quality rule needs a `type` or a `metric`.", ", ".join(TYPES))
        document.choose((*here, "type"), kind, TYPES)
        if given.dimension is not None:
            document.choose((*here, "dimension"), given.dimension, DIMENSIONS)
        if kind == "library":
            yield _library(document, here, given, table, columns, column)
        elif kind == "sql":
            yield _sql(document, here, given, table, column, tables)
        elif kind == "custom" and not (given.engine and given.implementation):
            document.fail(here, "A custom rule needs `engine` and `implementation`.")
        elif kind == "custom" and is_great_expectations(given.engine):
            yield _expectation(document, here, given, table, columns, column)


def _library(
    document: Document, path: Path_, given: DataQuality, table: str, columns: dict[str, Column], column: Column | None
) -> Rule:
    if given.metric is None:
        document.fail(path, "A library rule needs a `metric`.", ", ".join(METRICS))
    document.choose((*path, "metric"), given.metric, METRICS)
    level, allowed = METRICS[given.metric]
    place = "table" if column is None else "column"
    if place not in level:
        document.fail((*path, "metric"), f"`{given.metric}` stands on a {level}, not on a {place}.")
    arguments = dict(given.arguments or {})
    for name in arguments:
        if name not in allowed:
            what = f"`{given.metric}` takes no argument `{name}`{did_you_mean(name, allowed)}."
            document.fail((*path, "arguments", name), what, ", ".join(allowed) or "no arguments")
    judged: tuple[str, ...] = (column.name,) if column else ()
    if given.metric == "duplicateValues":
        judged = _duplicate_columns(document, path, arguments, columns, column)
    elif given.metric == "missingValues":
        _check_list(document, path, "missingValues", arguments, column, nulls=True)
    elif given.metric == "invalidValues":
        _check_invalid(document, path, arguments, column)
    threshold = read_threshold(document, path, given)
    if given.metric == "rowCount" and threshold.unit == "percent":
        document.fail((*path, "unit"), "A row count is no share of anything.", "rows")
    types = {"logicalType": column.logical_type, "physicalType": column.physical_type} if column else {}
    usual = given.metric if column or not judged else f"{'_'.join(judged)}.{given.metric}"
    about = column.name if column else " + ".join(judged) or "the table"
    return Rule(
        id=rule_id(document, path, given, table, column, usual),
        table=table,
        columns=judged,
        kind=_metric(given.metric),
        description=given.description or f"{_SAYS[given.metric]} of {about} {threshold}.",
        arguments=types | arguments,
        threshold=threshold,
        dimension=given.dimension or USUAL_DIMENSION[given.metric],
        **read_handling(document, path, given, quarantinable=given.metric != "rowCount"),
    )


_SAYS = {
    "nullValues": "Rows without a value",
    "missingValues": "Missing values",
    "invalidValues": "Invalid values",
    "duplicateValues": "Rows that share a value",
    "rowCount": "The number of rows",
}


def _metric(name: str) -> Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]:
    match name:
        case "nullValues" | "missingValues" | "invalidValues" | "duplicateValues" | "rowCount":
            return name
    raise ValueError(name)


def _duplicate_columns(
    document: Document, path: Path_, arguments: dict[str, Any], columns: dict[str, Column], column: Column | None
) -> tuple[str, ...]:
    if column is not None:
        if "properties" in arguments:
            document.fail((*path, "arguments", "properties"), "`properties` stands only on a rule of the table.")
        return (column.name,)
    here = (*path, "arguments", "properties")
    names = arguments.pop("properties", None)
    if not isinstance(names, list) or not names:
        document.fail(here, "`duplicateValues` of a table needs `properties`.", "a list of columns")
    for i, name in enumerate(names):
        document.choose((*here, i), name, columns)
    if len(set(names)) != len(names):
        document.fail(here, "A column stands here twice.", "each column once")
    return tuple(names)


def _check_list(
    document: Document, path: Path_, name: str, arguments: dict[str, Any], column: Column | None, *, nulls: bool
) -> None:
    values = arguments.get(name)
    here = (*path, "arguments", name)
    if not isinstance(values, list) or not values:
        document.fail(here, f"`{name}` is missing or empty.", "a list of values")
    for i, value in enumerate(values):
        if value is None and nulls:
            continue
        check_value(document, (*here, i), column.logical_type if column else "string", value)


def _check_invalid(document: Document, path: Path_, arguments: dict[str, Any], column: Column | None) -> None:
    if not arguments:
        document.fail(path, "`invalidValues` needs `arguments`.", "validValues, pattern")
    if "validValues" in arguments:
        _check_list(document, path, "validValues", arguments, column, nulls=True)
        # A missing value is never judged here, so to call it valid says nothing more.
        arguments["validValues"] = [value for value in arguments["validValues"] if value is not None]
        if not arguments["validValues"]:
            document.fail((*path, "arguments", "validValues"), "No value is valid here.", "a list of values")
    if "pattern" in arguments:
        if column is None or column.logical_type != "string":
            document.fail((*path, "arguments", "pattern"), "Only text can match a pattern.", "a string column")
        check_pattern(document, (*path, "arguments", "pattern"), arguments["pattern"])


def _sql(
    document: Document, path: Path_, given: DataQuality, table: str, column: Column | None, tables: frozenset[str]
) -> Rule:
    if not given.query or not given.query.strip():
        document.fail(path, "An SQL rule needs a `query`.", "one SELECT that gives one number or truth value")
    query = check_query(document, (*path, "query"), given.query, table, column.name if column else None, tables)
    threshold = read_threshold(document, path, given)
    return Rule(
        id=rule_id(document, path, given, table, column, "sql"),
        table=table,
        columns=(column.name,) if column else (),
        kind="sql",
        description=given.description or f"The number that the rule's query gives {threshold}.",
        arguments={"query": query},
        threshold=threshold,
        dimension=given.dimension,
        **read_handling(document, path, given, quarantinable=False),
    )


def _expectation(
    document: Document, path: Path_, given: DataQuality, table: str, columns: dict[str, Column], column: Column | None
) -> Rule:
    judged, arguments = read_expectation(document, path, given, columns, column)
    name = arguments["type"]
    return Rule(
        id=rule_id(document, path, given, table, column, name),
        table=table,
        columns=judged,
        kind="expectation",
        description=given.description or f"{table}: {name.replace('_', ' ')}.",
        arguments=arguments,
        dimension=given.dimension,
        **read_handling(document, path, given, quarantinable=False),
    )


def read_threshold(document: Document, path: Path_, given: DataQuality) -> Threshold:
    """The one operator of a rule with its unit."""
    present = [name for name in OPERATORS if getattr(given, name) is not None]
    if len(present) > 1:
        document.fail((*path, present[1]), f"`{present[0]}` and `{present[1]}` contradict each other.", "one operator")
    if not present:
        document.fail(path, "The rule says not what its number must be.", ", ".join(OPERATORS))
    name = present[0]
    value = getattr(given, name)
    if isinstance(value, list) and not name.endswith("Between"):
        document.fail((*path, name), f"`{name}` must be a number.", "one number; a range goes with mustBeBetween")
    values = tuple(value) if isinstance(value, list) else (value,)
    if isinstance(values[0], bool) and given.type == "sql":
        values = (int(values[0]),)
    for number in values:
        if isinstance(number, bool) or not isinstance(number, int | float):
            document.fail((*path, name), f"`{name}` must be a number.", "a number without quotes")
    if len(values) == 2 and values[0] >= values[1]:
        document.fail((*path, name), "The smaller number comes first.", "[smaller, larger]")
    # The number of a query is of whatever unit the query counts in.
    unit = "rows" if given.type == "sql" else given.unit or "rows"
    document.choose((*path, "unit"), unit, ("rows", "percent"))
    if unit == "percent":
        for number in values:
            if not 0 <= number <= 100:
                document.fail((*path, name), "A percentage lies between 0 and 100.", "0 to 100")
        return Threshold(name, values, "percent")
    return Threshold(name, values, "rows")


def read_handling(document: Document, path: Path_, given: DataQuality, *, quarantinable: bool) -> dict[str, Any]:
    """`severity` and `action` of a rule."""
    told = given.severity or "error"
    severity = OTHER_SEVERITIES.get(told.lower(), told.lower())
    document.choose((*path, "severity"), severity, SEVERITIES)
    action = custom_properties(document, path, given.customProperties).get("action", "fail")
    document.choose((*path, "customProperties"), action, ACTIONS)
    if action == "quarantine" and not quarantinable:
        what = "The rule judges the whole table, so there is no single row to put aside."
        document.fail((*path, "customProperties"), what, "action: fail")
    return {"severity": severity, "action": action}


def rule_id(document: Document, path: Path_, given: DataQuality, table: str, column: Column | None, usual: str) -> str:
    """`table[.column].NAME`, the name being the rule's own `id` or `name`, else what it measures."""
    own = given.id or given.name
    name = re.sub(r"[^A-Za-z0-9]+", "_", own).strip("_") if own else usual
    if not name:
        document.fail(path, f"`{own}` gives no rule name.", "letters, digits and _")
    return ".".join(part for part in (table, column.name if column else None, name) if part)
