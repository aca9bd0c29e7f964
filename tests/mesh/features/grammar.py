"""Expressions and rows to try the language on: awkward on purpose."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from mesh.features.numbers import WIDE
from mesh.features.types import BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, Type, decimal

MONEY, SHARE, LONG = decimal(14, 2), decimal(5, 4), decimal(30, 10)
NAMES: dict[str, Type] = {
    "money": MONEY, "other_money": MONEY, "share": SHARE, "long": LONG, "number": INTEGER, "count": INTEGER,
    "first_day": DATE, "last_day": DATE, "sent_at": TIMESTAMP, "person.seen_at": TIMESTAMP, "name": TEXT,
    "owner": TEXT, "list": TEXT, "flag": BOOLEAN, "yes": BOOLEAN,
}  # fmt: skip
"""The columns that expressions are tried over."""

SQL_NAMES = {name: name.replace(".", "_") for name in NAMES}
OF = {kind: [name for name, found in NAMES.items() if found == kind] for kind in (TEXT, DATE, TIMESTAMP, BOOLEAN)}
NUMBERS = [name for name, kind in NAMES.items() if kind.numeric]

texts = st.one_of(
    st.sampled_from([
        "", " ", "Mr Bo Ray", "RAY, BO", "O'Brien & Co Ltd", "Ann-Marie  Müller", "Straße", "ᾳ ΑΣ ΐ", "\tTab\n",
        "\xa0x\u3000", "ab1 2cd", "AB12CD", "SW1A1AA", "İstanbul ŉ", "a,b", "SSP", "CJRS,SSP", ",", "ſtop ıs",
        "\U00010428", "x" * 300, "'",
    ]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)  # fmt: skip
dates = st.one_of(
    st.sampled_from([date(1, 1, 1), date(9999, 12, 31), date(1900, 2, 28), date(2000, 2, 29), date(2020, 2, 29),
                     date(2100, 2, 28), date(1969, 12, 31), date(1970, 1, 1)]),
    st.dates(),
)  # fmt: skip
moments = st.one_of(
    st.sampled_from([datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1970, 1, 1), datetime(2020, 2, 29, 23)]),
    st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)),
)


def numbers(kind: Type) -> st.SearchStrategy[Decimal]:
    """Numbers of a type, near its ends, near halves and near nothing."""
    most = 10**kind.digits - 1 if kind.kind == "decimal" else 2**31 - 1
    near = st.sampled_from([0, 1, -1, 5, 15, -25, 49, 50, 51, 100, 125, 6570, 999, 10**6 + 5, most, -most, most // 2])
    whole = st.one_of(near, st.integers(-most, most), st.integers(-1000, 1000))
    return whole.map(lambda value: WIDE.scaleb(Decimal(max(min(value, most), -most)), -kind.places))


def values(kind: Type) -> st.SearchStrategy[Any]:
    """Values of a type as Python has them, None among them."""
    if kind.numeric:
        found = numbers(kind).map(lambda value: int(value) if kind == INTEGER else value)
        return st.none() | found
    return st.none() | {TEXT: texts, DATE: dates, TIMESTAMP: moments, BOOLEAN: st.booleans()}[kind]


rows = st.fixed_dictionaries({name: values(kind) for name, kind in NAMES.items()})


@st.composite
def numeric(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression that is a number."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        literal = st.sampled_from(["0", "1", "7", "0.5", "0.05", "2500", "0.333333", "14.995", "-3", "-0.5"])
        return draw(st.one_of(st.sampled_from(NUMBERS), literal))
    below = numeric(depth - 1)
    kind = draw(st.integers(0, 11))
    if kind < 3:
        small = f"cast({draw(below)} as {draw(st.sampled_from(['decimal(9, 3)', 'decimal(18, 6)', 'integer']))})"
        return f"({small} {draw(st.sampled_from('+-*'))} {draw(st.sampled_from([*NUMBERS, '0.8', '3']))})"
    if kind == 3:
        to = draw(st.sampled_from(["decimal(12, 4)", "decimal(30, 12)", "decimal(3, 0)", "integer", "decimal(38, 2)"]))
        return f"cast({draw(below)} / {draw(below)} as {to})"
    if kind == 4:
        return f"divide(cast({draw(below)} as decimal(14, 2)), {draw(below)})"
    if kind == 5:
        call = draw(st.sampled_from(["least", "greatest", "coalesce", "nullif"]))
        return f"{call}({draw(below)}, {draw(below)})"
    if kind == 6:
        return f"case when {draw(conditions(depth - 1))} then {draw(below)} else {draw(below)} end"
    if kind == 7:
        return draw(st.sampled_from([
            "days_between(first_day, last_day)", "years_between(first_day, last_day)", "days_in_month(last_day)",
            "year(first_day)", "whole_days(sent_at, person.seen_at)", "hour(sent_at)", "weekday(person.seen_at)",
            "items(list)", "length(name)", "days_between(first_day, date(sent_at))",
        ]))  # fmt: skip
    if kind == 8:
        return f"(- {draw(below)})"
    return f"cast({draw(below)} as {draw(st.sampled_from(['decimal(7, 1)', 'decimal(38, 9)', 'integer']))})"


@st.composite
def textual(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression that is a text."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from([*OF[TEXT], "'SSP'", "'O''Brien'", "''"]))
    below = textual(depth - 1)
    call = draw(
        st.sampled_from(["clean", "lower", "upper", "postcode", "compared_name", "coalesce", "concat_ws", "case"])
    )
    if call == "coalesce":
        return f"coalesce({draw(below)}, {draw(below)})"
    if call == "concat_ws":
        return f"concat_ws(', ', {draw(below)}, {draw(below)}, null)"
    if call == "case":
        return f"case {draw(below)} when {draw(below)} then {draw(below)} end"
    return f"{call}({draw(below)})"


@st.composite
def conditions(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression that is true, false or unknown."""
    sign = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    kind = draw(st.integers(0, 9)) if depth else draw(st.integers(3, 9))
    if kind < 2:
        word = draw(st.sampled_from(["and", "or"]))
        return f"({draw(conditions(depth - 1))} {word} {draw(conditions(depth - 1))})"
    if kind == 2:
        return f"(not {draw(conditions(depth - 1))})"
    if kind == 3:
        return draw(st.sampled_from(OF[BOOLEAN]))
    if kind == 4:
        return f"({draw(textual(1))} {sign} {draw(textual(1))})"
    if kind == 5:
        return draw(st.sampled_from([
            f"(first_day {sign} date '2020-02-29')", f"(sent_at {sign} person.seen_at)",
            f"(last_day {sign} date(sent_at))",
            "first_day between last_day and date '2020-01-01'", "first_day not between last_day and date '2020-01-01'",
            f"(sent_at {sign} timestamp '2020-02-29 23:00:00')",
        ]))  # fmt: skip
    if kind == 6:
        return draw(st.sampled_from([
            "has_item(list, 'SSP')", "share_a_word(name_words(name), name_words(owner))",
            "name_words(name) = name_words(owner)",
            "name in ('SSP', '')", "number not in (0, 5)", "money in (0.05, 1)", "name_words(owner) is null",
        ]))  # fmt: skip
    if kind == 7:
        return f"({draw(textual(1))} is {draw(st.sampled_from(['null', 'not null']))})"
    if kind == 8:
        return f"(number / count {sign} {draw(st.sampled_from(['0.5', 'share', '1']))})"
    return f"({draw(st.sampled_from(NUMBERS))} {sign} {draw(numeric(1))})"


expressions = st.one_of(numeric(), textual(), conditions())
