"""The bookkeeping of a domain's raw tables, in the lake beside them.

`<domain>_build.loads` is append-only, one row for each file that was loaded or found to be a duplicate. What counts
is the newest row of each file (`loaded_seq`): `<domain>_build.current_loads` shows those that hold rows.
`<domain>_build.rejected_rows` lists the records that could not be read, without their content.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from mesh.ingest.plan import Recorded
from mesh.ingest.raw import BOOKKEEPING, RawTable

LOADS = "loads"
REJECTED = "rejected_rows"
CURRENT = "current_loads"
LOADS_COLUMNS = (
    ("load_id", "varchar"),
    ("source", "varchar"),
    ("raw_table", "varchar"),
    ("source_file", "varchar"),
    ("sha256", "varchar"),
    ("bytes", "bigint"),
    ("rows", "bigint"),
    ("rejected", "bigint"),
    ("loaded_at", "timestamp"),
    ("loaded_seq", "bigint"),
    ("duplicate_of", "varchar"),
    ("mapping", "varchar"),
    ("key_id", "varchar"),
    ("run_id", "varchar"),
)
REJECTED_COLUMNS = (
    ("load_id", "varchar"),
    ("source", "varchar"),
    ("source_file", "varchar"),
    ("source_row", "bigint"),
    ("reason", "varchar"),
)


@dataclass(frozen=True)
class SourceRows:
    """What the current loads of a raw table brought: `rows` are in the table, `rejected` are not."""

    rows: int
    rejected: int
    loads: int


def build_schema(domain: str) -> str:
    """The private schema of a domain."""
    return f"{domain}_build"


def source_rows(con: duckdb.DuckDBPyConnection, domain: str, raw_table: str, *, catalog: str = "lake") -> SourceRows:
    """How many rows the current loads of a raw table hold and how many records they rejected."""
    if not _exists(con, catalog, domain, LOADS):
        return SourceRows(0, 0, 0)
    found = con.execute(
        f"select coalesce(sum(rows), 0), coalesce(sum(rejected), 0), count(*) "
        f"from {catalog}.{build_schema(domain)}.{CURRENT} where raw_table = ?",
        [raw_table],
    ).fetchall()
    return SourceRows(*(int(number) for number in found[0]))


def rejected_records(
    con: duckdb.DuckDBPyConnection, domain: str, raw_tables: Iterable[str], *, catalog: str = "lake", limit: int
) -> tuple[tuple[str, str, int, str], ...]:
    """(raw table, source file, row in it, why) of up to `limit` rejected records of the current loads, sorted."""
    if not _exists(con, catalog, domain, LOADS):
        return ()
    schema = f"{catalog}.{build_schema(domain)}"
    found = con.execute(
        f"select raw_table, source_file, source_row, reason from {schema}.{REJECTED} "
        f"join {schema}.{CURRENT} using (load_id, source, source_file) where list_contains(?, raw_table) "
        f"order by all limit {int(limit)}",
        [list(raw_tables)],
    ).fetchall()
    return tuple((str(row[0]), str(row[1]), int(row[2]), str(row[3])) for row in found)


def current_files(
    con: duckdb.DuckDBPyConnection, domain: str, raw_tables: Iterable[str], *, catalog: str = "lake"
) -> tuple[tuple[str, str, str, str], ...]:
    """(source, relative path, sha256, load id) of every file whose rows are current in these raw tables, sorted."""
    if not _exists(con, catalog, domain, LOADS):
        return ()
    found = con.execute(
        f"select source, source_file, sha256, load_id from {catalog}.{build_schema(domain)}.{CURRENT} "
        "where list_contains(?, raw_table) order by all",
        [list(raw_tables)],
    ).fetchall()
    return tuple((str(row[0]), str(row[1]), str(row[2]), str(row[3])) for row in found)


def recorded(
    con: duckdb.DuckDBPyConnection, domain: str, source: str, *, with_keys: bool, catalog: str
) -> dict[str, Recorded]:
    """The newest row of `loads` for every file of a source. The recipe holds the key only `with_keys`."""
    if not _exists(con, catalog, domain, LOADS):
        return {}
    rows = con.execute(
        "select source_file, sha256, mapping, key_id, duplicate_of from "
        f"{catalog}.{build_schema(domain)}.{LOADS} where source = ? order by loaded_seq",
        [source],
    ).fetchall()
    return {
        path: Recorded(sha256, recipe(mapping, key if with_keys else None), twin)
        for path, sha256, mapping, key, twin in rows
    }


def recipe(mapping: str, key_id: str | None) -> str:
    """What besides a file's content decides the rows made of it."""
    return f"{mapping}/{key_id or ''}"


def ensure_tables(con: duckdb.DuckDBPyConnection, domain: str, table: RawTable, *, catalog: str) -> None:
    """Create what is missing, and add columns that the raw table has gained; writes nothing when all is there."""
    raw = [(name, "varchar") for name in (*table.columns, *BOOKKEEPING[:3])] + [(BOOKKEEPING[3], "bigint")]
    wanted = {table.name: raw, LOADS: list(LOADS_COLUMNS), REJECTED: list(REJECTED_COLUMNS)}
    schema = f"{catalog}.{build_schema(domain)}"
    statements = []
    for name, columns in wanted.items():
        known = _columns(con, catalog, domain, name)
        if not known:
            listed = ", ".join(f'"{column}" {kind}' for column, kind in columns)
            statements.append(f"create table {schema}.{name} ({listed})")
        statements += [
            f'alter table {schema}.{name} add column "{column}" {kind}'
            for column, kind in columns
            if known and column not in known
        ]
    if not _columns(con, catalog, domain, CURRENT):
        statements.append(f"create view {schema}.{CURRENT} as {_current(domain)}")
    if not statements:
        return
    con.begin()
    try:
        for statement in [f"create schema if not exists {schema}", *statements]:
            con.execute(statement)
        con.commit()
    except BaseException:
        con.rollback()
        raise


def _current(domain: str) -> str:
    """No catalog name inside: the view must work under whatever alias a reader attaches the mesh."""
    listed = ", ".join(name for name, _ in LOADS_COLUMNS if name != "duplicate_of")
    return (
        f"select {listed} from (select *, row_number() over (partition by source, source_file "
        f"order by loaded_seq desc) as newness from {build_schema(domain)}.{LOADS}) "
        "where newness = 1 and duplicate_of is null"
    )


def _exists(con: duckdb.DuckDBPyConnection, catalog: str, domain: str, name: str) -> bool:
    return bool(_columns(con, catalog, domain, name))


def _columns(con: duckdb.DuckDBPyConnection, catalog: str, domain: str, name: str) -> set[str]:
    """The columns of a table or view; none where it is missing.

    Named in a query that reads nothing: `duckdb_columns()` would bind every table and view of every attached catalog.
    """
    try:
        found = con.execute(f'select * from {catalog}.{build_schema(domain)}."{name}" limit 0')
    except duckdb.CatalogException:
        return set()
    return {str(column[0]) for column in found.description}
