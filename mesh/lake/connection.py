"""DuckDB connections to the lake: writers, readers, pinned inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import duckdb

from mesh.errors import ServiceError
from mesh.lake import engine
from mesh.postgres import Postgres
from mesh.settings import Settings

LAKE = "lake"
INPUTS = "inputs"

_ALONE_WHERE_NEW = """
    select case when to_regclass('public.ducklake_metadata') is null
        then pg_advisory_xact_lock(hashtextextended('mesh:catalog', 0)) end
"""


def attach_statement(postgres: Postgres, settings: Settings, *, alias: str, at: int | None = None) -> str:
    """The statement that attaches the mesh read-only in any DuckDB client.

    Args:
        at: a lake snapshot; the whole mesh is then seen as it was, views included.
    """
    pinned = f", snapshot_version {at}" if at is not None else ""
    source = f"ducklake:postgres:{postgres.dsn(reader=True)}"
    return f"attach {_text(source)} as {alias} (read_only{pinned})"


def attach_lake(connection: duckdb.DuckDBPyConnection, postgres: Postgres, settings: Settings) -> None:
    """Attach the writable lake as `lake`, creating its catalog on first use.

    Data inlining stays off: a small table must have a file too, or there is nothing to seal and verify.
    """
    settings.lake_dir.mkdir(parents=True, exist_ok=True)
    with postgres.cursor() as cursor:
        # Two processes that create the catalog at once fail each other; where it is there, nobody waits.
        cursor.execute(_ALONE_WHERE_NEW)
        connection.execute(
            f"attach if not exists {_text('ducklake:postgres:' + postgres.dsn())} as {LAKE} "
            f"(data_path {_text(str(settings.lake_dir) + '/')}, data_inlining_row_limit 0)"
        )


def attach_inputs(connection: duckdb.DuckDBPyConnection, postgres: Postgres, settings: Settings, at: int) -> None:
    """Attach the whole mesh as it was at snapshot `at`, read-only, as `inputs`."""
    connection.execute(attach_statement(postgres, settings, alias=INPUTS, at=at))


@contextlib.contextmanager
def writer(
    postgres: Postgres, settings: Settings, *, inputs_at: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can write the lake, optionally with `inputs` pinned."""
    connection = engine.take(settings)
    try:
        attach_lake(connection, postgres, settings)
        if inputs_at is not None:
            attach_inputs(connection, postgres, settings, inputs_at)
        connection.execute(f"use {LAKE}")
        yield connection
    except BaseException:
        connection.close()
        raise
    engine.give_back(connection, detach=(INPUTS, LAKE))


def reader(postgres: Postgres, settings: Settings, *, at: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection that can only read, with the mesh attached as `mesh` and in use. The caller closes it."""
    connection = engine.connect(settings)
    try:
        connection.execute(attach_statement(postgres, settings, alias="mesh", at=at))
    except duckdb.Error as error:
        connection.close()
        with postgres.cursor() as cursor:
            cursor.execute("select to_regclass('public.ducklake_metadata') is not null")
            there = cursor.fetchone()[0]
        if not there:
            raise ServiceError(
                "The lake has no catalog yet: nothing was ever built here. Run `mesh run` first."
            ) from error
        secret = postgres.reader_password
        said = str(error).strip().splitlines()[0]
        raise ServiceError(f"The lake cannot be read: {said.replace(secret, '***') if secret else said}") from error
    connection.execute("use mesh")
    return connection


def current_snapshot(connection: duckdb.DuckDBPyConnection, catalog: str = LAKE) -> int:
    """The snapshot a catalog shows now (for a pinned one: the pin)."""
    row = connection.execute(f"select id from ducklake_current_snapshot('{catalog}')").fetchone()
    assert row is not None
    return int(row[0])


def newest_snapshot(postgres: Postgres) -> int:
    """The lake's newest snapshot, asked of the catalog itself, which takes a millisecond; 0 where there is no lake."""
    with postgres.cursor() as cursor:
        cursor.execute("select to_regclass('public.ducklake_snapshot') is not null")
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute("select coalesce(max(snapshot_id), 0) from ducklake_snapshot")
        return int(cursor.fetchone()[0])


def homes(postgres: Postgres, names: Iterable[str]) -> dict[str, set[str]]:
    """The schemas in which tables or views of these names stand now, as the catalog says; a name that stands nowhere
    is left out.
    """
    found: dict[str, set[str]] = {}
    with postgres.cursor() as cursor:
        cursor.execute(_HOMES, {"names": list(names)})
        for name, schema in cursor.fetchall():
            found.setdefault(name, set()).add(schema)
    return found


_HOMES = """
    select entry.name, schema_name from (
        select table_name as name, schema_id, end_snapshot from ducklake_table
        union all
        select view_name, schema_id, end_snapshot from ducklake_view
    ) as entry
    join ducklake_schema using (schema_id)
    where entry.end_snapshot is null and entry.name = any(%(names)s)
"""


def create_schema(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Create a schema of the lake where it is missing. Must not be called inside a transaction.

    "If not exists" looks at the snapshot a statement starts from: of two writers that make the first product of a
    domain at once, the later one conflicts. What it wanted is there by then.
    """
    statement = f'create schema if not exists {LAKE}."{name}"'
    try:
        connection.execute(statement)
    except duckdb.TransactionException:
        connection.execute(statement)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
