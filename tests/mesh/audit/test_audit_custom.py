"""Rules that Great Expectations runs itself: the same numbers, clear errors, and no value of a row."""

from __future__ import annotations

import re

import pytest
from audit_lake import Lake, contract

from mesh.audit import check_expectations
from mesh.audit.page import render
from mesh.contract import Contract, not_executed
from mesh.errors import ContractError


def terms(*rules: str, column: str = "") -> Contract:
    text = "- name: t\n  properties:\n    - {name: a, logicalType: integer" + column + "}\n"
    text += "    - {name: b, logicalType: integer}\n    - {name: word, logicalType: string}\n"
    quality = "".join(
        f"    - {{type: custom, engine: greatExpectations, name: r{n}, implementation: {rule}}}\n"
        for n, rule in enumerate(rules)
    )
    return contract(text + ("  quality:\n" + quality if rules else ""))


ROWS = "(1, 2, 'secret'), (3, 2, 'x'), (null, 2, null), (5, 9, 'x')"
RULES = terms(
    "{type: expect_column_pair_values_a_to_be_greater_than_b, kwargs: {column_A: b, column_B: a, or_equal: true, "
    "ignore_row_if: either_value_is_missing}}",
    "{type: expect_table_row_count_to_be_between, kwargs: {minValue: 5, maxValue: 9}}",
    "{expectation_type: expect_column_max_to_be_between, kwargs: {column: a, max_value: 5}}",
    '"type: expect_table_columns_to_match_set\\nkwargs: {column_set: [a, b, word]}"',
    "{type: expect_column_values_to_match_regex, kwargs: {column: word, regex: '^(?!secret)', mostly: 0.9}}",
    "{type: expect_column_values_to_be_between, kwargs: {column: b, max_value: 2, row_condition: 'a == 5', "
    "condition_parser: pandas}}",
    column=", quality: [{type: custom, engine: great-expectations, severity: warning, "
    "implementation: {type: expect_column_values_to_be_increasing}}]",
)


def test_every_custom_rule_is_run_and_its_rows_are_counted(lake: Lake) -> None:
    lake.build(RULES, t=ROWS)
    audit = lake.audit(RULES)
    assert {r.rule_id: (r.status, r.severity, r.failing_rows, r.rows) for r in audit.results} == {
        "t.schema": ("passed", "error", None, None),
        "t.a.expect_column_values_to_be_increasing": ("passed", "warning", 0, 3),
        "t.r0": ("failed", "error", 1, 3),
        "t.r1": ("failed", "error", None, None),
        "t.r2": ("passed", "error", None, None),
        "t.r3": ("passed", "error", None, None),
        "t.r4": ("failed", "error", 1, 3),
        "t.r5": ("failed", "error", 1, 1),
    }
    assert not_executed(RULES) == []
    assert "secret" not in audit.to_json().replace("(?!secret)", "")
    assert "<h1>shop/orders: t, failed</h1>" in render(audit, RULES, RULES.table("t"))


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        (
            "{type: expect_column_values_to_be_betwen, kwargs: {column: a}}",
            "schema[0].quality[1].implementation: Great Expectations knows no `expect_column_values_to_be_betwen` "
            "(did you mean `expect_column_values_to_be_between`?)",
        ),
        (
            "{type: expect_column_values_to_be_unique, kwargs: {column: a, most: 1}}",
            "of `expect_column_values_to_be_unique`: most: extra fields not permitted. Allowed: column, mostly,",
        ),
        ("{type: expect_column_values_to_be_between, kwargs: {column: a}}", "min_value and max_value cannot both be"),
    ],
)
def test_what_great_expectations_does_not_know_is_told_at_its_line(lake: Lake, rule: str, what: str) -> None:
    wrong = terms("{type: expect_column_to_exist, kwargs: {column: a}}", rule)
    with pytest.raises(ContractError, match=re.escape(what)) as caught:
        check_expectations(wrong)
    assert caught.value.line == 16
    lake.build(wrong, t=ROWS)
    assert [(r.rule_id, r.status) for r in lake.audit(wrong).failed] == [("t.r1", "error")]


@pytest.mark.parametrize(
    ("rule", "what"),
    [
        ("{kwargs: {}}", "An implementation needs the `type` of its expectation."),
        ("{type: expect_column_values_to_be_unique, kwargs: {column: c}}", "`c` is not known"),
        ("{type: expect_column_values_to_be_unique, arguments: {}}", "`arguments` is not known"),
        ("'type: ['", "The implementation cannot be read"),
        ("{type: expect_column_values_to_match_regex, kwargs: {column: word, regex: '('}}", "The pattern cannot"),
    ],
)
def test_a_wrong_shape_is_refused_when_the_contract_is_read(rule: str, what: str) -> None:
    with pytest.raises(ContractError, match=re.escape(what)):
        terms(rule)
