"""Histories to hold the online side against, and the plainest SQL that says what an aggregate is.

The SQL here joins every row with every other: too slow for a build, and hard to get wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from mesh.features import Features, load_features
from mesh.features.building import build_store
from mesh.features.expressions import read
from mesh.features.kept import keeping
from mesh.features.live import LiveRows
from mesh.features.numbers import decoder, encoder
from mesh.features.online import Online
from mesh.features.sql import to_sql
from mesh.features.store import EntityStore
from mesh.features.types import BOOLEAN, Type
from mesh.project import load_project

ROOT = Path(__file__).resolve().parents[3]
DAY = 86_400_000_000


@cache
def declared(product: str) -> Features:
    """A declaration of the mesh."""
    return load_features(load_project(ROOT))[product]


def empty_tables(con: duckdb.DuckDBPyConnection, features: Features) -> dict[str, str]:
    """A table for the rows and for every product that the declaration reads."""
    rows = keeping(features).rows_product
    products = {rows: dict(features.row)} | {
        name: {column: kind for column, kind in columns.items() if kind is not None}
        for name, columns in features.products.items()
        if name != rows
    }
    for name, columns in products.items():
        listed = ", ".join(f'"{column}" {_sql(kind)}' for column, kind in columns.items())
        con.execute(f"create or replace table {_table(name)} ({listed})")
    return {name: _table(name) for name in products}


def fill(
    con: duckdb.DuckDBPyConnection, table: str, rows: Iterable[Mapping[str, Any]], types: Mapping[str, Type]
) -> None:
    """Insert rows whose values are as in Python; a column that is left out is null."""
    decoders = {name: decoder(kind) for name, kind in types.items() if kind is not None}
    for row in rows:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        values = [None if value is None else decoders[name](value) for name, value in row.items()]
        con.execute(f"insert into {table} ({names}) values ({marks})", values)


def as_tuple(features: Features, row: Mapping[str, Any]) -> tuple[Any, ...]:
    """A row as the online side takes it."""
    return tuple(row.get(name) for name in features.row)


def online(
    con: duckdb.DuckDBPyConnection, features: Features, tables: Mapping[str, str], folder: Path, **options: Any
) -> Online:
    """A store of the tables as they are now, and no rows beside it."""
    kept = keeping(features)
    build_store(con, kept, tables, folder)
    return Online(LiveRows(kept, EntityStore(folder, kept), **{"capacity": 512} | options))


def in_batch(
    con: duckdb.DuckDBPyConnection, features: Features, tables: Mapping[str, str], rows: str, arrived: str = "true"
) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Aggregates and lookups of every row of `rows`, by its key, with numbers as in Python.

    Args:
        arrived: which rows `other` are known when row `own` comes.
    """
    names = [found.name for found in features.aggregates]
    types = [found.type for found in features.aggregates]
    key = ", ".join(f"own.{name}" for name in features.key)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for query in _queries(con, features, tables, rows, arrived, key):
        result = con.execute(query)
        columns = [column[0] for column in result.description][len(features.key) :]
        for line in result.fetchall():
            values = dict(zip(columns, line[len(features.key) :], strict=True))
            found.setdefault(line[: len(features.key)], {}).update(values)
    names += list(features.lookup_types)
    types += list(features.lookup_types.values())
    encoders = [encoder(kind) for kind in types]
    return {
        of: tuple(
            None if (value := values.get(name)) is None else encode(value)
            for name, encode in zip(names, encoders, strict=True)
        )
        for of, values in found.items()
    }  # fmt: skip


def _queries(
    con: duckdb.DuckDBPyConnection, features: Features, tables: Mapping[str, str], rows: str, arrived: str, key: str
) -> Iterable[str]:
    time = f'epoch_us("{features.time}")'
    con.execute(f"create or replace temp table numbered as select *, {time} as us from {rows}")
    earlier = f"other.us < own.us and {arrived}"
    for entity in features.entities:
        same = " and ".join(f"own.{part} = other.{part}" for part in entity.key)
        columns = []
        for aggregate in features.of_entity(entity):
            windows = {window.name: window for window in entity.windows}
            distinct = {one.name: one for one in entity.distinct}
            if aggregate.part in windows:
                of = windows[aggregate.part].sum
                within = _within(features, str(aggregate.span), "other.us")
                taken = "count(other.us)" if of is None else f"sum(other.{of})"
                columns.append(
                    f"try_cast(coalesce({taken} filter ({within}), 0) as {aggregate.type}) as {aggregate.name}"
                )
            elif aggregate.part in distinct:
                columns.append(f"count(distinct other.{distinct[aggregate.part].column}) as {aggregate.name}")
            elif aggregate.part == "since_first":
                columns.append(f"(own.us - min(other.us)) // {DAY} as {aggregate.name}")
        group = ", ".join([key, "own.us", *(f"own.{part}" for part in entity.key)])
        if columns:
            yield (
                f"select {key}, {', '.join(columns)} from numbered as own "
                f"left join numbered as other on {same} and {earlier} "
                f"where {' and '.join(f'own.{part} is not null' for part in entity.key)} group by {group}"
            )
        for one in entity.events:
            yield _event(features, tables, entity, one, arrived, key)
    for overlap in features.overlaps:
        yield _overlap(features, overlap, earlier, key)
    for lookup in features.lookups:
        for value in lookup.values:
            yield (
                f'select {key}, (select {value.function}("{value.column}") from {tables[lookup.product]} as facts '
                f'where facts.{lookup.key} = own.{lookup.row_key}) as "{lookup.name}.{value.name}" from numbered as own'
            )


def _event(features: Features, tables: Mapping[str, str], entity: Any, one: Any, arrived: str, key: str) -> str:
    event = features.event(one.event)
    where = to_sql(read(event.where, features.products[event.product], BOOLEAN)) if event.where else "true"
    known = " and ".join(f"own.{part} is not null" for part in entity.key)
    if event.row:
        about = features.key[0]
        moment = f'{"min" if event.first else ""}(epoch_us("{event.time}"))'
        grouped = "group by 1" if event.first else ""
        source = (
            f'(select "{event.row}" as about, {moment} as us from {tables[event.product]} '
            f'where "{event.time}" is not null and {where} {grouped}) as noted '
            f"inner join numbered as other on other.{about} = noted.about"
        )
        # The row itself is there when the events of its entities are counted.
        condition = f"({arrived} or other.{about} = own.{about}) and "
        condition += " and ".join(f"own.{part} = other.{part}" for part in entity.key)
    else:
        source = f'(select *, epoch_us("{event.time}") as us from {tables[event.product]} where {where}) as noted'
        condition = " and ".join(f"own.{part} = noted.{part}" for part in entity.key)
    within = _within(features, one.span, "noted.us").removeprefix("where ")
    return (
        f"select {key}, (select count(*) from {source} where {condition} and noted.us < own.us and {within}) "
        f"as {entity.name}_{one.name} from numbered as own where {known}"
    )


def _overlap(features: Features, overlap: Any, earlier: str, key: str) -> str:
    parts = features.entity(overlap.entity).key
    sign = "<>" if overlap.side == "other" else "="
    taken = {
        "count": "count(distinct other.label)",
        "periods": "count(distinct row(other.label, other.first, other.last))",
        "list": "string_agg(distinct other.label, ',' order by other.label)",
    }[overlap.take]
    asked = " and ".join(f"own.{part} is not null" for part in (*parts, overlap.start, overlap.end))
    same = " and ".join(f"own.{part} = other.{part}" for part in parts)
    return (
        f'select {key}, (select {taken} from (select *, "{overlap.label}" as label, "{overlap.start}" as first, '
        f'"{overlap.end}" as last from numbered) as other where {same} and other.label {sign} own.{overlap.label} '
        f"and own.{overlap.start} <= other.last and own.{overlap.end} >= other.first and {earlier}) "
        f"as {overlap.name} from numbered as own where {asked}"
    )


def _within(features: Features, span: str, moment: str) -> str:
    length = features.spans[span]
    return "where true" if length is None else f"where {moment} >= own.us - {length}"


def _sql(kind: Type) -> str:
    return "varchar" if kind.kind == "text" else str(kind)


def _table(product: str) -> str:
    return product.replace("/", "_")


def encoded(features: Features, con: duckdb.DuckDBPyConnection, table: str, order: str) -> Sequence[tuple[Any, ...]]:
    """Rows of a table as the online side takes them."""
    columns = ", ".join(f'"{name}"' for name in features.row)
    encoders = [encoder(kind) for kind in features.row.values()]
    return [
        tuple(None if value is None else encode(value) for encode, value in zip(encoders, row, strict=True))
        for row in con.execute(f"select {columns} from {table} order by {order}").fetchall()
    ]
