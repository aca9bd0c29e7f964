"""Readers cannot write; sealed files are what they were."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import psycopg2
import pytest

from mesh.lake import attach_statement, create_schema, current_snapshot, load_extensions, seal, verify
from mesh.postgres import Postgres
from mesh.session import Mesh


@pytest.fixture
def mesh(make_mesh: Callable[..., Mesh]) -> Mesh:
    mesh = make_mesh()
    with mesh.writer() as connection:
        connection.execute("create schema shop_build; create table shop_build.orders as select 1 as order_id")
        connection.execute("create schema shop; create view shop.orders_v1 as select order_id from shop_build.orders")
    return mesh


@pytest.mark.parametrize(
    "statement",
    [
        "insert into shop_build.orders values (2)",
        "delete from shop_build.orders",
        "drop view shop.orders_v1",
        "create table shop.mine (i integer)",
    ],
)
def test_a_reader_cannot_write(mesh: Mesh, statement: str) -> None:
    reader = mesh.reader()
    with pytest.raises(duckdb.Error, match="read-only"):
        reader.execute(statement)


def test_a_client_that_drops_read_only_from_the_statement_still_cannot_write(mesh: Mesh) -> None:
    """The promise is kept by the Postgres role, not by the client's good will."""
    statement = attach_statement(mesh.postgres, mesh.settings, alias="m").replace(" (read_only)", "")
    client = duckdb.connect()
    load_extensions(client)
    client.execute(statement)
    with pytest.raises(duckdb.Error, match="permission denied"):
        client.execute("insert into m.shop_build.orders values (2)")
    assert mesh.reader().execute("select count(*) from shop.orders_v1").fetchone() == (1,)


def test_the_reader_role_reads_the_catalog_and_nothing_of_the_mesh_s_own_tables(mesh: Mesh) -> None:
    with psycopg2.connect(mesh.postgres.dsn(reader=True)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from ducklake_snapshot")
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("select * from mesh.audit")
    connection.close()


def test_a_pinned_reader_is_untouched_by_later_writes(mesh: Mesh) -> None:
    with mesh.writer() as connection:
        before = current_snapshot(connection)
    pinned = duckdb.connect()
    load_extensions(pinned)
    pinned.execute(attach_statement(mesh.postgres, mesh.settings, alias="m", at=before))
    with mesh.writer() as connection:
        connection.execute("drop view shop.orders_v1; drop table shop_build.orders")
    assert pinned.execute("select * from m.shop.orders_v1").fetchall() == [(1,)]


def test_sealed_files_are_verified_by_content(mesh: Mesh) -> None:
    with mesh.writer() as connection:
        files = seal(connection, "shop_build", ["orders"], current_snapshot(connection))
    assert [(file.table, file.bytes) for file in files] == [("orders", Path(files[0].path).stat().st_size)]
    assert verify(files) == ()

    path = Path(files[0].path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert verify(files) == (f"{path}: the content differs from what was sealed",)
    path.write_bytes(content[:-1])
    assert verify(files) == (f"{path}: {len(content) - 1} bytes, sealed with {len(content)}",)
    path.unlink()
    assert verify(files) == (f"{path}: the file is missing",)


def test_writers_that_create_a_schema_at_once_all_find_it(mesh: Mesh) -> None:
    """The first products of a domain may be published at the same moment."""
    writers, names = 4, [f"domain_{number}" for number in range(4)]
    together = threading.Barrier(writers, timeout=60)

    def create() -> None:
        with mesh.writer() as connection:
            for name in names:
                together.wait()
                try:
                    create_schema(connection, name)
                except BaseException:
                    together.abort()
                    raise

    with ThreadPoolExecutor(writers) as pool:
        for future in [pool.submit(create) for _ in range(writers)]:
            future.result()
    found = mesh.reader().execute("select schema_name from duckdb_schemas() where database_name = 'mesh'").fetchall()
    assert {name for (name,) in found} == {"main", "shop", "shop_build", *names}


@pytest.mark.parametrize(
    "leave",
    [
        "create temp table mine as select 1 as i",
        "create temp macro mine() as 1",
        "attach ':memory:' as mine",
        "begin; insert into shop_build.orders values (2)",
    ],
)
def test_a_writer_finds_nothing_of_the_one_before(mesh: Mesh, leave: str) -> None:
    """Writers share what is dear to set up, never what somebody did with it."""
    whatever = "select (select count(*) from duckdb_functions() where function_name = 'mine') + (select count(*) from "
    whatever += "duckdb_tables() where table_name = 'mine') + (select count(*) from duckdb_databases() where "
    whatever += "database_name = 'mine') + (select count(*) - 1 from lake.shop_build.orders)"
    with mesh.writer() as connection:
        connection.execute(leave)
        assert connection.execute(whatever).fetchone() == (1,)
    with mesh.writer() as connection:
        assert connection.execute(whatever).fetchone() == (0,)


def test_each_writer_reads_its_inputs_at_its_own_snapshot(mesh: Mesh) -> None:
    with mesh.writer() as connection:
        before = current_snapshot(connection)
        connection.execute("insert into shop_build.orders values (2)")
        after = current_snapshot(connection)
    seen = []
    for snapshot in (before, after, before):
        with mesh.writer(inputs_at=snapshot) as connection:
            found = connection.execute("select count(*) from inputs.shop.orders_v1").fetchone()
            seen.append((current_snapshot(connection, "inputs"), found))
    assert seen == [(before, (1,)), (after, (2,)), (before, (1,))]


def test_passwords_stay_out_of_representations(postgres_host: str) -> None:
    address = Postgres(postgres_host, 5432, "postgres", "hunter2", "db", "derived", embedded=False)
    assert "hunter2" not in repr(address)
    assert "derived" not in repr(address)
