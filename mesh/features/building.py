"""Building an entity store from published products.

DuckDB hashes and sorts, range after range of keys, so that memory does not grow with the number of rows; Numba lays out
the blocks; LMDB takes them in the order of their keys, which fills its pages. The folder gets its name only when all of
it is on the disk.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import lmdb
import msgspec
import numpy as np
import psutil

from mesh.errors import UsageError
from mesh.features.definition import Event
from mesh.features.expressions import read
from mesh.features.kept import Keeping, Kept, Words, number_sql, text_sql
from mesh.features.laying import Sorted, lay
from mesh.features.sql import to_sql
from mesh.features.store import (
    DATA,
    FORMAT,
    MANIFEST,
    ROWS,
    TEXTS,
    WAITING,
    Manifest,
    StoreError,
    entities_in,
    lookup_in,
    seen_in,
)  # fmt: skip
from mesh.features.types import BOOLEAN, Type

RANGE = 250_000
"""Rows at a time."""
LARGEST = 1 << 40
"""Bytes that the file may grow to; what it does not use, it does not take."""
_ROWS, _NOTED, _TEXTS = "temp.mesh_entity_rows", "temp.mesh_entity_noted", "temp.mesh_entity_texts"


def build_store(
    connection: duckdb.DuckDBPyConnection,
    keeping: Keeping,
    tables: Mapping[str, str],
    folder: Path,
    *,
    snapshot: int | None = None,
    releases: Mapping[str, str] | None = None,
) -> Manifest:
    """Build the store of a declaration in a new folder.

    It works for seconds and minutes, and its Python part holds the interpreter's lock: give it a process of its own.

    Args:
        connection: sees all products at one moment; temporary tables come and go in it.
        tables: the relation of every product that the declaration reads.
        snapshot, releases: what the products are, for the manifest.

    Raises:
        UsageError: the folder is there already, or a product has no relation.
    """
    if folder.exists():
        raise UsageError(f"{folder}: is there already. Allowed: a folder that does not exist yet")
    lacking = sorted(products_read(keeping) - tables.keys())
    if lacking:
        raise UsageError(f"No relation is given for {', '.join(lacking)}. Allowed: one for every product that is read")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    building = folder.with_name(f".{folder.name}.building-{os.getpid()}")
    building.mkdir(mode=0o700)
    try:
        with lmdb.open(
            str(building), map_size=LARGEST, max_dbs=64 + 3 * len(keeping.kept), lock=False, sync=False, mode=0o600
        ) as env:
            manifest = _Builder(connection, keeping, tables, env).build()
            env.sync(True)
        for left in building.glob("lock.mdb"):
            left.unlink()
        data = building / DATA
        with data.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = msgspec.structs.replace(
            manifest, snapshot=snapshot, releases=dict(releases or {}), bytes=data.stat().st_size, sha256=sha256
        )
        _write_synced(building / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        _sync(building)
        building.rename(folder)
        _sync(folder.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return manifest


def products_read(keeping: Keeping) -> set[str]:
    """The products that a store is built from."""
    return {keeping.rows_product, *(one.product for one in _events(keeping)), *_lookup_products(keeping)}


def _lookup_products(keeping: Keeping) -> set[str]:
    return {one.product for one in keeping.features.lookups}


def _events(keeping: Keeping) -> list[Event]:
    used = {name for kept in keeping.kept for name in kept.events}
    return [event for event in keeping.features.events if event.name in used]


class _Builder:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        keeping: Keeping,
        tables: Mapping[str, str],
        env: lmdb.Environment,
    ) -> None:
        self.con, self.keeping, self.tables, self.env = connection, keeping, tables, env
        self.features = keeping.features

    def build(self) -> Manifest:
        try:
            rows, newest = self.hash_rows()
            for event in _events(self.keeping):
                self.note(event)
            entities = {}
            for place, kept in enumerate(self.keeping.kept):
                entities[kept.name] = self.entities(place, kept, rows)
            for place, lookup in enumerate(self.features.lookups):
                self.lookup(place, self.tables[lookup.product], lookup)
            self.row_keys(rows)
            self.texts(rows)
            self.waiting()
        finally:
            for name in (_ROWS, _TEXTS, *(f"{_NOTED}_{event.name}" for event in _events(self.keeping))):
                self.con.execute(f"drop table if exists {name}")
        return Manifest(
            format=FORMAT, product=self.features.product, fingerprint=self.keeping.fingerprint, snapshot=None,
            releases={}, built_at=datetime.now(UTC), newest=newest, rows=rows, entities=entities, bytes=0, sha256="",
        )  # fmt: skip

    def hash_rows(self) -> tuple[int, int | None]:
        """The rows with hashes in place of texts; their number and newest moment."""
        types = self.features.row
        columns = [
            f"{_composed([_hash(name, types[name]) for name in self.features.key])} as row_key",
            f"{number_sql(_quoted(self.features.time), types[self.features.time])} as moment",
            *(f"{_hash(name, types[name])} as {_column(name)}" for name in self.keeping.hashed),
            *(f"{number_sql(_quoted(name), types[name])} as {_number(name)}" for name in self.numbers()),
        ]
        self.con.execute(
            f"create or replace temp table {_ROWS.removeprefix('temp.')} as "
            f"select {', '.join(columns)} from {self.tables[self.keeping.rows_product]}"
        )
        counted = self.con.execute(f"select count(*), max(moment) from {_ROWS}").fetchone()
        assert counted is not None
        return counted

    def numbers(self) -> list[str]:
        """Columns that are taken as numbers: summed ones, and the days of periods."""
        wanted = {column for kept in self.keeping.kept for column, _ in kept.sums}
        wanted |= {day for kept in self.keeping.kept if kept.period for day in (kept.period.start, kept.period.end)}
        return [name for name in self.features.row if name in wanted]

    def note(self, event: Event) -> None:
        """The moments of a timeline, with what its rows belong to: a row, or the parts of entities' keys."""
        types = self.features.products[event.product]
        moment = number_sql(_quoted(event.time), types[event.time])
        conditions = [f"{_quoted(event.time)} is not null"]
        if event.where is not None:
            conditions.append(to_sql(read(event.where, types, BOOLEAN)))
        if event.row:
            about = f"{_hash(event.row, types[event.row])}"
            columns = [f"{about} as about", f"{f'min({moment})' if event.first else moment} as moment"]
            conditions.append(f"{_quoted(event.row)} is not null")
        else:
            parts = {part for kept in self.keeping.kept if event.name in kept.events for part in kept.key}
            columns = [
                *(f"{_hash(part, types[part])} as {_column(part)}" for part in sorted(parts)),
                f"{moment} as moment",
            ]
        grouped = " group by about" if event.row and event.first else ""
        self.con.execute(
            f"create or replace temp table {_NOTED.removeprefix('temp.')}_{event.name} as "
            f"select {', '.join(columns)} from {self.tables[event.product]} where {' and '.join(conditions)}{grouped}"
        )

    def entities(self, place: int, kept: Kept, rows: int) -> int:
        """Write the blocks of one kind of entity; how many there are."""
        entities, seen = self.database(entities_in(place)), self.database(seen_in(place))
        count = 0
        for least, beyond in _ranges(rows):
            laid = lay(kept, self.sorted(kept, least, beyond))
            count += len(laid.keys)
            with self.env.begin(write=True) as transaction:
                _put(transaction, entities, _blocks(laid.keys, laid.words, laid.at), len(laid.keys))
                shown = np.diff(laid.seen_at) > 0
                ends = laid.seen_at[1:][shown]
                at = np.concatenate([[0], ends]).astype(np.int64)
                _put(transaction, seen, _blocks(laid.keys[shown], laid.seen, at), len(ends))
        return count

    def sorted(self, kept: Kept, least: int, beyond: int) -> Sorted:
        key = _composed([_column(part) for part in kept.key])
        columns = [key, "moment"]
        columns += [f"coalesce({_number(column)}, 0)" for column, _ in kept.sums]
        columns += [_value(_column(column)) for column in kept.distinct]
        if kept.period:
            columns += [_value(_column(kept.period.label))]
            columns += [f"{_number(day)}" for day in (kept.period.start, kept.period.end)]
        # Two columns may be the same expression, and results are told apart by their names.
        listed = ", ".join(f"{column} as column{place}" for place, column in enumerate(columns))
        found = self.arrays(
            f"select {listed} from {_ROWS} where moment is not null and {_within(key, least, beyond)} "
            "order by 1, 2, row_key"
        )
        sums = np.array(found[2 : 2 + len(kept.sums)], np.int64).reshape(len(kept.sums), len(found[0]))
        after = 2 + len(kept.sums) + len(kept.distinct)
        values = [one.view(np.int64) for one in found[2 + len(kept.sums) : after]]
        period = np.zeros((3, 0), np.int64)
        if kept.period:
            days = [np.ma.filled(one.astype(np.int64), 0) for one in found[after + 1 :]]
            label = np.asarray(found[after]).view(np.int64)
            known = (label != 0) & ~np.ma.getmaskarray(found[after + 1]) & ~np.ma.getmaskarray(found[after + 2])
            # The same number as `period_value` has, wrapped around as it is there.
            number = label + (days[0] << 32) + days[1]
            values.append(np.where(known, np.where(number == 0, 1, number), 0))
            period = np.array([label, *days], np.int64)
        return Sorted(
            np.asarray(found[0]), np.asarray(found[1]).astype(np.int64), np.ascontiguousarray(sums),
            np.array(values, np.int64).reshape(len(values), len(found[0])), period,
            [self.happened(kept, name, least, beyond) for name in kept.events],
        )  # fmt: skip

    def happened(self, kept: Kept, name: str, least: int, beyond: int) -> tuple[np.ndarray, Words]:
        """Keys and moments of a timeline, sorted."""
        noted = f"{_NOTED}_{name}"
        if self.features.event(name).row:
            key = _composed([f"rows.{_column(part)}" for part in kept.key])
            about = _column(self.features.key[0])
            source = f"{noted} as noted inner join {_ROWS} as rows on rows.{about} = noted.about"
        else:
            key = _composed([f"noted.{_column(part)}" for part in kept.key])
            source = f"{noted} as noted"
        keys, moments = self.arrays(
            f"select {key}, noted.moment from {source} where {_within(key, least, beyond)} order by 1, 2"
        )
        return np.asarray(keys), np.asarray(moments).astype(np.int64)

    def lookup(self, place: int, table: str, lookup: Any) -> None:
        types = self.features.products[lookup.product]
        values = []
        for value in lookup.values:
            taken = f"{value.function}({_quoted(value.column)})"
            kind = types[value.column]
            values.append(taken if kind.kind == "boolean" else number_sql(taken, kind))
        self.con.execute(
            f"select {_hash(lookup.key, types[lookup.key])} as key, {', '.join(values)} "
            f"from {table} where {_quoted(lookup.key)} is not null group by {_quoted(lookup.key)} order by key"
        )
        database = self.database(lookup_in(place))
        encode = msgspec.msgpack.encode
        while found := self.con.fetchmany(RANGE):
            items = ((key.to_bytes(8, "little"), encode(row)) for key, *row in found)
            with self.env.begin(write=True) as transaction:
                _put(transaction, database, items, len(found))

    def row_keys(self, rows: int) -> None:
        database = self.database(ROWS)
        for least, beyond in _ranges(rows):
            [keys] = self.arrays(
                f"select distinct row_key from {_ROWS} where {_within('row_key', least, beyond)} order by 1"
            )
            with self.env.begin(write=True) as transaction:
                _put(transaction, database, ((key, b"") for key in _keys(np.asarray(keys))), len(keys))

    def texts(self, rows: int) -> None:
        """The texts of the values that people may be told."""
        database = self.database(TEXTS)
        table = self.tables[self.keeping.rows_product]
        columns = [text_sql(_quoted(name), self.features.row[name]) for name in self.keeping.told]
        if not columns:
            return
        told = " union all ".join(
            f"select distinct {one} as told from {table} where {one} is not null" for one in columns
        )
        self.con.execute(
            f"create or replace temp table {_TEXTS.removeprefix('temp.')} as "
            f"select md5_number_lower(told) as key, min(told) as told from ({told}) group by key"
        )
        for least, beyond in _ranges(rows * len(columns)):
            found = self.con.execute(
                f"select key, told from {_TEXTS} where {_within('key', least, beyond)} order by key"
            ).fetchall()
            with self.env.begin(write=True) as transaction:
                _put(
                    transaction,
                    database,
                    ((key.to_bytes(8, "little"), text.encode()) for key, text in found),
                    len(found),
                )

    def waiting(self) -> None:
        """Events about rows that are not there: they count from the moment that the row is known."""
        database = self.database(WAITING)
        about = _column(self.features.key[0])
        parts = [
            f"select about, {number} as event, moment from {_NOTED}_{name} as noted "
            f"where not exists (select 1 from {_ROWS} as rows where rows.{about} = noted.about)"
            for number, name in enumerate(self.keeping.about_rows)
        ]
        if not parts:
            return
        found = self.con.execute(f"{' union all '.join(parts)} order by 1, 2, 3").fetchall()
        items = [
            (key.to_bytes(8, "little"), np.array([line[1:] for line in lines], np.int64).tobytes())
            for key, lines in itertools.groupby(found, key=lambda line: line[0])
        ]
        with self.env.begin(write=True) as transaction:
            _put(transaction, database, items, len(items))

    def database(self, name: str) -> Any:
        return self.env.open_db(name.encode(), integerkey=True)

    def arrays(self, sql: str) -> list[Any]:
        """The columns of a result; one with missing values is masked."""
        return list(self.con.execute(sql).fetchnumpy().values())


def _put(transaction: lmdb.Transaction, database: Any, items: Iterable[tuple[bytes, bytes]], count: int) -> None:
    """Append items whose keys ascend."""
    with transaction.cursor(database) as cursor:
        _, added = cursor.putmulti(items, append=True)
    if added != count:
        raise StoreError("Two keys of one kind share a hash: the store cannot be built from these products.")


def _keys(keys: np.ndarray) -> Iterator[bytes]:
    raw = keys.astype("<u8").tobytes()
    return (raw[at : at + 8] for at in range(0, len(raw), 8))


def _blocks(keys: np.ndarray, words: Words, at: Words) -> Iterator[tuple[bytes, bytes]]:
    raw, ends = words.tobytes(), (at * 8).tolist()
    return ((key, raw[start:end]) for key, (start, end) in zip(_keys(keys), itertools.pairwise(ends), strict=True))


def _ranges(rows: int) -> Iterable[tuple[int, int]]:
    """Ranges of hashes with about RANGE rows each."""
    parts = max(1, -(-rows // RANGE))
    edges = [(1 << 64) * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


def _within(key: str, least: int, beyond: int) -> str:
    return f"{key} between {least}::ubigint and {beyond - 1}::ubigint"


def _composed(columns: Sequence[str]) -> str:
    """The hash of several values together, from the hashes of each; nothing where one is missing."""
    if len(columns) == 1:
        return columns[0]
    return f"md5_number_lower({' || chr(44) || '.join(f'cast({column} as varchar)' for column in columns)})"


def _hash(name: str, kind: Type) -> str:
    """The hash of a column, as `digest` has it."""
    return f"md5_number_lower({text_sql(_quoted(name), kind)})"


def _value(column: str) -> str:
    """A hash as a distinct value: 0 stands for none."""
    return f"case when {column} is null then 0 when {column} = 0 then 1 else {column} end"


def _column(name: str) -> str:
    return _quoted(f"hash {name}")


def _number(name: str) -> str:
    return _quoted(f"number {name}")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sweep(folder: Path) -> None:
    """Remove what builds of this store left that did not live to remove it themselves."""
    for left in folder.parent.glob(f".{folder.name}.building-*"):
        process = left.name.rpartition("-")[2]
        if process.isdigit() and (int(process) == os.getpid() or not psutil.pid_exists(int(process))):
            shutil.rmtree(left, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
