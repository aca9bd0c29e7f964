"""The spellings that the standard and other tools allow for one thing are read as that thing."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.contract import Contract, Rule, columns_ddl, not_executed, parse_contract
from mesh.contract.linting import lint_content
from mesh.errors import ContractError

HEAD = """\
apiVersion: {version}
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
schema:
  - name: orders
    properties:
"""


def parse(columns: str, *, quality: str = "", rest: str = "", version: str = "v3.1.0") -> Contract:
    """A contract of one table, each line of `columns` and `quality` being one entry."""
    text = HEAD.format(version=version) + "".join(f"      - {line}\n" for line in columns.splitlines())
    text += "    quality:\n" + "".join(f"      - {line}\n" for line in quality.splitlines()) if quality else ""
    return parse_contract((text + rest).encode(), Path("shop/orders.yaml"))


def rules(contract: Contract) -> list[tuple[Any, ...]]:
    """The rules but that of the schema: what each counts, with what, and what its number must be."""
    own = ("logicalType", "physicalType")
    return [
        (rule.kind, rule.columns, {k: v for k, v in rule.arguments.items() if k not in own}, str(rule.threshold))
        for rule in contract.rules
        if rule.kind != "schema"
    ]


OLD_RULES = {
    "{rule: rowCount, mustBeBetween: [1, 9]}": ("table", "{metric: rowCount, mustBeBetween: [1, 9]}"),
    "{rule: duplicateCount, mustBeLessThan: 1, unit: percent}": (
        "column", "{metric: duplicateValues, mustBeLessThan: 1, unit: percent}",
    ),
    "{type: library, rule: unique}": ("column", "{metric: duplicateValues, mustBe: 0}"),
    "{rule: nullCheck}": ("column", "{metric: nullValues, mustBe: 0}"),
    "{rule: nullCount, mustBeLessThan: 3}": ("column", "{metric: nullValues, mustBeLessThan: 3}"),
    "{rule: validValues, validValues: [a, b]}": (
        "column", "{metric: invalidValues, arguments: {validValues: [a, b]}, mustBe: 0}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("old", OLD_RULES)
def test_a_rule_of_v3_0_is_the_metric_of_v3_1(old: str) -> None:
    place, new = OLD_RULES[old]
    told = []
    for version, rule in (("v3.0.2", old), ("v3.1.0", new)):
        column = f"{{name: word, logicalType: string{f', quality: [{rule}]' if place == 'column' else ''}}}"
        told.append(rules(parse(column, quality=rule if place == "table" else "", version=version)))
    assert told[0] == told[1]
    assert len(told[0]) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("maximum: 5, exclusiveMaximum: true", "exclusiveMaximum: 5"),
        ("minimum: 5, exclusiveMinimum: false", "minimum: 5"),
        ("minimum: 1, exclusiveMinimum: true, maximum: 5", "exclusiveMinimum: 1, maximum: 5"),
    ],
)
def test_an_exclusive_bound_of_v3_0_is_one_of_v3_1(old: str, new: str) -> None:
    column = "{{name: n, logicalType: integer, logicalTypeOptions: {{{}}}}}"
    expected = rules(parse(column.format(new)))
    assert sorted(rules(parse(column.format(old), version="v3.0.1")), key=str) == sorted(expected, key=str)


def test_a_rule_of_v3_0_that_has_no_metric_is_refused_at_its_line() -> None:
    text = HEAD.format(version="v3.0.2") + "      - name: n\n        logicalType: integer\n        quality:\n"
    text += "          - {type: library, rule: between}\n"
    found = lint_content(text.encode(), Path("old.yaml"))
    assert [(one.line, one.source) for one in found] == [(14, "standard")] * len(found)
    assert "`rule` is the old name of `metric`" in " ".join(one.what for one in found)


TYPES = {
    "{name: c, physicalType: varchar(18)}": ("string", "VARCHAR"),
    "{name: c, physicalType: int4}": ("integer", "INTEGER"),
    "{name: c, physicalType: BigSerial}": ("integer", "BIGINT"),
    "{name: c, physicalType: 'numeric(9, 2)'}": ("number", "DECIMAL(9,2)"),
    "{name: c, logicalType: date, physicalType: TIMESTAMP}": ("timestamp", "TIMESTAMP"),
    "{name: c, logicalType: date, physicalType: timestamp_ntz}": ("timestamp", "TIMESTAMP"),
    "{name: c, logicalType: date, physicalType: time}": ("time", "TIME"),
    "{name: c, logicalType: array, physicalType: list}": ("array", "JSON"),
    "{name: c, logicalType: array, physicalType: array, items: {logicalType: integer}}": ("array", "BIGINT[]"),
    "{name: c, logicalType: object, physicalType: struct, properties: [{name: a, logicalType: date}]}": (
        "object", 'STRUCT(a DATE)',
    ),
    "{name: c, logicalType: object, physicalType: STRUCT(a integer)}": ("object", "STRUCT(a INTEGER)"),
    "{name: c, logicalType: array, physicalType: ARRAY<STRING>, items: {logicalType: string}}": ("array", "VARCHAR[]"),
}  # fmt: skip


@pytest.mark.parametrize("column", TYPES)
def test_a_column_has_the_type_that_its_words_say_together(column: str) -> None:
    contract = parse(column)
    (read,) = contract.tables[0].columns
    assert (read.logical_type, read.physical_type) == TYPES[column]
    assert columns_ddl(contract.tables[0]) == f'"c" {TYPES[column][1]}'


@pytest.mark.parametrize(
    ("options", "type_"),
    [
        ("dimensions: 3", "FLOAT[3]"),
        ("dimensions: 2, elementType: int8, distanceMetric: cosine, normalized: true", "TINYINT[2]"),
        ("dimensions: 2, elementType: bfloat16, embeddingModel: a/b", "FLOAT[]"),
    ],
)
def test_a_vector_takes_every_option_of_the_standard(options: str, type_: str) -> None:
    contract = parse(f"{{name: v, logicalType: vector, logicalTypeOptions: {{{options}}}}}", version="v3.2.0")
    assert contract.tables[0].columns[0].physical_type == type_


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("{name: c}", "needs a `logicalType`, or a `physicalType` that tells it"),
        ("{name: c, physicalType: NUMBER}", "needs a `logicalType`, or a `physicalType` that tells it"),
        ("{name: c, logicalType: integer, physicalType: TIMESTAMP}", "cannot hold values of type integer"),
        ("{name: c, logicalType: object, physicalType: STRUCT(a integr)}", "DuckDB knows no `STRUCT(a integr)`"),
        (
            "{name: c, logicalType: array, physicalType: 'DATE[]', items: {logicalType: string}}",
            "`DATE[]` is not the type of what stands inside",
        ),
        ("{name: c, logicalType: string, quality: [{metric: invalidValues, arguments: {validValues: [null]}, "
         "mustBe: 0}]}", "No value is valid here"),
    ],
)  # fmt: skip
def test_types_and_lists_that_say_nothing_are_refused(column: str, says: str) -> None:
    with pytest.raises(ContractError, match=re.escape(says)) as caught:
        parse(column)
    assert caught.value.line == 11


def rule(contract: Contract) -> Rule:
    (found,) = (rule for rule in contract.rules if rule.kind != "schema")
    return found


@pytest.mark.parametrize(
    ("word", "severity"),
    [("error", "error"), ("critical", "error"), ("High", "error"), ("warning", "warning"), ("info", "warning")],
)
def test_a_severity_of_other_tools_stops_a_release_or_warns_and_is_told(word: str, severity: str) -> None:
    contract = parse("{name: c, logicalType: date}", quality=f"{{metric: rowCount, mustBe: 1, severity: {word}}}")
    assert rule(contract).severity == severity
    said = [] if word == severity else [("schema[0].quality[0].severity", f"handled as {severity}")]
    assert not_executed(contract) == said


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from ${table} where ${column} is null",
        "select count(*) from {object} where {property} is null",
        "select count(*) from `{model}` where \"${field}\" is null",
        "select count(*) from Orders where NOTE is null",
    ],
)  # fmt: skip
def test_a_query_may_name_table_and_column_in_every_way_of_the_standard(query: str) -> None:
    quality = f"{{type: sql, query: '{query}', mustBe: 0, unit: orders}}"
    contract = parse(f"{{name: note, logicalType: string, quality: [{quality}]}}")
    filled = 'select count(*) from "orders" where "note" is null'
    assert rule(contract).arguments["query"].lower() in (filled, filled.replace('"', ""))
    assert not_executed(contract) == [
        ("schema[0].properties[0].quality[0].unit", "for people to read: the number is that of the rule itself")
    ]


def test_a_query_may_write_its_own_names_in_any_case() -> None:
    query = "with Late as (select * from ORDERS) select count(*) from late"
    contract = parse("{name: note, logicalType: string}", quality=f"{{type: sql, query: {query}, mustBe: 0}}")
    assert rule(contract).arguments["query"] == query


def test_a_metric_beside_a_query_is_told_as_not_counted() -> None:
    """The schema of the standard takes both; the type says which of them is the rule."""
    quality = "{type: sql, metric: rowCount, query: select count(*) from orders, mustBe: 0}"
    contract = parse("{name: note, logicalType: string}", quality=quality)
    assert rule(contract).kind == "sql"
    assert not_executed(contract) == [
        ("schema[0].quality[0].metric", "the rule is of type sql: the metric is not counted")
    ]


def test_a_missing_value_among_the_valid_ones_changes_nothing() -> None:
    column = "{{name: c, logicalType: string, quality: [{{metric: invalidValues, mustBe: 0, arguments: {}}}]}}"
    with_null, without = (parse(column.format(f"{{validValues: [{v}]}}")) for v in ("'', null, n/a", "'', n/a"))
    assert rule(with_null).row_predicate == rule(without).row_predicate


@pytest.mark.parametrize(
    ("said", "age"),
    [
        ("value: 3, unit: y", timedelta(days=1095)),
        ("value: P1Y", timedelta(days=365)),
        ("value: P1Y2M3W4DT5H6M7S", timedelta(days=365 + 2 * 31 + 21 + 4, hours=5, minutes=6, seconds=7)),
        ("value: PT24H", timedelta(days=1)),
    ],
)
def test_a_service_level_is_a_number_with_a_unit_or_a_duration(said: str, age: timedelta) -> None:
    rest = f"slaProperties:\n  - {{property: retention, {said}, element: orders.at}}\n"
    contract = parse("{name: at, logicalType: timestamp}", rest=rest)
    assert contract.sla[0].age == age
    assert [rule.kind for rule in contract.rules] == ["schema", "retention"]


@pytest.mark.parametrize("value", ["P", "PT", "P1", "1D", "P0D", "-P1D", "P1.5D"])
def test_what_is_no_length_of_time_makes_no_freshness(value: str) -> None:
    rest = f"slaProperties:\n  - {{property: freshness, value: {value}, element: orders.at}}\n"
    with pytest.raises(ContractError, match="`freshness` must be a length of time") as caught:
        parse("{name: at, logicalType: timestamp}", rest=rest)
    assert (caught.value.line, caught.value.field) == (13, "slaProperties[0].value")


def test_what_a_suite_of_great_expectations_writes_beside_an_expectation_is_taken() -> None:
    text = '{"type": "expect_column_to_exist", "kwargs": {"column": "c"}, "meta": {}, "id": "a", "severity": "info"}'
    contract = parse("{name: c, logicalType: date}",
                     quality=f"{{type: custom, engine: great_expectations, implementation: '{text}'}}")  # fmt: skip
    assert rule(contract).arguments == {"type": "expect_column_to_exist", "kwargs": {"column": "c"}}


def test_all_that_a_mesh_needs_and_a_contract_lacks_is_told_at_once() -> None:
    text = HEAD.format(version="v3.1.0").replace("domain: shop\n", "").replace("dataProduct: orders\n", "")
    found = lint_content((text + "      - {name: c, logicalType: date}\n").encode(), Path("c.yaml"))
    assert [(one.field, one.what) for one in found] == [("domain", "This is missing, as is `dataProduct`.")]
