from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decide.policy.conditions import ConditionError, compile_condition

NAMES = {
    "a": "INTEGER",
    "b": "BIGINT",
    "d": "DECIMAL(9,2)",
    "t": "VARCHAR",
    "u": "VARCHAR",
    "day": "DATE",
    "f": "BOOLEAN",
}
NUMBERS, TEXTS = ("a", "b", "d"), ("t", "u")
OPERATORS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
NUMBER = st.sampled_from(["0", "1", "-1", "2.50", "7"])
TEXT = st.sampled_from(["''", "'x'", "'É'", "'o''b'"])
DAY = st.sampled_from(["'2020-02-29'", "'2021-01-01'"])


@st.composite
def leaves(draw: st.DrawFn) -> str:
    columns, literal = draw(st.sampled_from([(NUMBERS, NUMBER), (TEXTS, TEXT), (("day",), DAY)]))
    left = draw(st.sampled_from(columns))
    match draw(st.integers(0, 6)):
        case 0:
            return f"{left} in ({draw(literal)}, {draw(literal)})"
        case 1:
            return f"{left} not in ({draw(literal)})"
        case 2:
            return f"{left} between {draw(literal)} and {draw(literal)}"
        case 3:
            return f"{left} is {draw(st.sampled_from(['', 'not ']))}null"
        case 4:
            return f"{draw(literal)} {draw(OPERATORS)} {left}"
        case 5:
            return f"{left} {draw(OPERATORS)} {draw(st.sampled_from(columns))}"
        case _:
            return f"{left} {draw(OPERATORS)} {draw(literal)}"


CONDITIONS = st.recursive(
    st.one_of(leaves(), st.just("f = true"), st.just("(f or a > 1)")),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda three: f"({three[0]} {three[1]} {three[2]})"
        ),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries({
    "a": st.none() | st.integers(-2, 8),
    "b": st.none() | st.integers(-2, 8),
    "d": st.none() | st.sampled_from([Decimal("2.50"), Decimal("7.00"), Decimal("-1.01")]),
    "t": st.none() | st.sampled_from(["", "x", "É", "o'b"]),
    "u": st.none() | st.sampled_from(["", "x", "É", "z"]),
    "day": st.none() | st.sampled_from([date(2020, 2, 29), date(2020, 12, 31), date(2021, 1, 1)]),
    "f": st.none() | st.booleans(),
})  # fmt: skip


@pytest.fixture(scope="module")
def duck() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


@settings(max_examples=300, deadline=None)
@given(condition=CONDITIONS, row=ROWS)
def test_a_condition_says_of_a_row_what_duckdb_says(
    duck: duckdb.DuckDBPyConnection, condition: str, row: dict[str, Any]
) -> None:
    """Missing values included: true, false and unknown are three answers."""
    columns = ", ".join(f"cast(${name} as {kind}) as {name}" for name, kind in NAMES.items())
    asked = duck.execute(f"select {condition} from (select {columns})", row).fetchone()
    assert asked is not None
    compiled = compile_condition(condition, NAMES)
    assert compiled.test(row) is asked[0]
    assert compiled.test({name: row[name] for name in compiled.columns}) is asked[0]  # it reads what it says it reads


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ("a >=", "is no condition."),
        ("a", "is no condition: it must be true or false of a row."),
        ("1 = 1", "has `1` where a column must stand."),
        ("aa = 1", "reads aa, which is no column here (did you mean `a`?)."),
        ("a = 'x'", "compares a (number) with text."),
        ("t > 5", "compares t (text) with number."),
        ("a = t", "compares a (number) with t (text)."),
        ("day = 'soon'", "compares day with no date."),
        ("a + 1 > 2", "has `a + 1` where a column must stand."),
        ("a in (select 1)", "uses `in` with something else than a list of values."),
        ("sqrt(a) > 2", "has `SQRT(a)` where a column must stand."),
        ("t like 'x%'", "uses `t LIKE 'x%'`, which is not taken."),
        ("f and t", "has `t` where something true or false must stand."),
        ("x.a = 1", "has `x.a` where a column must stand."),
        ("a = null", "compares a with `NULL`."),
        ("(" * 900 + "a = 1" + ")" * 900, "is no condition."),
        ("a = 1 or " * 300 + "a = 1", "has 2705 characters."),
        ("drop table x", "uses `DROP TABLE x`, which is not taken."),
    ],
)
def test_what_is_no_condition_is_refused_in_words(condition: str, what: str) -> None:
    with pytest.raises(ConditionError) as refused:
        compile_condition(condition, NAMES)
    assert refused.value.what == what
    assert refused.value.allowed


def test_one_condition_spelt_twice_has_one_normal_form() -> None:
    assert (
        compile_condition("a>=1 AND (t='x')", NAMES).normal
        == compile_condition("A >= 1 and (t = 'x')".lower(), NAMES).normal
    )
