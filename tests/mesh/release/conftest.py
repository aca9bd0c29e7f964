"""A mesh with one product of two tables, and a way to build candidates of it without any engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from mesh.audit import Audit, audit, quarantine
from mesh.contract import Contract
from mesh.lake import current_snapshot
from mesh.release import Build, Release, publish, record_audit, record_build
from mesh.session import Mesh, open_mesh

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
description: {purpose: Orders and their lines.}
team: {name: shop-data-team, members: [{username: shop-data-team, role: owner}]}
schema:
  - name: orders
    logicalType: object
    physicalType: table
    properties:
      - {name: order_id, logicalType: integer, physicalType: INTEGER, primaryKey: true, required: true}
      - name: amount
        logicalType: integer
        physicalType: INTEGER
        logicalTypeOptions: {minimum: 0}
  - name: lines
    logicalType: object
    physicalType: table
    properties:
      - {name: order_id, logicalType: integer, physicalType: INTEGER, required: true}
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

KEY = "shop/orders"


@dataclass(frozen=True)
class Shop:
    """A mesh that holds the product, and the steps of its life."""

    mesh: Mesh
    key: str = KEY

    @property
    def contract(self) -> Contract:
        return self.mesh.project.product(self.key).contract

    def of(self, key: str) -> Shop:
        """The same mesh with an eye on another product."""
        return replace(self, key=key)

    def edited(self, *changes: tuple[str, str], consumer: str | None = None) -> Shop:
        """The same mesh after an edit of its contract, or with a registered consumer, as a new process sees it.

        Args:
            changes: texts of the contract and what stands there now; a new version goes into domain.yaml too.
            consumer: the text of `contracts/shop/orders.consumers/till.yaml`.
        """
        root = self.mesh.settings.project
        file, domain = root / f"contracts/{KEY}.yaml", root / "data_products/shop/domain.yaml"
        text = file.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)
        domain.write_text(DOMAIN.replace("name: orders, version: 1.0.0", f"name: orders, version: {_version(text)}"))
        if consumer is not None:
            place = root / f"contracts/{KEY}.consumers/till.yaml"
            place.parent.mkdir(exist_ok=True)
            place.write_text(consumer)
        return Shop(open_mesh(self.mesh.settings))

    def build(self, amounts: Sequence[int | None], *, label: str = "x") -> Build:
        """A candidate with an order and a line per amount, quarantined and recorded, not yet audited."""
        rows = ", ".join(f"({i}, {'null' if a is None else a})" for i, a in enumerate(amounts))
        with self.mesh.writer() as connection:
            inputs_at = current_snapshot(connection)
            connection.execute("begin")
            connection.execute("create schema if not exists shop_build")
            connection.execute(
                f"create or replace table shop_build.orders as "
                f"select * from (values {rows}) t(order_id, amount) order by order_id"
            )
            connection.execute("create or replace table shop_build.lines as select order_id from shop_build.orders")
            connection.execute("commit")
        return self.finished(label, inputs_at)

    def released(self, label: str) -> Release:
        """What stands in the build tables, audited and published."""
        build = self.finished(label, 0)
        self.audit(build)
        return self.publish(build)

    def finished(self, label: str, inputs_at: int) -> Build:
        """The candidate that stands in the build tables, quarantined and recorded."""
        with self.mesh.writer() as connection:
            aside = quarantine(connection, self.contract, domain_schema="shop_build")
            build = Build(
                product=self.key,
                snapshot=current_snapshot(connection),
                inputs_snapshot=inputs_at,
                fingerprint=label,
                code_revision="test",
                run_id=f"run-{label}",
                quarantined=aside,
            )
        record_build(self.mesh.postgres, build)
        return build

    def audit(self, build: Build) -> Audit:
        with self.mesh.writer() as connection:
            found = audit(
                connection,
                self.contract,
                domain_schema="shop_build",
                snapshot=build.snapshot,
                now=datetime(2026, 1, 1),
                quarantined=build.quarantined,
            )
        record_audit(self.mesh.postgres, found)
        return found

    def publish(self, build: Build) -> Release:
        with self.mesh.writer() as connection:
            return publish(connection, self.mesh.postgres, self.mesh.project, self.contract, build, author="tester")

    def release(self, amounts: Sequence[int | None], *, label: str = "x") -> Release:
        """Build, audit and publish."""
        build = self.build(amounts, label=label)
        self.audit(build)
        return self.publish(build)

    def served(self, at: str | None = None) -> list[int]:
        """The amounts that a consumer reads."""
        connection = self.mesh.reader(at)
        try:
            rows = connection.execute("select amount from shop.orders_v1 order by order_id").fetchall()
        finally:
            connection.close()
        return [row[0] for row in rows]


def _version(contract: str) -> str:
    return str(yaml.safe_load(contract)["version"])


@pytest.fixture
def shop(make_mesh: Callable[..., Mesh], tmp_path: Path) -> Shop:
    project = tmp_path / "project"
    for name, text in (("contracts/shop/orders.yaml", CONTRACT), ("data_products/shop/domain.yaml", DOMAIN)):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return Shop(make_mesh(project))
