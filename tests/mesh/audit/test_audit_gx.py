"""Great Expectations as vocabulary, report and second opinion."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Iterator

import duckdb
import pytest
from audit_lake import Lake, contract
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.audit import gx
from mesh.audit.page import render
from mesh.audit.pattern import neutral_pattern
from mesh.contract import Rule, Threshold
from mesh.contract.predicates import literal

SHARES = [
    "mustBeLessOrEqualTo: 10",
    "mustBeLessThan: 10",
    "mustBeLessOrEqualTo: 33.3",
    "mustBeLessThan: 50",
    "mustBeLessThan: 7",
    "mustBeBetween: [0, 25]",
    "mustBe: 0",
]


def column(name: str, logical: str, fields: str = "", rules: tuple[str, ...] = ()) -> str:
    """One column with its rules, every rule once for zero failing rows and once for each share."""
    text = f"    - name: {name}\n      logicalType: {logical}\n{fields}"
    if rules:
        text += "      quality:\n"
    for n, rule in enumerate(rules):
        text += f"        - {{name: r{n}_none, {rule}, mustBe: 0}}\n"
        for m, share in enumerate(SHARES):
            text += f"        - {{name: r{n}_share{m}, {rule}, {share}, unit: percent}}\n"
    return text


COUNTS = [
    "mustBe: 10",
    "mustBeGreaterThan: 10",
    "mustBeGreaterOrEqualTo: 10",
    "mustBeLessThan: 10.5",
    "mustBeLessOrEqualTo: 10",
    "mustBeBetween: [5, 10]",
]
EVERYTHING = contract(
    "- name: t\n  properties:\n"
    + column(
        "word",
        "string",
        "      required: true\n      unique: true\n"
        "      logicalTypeOptions: {minLength: 2, maxLength: 3, pattern: 'a$'}\n",
        (
            "metric: nullValues",
            "metric: duplicateValues",
            "metric: missingValues, arguments: {missingValues: ['', 'n/a']}",
            "metric: invalidValues, arguments: {validValues: [a, ab, 'n/a']}",
            r"metric: invalidValues, arguments: {pattern: '^\w+$'}",
            r"metric: invalidValues, arguments: {pattern: '\d'}",
            "metric: invalidValues, arguments: {pattern: 'a.b|^b'}",
        ),
    )
    + column("mail", "string", "      logicalTypeOptions: {format: email}\n")
    + column(
        "whole",
        "integer",
        "      unique: true\n      logicalTypeOptions: {minimum: 0, exclusiveMaximum: 3}\n",
        (
            "metric: nullValues",
            "metric: duplicateValues",
            "metric: missingValues, arguments: {missingValues: [0, -1]}",
            "metric: invalidValues, arguments: {validValues: [0, 1, 2]}",
        ),
    )
    + column("money", "number", "      logicalTypeOptions: {exclusiveMinimum: 0.1, maximum: 2.5}\n")
    + column("day", "date", "      logicalTypeOptions: {minimum: '2020-01-02', exclusiveMaximum: '2020-01-04'}\n")
    + column("at", "timestamp", "      logicalTypeOptions: {exclusiveMinimum: '2020-01-01T12:00:00'}\n")
    + column("flag", "boolean", "", ("metric: invalidValues, arguments: {validValues: [true]}",))
    + "  quality:\n"
    + "".join(f"    - {{name: count{n}, metric: rowCount, {operator}}}\n" for n, operator in enumerate(COUNTS))
    + "".join(
        f"    - {{name: key{n}, metric: duplicateValues, arguments: {{properties: [word, whole]}}, "
        f"{share}, unit: percent}}\n"
        for n, share in enumerate(SHARES)
    )
)

WORDS = ["a", "ab", "abc", "abcd", "", "n/a", "a\n", "a\nb", "axb", "b", "é", "x1", "x٣", "😀a", "A", "a b"]

# The values each column draws from, as SQL.
POOLS = (
    tuple(f"'{word}'" for word in WORDS),
    ("'a@x.org'", "'a@x'", "'a b@x.org'", "'a@x.org\n'"),
    ("-1", "0", "1", "2", "3"),
    ("0.1", "0.2", "2.5", "2.51"),
    tuple(f"date '2020-01-0{day}'" for day in range(1, 5)),
    tuple(f"timestamp '2020-01-01 {hour}:00:00'" for hour in (11, 12, 13)),
    ("true", "false"),
)


def rows(chance: random.Random, count: int) -> str:
    """VALUES of `count` random rows, from none to half of the values missing."""
    nulls = chance.choice([0.0, 0.1, 0.5])
    pools = [chance.sample(pool, chance.randint(1, len(pool))) for pool in POOLS]

    def row() -> str:
        return ", ".join("null" if chance.random() < nulls else chance.choice(pool) for pool in pools)

    return ", ".join(f"({row()})" for _ in range(count))


@pytest.mark.parametrize(("seed", "count"), [(1, 10), (4, 100), (5, 1), (6, 30)])
def test_our_audit_and_great_expectations_agree_on_every_rule(lake: Lake, seed: int, count: int) -> None:
    """Two engines, one meaning: the same verdict and the same number of failing rows for every rule that both know."""
    lake.build(EVERYTHING, t=rows(random.Random(seed), count))
    ours = {result.rule_id: result for result in lake.audit(EVERYTHING).results}
    frame = lake.con.sql("select * from lake.shop_build.t").df()
    theirs = gx.validate_with_gx(frame, EVERYTHING, EVERYTHING.table("t"))

    assert set(ours) - set(theirs) == {"t.schema"}, "every other rule here has an expectation"
    differing = {
        rule: (ours[rule].status, ours[rule].failing_rows, ours[rule].rows, seen)
        for rule, seen in theirs.items()
        if (ours[rule].passed, ours[rule].failing_rows) != (seen["success"], seen["unexpected_count"])
        or (ours[rule].kind == "rowCount" and seen["observed_value"] != count)
    }
    assert differing == {}


@pytest.mark.parametrize(
    ("operator", "values", "unit", "share"),
    [
        ("mustBe", (0,), "rows", 1.0),
        ("mustBeLessOrEqualTo", (0,), "percent", 1.0),
        ("mustBeLessOrEqualTo", (7,), "percent", 0.93),
        ("mustBeLessOrEqualTo", (0.1,), "percent", 0.999),
        ("mustBeBetween", (0, 20), "percent", 0.8),
        ("mustBeLessThan", (20,), "percent", 0.8000000000000002),
        ("mustBeBetween", (1, 20), "percent", None),
        ("mustBeLessThan", (0,), "percent", None),
        ("mustBeGreaterThan", (5,), "percent", None),
        ("mustBeLessThan", (5,), "rows", None),
        ("mustBe", (3,), "rows", None),
    ],
)
def test_a_threshold_is_a_share_of_good_rows_or_nothing(
    operator: str, values: tuple[float, ...], unit: str, share: float | None
) -> None:
    seen = gx.mostly(Threshold(operator, values, unit))
    assert seen == (pytest.approx(share, abs=1e-15) if share is not None else None)
    assert operator != "mustBeLessThan" or seen is None or seen > 0.8


SOME = contract(
    """
- name: orders
  properties:
    - {name: id, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
    - {name: line, logicalType: integer, primaryKey: true, primaryKeyPosition: 2}
    - {name: amount, logicalType: integer, logicalTypeOptions: {minimum: 0, maximum: 9, multipleOf: 3}}
  quality:
    - {metric: rowCount, mustBeGreaterThan: 0}
    - {type: sql, name: sum, query: select sum(amount) from orders, mustBeLessThan: 5, severity: warning,
       description: "Costs <script>alert(1)</script> under $5, see ${amount}."}
"""
)


def test_a_suite_holds_the_real_expectations_and_names_the_rest() -> None:
    """A minimum and a maximum of one column are two expectations; a suite that upserts would keep only one."""
    suite = gx.to_suite(SOME, SOME.table("orders")).to_json_dict()
    assert [(e["type"], e["kwargs"], e["severity"]) for e in suite["expectations"]] == [
        (
            "expect_compound_columns_to_be_unique",
            {"column_list": ["id", "line"], "ignore_row_if": "any_value_is_missing"},
            "critical",
        ),
        ("expect_column_values_to_not_be_null", {"column": "id"}, "critical"),
        ("expect_column_values_to_not_be_null", {"column": "line"}, "critical"),
        ("expect_column_values_to_be_between", {"column": "amount", "min_value": 0.0}, "critical"),
        ("expect_column_values_to_be_between", {"column": "amount", "max_value": 9.0}, "critical"),
        ("expect_table_row_count_to_be_between", {"min_value": 1}, "critical"),
    ]
    assert [entry["rule"] for entry in suite["meta"]["executed_elsewhere"]] == [
        "orders.schema",
        "orders.amount.multipleOf",
        "orders.sum",
    ]


ROWS = "('secret1', 1, -3), ('secret1', 1, 4), ('secret2', null, null)"


def test_an_audit_is_a_validation_result_without_running_great_expectations(lake: Lake) -> None:
    lake.build(SOME, orders=ROWS)
    audit = lake.audit(SOME)
    seen = gx.to_validation_result(audit, SOME, SOME.table("orders")).to_json_dict()
    assert (seen["success"], seen["statistics"]) == (
        False,
        {
            "evaluated_expectations": 9,
            "successful_expectations": 5,
            "unsuccessful_expectations": 4,
            "success_percent": 500 / 9,
        },
    )
    by_rule = {entry["expectation_config"]["meta"]["rule"]: entry for entry in seen["results"]}
    assert list(by_rule) == [rule.id for rule in SOME.rules]
    assert by_rule["orders.amount.minimum"]["result"] == {
        "element_count": 3,
        "missing_count": 1,
        "missing_percent": pytest.approx(100 / 3),
        "unexpected_count": 1,
        "unexpected_percent": 50.0,
        "unexpected_percent_nonmissing": 50.0,
        "unexpected_percent_total": pytest.approx(100 / 3),
        "partial_unexpected_list": [],
    }
    assert by_rule["orders.sum"]["expectation_config"]["type"] == gx.ELSEWHERE
    assert "secret" not in str(seen)


def test_a_report_page_refers_to_nothing_outside_itself(lake: Lake) -> None:
    """The stock page loads from outside hosts; opening a report must tell nobody."""
    lake.build(SOME, orders=ROWS)
    page = render(lake.audit(SOME), SOME, SOME.table("orders"))
    assert re.findall(r"(?:[a-z]+:)?//[^\s\"'<>]+", page, re.IGNORECASE) == []
    assert (
        re.findall(r"<(?:script|link|img|iframe|base|object|form)\b|url\(|@import|\bon\w+=", page, re.IGNORECASE) == []
    )
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_a_report_page_says_what_every_rule_saw(lake: Lake) -> None:
    lake.build(SOME, orders=ROWS)
    page = render(lake.audit(SOME), SOME, SOME.table("orders"))
    assert "<h1>shop/orders: orders, failed</h1>" in page
    assert "amount is 0 or more." in page
    assert "Costs &lt;script&gt;alert(1)&lt;/script&gt; under $5, see ${amount}." in page
    assert "All 3 columns are as declared." in page
    assert "Seen: 1; the number must be less than 5." in page
    assert len(re.findall(r'class="fas fa-times[^"]*"', page)) == 5, "four rules and the verdict over them"
    assert "secret" not in page
    assert "Traceback" not in page


def test_audits_and_contracts_load_no_heavy_package() -> None:
    """Great Expectations and pandas take seconds to import; no everyday command may wait for them."""
    code = (
        "import sys, mesh.audit, mesh.audit.gx, mesh.audit.page, mesh.contract; "
        "print([n for n in ('great_expectations', 'pandas', 'numpy', 'jinja2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("pattern", "neutral"),
    [
        ("^a$", r"^a\Z"),
        (r"^\d{2}[\d$\]]\$$", r"^[0-9]{2}[0-9$\]]\$\Z"),
        (r"[]$]$", r"[]$]\Z"),
        (r"[^]\w]\W", r"[^]0-9A-Za-z_][^0-9A-Za-z_]"),
        (r"a\z", r"a\Z"),
        (r"\bword", None),
        (r"[\D]", None),
        (r"\pL", None),
        ("[[:alpha:]]", None),
        ("a(?i)b", None),
    ],
)
def test_a_pattern_is_written_so_that_every_engine_reads_it_alike(pattern: str, neutral: str | None) -> None:
    assert neutral_pattern(pattern) == neutral


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        yield con


PARTS = [r"\d", r"\w", r"\S", "$", "^", "a", ".", "[a-c]", r"[^\d]", "é", "|", "(a)", "x?"]
PATTERNS = st.tuples(
    st.sampled_from(["", "^"]), st.lists(st.sampled_from(PARTS), max_size=3), st.sampled_from(["", "$"])
)
TEXTS = [first + last for first in ("", "a", "1", "٣", "é", "\x0b", "ax", "a1") for last in ("", "\n", " ", "a\n")]


@settings(max_examples=100, deadline=None)
@given(PATTERNS)
def test_python_finds_with_the_neutral_pattern_what_duckdb_finds_with_the_contracts(
    memory: duckdb.DuckDBPyConnection, parts: tuple[str, list[str], str]
) -> None:
    pattern = parts[0] + "".join(parts[1]) + parts[2]
    neutral = neutral_pattern(pattern)
    assert neutral is not None
    values = ", ".join(f"({literal(text)})" for text in TEXTS)
    rule = Rule("r", "v", ("t",), "pattern", "", {"pattern": pattern})
    failing = memory.execute(f"select t from (values {values}) v(t) where {rule.row_predicate}").fetchall()
    assert {text for (text,) in failing} == {text for text in TEXTS if not re.search(neutral, text)}
