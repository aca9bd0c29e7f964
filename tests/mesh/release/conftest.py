"""A mesh with one product of two tables, and a way to build candidates of it without any engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from mesh.audit import Audit, audit, quarantine
from mesh.contract import Contract
from mesh.lake import current_snapshot
from mesh.release import Build, Release, publish, record_audit, record_build
from mesh.scaffold import new_major
from mesh.session import Mesh, open_mesh
from mesh.settings import Settings
from tests.conftest import create_database

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
OLDER = "shop/orders_v1"
TILL = "consumer: till\ncontact: {email: till@example.org}\ncolumns: [orders.amount]\n"
END = date(2999, 1, 1)
"""When an older major that a test keeps may end."""


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


def keep_major(shop: Shop) -> Shop:
    """The product in two majors: the first released once as the only one, with a consumer, and kept."""
    models = shop.mesh.settings.project / "dbt/models/shop/products"
    models.mkdir(parents=True)
    for table in ("orders", "lines"):
        (models / f"{table}.sql").write_text("select 1\n")
    first = shop.edited(consumer=TILL)
    first.release([1, 2])
    new_major(first.mesh.project, KEY, until=END.isoformat())
    return Shop(open_mesh(shop.mesh.settings))


def build_older(both: Shop, amounts: list[int]) -> Release:
    """A release of the older major, from tables of its own."""
    with both.mesh.writer() as connection:
        connection.execute("create schema if not exists shop_build")
        values = ", ".join(f"({i}, {amount})" for i, amount in enumerate(amounts))
        connection.execute(
            f"create or replace table shop_build.orders_major1 as select * from (values {values}) t(order_id, amount)"
        )
        connection.execute(
            "create or replace table shop_build.lines_major1 as select order_id from shop_build.orders_major1"
        )
    return both.of(OLDER).released("older")


def _version(contract: str) -> str:
    return str(yaml.safe_load(contract)["version"])


def new_shop(folder: Path, host: str) -> Shop:
    """The mesh with a home, a lake and a database of its own, for tests that share one."""
    address = SecretStr(f"postgresql://postgres@/{create_database(host)}?host={host}")
    settings = Settings(project=_project(folder), home=folder / "home", postgres_url=address, lake_data=folder / "lake")
    return Shop(open_mesh(settings))


def _project(folder: Path) -> Path:
    for name, text in ((f"contracts/{KEY}.yaml", CONTRACT), ("data_products/shop/domain.yaml", DOMAIN)):
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text)
    return folder / "project"


@pytest.fixture
def shop(make_mesh: Callable[..., Mesh], tmp_path: Path) -> Shop:
    return Shop(make_mesh(_project(tmp_path)))
