"""Where the columns of a candidate come from, told by what built it and kept with its release.

dbt leaves the compiled text of every model it builds, macros gone; a model's scores come from the features it uses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from dagster_project import dbt
from mesh.lake import INPUTS, LAKE
from mesh.lineage import ColumnLineage, ColumnSource, Lineage, Tracer
from mesh.model import RelationFor
from mesh.project import Product
from mesh.session import Mesh

NOT_COMPILED = "its compiled SQL is not at hand"
AS_A_WHOLE = "worked out by the platform from the product's inputs as a whole"


def of_dbt(
    mesh: Mesh, connection: duckdb.DuckDBPyConnection, product: Product, manifest: Mapping[str, Any]
) -> dict[str, Lineage]:
    """Per table of a product the lineage of its columns through all models, down to raw tables and pinned inputs.

    Args:
        connection: sees the lake as `lake`, and what the models read of other domains as `inputs`.
    """
    tables = [table.name for table in product.contract.tables]
    queries = _compiled(mesh, manifest, dbt.product_models(manifest, product.domain, tables))
    cached = mesh.settings.home / "lineage" / f"{_digest(queries, product)}.json"
    if cached.is_file() and (found := _cached(cached)) is not None:
        return found
    tracer = Tracer(queries, lambda table: _columns(connection, table))
    traced = {}
    for table in product.contract.tables:
        name = f"{LAKE}.{product.build_schema}.{table.name}"
        known = {column.column: column for column in tracer.trace(name)} if name in queries else {}
        traced[table.name] = tuple(
            known.get(column.name, ColumnLineage(column.name, (), NOT_COMPILED)) for column in table.columns
        )
    _keep(cached, traced)
    return traced


def of_scores(product: Product, scored: Iterable[str], features: Sequence[str], relation: str,
              copied: Iterable[str]) -> dict[str, Lineage]:  # fmt: skip
    """The lineage of scores: what the model gives comes from every feature it uses, the rest is copied or a fact.

    Args:
        scored: columns that the model gives.
        relation: the scored view, as `schema.view`. copied: its columns.
    """
    given, there = set(scored), set(copied)
    from_features = tuple(sorted(ColumnSource(relation, feature, "transformation") for feature in features))
    table = product.contract.tables[0]

    def lineage(column: str) -> ColumnLineage:
        if column in given:
            return ColumnLineage(column, from_features)
        return ColumnLineage(column, (ColumnSource(relation, column),) if column in there else ())

    return {table.name: tuple(lineage(column.name) for column in table.columns)}


def of_made(columns: Iterable[str], told: Mapping[str, tuple[ColumnSource, ...]], relation_for: RelationFor) -> Lineage:
    """The lineage of a product that a maker made.

    Args:
        told: what the maker says of columns, by product instead of view.
    """

    def lineage(column: str) -> ColumnLineage:
        if column not in told:
            return ColumnLineage(column, (), AS_A_WHOLE)
        return ColumnLineage(
            column,
            tuple(replace(one, table=relation_for(one.table).removeprefix(f"{INPUTS}.")) for one in told[column]),
        )

    return tuple(lineage(column) for column in columns)


def _compiled(mesh: Mesh, manifest: Mapping[str, Any], models: Iterable[str]) -> dict[str, str]:
    """The text that last built each of these models, by `catalog.schema.table`."""
    queries = {}
    for unique_id in models:
        node = manifest["nodes"][unique_id]
        file = dbt.compiled_file(mesh, node)
        if file.is_file():
            queries[f"{node['database']}.{node['schema']}.{node['alias']}"] = file.read_text(encoding="utf-8")
    return queries


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> Sequence[str]:
    try:
        described = connection.execute(f"select * from {table} limit 0").description
    except duckdb.Error:
        return ()  # what reads it is then told as untraced
    return [column[0] for column in described or ()]


def _digest(queries: Mapping[str, str], product: Product) -> str:
    return hashlib.sha256(
        json.dumps([product.key, product.contract.hash, queries], sort_keys=True).encode()
    ).hexdigest()


def _cached(file: Path) -> dict[str, Lineage] | None:
    import msgspec

    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, tuple[ColumnLineage, ...]])
    except (OSError, msgspec.DecodeError):
        return None


def _keep(file: Path, traced: Mapping[str, Lineage]) -> None:
    import msgspec

    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.encode(traced))
    part.replace(file)
