"""Conditions of rules: a small part of SQL, checked against the columns, compiled to Python closures.

`account_claims_24h >= 10 and scheme <> 'A'` reads columns by name and compares them as SQL does: with three values, so
that a comparison with something missing is neither true nor false but unknown. sqlglot parses; only what is named in
`_compile` is taken, and nothing else ever runs.

This is the seam to a wider expression language: whatever gives the same two functions can stand in its place.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from mesh.contract.reading import did_you_mean

Value = Any
Row = Mapping[str, Value]
Test = Callable[[Row], bool | None]

TEXT, NUMBER, DATE, TIMESTAMP, BOOLEAN = "text", "number", "date", "timestamp", "boolean"
SIZE = r"(\([0-9, ]+\))?"
KINDS = (
    (TEXT, re.compile(rf"(VARCHAR|CHAR|TEXT|STRING|UUID){SIZE}")),
    (NUMBER, re.compile(rf"(U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DECIMAL|NUMERIC|DOUBLE|FLOAT|REAL){SIZE}")),
    (TIMESTAMP, re.compile(r"TIMESTAMP|DATETIME")),
    (DATE, re.compile(r"DATE")),
    (BOOLEAN, re.compile(r"BOOL(EAN)?")),
)
COMPARISONS: dict[type[exp.Expression], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq, exp.NEQ: operator.ne, exp.GT: operator.gt, exp.GTE: operator.ge, exp.LT: operator.lt,
    exp.LTE: operator.le,
}  # fmt: skip
MIRRORED = {operator.gt: operator.lt, operator.ge: operator.le, operator.lt: operator.gt, operator.le: operator.ge}
ALLOWED = "comparisons, and, or, not, in (...), between, is null, columns, numbers, 'text', true, false"
LONGEST = 2000
"""Characters of one condition: sqlglot's parser calls itself for every bracket."""


class ConditionError(ValueError):
    """A condition cannot be taken; `what` and `allowed` are for the error that names its file and line."""

    def __init__(self, what: str, allowed: str = ALLOWED) -> None:
        self.what, self.allowed = what, allowed
        super().__init__(f"{what} Allowed: {allowed}")


@dataclass(frozen=True)
class Condition:
    """A compiled condition, the columns that it reads, and its normal form (equal for one spelt another way)."""

    test: Test
    columns: tuple[str, ...]
    normal: str


def compile_condition(text: str, names: Mapping[str, str]) -> Condition:
    """Compile a condition over the columns of `names`, given with their types.

    The test takes a mapping that has every column it reads: text, int, Decimal or float, date, datetime, bool, or None.

    Raises:
        ConditionError: it is no condition, reads an unknown column, or compares different types.
    """
    if len(text) > LONGEST:
        raise ConditionError(f"has {len(text)} characters.", f"at most {LONGEST}")
    try:
        parsed = parse_one(text, dialect="duckdb")
    except (SqlglotError, RecursionError):
        raise ConditionError("is no condition.") from None
    if not isinstance(parsed, exp.Expression):
        raise ConditionError("is no condition.")
    tree = _bare(parsed)
    test, kind = _compile(tree, names)
    if kind != BOOLEAN or isinstance(tree, exp.Column | exp.Boolean | exp.Null):
        raise ConditionError("is no condition: it must be true or false of a row.")
    columns = tuple(dict.fromkeys(column.name for column in tree.find_all(exp.Column)))
    if not columns:
        raise ConditionError("reads no column, so it is the same for every row.", "a condition over columns")
    # The tree tells what brackets mean, so it needs none.
    return Condition(test=test, columns=columns, normal=repr(tree.transform(lambda node: _bare(node))))


def kind_of(physical: str) -> str | None:
    """The kind of a column's type; None for one that conditions cannot read."""
    return next((kind for kind, pattern in KINDS if pattern.fullmatch(physical.upper())), None)


def _compile(node: exp.Expression, names: Mapping[str, str]) -> tuple[Callable[[Row], Any], str]:
    node = _bare(node)
    match node:
        case exp.And():
            return _and(_truth(node.this, names), _truth(node.expression, names)), BOOLEAN
        case exp.Or():
            return _or(_truth(node.this, names), _truth(node.expression, names)), BOOLEAN
        case exp.Not():
            return _not(_truth(node.this, names)), BOOLEAN
        case exp.Is() if isinstance(node.expression, exp.Null):
            column, _ = _column(node.this, names)
            return (lambda row: row[column] is None), BOOLEAN
        case exp.Between():
            low = exp.GTE(this=node.this.copy(), expression=node.args["low"].copy())
            high = exp.LTE(this=node.this.copy(), expression=node.args["high"].copy())
            return _and(_comparison(low, names), _comparison(high, names)), BOOLEAN
        case exp.In():
            return _in(node, names), BOOLEAN
        case exp.Column():
            name, kind = _column(node, names)
            return operator.itemgetter(name), kind
        case _ if type(node) in COMPARISONS:
            return _comparison(node, names), BOOLEAN
    constant = _constant(node)
    if constant is None:
        raise ConditionError(f"uses {_shown(node)}, which is not taken.")
    value, kind = constant
    return (lambda row: value), kind


def _truth(node: exp.Expression, names: Mapping[str, str]) -> Test:
    test, kind = _compile(node, names)
    if kind != BOOLEAN:
        raise ConditionError(f"has {_shown(node)} where something true or false must stand.")
    return test


def _and(left: Test, right: Test) -> Test:
    def test(row: Row) -> bool | None:
        first = left(row)
        if first is False:
            return False
        second = right(row)
        return False if second is False else None if first is None or second is None else True

    return test


def _or(left: Test, right: Test) -> Test:
    def test(row: Row) -> bool | None:
        first = left(row)
        if first is True:
            return True
        second = right(row)
        return True if second is True else None if first is None or second is None else False

    return test


def _not(inner: Test) -> Test:
    def test(row: Row) -> bool | None:
        found = inner(row)
        return None if found is None else not found

    return test


def _comparison(node: exp.Expression, names: Mapping[str, str]) -> Test:
    compare = COMPARISONS[type(node)]
    left, right = _bare(node.this), _bare(node.expression)
    if not isinstance(left, exp.Column) and isinstance(right, exp.Column):
        left, right, compare = right, left, MIRRORED.get(compare, compare)
    name, kind = _column(left, names)
    if isinstance(right, exp.Column):
        other, other_kind = _column(right, names)
        if other_kind != kind:
            raise ConditionError(f"compares {name} ({kind}) with {other} ({other_kind}).", f"another {kind}")

        def columns(row: Row) -> bool | None:
            first, second = row[name], row[other]
            return None if first is None or second is None else compare(first, second)

        return columns
    constant = _fitting(right, name, kind)

    def column(row: Row) -> bool | None:
        value = row[name]
        return None if value is None else compare(value, constant)

    return column


def _in(node: exp.In, names: Mapping[str, str]) -> Test:
    name, kind = _column(node.this, names)
    if not node.expressions:
        raise ConditionError("uses `in` with something else than a list of values.", f"{name} in ('a', 'b')")
    constants = frozenset(_fitting(one, name, kind) for one in node.expressions)

    def test(row: Row) -> bool | None:
        value = row[name]
        return None if value is None else value in constants

    return test


def _column(node: exp.Expression, names: Mapping[str, str]) -> tuple[str, str]:
    node = _bare(node)
    if not isinstance(node, exp.Column) or node.table or isinstance(node.this, exp.Star):
        raise ConditionError(f"has {_shown(node)} where a column must stand.")
    name = str(node.name)
    if name not in names:
        raise ConditionError(f"reads {name}, which is no column here{did_you_mean(name, names)}.", _some(names))
    kind = kind_of(names[name])
    if kind is None:
        raise ConditionError(f"reads {name}, whose type {names[name]} cannot be compared.", "columns of simple types")
    return name, kind


def _fitting(node: exp.Expression, name: str, kind: str) -> Value:
    """The constant that a column of this kind is compared with."""
    constant = _constant(_bare(node))
    if constant is None:
        raise ConditionError(f"compares {name} with {_shown(node)}.", f"a {kind} written out, or a column")
    value, found = constant
    if kind in (DATE, TIMESTAMP) and found == TEXT:
        # A day compared with moments is its beginning, as in SQL.
        try:
            return date.fromisoformat(value) if kind == DATE else datetime.fromisoformat(value)
        except ValueError:
            raise ConditionError(f"compares {name} with no {kind}.", "such as '2020-06-01'") from None
    if found != kind:
        raise ConditionError(f"compares {name} ({kind}) with {found}.", f"a {kind}")
    return value


def _constant(node: exp.Expression) -> tuple[Value, str] | None:
    if isinstance(node, exp.Neg):
        inner = _constant(_bare(node.this))
        return (-inner[0], NUMBER) if inner is not None and inner[1] == NUMBER else None
    if isinstance(node, exp.Boolean):
        return bool(node.this), BOOLEAN
    if isinstance(node, exp.Literal):
        if node.is_string:
            return str(node.this), TEXT
        number = Decimal(str(node.this))
        return (int(number) if number == number.to_integral_value() else number), NUMBER
    return None


def _bare(node: exp.Expression) -> exp.Expression:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _shown(node: exp.Expression) -> str:
    return f"`{node.sql(dialect='duckdb')[:60]}`"


def _some(names: Mapping[str, str]) -> str:
    known = sorted(names)
    return ", ".join(known[:12]) + (f", ... ({len(known)} columns)" if len(known) > 12 else "")
