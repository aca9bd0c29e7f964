"""A mesh whose every text tries to break out of a page, with releases, a rollback, a consumer and looks at values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from mesh.access.log import Look, record_looks
from mesh.catalogue import Site, gather
from mesh.lineage import ColumnLineage, ColumnSource
from mesh.release import record_build, rollback
from mesh.session import Mesh, open_mesh
from mesh.settings import Settings
from tests.conftest import create_database
from tests.mesh.release.conftest import CONTRACT, DOMAIN, KEY, Shop

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;<style>"
ADDRESS = "till@shop.example"
QUOTED = HOSTILE.replace("'", "''")

BILLS = f"""\
apiVersion: v3.1.0
kind: DataContract
id: shop-bills
name: bills
version: 2.1.0
status: draft
domain: shop
dataProduct: bills
description: {{purpose: Bills of orders.}}
team: {{name: shop-data-team, members: [{{username: shop-data-team, role: owner}}]}}
schema:
  - name: bills
    properties:
      - {{name: bill_id, logicalType: integer, classification: internal, primaryKey: true, description: '{QUOTED}'}}
      - name: place
        logicalType: object
        classification: internal
        properties: [{{name: street, logicalType: string, classification: restricted, description: Where to.}}]
"""
CONSUMER = f"""\
consumer: till
description: '{QUOTED}'
contact: {{email: {ADDRESS}, webhook: "https://shop.example/hooks/secret-word"}}
columns: [orders.amount]
"""


def hostile_shop(folder: Path, host: str) -> Shop:
    """The mesh, nothing released yet."""
    level = (
        "slaProperties:\n  - {property: freshness, value: 24, unit: h}\n  - {property: frequency, value: 1, unit: d}\n"
        "  - {property: availability, value: 99, unit: percent}\n"
    )
    contract = CONTRACT.replace("Orders and their lines.", f"'{QUOTED}'") + level
    contract = contract.replace(
        "      - name: amount\n",
        f"      - name: amount\n        description: '{QUOTED}'\n        classification: internal\n",
    )
    domain = DOMAIN.replace("A shop.", f"'{QUOTED}'").replace("outputPorts:\n", (
        "inputPorts:\n"
        "  - {name: raw_orders, version: 1.0.0, contractId: 'source:raw_orders', "
        "customProperties: [{property: columns, value: [order_id]}, {property: usedBy, value: [orders]}]}\n"
        "outputPorts:\n"
        "  - {name: bills, version: 2.1.0, contractId: shop-bills, "
        "inputContracts: [{id: shop-orders, version: 1.0.0}]}\n"
    ))  # fmt: skip
    for name, text in (
        (f"contracts/{KEY}.yaml", contract),
        ("contracts/shop/bills.yaml", BILLS),
        (f"contracts/{KEY}.consumers/till.yaml", CONSUMER),
        ("data_products/shop/domain.yaml", domain),
    ):
        (folder / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "project" / name).write_text(text)
    database = create_database(host)
    return Shop(
        open_mesh(
            Settings(
                project=folder / "project",
                home=folder / "home",
                postgres_url=SecretStr(f"postgresql://postgres@/{database}?host={host}"),
                lake_data=folder / "lake",
            )
        )
    )


def released(shop: Shop) -> None:
    """Two releases with lineage, and the way back to the first."""
    for amounts in ([1, 2], [3, 4, 5]):
        build = shop.build(amounts)
        traced = {
            "orders": (
                ColumnLineage("order_id", (ColumnSource("shop_build.raw_orders", "order_id"),)),
                ColumnLineage("amount", (ColumnSource("shop.orders_v1", "amount", "aggregation"),), HOSTILE),
            )
        }
        record_build(shop.mesh.postgres, build := build.model_copy(update={"lineage": traced}))
        shop.audit(build)
        shop.publish(build)
    with shop.mesh.writer() as connection:
        rollback(connection, shop.mesh.postgres, KEY, 1, why=HOSTILE, author="secret person")
    look = Look("secret person", "analyst", "secret purpose", KEY, "orders.amount.minimum", 1, 7, ("amount",))
    record_looks(shop.mesh.postgres, [look, replace(look, rows=5), replace(look, role="clerk", rows=1)])


@pytest.fixture(scope="session")
def shop(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    made = hostile_shop(tmp_path_factory.mktemp("catalogue"), postgres_host)
    released(made)
    # Only now: a consumer that cannot be read keeps its producer from publishing.
    (made.mesh.settings.project / f"contracts/{KEY}.consumers/wrong.yaml").write_text("consumer: wrong\n")
    return made


@pytest.fixture
def mesh(shop: Shop) -> Mesh:
    """The mesh as a new process sees it."""
    return open_mesh(shop.mesh.settings)


@pytest.fixture(scope="session")
def pages(shop: Shop) -> dict[str, str]:
    site = Site(gather(open_mesh(shop.mesh.settings)))
    return {path: site.page(path) or "" for path in site.paths}
