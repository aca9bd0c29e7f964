"""What rules mean: which rows fail, and when a number is accepted."""

from __future__ import annotations

from fractions import Fraction

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.contract import Rule, Threshold

# kind, arguments, type of the column, values, and the values that must fail
FAILING = [
    ("nullValues", {}, "varchar", ["a", "", None], [None]),
    ("missingValues", {"missingValues": [None, "", "n/a"]}, "varchar", ["a", "", "n/a", None], ["", "n/a", None]),
    ("missingValues", {"missingValues": ["", "n/a"]}, "varchar", ["a", "", None], [""]),
    ("missingValues", {"missingValues": [0, -1]}, "integer", [0, 1, -1, None], [0, -1]),
    ("invalidValues", {"validValues": ["it's", "b"]}, "varchar", ["it's", "b", "c", "B", None], ["c", "B"]),
    ("invalidValues", {"validValues": [True]}, "boolean", [True, False, None], [False]),
    (
        "invalidValues",
        {"validValues": ["2020-01-01"], "logicalType": "date"},
        "date",
        ["2020-01-01", "2020-01-02"],
        ["2020-01-02"],
    ),
    ("invalidValues", {"pattern": "^[A-Z]{2}$"}, "varchar", ["GB", "GBR", "gb", "GB\n", None], ["GBR", "gb", "GB\n"]),
    (
        "invalidValues",
        {"validValues": ["GB", "fr"], "pattern": "^[A-Z]+$"},
        "varchar",
        ["GB", "fr", "DE"],
        ["fr", "DE"],
    ),
    # A pattern is a search, so one without anchors is met anywhere; digits are 0 to 9 only.
    ("pattern", {"pattern": r"\d\d"}, "varchar", ["x12y", "1x2", "٣٤", None], ["1x2", "٣٤"]),
    # DuckDB's optimizer takes this for the text "ab" when it stands alone.
    ("pattern", {"pattern": "a^b"}, "varchar", ["ab", "a^b"], ["ab", "a^b"]),
    ("minLength", {"minLength": 2}, "varchar", ["", "é", "éa", "😀😀", None], ["", "é"]),
    ("maxLength", {"maxLength": 2}, "varchar", ["😀😀", "abc", None], ["abc"]),
    ("minimum", {"minimum": 0.1, "logicalType": "number"}, "decimal(9,2)", ["0.10", "0.09", None], ["0.09"]),
    ("maximum", {"maximum": 5, "logicalType": "integer"}, "integer", [5, 6, None], [6]),
    ("exclusiveMinimum", {"exclusiveMinimum": 0, "logicalType": "integer"}, "integer", [0, 1, None], [0]),
    (
        "exclusiveMaximum",
        {"exclusiveMaximum": "2020-01-02", "logicalType": "date"},
        "date",
        ["2020-01-01", "2020-01-02", None],
        ["2020-01-02"],
    ),
    (
        "minimum",
        {"minimum": "2020-01-01T12:00:00", "logicalType": "timestamp"},
        "timestamp",
        ["2020-01-01 11:59:59", "2020-01-01 12:00:00"],
        ["2020-01-01 11:59:59"],
    ),
    ("multipleOf", {"multipleOf": 0.05}, "decimal(9,2)", ["0.15", "0.16", "-0.05", None], ["0.16"]),
    ("multipleOf", {"multipleOf": 0.1, "physicalType": "DOUBLE"}, "double", ["0.3", "0.35"], ["0.35"]),
    ("multipleOf", {"multipleOf": 5}, "integer", [0, 10, -5, 7], [7]),
    (
        "format",
        {"format": "email"},
        "varchar",
        ["a.b+c@x.org", "a@b", "a@x..org", "@x.org", "a b@x.org"],
        ["a@b", "a@x..org", "@x.org", "a b@x.org"],
    ),
    (
        "format",
        {"format": "uuid"},
        "varchar",
        ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"],
        ["123e4567e89b12d3a456426614174000"],
    ),
    ("format", {"format": "ipv4"}, "varchar", ["10.0.0.255", "10.0.0.256", "10.0.0"], ["10.0.0.256", "10.0.0"]),
    ("format", {"format": "ipv6"}, "varchar", ["::1", "fe80::1:2", "1::2::3", "12345::"], ["1::2::3", "12345::"]),
    (
        "format",
        {"format": "uri"},
        "varchar",
        ["https://x.org/a?b", "urn:a:b", "x.org", "http://a b"],
        ["x.org", "http://a b"],
    ),
    ("format", {"format": "hostname"}, "varchar", ["a-b.org", "-a.org", "a..b"], ["-a.org", "a..b"]),
]


@pytest.mark.parametrize(("kind", "arguments", "physical", "values", "failing"), FAILING)
def test_exactly_these_values_fail(kind: str, arguments: dict, physical: str, values: list, failing: list) -> None:
    rule = Rule("t.x.r", "t", ("x",), kind, "", arguments)
    with duckdb.connect() as con:
        con.execute(f"create table t (place integer, x {physical})")
        con.executemany("insert into t values (?, ?)", list(enumerate(values)))
        seen = con.execute(f"select place from t where {rule.row_predicate} order by place").fetchall()
        judged = con.execute(f"select count(*) from t where ({rule.row_predicate}) is null").fetchone()
    assert [values[place] for (place,) in seen] == failing
    assert judged == (0,), "a row must pass or fail, never neither"


def test_rules_of_the_whole_table_have_no_row_condition() -> None:
    kinds = ("schema", "duplicateValues", "rowCount", "sql", "relationship", "freshness")
    assert [Rule("r", "t", ("x",), kind, "").row_predicate for kind in kinds] == [None] * len(kinds)


@pytest.mark.parametrize(
    ("operator", "values", "accepted"),
    [
        ("mustBe", (2,), [2]),
        ("mustNotBe", (2,), [0, 1, 3, 4]),
        ("mustBeGreaterThan", (2,), [3, 4]),
        ("mustBeGreaterOrEqualTo", (2,), [2, 3, 4]),
        ("mustBeLessThan", (2,), [0, 1]),
        ("mustBeLessOrEqualTo", (2,), [0, 1, 2]),
        ("mustBeBetween", (1, 3), [1, 2, 3]),
        ("mustNotBeBetween", (1, 3), [0, 4]),
    ],
)
def test_an_operator_accepts_exactly_these_numbers(operator: str, values: tuple[int, ...], accepted: list[int]) -> None:
    threshold = Threshold(operator, values)
    assert [number for number in range(5) if threshold.accepts(number)] == accepted


@given(st.integers(1, 10**9), st.integers(0, 1000))
def test_a_percentage_is_compared_exactly(rows: int, permille: int) -> None:
    """0.1 % of 1,000 rows is one row: a float in between would sometimes say 0.9999."""
    threshold = Threshold("mustBeLessOrEqualTo", (permille / 10,), "percent")
    allowed = rows * permille // 1000
    assert threshold.accepts(Fraction(100 * allowed, rows))
    if allowed < rows:
        assert threshold.accepts(Fraction(100 * (allowed + 1), rows)) == ((allowed + 1) * 1000 <= rows * permille)
