"""The entity store: whole or not there, of one moment of the mesh, and refused where it is damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from mesh.errors import NotFound, UsageError
from mesh.features import Features
from mesh.features.building import build_store
from mesh.features.definition import Entity, Window
from mesh.features.kept import keeping
from mesh.features.live import LiveRows
from mesh.features.online import Online
from mesh.features.published import build_published
from mesh.features.store import DATA, MANIFEST, EntityStore, StoreError
from mesh.features.types import INTEGER, TIMESTAMP
from tests.mesh.features.histories import DAY, as_tuple, empty_tables, fill
from tests.mesh.release.conftest import Shop, shop

__all__ = ["shop"]

START = 18_300 * DAY
ORDERS = Features(
    product="shop/order_features", of="shop/orders", key=("order_id",), time="placed_at",
    row={"order_id": INTEGER, "amount": INTEGER, "placed_at": TIMESTAMP}, published={}, columns_in_order=(),
    spans={"24h": DAY, "all": None},
    entities=(Entity("amount", ("amount",), ("24h", "all"), (Window("orders"), Window("money", "amount"))),),
)  # fmt: skip
"""Orders of the same amount belong together: all that a small shop needs."""


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@pytest.fixture
def built(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Path:
    """A store of three orders."""
    tables = empty_tables(con, ORDERS)
    rows = [{"order_id": number, "amount": 5, "placed_at": START + number * DAY} for number in range(3)]
    fill(con, tables["shop/orders"], rows, ORDERS.row)
    build_store(con, keeping(ORDERS), tables, tmp_path / "store", snapshot=7, releases={"shop/orders": "shop/orders@3"})
    return tmp_path / "store"


def counted(folder: Path, **row: int) -> tuple[int | None, ...]:
    with EntityStore(folder, keeping(ORDERS)) as store:
        side = Online(LiveRows(keeping(ORDERS), store, capacity=4))
        return side.aggregates(side.hashed(as_tuple(ORDERS, row)))


def test_a_store_says_what_it_was_built_from(built: Path) -> None:
    with EntityStore(built, keeping(ORDERS)) as store:
        found = store.manifest
    assert (found.product, found.snapshot, found.releases) == (
        "shop/order_features", 7, {"shop/orders": "shop/orders@3"},
    )  # fmt: skip
    assert (found.rows, found.newest, found.entities) == (3, START + 2 * DAY, {"amount": 1})
    assert found.bytes == (built / DATA).stat().st_size
    assert counted(built, order_id=9, amount=5, placed_at=START + 3 * DAY) == (1, 3, 5, 15)


def test_only_its_owner_can_read_it(built: Path) -> None:
    """Texts of tokens, postcodes and devices lie in it."""
    assert built.stat().st_mode & 0o077 == 0
    assert (built / DATA).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("place", [0.0, 0.3, 0.6, 0.999])
def test_one_wrong_byte_anywhere_is_refused(built: Path, place: float) -> None:
    raw = bytearray((built / DATA).read_bytes())
    raw[int(len(raw) * place)] ^= 1
    (built / DATA).write_bytes(raw)
    with pytest.raises(StoreError, match="the content differs from what was built"):
        EntityStore(built, keeping(ORDERS))


def test_a_truncated_store_is_refused_even_unchecked(built: Path) -> None:
    raw = (built / DATA).read_bytes()
    (built / DATA).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(StoreError, match=f"{len(raw) // 2} bytes, built with {len(raw)}"):
        EntityStore(built, keeping(ORDERS), check=False)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"format": 1}'])
def test_a_damaged_manifest_is_refused(built: Path, text: str) -> None:
    (built / MANIFEST).write_text(text)
    with pytest.raises(StoreError, match="not the manifest of an entity store"):
        EntityStore(built, keeping(ORDERS))


def test_a_manifest_of_another_format_is_refused(built: Path) -> None:
    text = (built / MANIFEST).read_text()
    (built / MANIFEST).write_text(text.replace("entities/1", "entities/0"))
    with pytest.raises(StoreError, match=r"format insight-mesh/entities/0\. Allowed: insight-mesh/entities/1"):
        EntityStore(built, keeping(ORDERS))


def test_a_store_without_its_data_is_refused(built: Path) -> None:
    (built / DATA).unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        EntityStore(built, keeping(ORDERS))


def test_a_folder_without_a_manifest_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no entity store is here"):
        EntityStore(tmp_path, keeping(ORDERS))


def test_a_store_of_another_declaration_is_refused(built: Path) -> None:
    [entity] = ORDERS.entities
    other = replace(ORDERS, entities=(replace(entity, windows=entity.windows[:1]),))
    with pytest.raises(StoreError, match="built for another declaration of shop/order_features"):
        EntityStore(built, keeping(other))


def test_a_store_serves_any_spans(built: Path) -> None:
    """It holds moments, not counts, so a new span needs no new store."""
    [entity] = ORDERS.entities
    other = replace(ORDERS, spans={"48h": 2 * DAY}, entities=(replace(entity, spans=("48h",)),))
    with EntityStore(built, keeping(other)) as store:
        side = Online(LiveRows(keeping(other), store, capacity=4))
        assert side.aggregates(side.hashed((9, 5, START + 3 * DAY))) == (2, 10)


def test_a_build_that_is_killed_leaves_nothing_that_could_be_taken_for_a_store(tmp_path: Path) -> None:
    """The next build of the same store sweeps what is left of it."""
    script = (
        "import os, signal, sys, duckdb\n"
        "from pathlib import Path\n"
        "from mesh.features import building\n"
        "from mesh.features.kept import keeping\n"
        "from tests.mesh.features.histories import empty_tables\n"
        "from tests.mesh.features.test_store import ORDERS\n"
        "building._write_synced = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "con = duckdb.connect()\n"
        "building.build_store(con, keeping(ORDERS), empty_tables(con, ORDERS), Path(sys.argv[1]))\n"
    )
    folder = tmp_path / "store"
    done = subprocess.run([sys.executable, "-c", script, str(folder)], cwd=Path(__file__).parents[3], timeout=120)
    assert done.returncode == -9
    assert not folder.exists()
    [left] = tmp_path.iterdir()
    assert (left / DATA).exists()
    with duckdb.connect() as con:
        build_store(con, keeping(ORDERS), empty_tables(con, ORDERS), folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_build_that_fails_leaves_nothing(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error):
        build_store(con, keeping(ORDERS), {"shop/orders": "nowhere"}, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []
    assert con.execute("select count(*) from duckdb_tables()").fetchone() == (0,)


def test_a_store_is_never_built_over_another(con: duckdb.DuckDBPyConnection, built: Path) -> None:
    with pytest.raises(UsageError, match="is there already"):
        build_store(con, keeping(ORDERS), {"shop/orders": "shop_orders"}, built)


def test_a_product_without_a_relation_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No relation is given for shop/orders"):
        build_store(con, keeping(ORDERS), {}, tmp_path / "store")


def test_a_store_is_built_from_what_the_mesh_serves_at_one_snapshot(shop: Shop, tmp_path: Path) -> None:
    placed = "      - {name: placed_at, logicalType: timestamp, physicalType: TIMESTAMP}\n"
    lines = "  - name: lines\n"
    shop = shop.edited((lines, placed + lines))
    for orders, label in ((2, "first"), (5, "second")):
        with shop.mesh.writer() as connection:
            connection.execute("create schema if not exists shop_build")
            connection.execute(
                "create or replace table shop_build.orders as select i::integer as order_id, 5 as amount, "
                f"timestamp '2020-02-08' + interval (i) minutes as placed_at from range({orders}) t(i)"
            )
            connection.execute("create or replace table shop_build.lines as select order_id from shop_build.orders")
        release = shop.released(label)
        if label == "first":
            earlier = release
    at = {"order_id": 9, "amount": 5, "placed_at": START + DAY}
    found = build_published(shop.mesh, keeping(ORDERS), tmp_path / "now")
    assert (found.releases, found.rows) == ({"shop/orders": "shop/orders@2"}, 5)
    assert counted(tmp_path / "now", **at) == (5, 5, 25, 25)
    then = build_published(shop.mesh, keeping(ORDERS), tmp_path / "then", at=earlier.commit)
    assert (then.releases, then.rows, then.snapshot) == ({"shop/orders": "shop/orders@1"}, 2, earlier.commit)
    assert counted(tmp_path / "then", **at) == (2, 2, 10, 10)
    with pytest.raises(NotFound, match="shop/orders has no release"):
        build_published(shop.mesh, keeping(ORDERS), tmp_path / "before", at=0)
