"""The gate itself: a candidate that breaks one error rule of any kind is refused by `publish`, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import get_args

import duckdb
import pytest

from mesh.audit import Audit, audit
from mesh.contract import Contract
from mesh.contract.model import Kind
from mesh.errors import AuditFailed
from mesh.lake import current_snapshot
from mesh.release import Build, Release, publish, record_audit, record_build
from mesh.session import Mesh

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
description: {purpose: Orders.}
team: {name: shop-data-team, members: [{username: shop-data-team, role: owner}]}
schema:
  - name: orders
    properties:
      - {name: id, logicalType: integer, physicalType: INTEGER, primaryKey: true, required: true}
      - {name: code, logicalType: string, logicalTypeOptions: {minLength: 3, maxLength: 5, pattern: '^[A-Z]'}}
      - {name: mail, logicalType: string, logicalTypeOptions: {format: email}}
      - {name: amount, logicalType: number, physicalType: 'DECIMAL(9,2)', logicalTypeOptions: {minimum: 0, maximum: 9}}
      - name: weight
        logicalType: number
        physicalType: DECIMAL(9,2)
        logicalTypeOptions: {exclusiveMinimum: 0, exclusiveMaximum: 9, multipleOf: 0.5}
      - name: state
        logicalType: string
        quality:
          - {metric: invalidValues, arguments: {validValues: [new, paid]}, mustBe: 0}
          - {metric: missingValues, arguments: {missingValues: [n/a, '']}, mustBe: 0}
      - {name: before, logicalType: integer, physicalType: INTEGER, relationships: [{to: orders.id}]}
      - {name: sent, logicalType: timestamp, physicalType: TIMESTAMP}
      - name: marks
        logicalType: array
        logicalTypeOptions: {minItems: 1, maxItems: 2, uniqueItems: true}
        items: {logicalType: integer}
      - name: box
        logicalType: object
        logicalTypeOptions: {minProperties: 2, maxProperties: 2, required: [a]}
        properties:
          - {name: a, logicalType: integer}
          - {name: b, logicalType: integer}
          - {name: c, logicalType: integer}
    quality:
      - type: custom
        engine: greatExpectations
        implementation: {type: expect_column_values_to_not_match_regex, kwargs: {column: mail, regex: y.org}}
      - {metric: rowCount, mustBeGreaterThan: 0}
      - {id: few_dear, type: sql, query: 'select count(*) from ${table} where amount = 9', mustBeLessThan: 2}
slaProperties:
  - {property: freshness, value: 1, unit: d, element: orders.sent}
  - {property: retention, value: 60, unit: d, element: orders.sent}
customProperties:
  - {property: retentionSeverity, value: error}
  - {property: freshnessSeverity, value: error}
"""

DOMAIN = """\
apiVersion: v1.0.0
kind: DataProduct
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
description: {purpose: A shop.}
outputPorts:
  - {name: orders, version: 1.0.0, contractId: shop-orders}
"""

NOW = datetime(2026, 3, 2, 12, 0, 0)
CLEAN = (
    "(1, 'ABC', 'a@x.org', 9.00, 0.50, 'new', null, timestamp '2026-03-02 09:00:00', [1], "
    "{'a': 1, 'b': 2, 'c': null}), "
    "(2, 'ABCDE', 'b@x.org', 0.00, 8.50, 'paid', 1, timestamp '2026-02-01 09:00:00', [1, 2], null)"
)

# What breaks each kind of rule, as one statement on the build table.
BREAKS: dict[str, str] = {
    "schema": "alter table {t} add column surplus integer",
    "nullValues": "update {t} set id = null where id = 2",
    "missingValues": "update {t} set state = 'n/a' where id = 2",
    "invalidValues": "update {t} set state = 'lost' where id = 2",
    "duplicateValues": "update {t} set id = 1",
    "rowCount": "delete from {t}",
    "pattern": "update {t} set code = 'abc' where id = 2",
    "format": "update {t} set mail = 'nobody' where id = 2",
    "minLength": "update {t} set code = 'AB' where id = 2",
    "maxLength": "update {t} set code = 'ABCDEF' where id = 2",
    "minimum": "update {t} set amount = -0.01 where id = 2",
    "maximum": "update {t} set amount = 9.01 where id = 2",
    "exclusiveMinimum": "update {t} set weight = 0 where id = 2",
    "exclusiveMaximum": "update {t} set weight = 9 where id = 2",
    "multipleOf": "update {t} set weight = 0.75 where id = 2",
    "sql": "update {t} set amount = 9",
    "relationship": "update {t} set before = 3 where id = 2",
    "freshness": "update {t} set sent = timestamp '2026-02-28 09:00:00' where id = 1",
    "retention": "update {t} set sent = timestamp '2025-12-01 09:00:00' where id = 2",
    "minItems": "update {t} set marks = [] where id = 2",
    "maxItems": "update {t} set marks = [1, 2, 3] where id = 2",
    "uniqueItems": "update {t} set marks = [1, 1] where id = 2",
    "minProperties": "update {t} set box = {{'a': 1, 'b': null, 'c': null}} where id = 2",
    "maxProperties": "update {t} set box = {{'a': 1, 'b': 2, 'c': 3}} where id = 2",
    "requiredProperties": "update {t} set box = {{'a': null, 'b': 2, 'c': 3}} where id = 2",
    "expectation": "update {t} set mail = 'b@y.org' where id = 2",
}

# Kinds that fail beside the one that is broken, and why that cannot be helped.
BESIDE = {
    "missingValues": {"invalidValues": "a word that means missing is not in the list of valid words either"},
    "rowCount": {"freshness": "a table without rows holds nothing that is fresh"},
}
ELSEWHERE = {"unmet"}  # made from a consumer's file, not from a contract


class Shop:
    """One product and the steps of its life, over one connection."""

    def __init__(self, mesh: Mesh, connection: duckdb.DuckDBPyConnection) -> None:
        self.mesh, self.connection = mesh, connection
        self.project = mesh.project
        self.contract: Contract = self.project.product("shop/orders").contract
        connection.execute("create schema shop_build")

    def build(self, damage: str | None = None) -> Build:
        columns = ", ".join(f"{column.name} {column.physical_type}" for column in self.contract.table("orders").columns)
        self.connection.execute(f"create or replace temp table orders ({columns})")
        self.connection.execute(f"insert into orders values {CLEAN}")
        if damage:
            self.connection.execute(damage.format(t="orders"))
        self.connection.execute("create or replace table shop_build.orders as from orders")
        at = current_snapshot(self.connection)
        build = Build(
            product="shop/orders", snapshot=at, inputs_snapshot=at, fingerprint="x", code_revision="test",
            run_id="run", quarantined={},
        )  # fmt: skip
        record_build(self.mesh.postgres, build)
        return build

    def audit(self, build: Build) -> Audit:
        found = audit(self.connection, self.contract, domain_schema="shop_build", snapshot=build.snapshot, now=NOW)
        record_audit(self.mesh.postgres, found)
        return found

    def publish(self, build: Build) -> Release:
        return publish(self.connection, self.mesh.postgres, self.project, self.contract, build, author="tester")

    def served(self) -> list[tuple[object, ...]]:
        return self.connection.execute("select * from shop.orders_v1 order by id").fetchall()


@pytest.fixture
def shop(make_mesh: Callable[..., Mesh], tmp_path: Path) -> Iterator[Shop]:
    project = tmp_path / "project"
    for name, text in (("contracts/shop/orders.yaml", CONTRACT), ("data_products/shop/domain.yaml", DOMAIN)):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    mesh = make_mesh(project)
    with mesh.writer() as connection:
        yield Shop(mesh, connection)


def test_every_kind_of_rule_has_a_way_to_be_broken() -> None:
    assert set(BREAKS) == set(get_args(Kind)) - ELSEWHERE


def test_the_gate_refuses_a_candidate_that_breaks_one_rule_of_any_kind(shop: Shop) -> None:
    """One mesh for all kinds: each refusal must leave the first release served."""
    assert {rule.kind for rule in shop.contract.rules} == set(BREAKS)
    first = shop.build()
    assert shop.audit(first).verdict == "passed"
    shop.publish(first)
    before = shop.served()
    for kind, damage in BREAKS.items():
        build = shop.build(damage)
        found = shop.audit(build)
        assert {result.kind for result in found.failed} == {kind, *BESIDE.get(kind, ())}, kind
        with pytest.raises(AuditFailed) as refused:
            shop.publish(build)
        assert set(refused.value.failed) == {result.rule_id for result in found.failed}
        assert shop.served() == before, kind
    assert [release.release for release in shop.mesh.history().of("shop/orders")] == [1]
