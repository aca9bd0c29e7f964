"""The functions that an expression may call: for each its types, its SQL in every dialect, and its Python.

Both sides give the same value to the last bit; a test holds them against each other on awkward input. A function of
something missing is missing. `{0}` and `{1}` in SQL stand for the arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mesh.features import text, time
from mesh.features.types import BOOLEAN, DATE, INTEGER, TEXT, TIMESTAMP, WORDS, Type

DUCKDB, SPARK = "duckdb", "spark"
DIALECTS = (DUCKDB, SPARK)
DAY = 86_400_000_000


@dataclass(frozen=True)
class Function:
    """One function.

    Attributes:
        takes: for each argument the types that it may have.
        gives: the type of the result, never missing where no argument is, unless `partial`.
        sql: the SQL in each dialect.
        python: the same for values as `mesh.features.types` has them.
        says: one line for the documentation.
    """

    name: str
    takes: tuple[tuple[Type, ...], ...]
    gives: Type
    sql: Mapping[str, str]
    python: Callable[..., Any]
    says: str
    partial: bool = False


def _noise() -> str:
    return "(" + ", ".join(f"'{word}'" for word in text.NOISE) + ")"


def _everywhere(sql: str) -> dict[str, str]:
    return dict.fromkeys(DIALECTS, sql)


def _replaced(what: str, pattern: str, by: str) -> dict[str, str]:
    return {
        DUCKDB: f"regexp_replace({what}, '{pattern}', '{by}', 'g')",
        SPARK: f"regexp_replace({what}, '{pattern}', '{by}')",
    }


def _postcode() -> dict[str, str]:
    compact = _replaced("upper({0})", "[^A-Z0-9]", "")
    return {
        dialect: f"case when length({sql}) between 5 and 7 then substr({sql}, 1, length({sql}) - 3) || ' ' || "
        f"right({sql}, 3) else nullif({sql}, '') end"
        for dialect, sql in compact.items()
    }


def _compared() -> dict[str, str]:
    words = _replaced("upper({0})", "[^A-Z0-9]+", " ")
    return {dialect: f"nullif(trim({sql}), '')" for dialect, sql in words.items()}


def _words() -> dict[str, str]:
    name = _compared()
    return {
        DUCKDB: f"list_sort(list_filter(string_split({name[DUCKDB]}, ' '), lambda word: word not in {_noise()}))",
        SPARK: f"array_sort(filter(split({name[SPARK]}, ' '), word -> word not in {_noise()}))",
    }


def _years() -> str:
    return (
        "cast(extract(year from {1}) - extract(year from {0}) - case when extract(month from {1}) * 100 "
        "+ extract(day from {1}) < extract(month from {0}) * 100 + extract(day from {0}) then 1 else 0 end as integer)"
    )


ONE_TEXT: tuple[tuple[Type, ...], ...] = ((TEXT,),)
FUNCTIONS = {
    function.name: function
    for function in (
        Function("clean", ONE_TEXT, TEXT, _everywhere("nullif(trim({0}), '')"), text.clean,
                 "without surrounding blanks; nothing instead of an empty text", partial=True),
        Function("lower", ONE_TEXT, TEXT, _everywhere("lower({0})"), text.lower, "in lower case"),
        Function("upper", ONE_TEXT, TEXT, _everywhere("upper({0})"), text.upper, "in upper case"),
        Function("length", ONE_TEXT, INTEGER, _everywhere("cast(length({0}) as integer)"), len,
                 "the number of characters"),
        Function("postcode", ONE_TEXT, TEXT, _postcode(), text.postcode,
                 "a postcode in one spelling, with the blank of a British one", partial=True),
        Function("compared_name", ONE_TEXT, TEXT, _compared(), text.compared_name,
                 "a name as it is compared: upper case, letters A-Z and digits, single blanks", partial=True),
        Function("name_words", ONE_TEXT, WORDS, _words(), text.name_words,
                 "the words of a name, sorted, without titles and company endings", partial=True),
        Function("share_a_word", ((WORDS,), (WORDS,)), BOOLEAN, {
            DUCKDB: "list_has_any(list_filter({0}, lambda word: length(word) > 1), {1})",
            SPARK: "arrays_overlap(filter({0}, word -> length(word) > 1), {1})",
        }, text.share_a_word, "whether both have a word that is longer than an initial"),
        Function("items", ONE_TEXT, INTEGER, _everywhere(
            "cast(case when {0} = '' then 0 else length({0}) - length(replace({0}, ',', '')) + 1 end as integer)"
        ), text.items, "how many items a list with commas has"),
        Function("has_item", ((TEXT,), (TEXT,)), BOOLEAN, {
            DUCKDB: "contains(',' || {0} || ',', ',' || {1} || ',')",
            SPARK: "contains(concat(',', {0}, ','), concat(',', {1}, ','))",
        }, text.has_item, "whether a list with commas has this item"),
        Function("date", ((TIMESTAMP,),), DATE, _everywhere("cast({0} as date)"), time.date, "the day of a moment"),
        Function("hour", ((TIMESTAMP,),), INTEGER, _everywhere("cast(extract(hour from {0}) as integer)"), time.hour,
                 "the hour of the day, 0 to 23"),
        Function("weekday", ((TIMESTAMP,),), INTEGER, {
            DUCKDB: "cast(isodow({0}) as integer)", SPARK: "weekday({0}) + 1",
        }, time.weekday, "the day of the week, Monday 1 to Sunday 7"),
        Function("year", ((DATE,),), INTEGER, _everywhere("cast(extract(year from {0}) as integer)"), time.year,
                 "the year"),
        Function("days_in_month", ((DATE,),), INTEGER,
                 _everywhere("cast(extract(day from last_day({0})) as integer)"), time.days_in_month,
                 "how many days the month of a day has"),
        Function("days_between", ((DATE,), (DATE,)), INTEGER, {
            DUCKDB: "cast({1} - {0} as integer)", SPARK: "datediff({1}, {0})",
        }, time.days_between, "days from the first day to the second"),
        Function("years_between", ((DATE,), (DATE,)), INTEGER, _everywhere(_years()), time.years_between,
                 "whole years from the first day to the second: birthdays that have passed"),
        Function("whole_days", ((TIMESTAMP,), (TIMESTAMP,)), INTEGER, {
            DUCKDB: f"cast((epoch_us({{1}}) - epoch_us({{0}})) // {DAY} as integer)",
            SPARK: f"cast((unix_micros({{1}}) - unix_micros({{0}})) div {DAY} as integer)",
        }, time.whole_days, "whole days from the first moment to the second"),
    )
}  # fmt: skip
