"""The language of expressions: SQL and Python of one text are one function, and what cannot be taken is told."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mesh.features import text
from mesh.features.expressions import ExpressionError, filling, parse
from mesh.features.numbers import decoder, encoder
from mesh.features.python import RUNTIME, Source
from mesh.features.sql import to_sql, typed_sql
from mesh.features.tree import Node
from mesh.features.types import BOOLEAN, DATE, INTEGER, QUOTIENT, TEXT, TIMESTAMP, WORDS, Type, decimal
from mesh.features.vocabulary import DIALECTS, FUNCTIONS
from tests.mesh.features.grammar import LONG, MONEY, NAMES, SHARE, SQL_NAMES, expressions, rows

Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def engine() -> Iterable[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("set timezone = 'UTC'")
        columns = ", ".join(
            f'"{SQL_NAMES[name]}" {kind if kind != TEXT else "varchar"}' for name, kind in NAMES.items()
        )
        con.execute(f"create table given ({columns})")
        yield con


def in_sql(con: duckdb.DuckDBPyConnection, node: Node, given_rows: Iterable[Row]) -> list[Any]:
    con.execute("delete from given")
    marks = ", ".join("?" for _ in NAMES)
    con.executemany(f"insert into given values ({marks})", [[row[name] for name in NAMES] for row in given_rows])
    found = con.execute(f"select {typed_sql(node)} from given order by rowid").fetchall()
    return [tuple(value) if isinstance(value, list) else value for (value,) in found]


def in_python(node: Node, given_rows: Iterable[Row]) -> list[Any]:
    source = Source({sql: f"v{place}" for place, sql in enumerate(SQL_NAMES.values())})
    arguments = ", ".join(f"v{place}" for place in range(len(NAMES)))
    function = eval(f"lambda {arguments}: {source.value(node)}", dict(RUNTIME))
    encoders, decode = [encoder(kind) for kind in NAMES.values()], decoder(node.type)
    encoded = ([encode(row[name]) for encode, name in zip(encoders, NAMES, strict=True)] for row in given_rows)
    return [decode(function(*row)) for row in encoded]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(expression=expressions, given_rows=st.lists(rows, min_size=1, max_size=6))
def test_sql_and_python_of_an_expression_give_the_same_value(engine, expression, given_rows):
    try:
        node = parse(expression, NAMES)
    except ExpressionError as error:
        # Sums of products outgrow 38 digits; everything else that the grammar writes can be taken.
        assume("38" not in f"{error.allowed}{error.what}" and "digits" not in error.what)
        raise
    assert in_python(node, given_rows) == in_sql(engine, node, given_rows), to_sql(node)


@pytest.mark.parametrize(
    ("above", "below", "to"),
    [
        (MONEY, MONEY, decimal(12, 4)), (MONEY, decimal(4, 0), MONEY), (MONEY, decimal(3, 1), decimal(5, 1)),
        (decimal(18, 6), decimal(18, 6), decimal(18, 6)), (MONEY, SHARE, decimal(38, 20)), (MONEY, MONEY, INTEGER),
        (LONG, decimal(7, 2), decimal(38, 8)), (decimal(38, 10), decimal(38, 6), decimal(38, 12)),
        (decimal(38, 0), decimal(9, 3), decimal(20, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_quotients_are_rounded_as_the_engine_rounds_them(above: Type, below: Type, to: Type) -> None:
    """Many awkward ones: halves, halves that a double cannot hold, numbers beyond the 53 bits of a double."""
    draw = random.Random(5)
    node = filling(parse("above / below", {"above": above, "below": below}), to)
    pairs = []
    for _ in range(3000):
        some = draw.randrange(10 ** draw.randrange(1, above.digits + 1))
        half = 5 * 10 ** draw.randrange(above.digits - 1) - draw.randrange(2)
        any_by = draw.randrange(10 ** draw.randrange(1, below.digits + 1))
        by = draw.choice([any_by, 2 ** draw.randrange(8), 10**below.places])
        pairs.append((draw.choice([-1, 1]) * (draw.choice([some, half, some * 2 + 1]) % 10**above.digits), by))
    columns = [
        pa.array([decoder(kind)(pair[place]) for pair in pairs], pa.decimal128(kind.digits, kind.places))
        for place, kind in enumerate((above, below))
    ]
    table = pa.table(columns, names=["above", "below"])
    with duckdb.connect() as con:
        con.register("given", table)
        expected = [value for (value,) in con.execute(f"select {typed_sql(node)} from given").fetchall()]
    function = eval(f"lambda above, below: {Source({'above': 'above', 'below': 'below'}).value(node)}", dict(RUNTIME))
    assert [decoder(to)(function(*pair)) for pair in pairs] == expected
    assert len(set(expected)) > 100


def test_every_character_has_the_cases_and_blanks_of_the_engine(engine):
    found = engine.execute(
        "select chr(i::integer), upper(chr(i::integer)), lower(chr(i::integer)), trim(chr(i::integer)) "
        "from range(1, 1114112) codes(i) where i not between 55296 and 57343"
    ).fetchall()
    ours = [(one, text.upper(one), text.lower(one), text.clean(one) or "") for one, *_ in found]
    assert [pair for pair in zip(found, ours, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_function_is_written_for_every_dialect(dialect):
    import sqlglot

    arguments = {TEXT: "name", DATE: "first_day", WORDS: "name_words(name)"}
    for function in FUNCTIONS.values():
        given_ = ", ".join(arguments.get(types[0], "sent_at") for types in function.takes)
        sql = to_sql(parse(f"{function.name}({given_})", NAMES), dialect)
        sqlglot.parse_one(sql, dialect=dialect)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("money + 1", decimal(15, 2)),
        ("0.80 * money", decimal(16, 4)),
        ("number - count", decimal(11, 0)),
        ("money / other_money", QUOTIENT),
        ("divide(money, 3)", decimal(18, 6)),
        ("case when flag then 2 else 0.5 end", decimal(2, 1)),
        ("coalesce(number, 0)", INTEGER),
        ("name_words(name)", WORDS),
        ("first_day is null", BOOLEAN),
    ],
)
def test_a_result_has_the_digits_that_it_can_need(expression: str, kind: Type) -> None:
    assert parse(expression, NAMES).type == kind


@pytest.mark.parametrize(
    ("expression", "what", "allowed"),
    [
        ("amount + 1", "names amount", "money, other_money"),
        ("monye + 1", "names monye (did you mean `money`?)", "money"),
        ("person.seen > sent_at", "names person.seen", "person.seen_at"),
        ("money = 'x'", "compares decimal(14, 2) and text", "values of one type"),
        ("money = null", "compares with null, which is never true", "is null"),
        ("name + 1", "reckons + with text", "numbers"),
        ("money / count + 1", "reckons + with a quotient, which is not rounded yet", "divide(a, b)"),
        ("long * long", "can give a number of 60 digits", "38 digits at most"),
        ("hours(sent_at)", "calls hours, which is no function here (did you mean `hour`?)", "hour"),
        ("sum(money)", "calls sum, which is no function here", "whole_days"),
        ("hour(first_day)", "calls hour with date", "hour(timestamp)"),
        ("length(name, name)", "calls length with text, text", "length(text)"),
        ("cast(name as integer)", "casts text to integer", "numbers to numbers"),
        ("cast(money as double)", "casts to double, which is no type here", "decimal(digits, places)"),
        ("date '2020-02-30'", "holds '2020-02-30', which is no date", "date '2020-04-06'"),
        ("case when money then 1 end", "takes decimal(14, 2) for a condition", "a comparison"),
        ("case when flag then 1 else 'x' end", "gives decimal(1, 0) and text", "values of one type"),
        ("name in (owner)", "looks for something that is no constant", "in ('a', 'b')"),
        ("(select 1)", "holds a part that is not understood", "names, numbers"),
        ("money; drop table x", "is not one expression", "names"),
        ("money +", "is no expression", "names"),
        ("name || owner", "holds a part that is not understood", "functions"),
        ("1e5", "holds 1e5", "14, 0.8"),
        ("(" * 60 + "1" + ")" * 60, "parts within each other", "a step of its own"),
        ("1 + " * 1200 + "1", "has 4801 characters", "at most 4000"),
    ],
)
def test_an_expression_that_cannot_be_taken_is_told_with_what_is_allowed(
    expression: str, what: str, allowed: str
) -> None:
    with pytest.raises(ExpressionError) as error:
        parse(expression, NAMES)
    assert what in error.value.what
    assert allowed in error.value.allowed


@pytest.mark.parametrize("name", ["date", "list", "hour", "text", "year", "map", "left", "timestamp", "interval"])
def test_a_column_may_have_the_name_of_a_type_or_function(name: str) -> None:
    names = {name: DATE, f"{name}.{name}": TIMESTAMP}
    expression = f"{name} < date({name}.{name}) and {name} > date '2020-01-01' and cast({name}.{name} as date) = {name}"
    assert set(parse(expression, names).names) == {name, f"{name}_{name}"}


@example("x'); drop table given; --")
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_text_is_never_more_than_a_text(value):
    quoted = "'" + value.replace("'", "''") + "'"
    node = parse(quoted, NAMES)
    assert in_python(node, [dict.fromkeys(NAMES)]) == [value]
    assert duckdb.sql(f"select {to_sql(node)}").fetchall() == [(value,)]
