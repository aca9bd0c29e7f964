"""SQL of single rows: the condition that holds exactly for the rows that fail a rule.

A row without a value fails only the rules that are about missing values, as in the standard and in Great
Expectations. Patterns are *searches*, as JSON Schema and ECMA-262 `test` mean them: `^...$` makes them whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mesh.contract.types import ITEMS, family

if TYPE_CHECKING:
    from mesh.contract.model import Rule

# Above this, a list of valid values is hashed and not searched.
SHORT_LIST = 32

COMPARISONS = {"minimum": "<", "maximum": ">", "exclusiveMinimum": "<=", "exclusiveMaximum": ">="}

# Formats of text columns, in the syntax that RE2, ECMA-262 and Python read alike.
FORMATS = {
    "email": r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
    "uuid": r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[^ \t\r\n<>\"{}|\\^`]+$",
    "hostname": r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "ipv4": r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
    "ipv6": r"^(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}"
    r"|(([0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4})?::(([0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4})?)$",
}


def quoted(*names: str) -> str:
    """An SQL identifier, its parts joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(value: Any, logical_type: str = "string") -> str:
    """An SQL literal; dates and times are typed so that no row is cast."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        # A decimal literal compares exactly with DECIMAL columns; `1e-07` would be a float.
        return f"{Decimal(str(value)):f}"
    text = "'" + str(value).replace("'", "''") + "'"
    return f"{logical_type} {text}" if logical_type in ("date", "time", "timestamp") else text


def has_values(columns: Iterable[str]) -> str:
    """The condition of rows that a rule about these columns judges."""
    return " and ".join(f"{quoted(column)} is not null" for column in columns)


def failing_condition(rule: Rule) -> str | None:
    """See `Rule.row_predicate`. The condition is never null: a row passes or fails."""
    if len(rule.columns) != 1:
        return None
    return _failing(rule, quoted(rule.columns[0]), rule.path, 0, parent=None)


def _failing(rule: Rule, value: str, path: tuple[str, ...], depth: int, *, parent: str | None) -> str | None:
    """The condition that a value fails, or anything at the end of the path inside it."""
    if not path:
        test = _test(rule, value)
        if test is None:
            return None
        if rule.kind in ("nullValues", "missingValues"):
            # What has no parent is not missing: the parent is.
            return test if parent is None else f"({parent} is not null and {test})"
        return f"({value} is not null and {test})"
    step, rest = path[0], path[1:]
    read_as = dict(rule.arguments.get("readAs", ())).get(len(rule.path) - len(path))
    if read_as is not None:
        # What is of another type inside is read as missing; a cast would end the whole scan.
        value = f"json_transform({value}, {literal(json.dumps(read_as))})"
    if step != ITEMS:
        return _failing(rule, f"struct_extract({value}, {literal(step)})", rest, depth, parent=value)
    item = f"_item{depth}"
    inner = _failing(rule, item, rest, depth + 1, parent=None)
    return inner and f"coalesce(len(list_filter({value}, lambda {item}: {inner})) > 0, false)"


def _test(rule: Rule, column: str) -> str | None:
    given = rule.arguments
    logical = str(given.get("logicalType", "string"))
    if family(str(given.get("physicalType", ""))) in ("UUID", "ENUM") and rule.kind != "nullValues":
        # The rules of text are asked of its text: a UUID has no length, and is compared with nothing but UUIDs.
        column = f"cast({column} as varchar)"
    match rule.kind:
        case "nullValues":
            return f"({column} is null)"
        case "missingValues":
            return _missing(column, given["missingValues"], logical)
        case "invalidValues":
            return _invalid(column, given, logical)
        case "minLength":
            return f"length({column}) < {int(given['minLength'])}"
        case "maxLength":
            return f"length({column}) > {int(given['maxLength'])}"
        case "pattern":
            return _unmatched(column, given["pattern"])
        case "format":
            return _unmatched(column, FORMATS[given["format"]])
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return f"{column} {COMPARISONS[rule.kind]} {literal(given[rule.kind], logical)}"
        case "multipleOf":
            return _not_multiple(column, literal(given["multipleOf"]), str(given.get("physicalType", "")))
        case "minItems" | "maxItems" | "uniqueItems":
            return _items(rule, column, is_json=given.get("physicalType") == "JSON")
        case "minProperties" | "maxProperties" | "requiredProperties":
            return _fields(rule, column, is_json=given.get("physicalType") == "JSON")
        case _:
            return None


# Anchored at both ends whatever it matches: no alternatives, no flags, no quoted stretch that could hold an anchor.
_WHOLE = re.compile(r"\^(?![*+?{])(?!.*(\||\(\?|\\Q)).*(?<!\\)\$", re.DOTALL)


def _unmatched(column: str, pattern: str) -> str:
    if _WHOLE.fullmatch(pattern):
        return f"not regexp_full_match({column}, {literal(pattern)})"
    # A search written as a full match: DuckDB judges only the distinct values of a dictionary with it, six times faster
    # than `regexp_matches`, whose optimizer also took letters and anchors for a plain text: `a^b` found `ab`.
    return f"not regexp_full_match({column}, {literal(f'(?s:.*)({pattern})(?s:.*)')})"


def _not_multiple(column: str, step: str, physical_type: str) -> str:
    if physical_type in ("DOUBLE", "FLOAT"):
        # 0.3 % 0.1 is 0.0999... in binary: a float is a multiple when it is within a billionth of one.
        return f"abs({column} / {step} - round({column} / {step})) > 1e-9"
    return f"{column} % {step} <> 0"


def _items(rule: Rule, column: str, *, is_json: bool) -> str:
    items = f"cast({column} as json[])" if is_json else column
    match rule.kind:
        case "minItems":
            return f"len({items}) < {int(rule.arguments['minItems'])}"
        case "maxItems":
            return f"len({items}) > {int(rule.arguments['maxItems'])}"
    # `list_distinct` leaves missing items out; two of them are the same item twice.
    given = f"list_filter({items}, lambda _any: _any is not null)"
    return f"(len({given}) > len(list_distinct({items})) or len({items}) - len({given}) > 1)"


def _fields(rule: Rule, column: str, *, is_json: bool) -> str:
    """A field without a value counts as not there: a STRUCT has no other way to leave one out."""
    names = [str(name) for name in rule.arguments.get("fields", ())]
    keys = f"json_keys({column})"
    if rule.kind == "requiredProperties":
        wanted = [str(name) for name in rule.arguments["required"]]
        if is_json:
            return f"not list_has_all({keys}, [{', '.join(literal(name) for name in wanted)}])"
        absent = (f"struct_extract({column}, {literal(name)}) is null" for name in wanted)
        return f"({' or '.join(absent)})"
    there = (f"(struct_extract({column}, {literal(name)}) is not null)::integer" for name in names)
    number = f"len({keys})" if is_json else f"({' + '.join(there)})"
    sign = "<" if rule.kind == "minProperties" else ">"
    return f"{number} {sign} {int(rule.arguments[rule.kind])}"


def _missing(column: str, values: list[Any], logical: str) -> str:
    tests = [f"{column} is null"] if None in values else []
    listed = [literal(value, logical) for value in values if value is not None]
    if listed:
        tests.append(f"({column} is not null and {column} in ({', '.join(listed)}))")
    return f"({' or '.join(tests)})"


def _invalid(column: str, given: Any, logical: str) -> str:
    tests = []
    if "validValues" in given:
        listed = ", ".join(literal(value, logical) for value in given["validValues"])
        # Of a text column DuckDB looks up only the distinct values of a dictionary; a long list is hashed by `in`.
        short = logical == "string" and len(given["validValues"]) <= SHORT_LIST
        tests.append(f"not list_contains([{listed}], {column})" if short else f"{column} not in ({listed})")
    if "pattern" in given:
        tests.append(_unmatched(column, given["pattern"]))
    return f"({' or '.join(tests)})"
