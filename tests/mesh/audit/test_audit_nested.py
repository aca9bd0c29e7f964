"""Rules inside a column: a row fails where any of its elements fails, and what has no parent is not judged."""

from __future__ import annotations

import re
from typing import Any

import pytest
from audit_lake import Lake, contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.audit import failing_rows
from mesh.contract import not_executed
from mesh.errors import ContractError

ORDERS = contract(
    """
- name: orders
  properties:
    - {name: id, logicalType: integer, primaryKey: true}
    - name: address
      logicalType: object
      logicalTypeOptions: {minProperties: 1, required: [street]}
      properties:
        - {name: street, logicalType: string}
        - {name: postcode, logicalType: string, required: true, logicalTypeOptions: {pattern: '^[A-Z]+$'}}
    - name: lines
      logicalType: array
      logicalTypeOptions: {minItems: 1, maxItems: 3, uniqueItems: true}
      items:
        logicalType: object
        properties:
          - name: amount
            logicalType: integer
            required: true
            logicalTypeOptions: {minimum: 0}
            quality: [{metric: missingValues, arguments: {missingValues: [99]}, mustBe: 0}]
          - {name: marks, logicalType: array, items: {logicalType: string, logicalTypeOptions: {maxLength: 1}}}
    - {name: tags, logicalType: object, logicalTypeOptions: {maxProperties: 1, required: [a]}}
"""
)


def failing(lake: Lake) -> dict[str, tuple[int | None, int | None]]:
    results = lake.audit(ORDERS).results
    assert [result.message for result in results if result.status == "error"] == []
    return {result.rule_id: (result.failing_rows, result.rows) for result in results if result.failing_rows}


def test_the_type_of_a_column_is_made_of_what_stands_inside() -> None:
    assert [column.physical_type for column in ORDERS.tables[0].columns] == [
        "BIGINT",
        "STRUCT(street VARCHAR, postcode VARCHAR)",
        "STRUCT(amount BIGINT, marks VARCHAR[])[]",
        "JSON",
    ]


def test_every_nested_rule_counts_the_rows_that_break_it(lake: Lake) -> None:
    line = "{'amount': 1, 'marks': ['x']}"
    rows = (
        f"(1, {{'street': 's', 'postcode': 'AB'}}, [{line}], '{{\"a\": 1}}')",
        "(2, null, null, null)",
        f"(3, {{'street': null, 'postcode': 'a1'}}, [{line}, {line}], '{{\"b\": 1, \"c\": 2}}')",
        "(4, {'street': null, 'postcode': null}, [], null)",
        "(5, null, [{'amount': -1, 'marks': ['xx', 'x']}, {'amount': -2, 'marks': null}], null)",
        "(6, null, [{'amount': null, 'marks': [null]}, {'amount': 99, 'marks': []}], null)",
        f"(7, null, [{line}, {{'amount': 2, 'marks': null}}, {{'amount': 3, 'marks': null}}, null], null)",
    )
    lake.build(ORDERS, orders=", ".join(rows))
    assert failing(lake) == {
        "orders.address.minProperties": (1, 3),
        "orders.address.required": (2, 3),
        "orders.address.postcode.required": (1, 3),
        "orders.address.postcode.pattern": (1, 3),
        "orders.lines.minItems": (1, 6),
        "orders.lines.maxItems": (1, 6),
        "orders.lines.uniqueItems": (1, 6),
        "orders.lines[].amount.required": (1, 6),
        "orders.lines[].amount.minimum": (1, 6),
        "orders.lines[].amount.missingValues": (1, 6),
        "orders.lines[].marks[].maxLength": (1, 6),
        "orders.tags.maxProperties": (1, 2),
        "orders.tags.required": (1, 2),
    }
    rule = ORDERS.rule("orders.lines[].amount.minimum")
    found = failing_rows(lake.con, ORDERS, rule, domain_schema="shop_build", snapshot=lake.snapshot)
    assert found.fetchall() == [(5,)]


def test_a_row_with_a_bad_element_is_put_aside_whole(lake: Lake) -> None:
    terms = contract(
        """
- name: t
  properties:
    - name: xs
      logicalType: array
      items:
        logicalType: integer
        logicalTypeOptions: {minimum: 0}
        customProperties: [{property: action, value: quarantine}]
""",
        "customProperties: [{property: quarantineLimitPercent, value: 100}]",
    )
    lake.build(terms, t="([1, -1]), ([1]), (null)")
    aside = lake.quarantine(terms)["t"]
    assert (aside.rows, aside.quarantined, dict(aside.by_rule)) == (2, 1, {"t.xs[].minimum": 1})
    assert lake.audit(terms).verdict == "passed"


def test_what_holds_only_for_whole_columns_is_told() -> None:
    terms = contract(
        """
- name: t
  properties:
    - name: o
      logicalType: object
      properties:
        - {name: k, logicalType: string, unique: true, quality: [{metric: duplicateValues, mustBe: 0}]}
"""
    )
    assert [rule.id for rule in terms.rules] == ["t.schema"]
    assert not_executed(terms) == [
        (
            "schema[0].properties[0].properties[0].quality[0]",
            "inside a column only library metrics of single values are run",
        ),
        ("schema[0].properties[0].properties[0].unique", "only whole columns are keys or point to other tables"),
    ]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ("logicalType: array, physicalType: 'VARCHAR[]', items: {logicalType: integer}", "`VARCHAR[]` is not the type"),
        ("logicalType: object, properties: [{name: a, logicalType: text}]", "`text` is not known"),
        (
            "logicalType: object, logicalTypeOptions: {required: [b]}, properties: [{name: a, logicalType: string}]",
            "`b` is not known",
        ),
        ("logicalType: array, logicalTypeOptions: {minItems: 2, maxItems: 1}", "no value could pass"),
    ],
)
def test_a_wrong_inside_is_told_at_its_line(fields: str, what: str) -> None:
    with pytest.raises(ContractError, match=re.escape(what)):
        contract(f"- name: t\n  properties:\n    - {{name: c, {fields}}}")


VALUES = st.none() | st.integers(-2, 2)
NESTED = st.none() | st.lists(st.none() | st.lists(VALUES, max_size=2), max_size=3)
DEEP = contract(
    """
- name: t
  properties:
    - name: c
      logicalType: array
      logicalTypeOptions: {maxItems: 2, uniqueItems: true}
      items:
        logicalType: array
        logicalTypeOptions: {minItems: 1}
        items: {logicalType: integer, required: true, logicalTypeOptions: {minimum: 0, multipleOf: 2}}
"""
)


def expected(value: Any) -> dict[str, bool]:
    """Which rules a value fails, by the words of JSON Schema."""
    outer = value or []
    inner = [element for element in outer if element is not None]
    leaves = [leaf for element in inner for leaf in element]
    return {
        "t.c.maxItems": len(outer) > 2,
        "t.c.uniqueItems": any(outer[i] == outer[j] for i in range(len(outer)) for j in range(i)),
        "t.c[].minItems": any(len(element) < 1 for element in inner),
        "t.c[][].required": any(leaf is None for leaf in leaves),
        "t.c[][].minimum": any(leaf is not None and leaf < 0 for leaf in leaves),
        "t.c[][].multipleOf": any(leaf is not None and leaf % 2 for leaf in leaves),
    }


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NESTED, min_size=1, max_size=20))
def test_nested_rules_mean_what_json_schema_means(lake: Lake, values: list[Any]) -> None:
    lake.build(DEEP, t=", ".join(f"({str(value).replace('None', 'null')})" for value in values))
    seen = {result.rule_id: result.failing_rows for result in lake.audit(DEEP).results if result.kind != "schema"}
    told = [expected(value) for value in values]
    assert seen == {rule: sum(row[rule] for row in told) for rule in told[0]}


KEPT_AS_JSON = contract(
    """
- name: orders
  properties:
    - name: address
      logicalType: object
      physicalType: JSON
      properties:
        - {name: street, logicalType: string, required: true, logicalTypeOptions: {minLength: 2}}
        - {name: number, logicalType: integer, logicalTypeOptions: {minimum: 1}}
    - name: lines
      logicalType: array
      items:
        logicalType: object
        properties:
          - name: marks
            logicalType: array
            physicalType: JSON
            items: {logicalType: string, logicalTypeOptions: {maxLength: 1}}
"""
)


def test_rules_inside_of_json_are_held_as_inside_of_a_struct(lake: Lake) -> None:
    """JSON is how many engines keep objects; a value of another type counts as missing and stops no audit."""
    columns = KEPT_AS_JSON.tables[0].columns
    assert [column.physical_type for column in columns] == ["JSON", "STRUCT(marks JSON)[]"]
    lake.build(
        KEPT_AS_JSON,
        orders="""('{"street": "Low", "number": 1}', [{'marks': '["a", "b"]'}]), ('{"street": "x"}', null),
            ('{"number": 0}', [{'marks': '["a", "bc"]'}, {'marks': null}]), ('{"street": 12, "number": "many"}', []),
            (null, null), ('null', null)""",
    )
    results = lake.audit(KEPT_AS_JSON).results
    assert {result.rule_id: (result.status, result.failing_rows) for result in results} == {
        "orders.schema": ("passed", None),
        "orders.address.street.required": ("failed", 1),
        "orders.address.street.minLength": ("failed", 1),
        "orders.address.number.minimum": ("failed", 1),
        "orders.lines[].marks[].maxLength": ("failed", 1),
    }
    why = "inside of JSON types are not held: a value of another type counts as missing"
    assert not_executed(KEPT_AS_JSON) == [
        ("schema[0].properties[0].physicalType", why),
        ("schema[0].properties[1].items.properties[0].physicalType", why),
    ]


def test_rules_of_text_are_held_of_a_uuid(lake: Lake) -> None:
    """The standard has no logical type of its own for it, so a UUID is a string that may carry every rule of one."""
    terms = contract(
        """
- name: orders
  properties:
    - name: id
      logicalType: string
      physicalType: UUID
      required: true
      logicalTypeOptions: {minLength: 1, maxLength: 35, pattern: '^a', format: uuid}
      quality:
        - {metric: missingValues, arguments: {missingValues: ['', n/a]}, mustBe: 0}
        - {metric: invalidValues, arguments: {validValues: [a0000000-0000-4000-8000-000000000000, other]}, mustBe: 0}
"""
    )
    rows = "('a0000000-0000-4000-8000-000000000000'), ('b0000000-0000-4000-8000-000000000000'), (null)"
    lake.build(terms, orders=rows)
    assert {result.rule_id: (result.status, result.failing_rows) for result in lake.audit(terms).results} == {
        "orders.schema": ("passed", None),
        "orders.id.required": ("failed", 1),
        "orders.id.minLength": ("passed", 0),
        "orders.id.maxLength": ("failed", 2),
        "orders.id.pattern": ("failed", 1),
        "orders.id.format": ("passed", 0),
        "orders.id.missingValues": ("passed", 0),
        "orders.id.invalidValues": ("failed", 1),
    }
