"""Failing rows go aside, good rows stay, nothing is lost and nothing is written without need."""

from __future__ import annotations

import pytest
from audit_lake import Lake, contract
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.audit import Quarantined
from mesh.errors import BuildFailed

SCHEMA = """
- name: orders
  properties:
    - name: id
      logicalType: string
      primaryKey: true
      customProperties: [{property: action, value: quarantine}]
    - name: amount
      logicalType: integer
      logicalTypeOptions: {minimum: 0}
      customProperties: [{property: action, value: quarantine}]
    - {name: load_id, logicalType: string}
    - {name: source_file, logicalType: string}
    - {name: source_row, logicalType: integer}
- name: lines
  properties:
    - name: id
      logicalType: string
      relationships: [{to: orders.id, customProperties: [{property: action, value: quarantine}]}]
"""
TERMS = contract(SCHEMA, "customProperties: [{property: quarantineLimitPercent, value: 60}]")
WITHOUT_LIMIT = contract(SCHEMA, "customProperties: [{property: quarantineLimitPercent, value: 100}]")

ROWS = """
    ('a', 1, 'l1', 'f2', 1), ('a', 2, 'l1', 'f1', 9), ('a', -1, 'l1', 'f0', 1),
    ('b', 5, 'l1', 'f1', 2), (null, -3, 'l1', 'f1', 3), ('c', null, 'l1', 'f1', 4), ('d', 0, 'l1', 'f1', 5)
"""
ASIDE = (
    "select id, amount, _rule_ids, _load_id, _source_file, _source_row from shop_build.orders_quarantine order by all"
)


def test_failing_rows_move_and_the_first_of_the_good_duplicates_stays(lake: Lake) -> None:
    """The bad copy of 'a' came first, but a good row must not be lost for the sake of a bad one."""
    lake.build(TERMS, orders=ROWS, lines="('a'), ('b'), (null)")
    found = lake.quarantine(TERMS)
    assert lake.rows("select id, amount from shop_build.orders order by all") == [
        ("a", 2),
        ("b", 5),
        ("c", None),
        ("d", 0),
    ]
    assert lake.rows(ASIDE) == [
        ("a", -1, "orders.amount.minimum", "l1", "f0", 1),
        ("a", 1, "orders.primary_key", "l1", "f2", 1),
        (None, -3, "orders.id.required,orders.amount.minimum", "l1", "f1", 3),
    ]
    by_rule = {"orders.amount.minimum": 2, "orders.id.required": 1, "orders.primary_key": 1}
    assert found == {
        "orders": Quarantined("orders", 4, 3, 3, by_rule),
        "lines": Quarantined("lines", 3, 0, 0, {}),
    }


def test_rows_that_lose_what_they_point_to_follow_it(lake: Lake) -> None:
    lake.build(TERMS, orders="('a', 1, '', '', 1), ('b', -1, '', '', 2)", lines="('a'), ('b'), ('z'), (null)")
    assert lake.quarantine(TERMS)["lines"].by_rule == {"lines.id.in.orders": 2}
    assert lake.rows("select id from shop_build.lines order by all") == [("a",), (None,)]


def test_all_tables_move_in_one_snapshot(lake: Lake) -> None:
    before = lake.build(TERMS, orders="('a', 1, '', '', 1), ('b', -1, '', '', 2)", lines="('a'), ('b')")
    lake.quarantine(TERMS)
    assert lake.snapshot == before + 1


def test_after_quarantine_the_audit_passes_and_says_what_was_moved(lake: Lake) -> None:
    lake.build(TERMS, orders=ROWS, lines="('a')")
    assert lake.audit(TERMS).verdict == "failed"
    audit = lake.audit(TERMS, quarantined=lake.quarantine(TERMS))
    assert audit.verdict == "passed"
    assert audit.rows == {"orders": 4, "lines": 1}
    assert audit.quarantined == {"orders": 3}
    minimum = next(r for r in audit.results if r.rule_id == "orders.amount.minimum")
    assert (minimum.failing_rows, minimum.message) == (
        0,
        "0 rows of 3 failed (0 %); the number must be 0. Quarantined before: 2 rows.",
    )


def test_a_second_quarantine_writes_nothing_and_tells_the_same(lake: Lake) -> None:
    lake.build(TERMS, orders=ROWS, lines="('a')")
    first = lake.quarantine(TERMS)["orders"]
    at = lake.snapshot
    second = lake.quarantine(TERMS)["orders"]
    assert lake.snapshot == at
    assert (second.quarantined, second.by_rule, second.moved) == (first.quarantined, first.by_rule, 0)


def test_nothing_to_put_aside_writes_nothing(lake: Lake) -> None:
    before = lake.build(TERMS, orders="('a', 1, '', '', 1)", lines="('a')")
    lake.quarantine(TERMS)
    assert lake.snapshot == before
    assert lake.rows("select count(*) from duckdb_tables() where table_name like '%quarantine'") == [(0,)]


def test_the_quarantine_mirrors_the_newest_build(lake: Lake) -> None:
    lake.build(TERMS, orders=ROWS, lines="('a')")
    lake.quarantine(TERMS)
    lake.build(TERMS, orders="('x', -9, 'l2', 'f', 1), ('y', 1, 'l2', 'f', 2)", lines="('y')")
    lake.quarantine(TERMS)
    assert lake.rows(ASIDE) == [("x", -9, "orders.amount.minimum", "l2", "f", 1)]
    lake.build(TERMS, orders="('y', 1, 'l3', 'f', 2)", lines="('y')")
    assert lake.quarantine(TERMS)["orders"] == Quarantined("orders", 1, 0, 0, {})
    assert lake.rows(ASIDE) == []


def test_rows_appended_to_the_same_build_join_its_quarantine(lake: Lake) -> None:
    """An incremental build keeps its table, so what was put aside before still belongs to it."""
    lake.build(TERMS, orders="('x', -9, 'l1', 'f', 1), ('y', 1, 'l1', 'f', 2)", lines="('y')")
    lake.quarantine(TERMS)
    lake.con.execute("insert into shop_build.orders values ('z', -1, 'l2', 'g', 1), ('w', 1, 'l2', 'g', 2)")
    found = lake.quarantine(TERMS)["orders"]
    assert (found.rows, found.quarantined, found.moved) == (2, 2, 1)
    assert [row[0] for row in lake.rows(ASIDE)] == ["x", "z"]


def test_too_many_failing_rows_stay_and_fail_the_audit(lake: Lake) -> None:
    before = lake.build(TERMS, orders="('a', -1, '', '', 1), ('b', -1, '', '', 2), ('c', 1, '', '', 3)", lines="('c')")
    found = lake.quarantine(TERMS)
    assert lake.snapshot == before
    assert found["orders"] == Quarantined("orders", 3, 0, 0, {"orders.amount.minimum": 2}, refused=True)
    audit = lake.audit(TERMS, quarantined=found)
    assert [r.rule_id for r in audit.failed] == ["orders.amount.minimum"]
    assert "Too many rows fail to put them aside" in audit.failed[0].message


def test_a_warning_that_would_put_too_many_rows_aside_fails_all_the_same(lake: Lake) -> None:
    terms = contract(
        "- name: orders\n  properties:\n    - name: x\n      logicalType: integer\n      required: true\n"
        "      customProperties: [{property: action, value: quarantine}, {property: severity, value: warning}]\n"
    )
    lake.build(terms, orders="(1), (null)")
    assert lake.audit(terms).verdict == "warned"
    assert lake.audit(terms, quarantined=lake.quarantine(terms)).verdict == "failed"


def test_a_column_of_another_type_is_left_to_the_audit(lake: Lake) -> None:
    lake.build(TERMS, lines="('a')")
    lake.con.execute(
        "create or replace table shop_build.orders as "
        "select 'a' as id, 'low' as amount, '' as load_id, '' as source_file, 1::bigint as source_row"
    )
    lake.quarantine(TERMS)
    assert lake.rows("select count(*) from shop_build.orders") == [(1,)]
    assert lake.audit(TERMS).verdict == "failed"


def test_an_engine_error_leaves_everything_as_it_was(lake: Lake) -> None:
    terms = contract(
        """
- name: orders
  properties:
    - name: id
      logicalType: string
      relationships: [{to: crm.customers.id, customProperties: [{property: action, value: quarantine}]}]
"""
    )
    lake.con.execute("create schema inputs.crm")
    lake.con.execute("create view inputs.crm.customers_v1 as select 1::bigint as id")
    before = lake.build(terms, orders="('secret')")
    with pytest.raises(BuildFailed, match="failing rows could not be put aside") as caught:
        lake.quarantine(terms)
    assert "secret" not in str(caught.value)
    assert lake.snapshot == before
    lake.con.execute("begin")  # No transaction was left open.
    lake.con.execute("rollback")


row = st.tuples(
    st.sampled_from(["a", "b", "c", None]),
    st.sampled_from([-1, 0, 1, None]),
    st.sampled_from(["f1", "f2"]),
    st.integers(1, 3),
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, min_size=1, max_size=12))
def test_every_row_is_either_kept_or_put_aside_and_what_is_kept_passes(lake: Lake, rows: list) -> None:
    """The numbers of a release must add up."""
    text = ", ".join(
        f"({'null' if i is None else repr(i)}, {'null' if a is None else a}, 'l', {f!r}, {n})" for i, a, f, n in rows
    )
    terms = WITHOUT_LIMIT
    lake.build(terms, orders=text)
    before = lake.rows("select * from shop_build.orders order by all")
    found = lake.quarantine(terms)["orders"]
    assert not found.refused
    aside = (
        "select id, amount, load_id, source_file, source_row from shop_build.orders_quarantine"
        if found.moved
        else "select * from shop_build.orders where false"
    )
    both = lake.rows(f"select * from (select * from shop_build.orders union all {aside}) order by all")
    assert both == before
    assert (found.rows, found.quarantined) == (len(both) - found.moved, found.moved)
    good = {i for i, a, _, _ in rows if i is not None and (a is None or a >= 0)}
    assert {i for (i,) in lake.rows("select id from shop_build.orders")} == good, "of every good key one row stays"
    assert all(result.passed for result in lake.audit(terms).results)
