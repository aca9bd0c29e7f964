"""A contract of the standard that no mesh wrote becomes a draft that a mesh reads; what is not in it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mesh.contract import not_executed
from mesh.contract.exchange import import_contract
from mesh.errors import ContractError, NotFound

FOREIGN = """\
apiVersion: v3.0.2
kind: DataContract
id: web-shop
version: '7'
status: development
domain: Web Shop
servers: [{server: prod, type: postgresql, host: db, port: 5432, database: shop, schema: public}]
schema:
  - name: Orders
    physicalName: T_ORDERS
    properties:
      - {name: orderId, logicalType: string, physicalType: varchar(36), primaryKey: true}
      - {name: customer, physicalType: int4, relationships: [{to: Customers.customerId}]}
      - {name: total, logicalType: number, physicalType: MONEY}
      - {name: placedAt, logicalType: date, physicalType: TIMESTAMP}
      - name: shipTo
        logicalType: object
        properties: [{name: postCode, logicalType: string, required: true}]
      - {name: blob}
    quality:
      - {type: library, rule: duplicateCount, mustBe: 0, arguments: {properties: [orderId, customer]}}
      - {type: sql, query: select count(*) from Orders where total < 0, mustBe: 0}
      - {type: sql, query: select count(*) from other, mustBe: 0}
  - name: Customers
    properties: [{name: customerId, logicalType: integer, physicalType: int4}]
  - name: events
    physicalType: topic
slaProperties:
  - {property: latency, value: 1, unit: d, element: Orders.placedAt}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "foreign.odcs.yaml"
    path.write_text(FOREIGN)
    return path


def test_a_contract_that_the_mesh_cannot_publish_becomes_a_draft_of_one_it_can(file: Path) -> None:
    found = import_contract(file, "odcs", domain="shop", product="orders")
    contract = found.contract
    assert (contract.name, contract.id, contract.version, contract.status) == (
        "shop/orders", "web-shop", "0.1.0", "draft",
    )  # fmt: skip
    assert {
        table.name: [(column.name, column.physical_type) for column in table.columns] for table in contract.tables
    } == {
        "orders": [
            ("order_id", "VARCHAR"), ("customer", "INTEGER"), ("total", "DECIMAL(18,3)"), ("placed_at", "TIMESTAMP"),
            ("ship_to", "STRUCT(post_code VARCHAR)"), ("blob", "VARCHAR"),
        ],
        "customers": [("customer_id", "INTEGER")],
    }  # fmt: skip
    assert [rule.id for rule in contract.rules] == [
        "orders.schema", "orders.primary_key", "orders.order_id.required", "orders.ship_to.post_code.required",
        "orders.order_id_customer.duplicateValues", "orders.sql", "orders.customer.in.customers",
        "orders.placed_at.latency", "customers.schema",
    ]  # fmt: skip
    assert found.left_out == (
        "version: 7 is no semantic version; 0.1.0 is taken",
        "Orders: is named orders here",
        "orderId: is named order_id here",
        "placedAt: is named placed_at here",
        "shipTo: is named ship_to here",
        "postCode: is named post_code here",
        "orders.blob: the type none is taken as string",
        "Customers: is named customers here",
        "customerId: is named customer_id here",
        "events: left out. A table without columns cannot be published.",
        "orders.total.physicalType: left out. `MONEY` cannot hold values of type number.",
        "orders.quality[2].query: left out. The query reads `other`, which is not this contract's.",
    )
    assert not_executed(contract) == [
        ("schema[0].physicalName", "it is published under its `name`"),
        ("servers", "the mesh knows where its tables are"),
    ]
    assert yaml.safe_load(found.text)["apiVersion"] == "v3.1.0"


def test_one_table_of_it_can_be_taken_alone(file: Path) -> None:
    found = import_contract(file, "odcs", domain="shop", product="people", table="Customers")
    assert [table.name for table in found.contract.tables] == ["customers"]
    with pytest.raises(NotFound, match="no table `nothing`"):
        import_contract(file, "odcs", domain="shop", product="people", table="nothing")


def test_what_the_standard_refuses_is_no_draft_but_an_error_at_its_line(file: Path) -> None:
    file.write_text(FOREIGN.replace("primaryKey: true", "primaryKeys: true"))
    with pytest.raises(ContractError, match="`primaryKeys` is not a key of the standard") as caught:
        import_contract(file, "odcs", domain="shop", product="orders")
    assert caught.value.line == 12
