"""Great Expectations on pandas as the oracle: generated contracts and rows, the same verdicts and failing rows.

Great Expectations only counts; whether a threshold takes the number is worked out here, in words of the standard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import duckdb
import pandas as pd
import pytest
import yaml
from audit_lake import Lake, contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.audit import gx
from mesh.contract import Contract, Rule

SECONDS = [f"2020-01-01T{hour}:00:00" for hour in (11, 12, 13)]
DAYS = [f"2020-01-0{day}" for day in range(1, 5)]
WORDS = ["a", "ab", "abc", "", "n/a", "a\n", "b", "é", "x1", "A", "a b", "ab@x.org"]

# Per type: the column's own fields, values that rows draw from, the rules that its options may promise.
COLUMNS: dict[str, tuple[dict[str, str], list[Any], dict[str, list[Any]]]] = {
    "word": (
        {"logicalType": "string"},
        WORDS,
        {"minLength": [0, 1, 2, 3], "maxLength": [0, 1, 2, 3], "format": ["email", "uuid"],
         "pattern": ["a$", "^a", r"^\w+$", r"\d", "^(a|b)$", "a.b|^b", "^[a-c]{1,2}$", "", "é"]},
    ),
    "whole": (
        {"logicalType": "integer"},
        [-2, -1, 0, 1, 2, 3, 6],
        {"minimum": [-2, 0, 3], "exclusiveMinimum": [-2, 0, 6], "maximum": [-1, 2, 6], "exclusiveMaximum": [0, 3],
         "multipleOf": [1, 2, 3]},
    ),
    "money": (
        {"logicalType": "number", "physicalType": "DECIMAL(9,2)"},
        [-0.1, 0, 0.1, 0.2, 2.5, 2.51],
        {"minimum": [0, 0.1, 2.5], "exclusiveMinimum": [0.1, 0.2], "maximum": [0.1, 2.5], "exclusiveMaximum": [2.51]},
    ),
    "share": (
        {"logicalType": "number", "physicalType": "DOUBLE"},
        [-1.5, 0.0, 0.1, 0.3, 7.25],
        {"minimum": [0, 0.1], "exclusiveMinimum": [0.1], "maximum": [0.3], "exclusiveMaximum": [0.3, 1]},
    ),
    "day": (
        {"logicalType": "date"},
        DAYS,
        {"minimum": DAYS[1:3], "exclusiveMinimum": DAYS[:2], "maximum": DAYS[2:], "exclusiveMaximum": DAYS[1:]},
    ),
    "moment": (
        {"logicalType": "timestamp"},
        SECONDS,
        {"minimum": SECONDS[1:], "exclusiveMinimum": SECONDS[:2], "maximum": SECONDS, "exclusiveMaximum": SECONDS[1:]},
    ),
    "flag": ({"logicalType": "boolean"}, [True, False], {}),
}  # fmt: skip

NUMBERS = st.sampled_from([0, 1, 2, 5, 10, 25, 33.3, 50, 100])
SINGLE = ("mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo")
PAIRS = st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] < pair[1]).map(list)
THRESHOLDS = st.one_of(
    st.tuples(st.sampled_from(SINGLE), NUMBERS),
    st.tuples(st.sampled_from(["mustBeBetween", "mustNotBeBetween"]), PAIRS),
).map(lambda pair: {pair[0]: pair[1]})
UNITS = st.sampled_from([{}, {"unit": "rows"}, {"unit": "percent"}])


@st.composite
def quality(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A library rule of one column."""
    _, pool, options = COLUMNS[name]
    temporal = name in ("day", "moment")
    metrics = ["nullValues", "duplicateValues"] + ([] if temporal else ["missingValues", "invalidValues"])
    metric = draw(st.sampled_from(metrics))
    some = st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True)
    arguments = {}
    if metric == "missingValues":
        arguments = {"arguments": {"missingValues": draw(some)}}
    if metric == "invalidValues":
        patterns = options.get("pattern")
        if patterns and draw(st.booleans()):
            arguments = {"arguments": {"pattern": draw(st.sampled_from(patterns))}}
        else:
            arguments = {"arguments": {"validValues": draw(some)}}
    return {"metric": metric, **arguments, **draw(THRESHOLDS), **draw(UNITS)}


@st.composite
def properties(draw: st.DrawFn, name: str) -> dict[str, Any]:
    fields, _, options = COLUMNS[name]
    chosen = {option: draw(st.sampled_from(values)) for option, values in options.items() if draw(st.booleans())}
    ordered = [("minLength", "maxLength"), ("minimum", "maximum"), ("exclusiveMinimum", "exclusiveMaximum")]
    for low, high in ordered:
        if low in chosen and high in chosen and chosen[low] > chosen[high]:
            del chosen[high]  # a contract whose bounds contradict each other is refused
    rules = draw(st.lists(quality(name), max_size=2))
    return {
        "name": name,
        **fields,
        "required": draw(st.booleans()),
        "unique": draw(st.booleans()),
        **({"logicalTypeOptions": chosen} if chosen else {}),
        **({"quality": rules} if rules else {}),
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[Contract, list[tuple[Any, ...]]]:
    """A contract of one table, and rows for it."""
    names = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True))
    table: dict[str, Any] = {"name": "t", "properties": [draw(properties(name)) for name in names]}
    rules: list[dict[str, Any]] = [{"metric": "rowCount", **draw(THRESHOLDS)}] if draw(st.booleans()) else []
    if len(names) > 1 and draw(st.booleans()):
        key = {"metric": "duplicateValues", "arguments": {"properties": names[:2]}}
        rules.append({**key, **draw(THRESHOLDS), **draw(UNITS)})
    table |= {"quality": rules} if rules else {}
    pools = [st.one_of(st.none(), st.sampled_from(COLUMNS[name][1])) for name in names]
    rows = draw(st.lists(st.tuples(*pools), max_size=8))
    return contract(yaml.safe_dump([table], allow_unicode=True)), rows


@pytest.fixture(scope="module")
def memory() -> Iterator[Lake]:
    """Plain tables: the same queries at a tenth of a lake's time."""
    with duckdb.connect(config={"threads": 1}) as con:
        for name in ("inputs", "lake"):
            con.execute(f"attach ':memory:' as {name}")
        con.execute("use lake")
        con.execute("create schema shop_build")
        yield _Plain(con)


class _Plain(Lake):
    @property
    def snapshot(self) -> Any:
        return None


def fill(lake: Lake, terms: Contract, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    lake.build(terms)
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        lake.con.executemany(f"insert into lake.shop_build.t values ({marks})", rows)
    return lake.con.sql("select * from lake.shop_build.t").df()


def taken(rule: Rule, failing: int, rows: int) -> bool:
    """Whether a threshold takes what was counted: rows, or their share of the rows that were judged."""
    threshold = rule.threshold
    share = Fraction(100 * failing, rows) if rows else Fraction(0)
    number = share if threshold.unit == "percent" else Fraction(failing)
    first, last = (Fraction(str(value)) for value in (threshold.values[0], threshold.values[-1]))
    return {
        "mustBe": number == first,
        "mustNotBe": number != first,
        "mustBeGreaterThan": number > first,
        "mustBeGreaterOrEqualTo": number >= first,
        "mustBeLessThan": number < first,
        "mustBeLessOrEqualTo": number <= first,
        "mustBeBetween": first <= number <= last,
        "mustNotBeBetween": not first <= number <= last,
    }[threshold.operator]


class Oracle:
    """Great Expectations, asked how many rows are unexpected."""

    def __init__(self) -> None:
        package = gx.with_great_expectations()
        context = package.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = {"globally": False}
        asset = context.data_sources.add_pandas("frame").add_dataframe_asset("asset")
        self._definition = asset.add_batch_definition_whole_dataframe("all")
        self._package = package

    def counts(self, frame: pd.DataFrame, rules: list[Rule]) -> dict[str, tuple[int, int]]:
        """Rule id to unexpected rows and judged rows."""
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        expectations = []
        for rule in rules:
            described = gx._describe(rule)
            assert described is not None, rule
            columns = list(rule.columns)
            place: dict[str, Any] = {"column": columns[0]} if len(columns) == 1 else {"column_list": columns}
            kwargs = place | described[1]
            expectations.append(ExpectationConfiguration(type=described[0], kwargs=kwargs, meta={"rule": rule.id}))
        suite = self._package.ExpectationSuite(name="oracle", expectations=expectations)
        outcome = self._definition.get_batch({"dataframe": frame}).validate(suite, result_format="SUMMARY")
        found = {}
        for result in outcome.results:
            seen = result.result
            judged = seen["element_count"] - seen.get("missing_count", 0)
            found[result.expectation_config.meta["rule"]] = (seen["unexpected_count"], judged)
        return found


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def agree(lake: Lake, oracle: Oracle, case: tuple[Contract, list[tuple[Any, ...]]]) -> None:
    terms, rows = case
    frame = fill(lake, terms, rows)
    results = {result.rule_id: result for result in lake.audit(terms).results}
    assert [result.message for result in results.values() if result.status == "error"] == []
    known = [rule for rule in terms.rules if rule.kind not in ("schema", "rowCount", "multipleOf")]
    counted = oracle.counts(frame, known)
    assert counted.keys() == {rule.id for rule in known}
    for rule in terms.rules:
        ours = results[rule.id]
        if rule.kind == "multipleOf":
            step = rule.arguments["multipleOf"]
            values = [value for value in frame[rule.columns[0]] if not pd.isna(value)]
            counted[rule.id] = (sum(math.fmod(value, step) != 0 for value in values), len(values))
        if rule.kind == "rowCount":
            assert (rule.id, ours.passed) == (rule.id, taken(rule, len(rows), 0))
        elif rule.kind == "schema":
            assert ours.passed
        else:
            failing, judged = counted[rule.id]
            expected = (failing, taken(rule, failing, judged))
            assert (rule.id, ours.failing_rows, ours.passed) == (rule.id, *expected)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
@given(cases())
def test_audit_and_great_expectations_agree(memory: Lake, oracle: Oracle, case: Any) -> None:
    agree(memory, oracle, case)


@settings(max_examples=15, deadline=None, suppress_health_check=QUIET)
@given(cases())
def test_they_agree_on_a_snapshot_of_the_lake(lake: Lake, oracle: Oracle, case: Any) -> None:
    """As a release is audited: with what the lake's statistics tell."""
    agree(lake, oracle, case)


@pytest.mark.torture
@settings(max_examples=5000, deadline=None, suppress_health_check=QUIET)
@given(cases())
def test_audit_and_great_expectations_agree_five_thousand_times(memory: Lake, oracle: Oracle, case: Any) -> None:
    agree(memory, oracle, case)
