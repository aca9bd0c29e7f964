"""A model's scores as an asset: a candidate like any other, made by the champion."""

import time
from collections.abc import Mapping

import dagster as dg
import duckdb
import pyarrow

from dagster_project import lineage, plan, retraining
from dagster_project.candidate import Engine, candidate_asset, finish
from dagster_project.guard import values_kept_out
from dagster_project.keys import model_key
from dagster_project.model_inputs import published, relations, training_context
from dagster_project.model_shown import headline_metrics
from dagster_project.resources import MeshResource
from mesh.failpoints import reached
from mesh.lake import INPUTS, LAKE, create_schema, current_snapshot
from mesh.model import (
    SCORED,
    LoadedModel,
    ModelDefinition,
    Registry,
    TrainingContext,
    assemble,
    champion,
    facts_of,
    score,
    scoring_frame,
)
from mesh.project import Product


def scores_asset(product: Product, definition: ModelDefinition) -> dg.AssetsDefinition:
    """The candidate of a product that a model scores."""
    deps = [model_key(product.domain, definition.model), published(definition.input)]

    @candidate_asset(product, deps, engine=definition.algorithm)
    def scores(context: dg.AssetExecutionContext, mesh: MeshResource) -> dg.MaterializeResult:
        opened = mesh.mesh
        with values_kept_out(product.key), opened.build_lock(product.domain):
            with opened.writer() as connection:
                at = current_snapshot(connection)
            with opened.writer(inputs_at=at) as connection:
                around = training_context(opened, product, definition, at, context.run.run_id)
                started = time.perf_counter()
                model = champion(definition, around)
                rows = scoring_frame(connection, definition, relation_for=relations(opened))
                scored = score(model, rows, threads=opened.settings.threads)
                reached("score.scored", product.key)
                given = around.releases[definition.input].number
                facts = facts_of(model, given, around.contracts[definition.input].version)
                relation = relations(opened)(definition.input)
                copied = _write(connection, product, scored, relation, definition.key, facts)
                details = {
                    "engine": "model",
                    **facts,
                    "model_sha256": model.sha256,
                    "trained_on": retraining.trained_on(opened, model.name),
                    "test": headline_metrics(around, _run_of(around, model)),
                }
                came = lineage.of_scores(
                    product,
                    [name for name in scored.column_names if name != definition.key],
                    [feature.name for feature in model.card.features],
                    relation.removeprefix(f"{INPUTS}."),
                    copied,
                )
                engine = Engine(context.run.run_id, time.perf_counter() - started, details, came)
                by = [(int(str(model.version)), model.sha256)]
                made_from = plan.inputs(opened, connection, product, at, scored_by=by)
                found = finish(opened, connection, product, made_from, engine)
        return dg.MaterializeResult(
            metadata={"dagster/row_count": scored.num_rows, "snapshot": found.snapshot, **facts}
        )

    return scores


def _run_of(around: TrainingContext, model: LoadedModel) -> str:
    standing = Registry.of(around).standing(model.name)
    return str(standing.registration(int(str(model.version))).evidence.get("run", ""))


def _write(
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    scored: "pyarrow.Table",
    relation: str,
    key: str,
    facts: Mapping[str, str | int],
) -> list[str]:
    """Write the candidate; gives the columns that are copied from the scored product."""
    table = product.contract.tables[0]
    assembly = assemble(connection, product.key, table, scored, relation, key, facts)
    create_schema(connection, product.build_schema)
    connection.register(SCORED, scored)
    connection.execute(
        f"create or replace table {LAKE}.{product.build_schema}.{table.name} as {assembly.query}",
        list(assembly.values),
    )
    connection.unregister(SCORED)
    return list(assembly.copied)
