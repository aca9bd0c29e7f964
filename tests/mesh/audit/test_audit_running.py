"""An audit reads one snapshot, runs every rule it can, and says what it saw without a value of any row."""

from __future__ import annotations

from datetime import datetime

import pytest
from audit_lake import NOW, Lake, contract

from mesh.audit import Audit, RuleResult, failing_rows
from mesh.contract import not_executed
from mesh.errors import UsageError

ORDERS = contract(
    """
- name: orders
  properties:
    - {name: id, logicalType: string, primaryKey: true, logicalTypeOptions: {pattern: '^O'}}
    - name: amount
      logicalType: number
      physicalType: DECIMAL(14,2)
      required: true
      logicalTypeOptions: {minimum: 0}
    - name: mail
      logicalType: string
      quality:
        - {metric: nullValues, mustBeLessThan: 50, unit: percent, severity: warning}
        - {metric: duplicateValues, mustBeLessOrEqualTo: 2}
    - {name: at, logicalType: timestamp}
  quality:
    - {metric: rowCount, mustBeBetween: [1, 10]}
    - {type: sql, name: total, query: 'select sum(amount) from ${table}', mustBeGreaterThan: 0}
- name: lines
  properties:
    - {name: id, logicalType: string, relationships: [{to: orders.id}]}
    - {name: line, logicalType: integer}
  quality:
    - {metric: duplicateValues, arguments: {properties: [id, line]}, mustBe: 0}
""",
    "slaProperties: [{property: freshness, value: 2, unit: d, element: orders.at}]",
)

GOOD = "('O1', 1.00, 'a', timestamp '2026-01-09 12:00:00'), ('O2', 2.50, 'a', null), ('O3', 0, null, null)"
LINES = "('O1', 1), ('O1', 2), (null, 1), (null, 1)"


def told(audit: Audit) -> dict[str, tuple[str, float | None, int | None, int | None]]:
    return {r.rule_id: (r.status, r.observed, r.failing_rows, r.rows) for r in audit.results}


def test_a_good_candidate_passes_with_every_number_told(lake: Lake) -> None:
    audit = lake.audit(ORDERS, lake.build(ORDERS, orders=GOOD, lines=LINES))
    assert audit.verdict == "passed"
    assert audit.rows == {"orders": 3, "lines": 4}
    assert told(audit) == {
        "orders.schema": ("passed", 0, None, None),
        "orders.primary_key": ("passed", 0, 0, 3),
        "orders.id.required": ("passed", 0, 0, 3),
        "orders.id.pattern": ("passed", 0, 0, 3),
        "orders.amount.required": ("passed", 0, 0, 3),
        "orders.amount.minimum": ("passed", 0, 0, 3),
        "orders.mail.nullValues": ("passed", pytest.approx(100 / 3), 1, 3),
        "orders.mail.duplicateValues": ("passed", 2, 2, 2),
        "orders.rowCount": ("passed", 3, None, 3),
        "orders.total": ("passed", 3.5, None, None),
        "orders.at.freshness": ("passed", 86400.0, None, 3),
        "lines.schema": ("passed", 0, None, None),
        "lines.id_line.duplicateValues": ("passed", 0, 0, 2),
        "lines.id.in.orders": ("passed", 0, 0, 2),
    }


def test_a_bad_candidate_fails_with_every_failing_row_counted(lake: Lake) -> None:
    bad = (
        "('O1', -1, null, timestamp '2026-01-01'), ('O1', null, null, null), "
        "('x', -2, 'a', null), (null, 0, null, null)"
    )
    audit = lake.audit(ORDERS, lake.build(ORDERS, orders=bad, lines="('O1', 1), ('O1', 1), ('O9', 1)"))
    assert audit.verdict == "failed"
    failed = {rule: seen for rule, seen in told(audit).items() if seen[0] != "passed"}
    assert failed == {
        "orders.primary_key": ("failed", 2, 2, 3),
        "orders.id.required": ("failed", 1, 1, 4),
        "orders.id.pattern": ("failed", 1, 1, 3),
        "orders.amount.required": ("failed", 1, 1, 4),
        "orders.amount.minimum": ("failed", 2, 2, 3),
        "orders.mail.nullValues": ("failed", 75.0, 3, 4),
        "orders.total": ("failed", -3.0, None, None),
        "orders.at.freshness": ("failed", 9.5 * 86400, None, 4),
        "lines.id_line.duplicateValues": ("failed", 2, 2, 3),
        "lines.id.in.orders": ("failed", 1, 1, 3),
    }
    assert [r.rule_id for r in audit.warned] == ["orders.mail.nullValues", "orders.at.freshness"]


def test_messages_are_sentences_with_the_numbers(lake: Lake) -> None:
    lake.build(ORDERS, orders="('x', -1, null, timestamp '2026-01-01'), ('O2', 5000, null, null)", lines=LINES)
    says = {r.rule_id: r.message for r in lake.audit(ORDERS).results}
    assert says["orders.id.pattern"] == "1 row of 2 failed (50 %); the number must be 0."
    assert says["orders.mail.nullValues"] == "2 rows of 2 failed (100 %); the number must be less than 50 %."
    assert says["orders.rowCount"] == "Seen: 2; the number must be between 1 and 10."
    assert says["orders.total"] == "Seen: 4,999.0; the number must be greater than 0."
    assert says["orders.at.freshness"] == "Of 2 rows the newest is 9 days, 12:00:00 old; allowed is 2 days, 0:00:00."


def test_only_the_asked_snapshot_is_read(lake: Lake) -> None:
    """Rows written after the audited snapshot must not leak into the verdict of a release."""
    before = lake.build(ORDERS, orders=GOOD, lines=LINES)
    lake.con.execute("insert into shop_build.orders values ('bad', -1, null, null)")
    lake.con.execute("delete from shop_build.lines")
    assert lake.audit(ORDERS, before).verdict == "passed"
    assert lake.audit(ORDERS, before).rows == {"orders": 3, "lines": 4}
    assert lake.audit(ORDERS).verdict == "failed"


def test_an_audit_writes_nothing(lake: Lake) -> None:
    before = lake.build(ORDERS, orders=GOOD, lines=LINES)
    lake.audit(ORDERS)
    assert lake.snapshot == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ('drop "at"', "Wrong columns: at is missing."),
        ("add extra integer", "Wrong columns: extra is not in the contract."),
        ("alter amount type decimal(18,2)", "Wrong columns: amount is DECIMAL(18,2) instead of DECIMAL(14,2)."),
    ],
)
def test_a_table_of_another_shape_fails_its_schema_rule(lake: Lake, change: str, says: str) -> None:
    lake.build(ORDERS, orders=GOOD, lines=LINES)
    lake.con.execute(f"alter table shop_build.orders {change}")
    audit = lake.audit(ORDERS)
    result = audit.results[0]
    assert (result.rule_id, result.status, result.observed, audit.verdict) == ("orders.schema", "failed", 1, "failed")
    assert result.message == says


def test_rules_of_a_missing_column_or_table_are_errors_and_the_rest_goes_on(lake: Lake) -> None:
    lake.build(ORDERS, orders=GOOD, lines=LINES)
    lake.con.execute("alter table shop_build.orders drop mail")
    lake.con.execute("drop table shop_build.lines")
    audit = lake.audit(ORDERS)
    says = {r.rule_id: r.message for r in audit.results if r.status == "error"}
    gone = "The rule could not be run: the table lines does not exist at this snapshot."
    assert says == {
        "orders.mail.nullValues": "The rule could not be run: the column mail is missing.",
        "orders.mail.duplicateValues": "The rule could not be run: the column mail is missing.",
        "lines.schema": gone,
        "lines.id_line.duplicateValues": gone,
        "lines.id.in.orders": gone,
    }
    assert audit.rows == {"orders": 3}
    assert told(audit)["orders.amount.minimum"] == ("passed", 0, 0, 3)


SQL = """
- name: orders
  properties:
    - {{name: id, logicalType: string, logicalTypeOptions: {{pattern: '^O'}}}}
    - {{name: amount, logicalType: integer, logicalTypeOptions: {{minimum: 0}}}}
  quality:
    - {{type: sql, name: own, query: "{query}", mustBe: {value}}}
"""


@pytest.mark.parametrize(
    ("query", "value", "status", "says"),
    [
        ("select count(*) = 2 from orders", "true", "passed", "Seen: 1; the number must be 1."),
        ("with big as (select * from orders where amount > 1) select count(*) from big", 1, "passed", "Seen: 1;"),
        ("select max(o.amount) from ${object} o join orders p using (id)", 2, "passed", "Seen: 2;"),
        ("select orders.amount from orders where amount = 2", 2, "passed", "Seen: 2;"),
        ("select sum(amount) from orders where false", 0, "failed", "The query gave no value."),
        ("select amount from orders", 0, "error", "must give exactly one value"),
        ("select id from orders limit 1", 0, "error", "must give a number or a truth value"),
        ("select nothing from orders", 0, "error", 'Referenced column "nothing" not found'),
        ("select cast(id as integer) from orders limit 1", 0, "error", "ConversionException (its text is kept back"),
    ],
)
def test_an_sql_rule_gives_one_number_or_an_error_of_its_own(
    lake: Lake, query: str, value: object, status: str, says: str
) -> None:
    terms = contract(SQL.format(query=query, value=value))
    lake.build(terms, orders="('Osecret', 1), ('O2', 2)")
    audit = lake.audit(terms)
    by_id = {r.rule_id: r for r in audit.results}
    assert by_id["orders.own"].status == status
    assert says in by_id["orders.own"].message
    assert by_id["orders.amount.minimum"].passed
    assert "secret" not in audit.to_json()


def test_a_rule_the_engine_refuses_does_not_take_the_others_of_its_scan_along(lake: Lake) -> None:
    terms = contract(SQL.format(query="select 1", value=1))
    lake.build(terms)
    lake.con.execute("create or replace table shop_build.orders as select 7::bigint as id, -1::bigint as amount")
    seen = told(lake.audit(terms))
    assert seen["orders.id.pattern"][0] == "error"
    assert seen["orders.amount.minimum"] == ("failed", 1, 1, 1)


CUSTOMERS = """
- name: orders
  properties:
    - name: customer
      logicalType: integer
      relationships:
        - to: crm.customers.id
          customProperties: [{property: majorVersion, value: %s}]
"""


def test_a_relationship_reads_the_published_view_of_another_domain(lake: Lake) -> None:
    lake.con.execute("create schema inputs.crm")
    lake.con.execute("create view inputs.crm.customers_v1 as select * from (values (1::bigint), (2)) t(id)")
    lake.con.execute("create view inputs.crm.customers_v2 as select 1::bigint as id")
    lake.con.execute("create view inputs.crm.customers_vip as select 3::bigint as id")
    seen = {}
    for major in (1, 2, 3, "null"):
        terms = contract(CUSTOMERS % major)
        lake.build(terms, orders="(1), (2), (null)")
        seen[major] = lake.audit(terms).results[1]
    assert (seen[1].status, seen[1].failing_rows, seen[1].rows) == ("passed", 0, 2)
    assert (seen[2].status, seen[2].failing_rows) == ("failed", 1)
    assert seen[3].status == "error"
    assert "no release of crm.customers_v3 is published" in seen[3].message
    assert seen["null"].failing_rows == 1, "without a major the newest is read"


@pytest.mark.parametrize(
    ("logical", "value", "age"),
    [
        ("timestamp", "timestamp '2026-01-10 11:00:00'", 3600),
        ("timestamp", "timestamp '2026-01-11 11:00:00'", 0),
        ("date", "date '2026-01-10'", 0),
        ("date", "date '2026-01-08'", 129601),
        ("timestamp", "null", None),
    ],
)
def test_freshness_is_the_age_of_the_newest_value(lake: Lake, logical: str, value: str, age: float | None) -> None:
    terms = contract(
        f"- {{name: orders, properties: [{{name: at, logicalType: {logical}}}]}}",
        "slaProperties: [{property: latency, value: 36, unit: h, element: at}]\n"
        "customProperties: [{property: freshnessSeverity, value: error}]",
    )
    lake.build(terms, orders=f"({value}), (null)")
    result = lake.audit(terms).results[-1]
    assert (result.rule_id, result.observed, result.severity) == ("orders.at.latency", age, "error")
    assert result.passed == (age is not None and age <= 36 * 3600)


def test_an_empty_table_passes_its_row_rules_and_fails_what_needs_rows(lake: Lake) -> None:
    lake.build(ORDERS)
    audit = lake.audit(ORDERS)
    assert {r.rule_id for r in audit.results if not r.passed} == {
        "orders.rowCount",
        "orders.total",
        "orders.at.freshness",
    }


def test_results_from_elsewhere_count_for_the_verdict(lake: Lake) -> None:
    lake.build(ORDERS, orders=GOOD, lines=LINES)
    other = RuleResult("consumer.rule", "orders", (), "sql", "error", "fail", "failed", 1, None, None, "", "")
    assert lake.audit(ORDERS, extra_results=[other]).verdict == "failed"


def test_an_audit_survives_its_json(lake: Lake) -> None:
    lake.build(ORDERS, orders=GOOD, lines=LINES)
    audit = lake.audit(ORDERS, now=datetime(2026, 1, 10, 12, 0, 0, 5))
    assert Audit.from_json(audit.to_json()) == audit


def test_an_audit_holds_no_value_of_any_row(lake: Lake) -> None:
    """Audits are stored, shown and logged; the rows are personal."""
    lake.build(
        ORDERS,
        orders="('secret1', -77123, 'secret2', null), ('secret1', null, 'secret2', null)",
        lines="('secret3', 1)",
    )
    text = lake.audit(ORDERS).to_json()
    assert "secret" not in text


def test_failing_rows_are_told_by_their_keys_only(lake: Lake) -> None:
    at = lake.build(
        ORDERS, orders="('O1', -1, 'm', null), ('O2', 1, null, null), ('O2', -5, 'm', null)", lines="('O9', 4)"
    )

    def keys(rule: str) -> list[tuple[object, ...]]:
        return failing_rows(lake.con, ORDERS, rule, domain_schema="shop_build", snapshot=at).fetchall()

    assert keys("orders.amount.minimum") == [("O1",), ("O2",)]
    assert keys("orders.primary_key") == [("O2",), ("O2",)]
    assert failing_rows(
        lake.con, ORDERS, "orders.amount.minimum", domain_schema="shop_build", snapshot=at, limit=1
    ).columns == ["id"]
    with pytest.raises(UsageError, match="no single row fails it"):
        keys("orders.rowCount")
    with pytest.raises(UsageError, match="lines has no column source_file"):
        keys("lines.id.in.orders")


def test_now_is_the_callers(lake: Lake) -> None:
    lake.build(ORDERS, orders=GOOD, lines=LINES)
    assert lake.audit(ORDERS).at == NOW


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ("(date '2026-01-08'), (date '2026-01-01')", "failed"),
        ("(date '2026-01-08'), (null)", "passed"),
        ("(null)", "passed"),
    ],
)
def test_retention_is_how_old_the_oldest_row_may_be(lake: Lake, rows: str, status: str) -> None:
    terms = contract(
        "- name: t\n  properties:\n    - {name: d, logicalType: date}",
        "slaProperties: [{property: retention, value: 5, unit: d, element: t.d}]",
    )
    lake.build(terms, t=rows)
    (found,) = (result for result in lake.audit(terms).results if result.kind == "retention")
    assert (found.rule_id, found.severity, found.status) == ("t.d.retention", "warning", status)
    assert not_executed(terms) == []
