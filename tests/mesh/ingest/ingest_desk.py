"""The domain `desk`: one source, one raw table, a landing zone and a lake in a temporary folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from mesh.access import KeyRing
from mesh.ingest import Load, RawTable, Source, ingest, load_source
from mesh.lake import load_extensions

NOW = datetime(2020, 6, 1, 12, 30)
SOURCE = """\
source: visits
into: raw_visits
files: desk/visits/*.csv
format: csv
columns:
  visit_id: ref
  office: {value: North}
  visited_on: {from: day, format: "%d/%m/%Y"}
  sex: {from: sex, map: {M: male, F: female}}
  address: {from: [street, town], join: ", "}
  nino: {from: nino, identifier: nino}
  note: {from: note, redact: true}
  row_key: {row_id: true}
"""
IDENTIFIER = ("nino_token", "nino_status")
COLUMNS = ("visit_id", "office", "visited_on", "sex", "address", *IDENTIFIER, "note", "row_key", "spare")
HEADER = "ref,day,sex,street,town,nino,note"
ROW = "v1,31/01/2020,M,1 High St,Leeds,AB123456C,hello"


@dataclass
class Desk:
    """The domain `desk` with one raw table, and short ways to deliver files and look at the result."""

    root: Path
    con: duckdb.DuckDBPyConnection
    table: RawTable = field(default_factory=lambda: RawTable("raw_visits", "visits", COLUMNS))
    keyring: KeyRing = field(default_factory=lambda: KeyRing([b"key of the tests with 32 bytes.."]))

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    def source(self, text: str = SOURCE, name: str = "visits") -> Source:
        path = self.root / "data_products" / "desk" / "sources" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return load_source(path)

    def deliver(self, content: str | bytes, name: str = "desk/visits/a.csv") -> Path:
        """A file that arrived a minute ago, so that nothing waits to see whether it still grows."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
        return path

    def rows(self, *rows: str, name: str = "desk/visits/a.csv") -> Path:
        return self.deliver("\n".join([HEADER, *rows]) + "\n", name)

    def ingest(self, source: Source | None = None) -> tuple[Load, ...]:
        return ingest(
            self.con,
            source or self.source(),
            self.table,
            self.landing,
            keyring=self.keyring,
            run_id="run 1",
            now=NOW,
        )

    def outcome(self, source: Source | None = None) -> list[tuple[str, str, int, int]]:
        return [(load.file, load.status, load.rows, load.rejected) for load in self.ingest(source)]

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return self.con.execute(sql).fetchall()

    def current(self, columns: str = "visit_id") -> list[tuple[object, ...]]:
        """The rows that a staging model sees."""
        return self.query(
            f"select {columns} from lake.desk_build.raw_visits "
            "join lake.desk_build.current_loads on _load_id = load_id order by _source_file, _source_row"
        )

    def snapshot(self) -> int:
        found: list[tuple[int]] = self.con.execute("select id from ducklake_current_snapshot('lake')").fetchall()
        return found[0][0]

    def lake_files(self) -> Sequence[Path]:
        return [path for path in (self.root / "lake").rglob("*") if path.is_file()]


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB that can attach lakes."""
    con = duckdb.connect(config={"threads": 2})
    load_extensions(con)
    return con


def attach(con: duckdb.DuckDBPyConnection, root: Path) -> None:
    """Attach the lake of a folder. Its catalog is a DuckDB file; the statements are those of the Postgres one."""
    (root / "lake").mkdir(exist_ok=True)
    con.execute(
        f"attach 'ducklake:{root}/lake/catalog.ducklake' as lake "
        f"(data_path '{root}/lake/data/', data_inlining_row_limit 0)"
    )
