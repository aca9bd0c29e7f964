"""Writing one checked file: its rows, its rejected rows and its row in `loads` in one lake transaction."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType

import duckdb
import pyarrow as pa

from mesh.access import KeyRing
from mesh.errors import SourceError
from mesh.ingest import csv, jsonl, parquet
from mesh.ingest.landing import SourceFile, check_unchanged
from mesh.ingest.loads import LOADS, LOADS_COLUMNS, REJECTED, build_schema
from mesh.ingest.plan import Action
from mesh.ingest.raw import BOOKKEEPING, RawTable
from mesh.ingest.reading import ROW, Inspection
from mesh.ingest.source import Source
from mesh.ingest.transform import expressions, literal, protector, schema

READERS: dict[str, ModuleType] = {"csv": csv, "jsonl": jsonl, "parquet": parquet}
LOAD_ID_CHARACTERS = 16
DELIVERED = "mesh_delivered_batches"


@dataclass(frozen=True)
class Load:
    """What became of one file: `status` is `loaded`, `already loaded` or `duplicate of FILE`."""

    load_id: str
    source: str
    file: str
    sha256: str
    rows: int
    rejected: int
    status: str
    ignored_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Writer:
    """Carries out what is planned for the files of one source."""

    con: duckdb.DuckDBPyConnection
    source: Source
    table: RawTable
    keyring: KeyRing
    key_id: str | None
    run_id: str
    now: datetime
    catalog: str

    @property
    def schema(self) -> str:
        return f"{self.catalog}.{build_schema(self.source.domain)}"

    def carry_out(self, action: Action, file: SourceFile, inspection: Inspection | None) -> Load:
        """Do what is planned for one file; a file to load comes with what the first look found."""
        if action.do == "keep":
            return self._kept(file)
        if action.do == "duplicate":
            status = f"duplicate of {action.duplicate_of}"
            load_id = self._load_id(file, 0)
            if not action.recorded:
                with _Transaction(self.con):
                    self._record(file, load_id, 0, 0, action.duplicate_of)
            return Load(load_id, self.source.name, file.relative, file.sha256, 0, 0, status)
        assert inspection is not None
        return self._load(file, inspection)

    def _load(self, file: SourceFile, inspection: Inspection) -> Load:
        earlier = self._earlier(file)
        same = [load_id for load_id, mapping, key in earlier if (mapping, key) == (self.source.mapping, self.key_id)]
        load_id = same[0] if same else self._load_id(file, len({load_id for load_id, _, _ in earlier}))
        rejected = len(inspection.rejected)
        with _Transaction(self.con):
            self._say(f"{self.source.name}: {file.relative}")
            if not same:
                self._write_rows(file, inspection, load_id)
                self._write_rejected(file, inspection, load_id)
            self._record(file, load_id, inspection.rows, rejected, None)
        named = (load_id, self.source.name, file.relative, file.sha256)
        return Load(*named, inspection.rows, rejected, "loaded", inspection.ignored)

    def _kept(self, file: SourceFile) -> Load:
        row = self.con.execute(
            f"select load_id, rows, rejected from {self.schema}.{LOADS} where source = ? and source_file = ? "
            "order by loaded_seq desc limit 1",
            [self.source.name, file.relative],
        ).fetchall()[0]
        return Load(row[0], self.source.name, file.relative, file.sha256, row[1], row[2], "already loaded")

    def _earlier(self, file: SourceFile) -> Sequence[tuple[str, str, str | None]]:
        """Loads of the same file with the same content: it changed back, or its mapping or key changed."""
        rows: Sequence[tuple[str, str, str | None]] = self.con.execute(
            f"select load_id, mapping, key_id from {self.schema}.{LOADS} "
            "where source = ? and source_file = ? and sha256 = ? and duplicate_of is null order by loaded_seq",
            [self.source.name, file.relative, file.sha256],
        ).fetchall()
        return rows

    def _load_id(self, file: SourceFile, generation: int) -> str:
        """The same in every mesh that loads the same files; a reload under another mapping or key counts up."""
        parts = [self.source.name, file.relative, file.sha256] + ([str(generation)] if generation else [])
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:LOAD_ID_CHARACTERS]

    def _write_rows(self, file: SourceFile, inspection: Inspection, load_id: str) -> None:
        made = expressions(self.source, sha256=file.sha256)
        names = [*(name for name in self.table.columns if name in made), *BOOKKEEPING]
        values = [made[name] for name in names if name in made]
        values += [literal(load_id), literal(self.source.name), literal(file.relative), ROW]
        listed = ", ".join(f'"{name}"' for name in names)
        rows = _Rows(self.source, file, inspection, self.keyring)
        self.con.register(DELIVERED, pa.RecordBatchReader.from_batches(schema(self.source), iter(rows)))
        try:
            written = self.con.execute(
                f"insert into {self.schema}.{self.table.name} ({listed}) select {', '.join(values)} from {DELIVERED}"
            ).fetchall()[0][0]
        except duckdb.Error:
            if rows.failure is not None:
                raise rows.failure from None
            raise
        finally:
            self.con.unregister(DELIVERED)
        check_unchanged(file)
        if written != inspection.rows:
            raise SourceError("gave other rows at the second look: it is still being written.", file=file.relative)

    def _write_rejected(self, file: SourceFile, inspection: Inspection, load_id: str) -> None:
        if inspection.rejected:
            rejected = pa.table(
                {
                    "source_row": [one.row for one in inspection.rejected],
                    "reason": [one.reason for one in inspection.rejected],
                }
            )
            self.con.register(DELIVERED, rejected)
            try:
                self.con.execute(
                    f"insert into {self.schema}.{REJECTED} select ?, ?, ?, source_row, reason from {DELIVERED}",
                    [load_id, self.source.name, file.relative],
                )
            finally:
                self.con.unregister(DELIVERED)

    def _record(self, file: SourceFile, load_id: str, rows: int, rejected: int, duplicate_of: str | None) -> None:
        following = self.con.execute(f"select coalesce(max(loaded_seq), 0) + 1 from {self.schema}.{LOADS}").fetchall()
        values = {
            "load_id": load_id,
            "source": self.source.name,
            "raw_table": self.table.name,
            "source_file": file.relative,
            "sha256": file.sha256,
            "bytes": file.bytes,
            "rows": rows,
            "rejected": rejected,
            "loaded_at": self.now,
            "loaded_seq": following[0][0],
            "duplicate_of": duplicate_of,
            "mapping": self.source.mapping,
            "key_id": self.key_id,
            "run_id": self.run_id,
        }
        names = [name for name, _ in LOADS_COLUMNS]
        self.con.execute(
            f"insert into {self.schema}.{LOADS} ({', '.join(names)}) values ({', '.join('?' * len(names))})",
            [values[name] for name in names],
        )

    def _say(self, message: str) -> None:
        self.con.execute(f"call {self.catalog}.set_commit_message(?, ?)", ["mesh ingest", message])


class _Transaction:
    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def __enter__(self) -> None:
        self.con.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self.con.commit()
            except duckdb.Error:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        # what went wrong before says more than "no transaction is active"
        with contextlib.suppress(duckdb.Error):
            self.con.rollback()


class _Rows:
    """Protected batches of a file; keeps what stopped it, for DuckDB wraps what an iterator raises."""

    def __init__(self, source: Source, file: SourceFile, inspection: Inspection, keyring: KeyRing) -> None:
        self.failure: BaseException | None = None
        self._batches = READERS[source.format].batches(source, file, inspection)
        self._protect = protector(source, keyring)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                yield self._protect(batch)
        except Exception as error:
            self.failure = error
            raise
