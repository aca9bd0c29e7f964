"""Columns of a contract, and the rules that their own fields promise: required, unique, bounds, lengths, formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import cache
from typing import Any

from open_data_contract_standard.model import CustomProperty, SchemaProperty

from mesh.contract.model import NONE_FAIL, Column, Kind, Rule
from mesh.contract.predicates import FORMATS, literal, quoted
from mesh.contract.reading import Document, Path_
from mesh.contract.types import (
    FAMILIES,
    INTEGER_FORMATS,
    LOGICAL_TYPES,
    duckdb_type,
    family,
    is_duckdb_nested,
    logical_type_of,
    nested_type,
    normal_type,
    vector_type,
)  # fmt: skip

NAME = re.compile(r"[a-z][a-z0-9_]*")
BOUNDS: tuple[Kind, ...] = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
RANGE = (*BOUNDS, "multipleOf", "format")
WHEN = (*BOUNDS, "format")
OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "date": WHEN,
    "timestamp": (*WHEN, "timezone", "defaultTimezone"),
    "time": (*WHEN, "timezone", "defaultTimezone"),
    "integer": RANGE,
    "number": RANGE,
    "object": ("maxProperties", "minProperties", "required"),
    "array": ("maxItems", "minItems", "uniqueItems"),
    "boolean": (),
    "map": (),
    "vector": ("dimensions", "elementType", "distanceMetric", "normalized", "embeddingModel", "embeddingModelVersion"),
}
PARSERS: dict[str, Any] = {
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "time": time.fromisoformat,
}
SEVERITIES = ("error", "warning")
ACTIONS = ("fail", "quarantine")

WORDS = {
    "minLength": "has at least {} characters",
    "maxLength": "has at most {} characters",
    "pattern": "matches {}",
    "minimum": "is {} or more",
    "exclusiveMinimum": "is more than {}",
    "maximum": "is {} or less",
    "exclusiveMaximum": "is less than {}",
    "multipleOf": "is a multiple of {}",
    "format": "is written as {}",
    "minItems": "has at least {} items",
    "maxItems": "has at most {} items",
    "uniqueItems": "has no item twice",
    "minProperties": "has at least {} fields",
    "maxProperties": "has at most {} fields",
    "required": "has the fields {}",
}
COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


def check_name(document: Document, path: Path_, name: str | None, what: str) -> str:
    """A table or column name that is the same in every engine."""
    if name is None:
        document.fail(path, f"A {what} needs a `name`.", "lower case letters, digits and _, from a letter")
    if not NAME.fullmatch(name):
        document.fail(
            (*path, "name"), f"`{name}` is no {what} name.", "lower case letters, digits and _, beginning with a letter"
        )
    return name


def custom_properties(document: Document, path: Path_, entries: list[CustomProperty] | None) -> dict[str, Any]:
    """`customProperties` as a mapping; each property stands once."""
    found: dict[str, Any] = {}
    for i, entry in enumerate(entries or ()):
        here = (*path, "customProperties", i)
        if not entry.property:
            document.fail(here, "A custom property needs `property` and `value`.")
        if entry.property in found:
            document.fail(here, f"The custom property `{entry.property}` stands here twice.", "each property once")
        found[entry.property] = entry.value
    return found


def check_handling(document: Document, path: Path_, custom: dict[str, Any]) -> dict[str, Any]:
    """`severity` and `action` of derived rules, from the custom properties of a column or table."""
    handling: dict[str, Any] = {}
    for name, allowed in (("severity", SEVERITIES), ("action", ACTIONS)):
        if name in custom:
            document.choose((*path, "customProperties"), custom[name], allowed)
            handling[name] = custom[name]
    return handling


def read_column(document: Document, path: Path_, given: SchemaProperty, *, items: bool = False) -> Column:
    """Check one property of a table, and all inside it, and give it its physical type.

    Args:
        items: what an array holds, which needs no name.
    """
    name = "items" if items and given.name is None else check_name(document, path, given.name, "column")
    logical = read_type(document, path, given)
    options = given.logicalTypeOptions or {}
    for option in options:
        document.choose((*path, "logicalTypeOptions", option), option, OPTIONS[logical])
    if logical == "integer" and "format" in options:
        document.choose((*path, "logicalTypeOptions", "format"), options["format"], INTEGER_FORMATS)
    if logical == "number" and "format" in options:
        document.choose((*path, "logicalTypeOptions", "format"), options["format"], ("f32", "f64"))
    children, inner = _inside(document, path, given)
    entry = _entry(document, path, given)
    physical = None if logical in FAMILIES else _nested_type(document, path, given, children, inner, entry)
    if physical is None:
        own = given.physicalType if logical in FAMILIES else None
        physical = normal_type(own) if own else duckdb_type(logical, options)
    allowed = FAMILIES.get(logical)
    if allowed and family(physical) not in allowed:
        what = f"`{given.physicalType}` cannot hold values of type {logical}."
        document.fail((*path, "physicalType"), what, ", ".join(allowed))
    if given.primaryKeyPosition is not None and given.primaryKeyPosition < 1 and given.primaryKey:
        document.fail((*path, "primaryKeyPosition"), "Positions in a primary key start at 1.", "1, 2, ...")
    return Column(
        name=name,
        logical_type=logical,
        physical_type=physical,
        description=given.description or "",
        required=bool(given.required or given.primaryKey),
        unique=bool(given.unique),
        primary_key_position=(given.primaryKeyPosition or 1) if given.primaryKey else None,
        classification=given.classification,
        critical=bool(given.criticalDataElement),
        tags=tuple(given.tags or ()),
        options=options,
        custom=custom_properties(document, path, given.customProperties),
        children=children,
        items=inner,
        entry=entry,
    )


def read_type(document: Document, path: Path_, given: SchemaProperty) -> str:
    """The logical type of a column; what its physical type says more exactly is taken from there.

    v3.0 of the standard had `date` alone for dates, times and timestamps, and contracts still say so.
    """
    told = logical_type_of(given.physicalType)
    if given.logicalType is None:
        if told is None:
            what = "A column needs a `logicalType`, or a `physicalType` that tells it."
            document.fail(path, what, ", ".join(LOGICAL_TYPES))
        return told
    document.choose((*path, "logicalType"), given.logicalType, LOGICAL_TYPES)
    return told if given.logicalType == "date" and told in ("timestamp", "time") else given.logicalType


def _inside(document: Document, path: Path_, given: SchemaProperty) -> tuple[tuple[Column, ...], Column | None]:
    """The fields of an object and what an array holds."""
    children: dict[str, Column] = {}
    for i, entry in enumerate(given.properties or ()):
        child = read_column(document, (*path, "properties", i), entry)
        if child.name in children:
            here = (*path, "properties", i, "name")
            document.fail(here, f"The field `{child.name}` stands here twice.", "each field once")
        children[child.name] = child
    inner = read_column(document, (*path, "items"), given.items, items=True) if given.items else None
    return tuple(children.values()), inner


def _entry(document: Document, path: Path_, given: SchemaProperty) -> tuple[Column, ...]:
    """The key and the value of a map, where it says both."""
    if given.map is None or given.map.key is None or given.map.value is None:
        return ()
    return (
        read_column(document, (*path, "map", "key"), given.map.key, items=True),
        read_column(document, (*path, "map", "value"), given.map.value, items=True),
    )


def _nested_type(
    document: Document,
    path: Path_,
    given: SchemaProperty,
    children: tuple[Column, ...],
    inner: Column | None,
    entry: tuple[Column, ...],
) -> str | None:
    """The type that the inside of a column gives it, against which a declared one is held; None: there is no inside."""
    derived = inside_type(children, inner)
    if derived is None and entry:
        derived = f"MAP({entry[0].physical_type}, {entry[1].physical_type})"
    elif derived is None and given.logicalType == "vector":
        derived = vector_type(given.logicalTypeOptions or {})
    if derived is not None:
        derived = nested_type(derived)
        if derived is None:
            document.fail(path, "The types inside this column make no type of DuckDB.", "types that DuckDB knows")
    declared = given.physicalType
    if declared is None or not is_duckdb_nested(declared):
        return derived
    if normal_type(declared) == "JSON":
        return "JSON"
    known = nested_type(declared)
    if known is None or derived not in (None, known):
        what = f"`{declared}` is not the type of what stands inside." if derived else f"DuckDB knows no `{declared}`."
        document.fail((*path, "physicalType"), what, f"{derived or 'a type of DuckDB'}, JSON, or no physicalType")
    return known


def inside_type(children: tuple[Column, ...], items: Column | None) -> str | None:
    """The SQL type of an object with these fields, or of an array of these items."""
    if children:
        return f"STRUCT({', '.join(f'{quoted(child.name)} {child.physical_type}' for child in children)})"
    return None if items is None else f"{items.physical_type}[]"


def column_rules(document: Document, path: Path_, table: str, column: Column) -> Iterator[Rule]:
    """The rules that a column's own fields promise; their ids are `table.column.FIELD`."""
    handling = check_handling(document, path, dict(column.custom))
    fields = {"fields": tuple(child.name for child in column.children)} if column.children else {}

    def rule(name: str, kind: Kind, says: str, dimension: str, **arguments: Any) -> Rule:
        return Rule(
            id=f"{table}.{column.name}.{name}",
            table=table,
            columns=(column.name,),
            kind=kind,
            description=f"{column.name} {says}.",
            arguments={"logicalType": column.logical_type, "physicalType": column.physical_type} | arguments | fields,
            threshold=NONE_FAIL,
            dimension=dimension,
            **handling,
        )

    if column.required:
        yield rule("required", "nullValues", "is never missing", "completeness")
    if column.unique:
        yield rule("unique", "duplicateValues", "is never given twice", "uniqueness")
    for option, value in column.options.items():
        here = (*path, "logicalTypeOptions", option)
        if executed_option(column.logical_type, option, value):
            check_option(document, here, column.logical_type, option, value)
            if option == "required" and column.physical_type != "JSON":
                for i, name in enumerate(value):
                    document.choose((*here, i), name, [child.name for child in column.children])
            told = ", ".join(value) if isinstance(value, list) else value
            yield rule(option, _kind(option), WORDS[option].format(told), "conformity", **{option: value})
    _check_order(document, path, dict(column.options))


def executed_option(logical_type: str, option: str, value: Any) -> bool:
    """True where an entry of `logicalTypeOptions` becomes a rule; integer and number formats fix the type instead."""
    if option == "format":
        return logical_type == "string" and value in FORMATS
    if option == "uniqueItems":
        return value is not False
    return option in WORDS


def _kind(option: str) -> Kind:
    kinds: dict[str, Kind] = {
        "minLength": "minLength", "maxLength": "maxLength", "pattern": "pattern", "format": "format",
        "multipleOf": "multipleOf", "minItems": "minItems", "maxItems": "maxItems", "uniqueItems": "uniqueItems",
        "minProperties": "minProperties", "maxProperties": "maxProperties", "required": "requiredProperties",
        **{bound: bound for bound in BOUNDS},
    }  # fmt: skip
    return kinds[option]


def check_option(document: Document, path: Path_, logical_type: str, option: str, value: Any) -> None:
    """One entry of `logicalTypeOptions` must be of the type that its column compares with."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if option in COUNTS:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            what = "characters" if option.endswith("Length") else "items" if option.endswith("Items") else "fields"
            document.fail(path, f"`{option}` must be a whole number of {what}.", "0 or more")
    elif option == "uniqueItems":
        if not isinstance(value, bool):
            document.fail(path, "`uniqueItems` must be true or false.", "true, false")
    elif option == "required":
        if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
            document.fail(path, "`required` of an object must name its fields.", "a list of names")
    elif option == "pattern":
        check_pattern(document, path, value)
    elif option == "multipleOf":
        if not number or value <= 0:
            document.fail(path, "`multipleOf` must be a number.", "more than 0")
    elif logical_type in PARSERS:
        check_value(document, path, logical_type, value)
    elif option != "format" and not number:
        document.fail(path, f"`{option}` of a {logical_type} must be a number.", "a number without quotes")


def check_value(document: Document, path: Path_, logical_type: str, value: Any) -> None:
    """A value in a contract must be one that its column could hold."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if logical_type in PARSERS:
        try:
            PARSERS[logical_type](str(value))
        except ValueError:
            document.fail(path, f"This is no {logical_type}.", f"an ISO 8601 {logical_type}")
    elif logical_type in ("integer", "number") and not number:
        document.fail(path, f"This must be a number, as the column is a {logical_type}.", "a number without quotes")
    elif logical_type == "integer" and value != int(value):
        document.fail(path, "This must be a whole number, as the column is an integer.", "a whole number")
    elif logical_type == "boolean" and not isinstance(value, bool):
        document.fail(path, "This must be true or false, as the column is a boolean.", "true, false")
    elif logical_type == "string" and not isinstance(value, str):
        document.fail(path, "This must be text, as the column is a string.", "text in quotes")


def check_pattern(document: Document, path: Path_, pattern: object) -> None:
    """A regular expression that DuckDB's engine (RE2) takes: no look-around and no back references."""
    if not isinstance(pattern, str):
        document.fail(path, "A pattern must be text.", "a regular expression in quotes")
    reason = _pattern_error(pattern)
    if reason:
        document.fail(path, f"The pattern cannot be used: {reason}.", "RE2 syntax: no look-around, no back references")


@cache
def _pattern_error(pattern: str) -> str:
    import duckdb

    with duckdb.connect() as con:
        try:
            # A bound parameter would make DuckDB import pandas, a second of waiting.
            con.execute(f"select regexp_matches('', {literal(pattern)})")
        except duckdb.Error as error:
            return str(error).partition(": ")[2].splitlines()[0]
    return ""


def _check_order(document: Document, path: Path_, options: dict[str, Any]) -> None:
    for low, high in (
        ("minLength", "maxLength"),
        ("minItems", "maxItems"),
        ("minProperties", "maxProperties"),
        ("minimum", "maximum"),
        ("exclusiveMinimum", "exclusiveMaximum"),
    ):
        if (
            low in options
            and high in options
            and type(options[low]) is type(options[high])
            and (options[low] > options[high])
        ):
            document.fail((*path, "logicalTypeOptions", low), f"`{low}` is above `{high}`: no value could pass.")
