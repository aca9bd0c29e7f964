"""Failing rows and rows in quarantine, by key and by the place they were delivered in."""

from __future__ import annotations

from typing import Any

import pytest
from audit_lake import Lake, contract

from mesh.audit import Candidate, failing_rows, put_aside, rows_aside
from mesh.errors import UsageError

SCHEMA = """
- name: orders
  properties:
    - name: id
      logicalType: string
      primaryKey: true
      customProperties: [{property: action, value: quarantine}]
    - name: amount
      logicalType: integer
      logicalTypeOptions: {minimum: 0, maximum: 9}
      customProperties: [{property: action, value: quarantine}]
    - {name: source_file, logicalType: string}
    - {name: source_row, logicalType: integer}
- name: loose
  properties:
    - name: amount
      logicalType: integer
      logicalTypeOptions: {minimum: 0}
    - {name: source_file, logicalType: string}
    - {name: source_row, logicalType: integer}
"""
TERMS = contract(SCHEMA, "customProperties: [{property: quarantineLimitPercent, value: 60}]")
STRICT = contract(SCHEMA, "customProperties: [{property: quarantineLimitPercent, value: 0}]")
ROWS = "('b', -1, 'g', 2), ('a', -5, 'f', 9), ('c', 3, 'f', 1), ('d', 4, 'f', 2), ('d', 5, 'f', 3), ('e', 1, 'f', 4)"


def failing(lake: Lake, rule: str, at: int, **more: Any) -> Any:
    return failing_rows(lake.con, TERMS, rule, domain_schema="shop_build", snapshot=at, **more)


def aside(lake: Lake, at: int | None, rule: str, **more: Any) -> list[tuple[Any, ...]]:
    wanted: dict[str, Any] = {"columns": ("id", "_source_file", "_source_row"), "limit": 9} | more
    return rows_aside(Candidate(lake.con, "shop_build", at), "orders", rule, **wanted).fetchall()


def test_keys_come_with_file_and_row_in_key_order(lake: Lake) -> None:
    at = lake.build(TERMS, orders=ROWS, loose="(-1, 'h', 1), (1, 'h', 2)")
    found = failing(lake, "orders.amount.minimum", at)
    assert found.columns == ["id", "source_file", "source_row"]
    assert found.fetchall() == [("a", "f", 9), ("b", "g", 2)]
    assert failing(lake, "orders.primary_key", at).fetchall() == [("d", "f", 2), ("d", "f", 3)]
    assert failing(lake, "orders.amount.minimum", at, limit=1).fetchall() == [("a", "f", 9)]


def test_a_table_without_a_key_is_told_by_file_and_row(lake: Lake) -> None:
    found = failing(lake, "loose.amount.minimum", lake.build(TERMS, loose="(-1, 'h', 1), (1, 'h', 2), (-3, 'h', 3)"))
    assert (found.columns, found.fetchall()) == (["source_file", "source_row"], [("h", 1), ("h", 3)])


def test_only_the_columns_that_are_asked_for_are_read(lake: Lake) -> None:
    found = failing(lake, "orders.amount.minimum", lake.build(TERMS, orders=ROWS), columns=("source_row", "amount"))
    assert (found.columns, found.fetchall()) == (["source_row", "amount"], [(2, -1), (9, -5)])


def test_quarantined_rows_are_told_per_rule_as_of_the_snapshot(lake: Lake) -> None:
    lake.build(TERMS, orders="('a', -1, 'f', 1), (null, -2, 'f', 2), ('c', 1, 'f', 3), ('d', 2, 'f', 4)")
    lake.quarantine(TERMS)
    at = lake.snapshot
    lake.build(TERMS, orders="('z', 1, 'g', 1)")
    lake.quarantine(TERMS)
    assert put_aside(Candidate(lake.con, "shop_build", at), "orders") == {
        "orders.amount.minimum": 2,
        "orders.id.required": 1,
    }
    assert aside(lake, at, "orders.amount.minimum") == [("a", "f", 1), (None, "f", 2)]
    assert aside(lake, at, "orders.id.required") == [(None, "f", 2)]
    assert aside(lake, at, "orders.amount.minimum", columns=("_source_row",), limit=1) == [(1,)]
    assert put_aside(Candidate(lake.con, "shop_build", None), "orders") == {}


def test_rows_that_an_earlier_candidate_put_aside_are_not_told_as_this_ones(lake: Lake) -> None:
    """A refused quarantine leaves the rows of the build before in its table."""
    lake.build(TERMS, orders="('a', -1, 'f', 1), ('b', 1, 'f', 2)")
    lake.quarantine(TERMS)
    before = lake.snapshot
    lake.build(STRICT, orders="('x', -1, 'g', 1), ('y', 1, 'g', 2)")
    assert lake.quarantine(STRICT)["orders"].refused
    assert lake.rows("select id from shop_build.orders_quarantine") == [("a",)]
    assert put_aside(Candidate(lake.con, "shop_build", lake.snapshot), "orders") == {}
    assert aside(lake, None, "orders.amount.minimum") == []
    assert aside(lake, before, "orders.amount.minimum") == [("a", "f", 1)]


def test_nothing_was_put_aside_where_there_is_no_table(lake: Lake) -> None:
    assert put_aside(Candidate(lake.con, "shop_build", lake.snapshot), "orders") == {}
    assert put_aside(Candidate(lake.con, "shop_build", lake.build(TERMS, orders=ROWS)), "orders") == {}
    with pytest.raises(UsageError, match="No row of orders was put aside"):
        aside(lake, None, "orders.amount.minimum")
