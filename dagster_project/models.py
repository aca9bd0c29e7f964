"""A model as assets: trained and registered on published releases, its scores a candidate like any other."""

from dataclasses import replace

import dagster as dg
import duckdb
import pyarrow

from dagster_project import retraining
from dagster_project.guard import values_kept_out
from dagster_project.keys import model_key, owners
from dagster_project.model_inputs import published, relations, relations_at, training_context
from dagster_project.model_shown import (
    PROMOTION_GATES,
    column_table,
    gate_check,
    gate_table,
    headline_metrics,
    label_facts,
)
from dagster_project.records import documents
from dagster_project.resources import MeshResource
from dagster_project.scores import scores_asset
from mesh.errors import ModelError
from mesh.failpoints import reached
from mesh.lake import current_snapshot
from mesh.model import (
    Ledger,
    ModelDefinition,
    RegisteredModel,
    TrainingContext,
    feedback,
    find_registered,
    groups_of,
    measure,
    population_frame,
    read_columns,
    read_groups,
    register,
    train,
    training_frame,
)
from mesh.project import Product
from mesh.session import Mesh


def model_assets(product: Product, definition: ModelDefinition) -> list[dg.AssetsDefinition]:
    """The model that scores a product, and the candidate it makes."""
    return [_model_asset(product, definition), scores_asset(product, definition)]


def _model_asset(product: Product, definition: ModelDefinition) -> dg.AssetsDefinition:
    key = model_key(product.domain, definition.model)

    @dg.asset(
        key=key,
        deps=[published(key) for key in definition.products],
        description=f"{definition.description}\n\nTrained on published releases, measured on later rows, registered "
        f"in MLflow as `{product.domain}.{definition.model}`.",
        group_name=product.domain,
        kinds={definition.algorithm, "mlflow", "model"},
        tags={"domain": product.domain, "layer": "model"},
        owners=owners(product),
        op_tags={"domain": product.domain},
        check_specs=[
            dg.AssetCheckSpec(
                PROMOTION_GATES,
                asset=key,
                description="The version that was trained passes every gate of its definition, so it may be champion.",
            )
        ],
    )
    def model(context: dg.AssetExecutionContext, mesh: MeshResource) -> dg.MaterializeResult:
        opened = mesh.mesh
        with opened.writer() as connection:
            at = current_snapshot(connection)
        with values_kept_out(product.key), opened.writer(inputs_at=at) as connection:
            around = training_context(opened, product, definition, at, context.run.run_id)
            decision = retraining.decide(opened, definition, around, at)
            registered = find_registered(definition, around)
            if registered is None and not decision.trains:
                registered = find_registered(definition, replace(around, fingerprint=decision.champion))
            registered = registered or _train(opened, connection, product, definition, around, decision)
        reached("train.registered", product.key)
        standing = Ledger(opened.postgres).standing(registered.name)
        context.log.info(f"{registered.name} version {registered.version} {registered.decision}: {registered.reason}")
        return dg.MaterializeResult(
            metadata={
                "model": registered.name,
                "version": registered.version,
                "decision": f"{registered.decision}: {registered.reason}",
                "mlflow_run": registered.run_id,
                "reused": registered.reused,
                "champion": str(standing.champion) if standing.champion else "none",
                "gates": gate_table(registered.verdicts),
                "why": "trained on these releases already" if registered.reused and decision.trains else decision.why,
                **label_facts(around, registered.run_id),
                "upstream_releases": [f"{name}@{ref.number}" for name, ref in around.releases.items()],
                **{name: round(value, 4) for name, value in headline_metrics(around, registered.run_id).items()},
                "columns": column_table(read_columns(around.tracking_uri, registered.run_id)),
            },
            check_results=[gate_check(registered)],
        )

    return model


def _train(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    definition: ModelDefinition,
    around: TrainingContext,
    decision: retraining.Decision,
) -> RegisteredModel:
    relation_for = relations(mesh)
    table = training_frame(connection, definition, relation_for=relation_for)
    came_back = _came_back(mesh, connection, definition, table, around, decision)
    around = replace(around, told={"why": decision.why, **came_back})
    population = population_frame(connection, definition, relation_for=relation_for)
    trained = train(definition, table, around, population=population)
    groups = read_groups(connection, definition, relation_for=relation_for)
    of_later_rows: dict[str, list[str | None]] | str = "the definition names no groups"
    if groups is not None:
        trained = replace(trained, fairness=measure(trained, definition, population, groups, around.threads))
        of_later_rows = groups_of(groups, trained.test_rows.column(definition.key)).to_pydict()
    trained = replace(trained, documents=documents(mesh, product, definition, around, trained))
    reached("train.trained", definition.output)
    return register(trained, definition, around, groups=of_later_rows)


def _came_back(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    table: "pyarrow.Table",
    around: TrainingContext,
    decision: retraining.Decision,
) -> dict[str, str]:
    """The labels that the training before did not have, as the run says it."""
    try:
        found = feedback(
            connection,
            definition,
            table,
            relation_for=relations(mesh),
            relation_at=relations_at(mesh),
            releases={key: ref.number for key, ref in around.releases.items()},
            before=decision.before,
        )
    except (ModelError, KeyError):
        # An input that was not read before, or lost what the labels are read by: there is nothing to compare with.
        return {"labels": str(table.num_rows)}
    return found.tags()
