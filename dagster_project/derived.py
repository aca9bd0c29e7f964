"""A further product of a model as an asset: what its maker returns becomes a candidate like any other."""

import tempfile
import time
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow

from dagster_project import lineage, plan
from dagster_project.candidate import Engine, candidate_asset, finish
from dagster_project.guard import values_kept_out
from dagster_project.keys import model_key
from dagster_project.model_inputs import published, relations, relations_at, training_context
from dagster_project.resources import MeshResource
from mesh.errors import ModelError
from mesh.failpoints import reached
from mesh.lake import LAKE, create_schema, current_snapshot
from mesh.model import Made, Making, ModelDefinition, TrainingContext, maker, prepare_tracking
from mesh.project import Product
from mesh.session import Mesh

CHARTS = "monitoring"
"""The folder of the run's artefacts in which the pictures are."""


def derived_asset(product: Product, definition: ModelDefinition, role: str) -> dg.AssetsDefinition:
    """The candidate of a product that a model's definition names under `outputs`."""
    table = product.contract.tables[0]

    deps = [model_key(product.domain, definition.model), *(published(key) for key in product.inputs)]

    @candidate_asset(product, deps, engine="python")
    def derived(context: dg.AssetExecutionContext, mesh: MeshResource) -> dg.MaterializeResult:
        opened = mesh.mesh
        with values_kept_out(product.key), opened.build_lock(product.domain):
            with opened.writer() as connection:
                at = current_snapshot(connection)
            with opened.writer(inputs_at=at) as connection:
                started = time.perf_counter()
                around = training_context(opened, product, definition, at, context.run.run_id, product.inputs)
                made = maker(role)(_making(opened, connection, product, definition, around, at))
                reached("derive.made", product.key)
                _write(connection, product, made.table)
                came = lineage.of_made([column.name for column in table.columns], made.lineage, relations(opened))
                details = {"engine": "model", "role": role, **made.details}
                engine = Engine(context.run.run_id, time.perf_counter() - started, details, {table.name: came})
                made_from = plan.inputs(opened, connection, product, at, scored_by=made.scored_by)
                found = finish(opened, connection, product, made_from, engine)
        if made.charts is not None and not _kept(around, made):
            context.log.warning(f"The pictures could not be kept: MLflow has no run {made.run_id}.")
        facts: dict[str, dg.MetadataValue | str | int | float] = {
            name: value for name, value in made.details.items() if isinstance(value, str | int | float)
        }
        page = f"{opened.settings.pages_address}/models/{product.domain}/{definition.model}"
        facts["page"] = dg.MetadataValue.url(page)
        facts |= {"told": dg.MetadataValue.md(made.told)} if made.told else {}
        return dg.MaterializeResult(
            metadata={"dagster/row_count": made.table.num_rows, "snapshot": found.snapshot, **facts}
        )

    return derived


def _kept(around: TrainingContext, made: Made) -> bool:
    """Put the pictures beside those of the training; False where MLflow lost its run."""
    from mlflow.exceptions import MlflowException

    assert made.charts is not None
    with tempfile.TemporaryDirectory(prefix="mesh-charts-") as place:
        folder = Path(place) / CHARTS
        made.charts(folder)
        try:
            prepare_tracking(around.tracking_uri).log_artifacts(made.run_id, str(folder), CHARTS)
        except (MlflowException, OSError):
            return False
    return True


def _making(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    definition: ModelDefinition,
    around: TrainingContext,
    at: int,
) -> Making:
    served = mesh.history().at(at).served
    details = {key: served[key].details for key in product.inputs}
    return Making(connection, definition, around, relations(mesh), relations_at(mesh), details)


def _write(connection: duckdb.DuckDBPyConnection, product: Product, made: "pyarrow.Table") -> None:
    """The contract's columns, in its order and types, ordered by its key."""
    table = product.contract.tables[0]
    missing = [column.name for column in table.columns if column.name not in made.column_names]
    if missing:
        raise ModelError(
            f"{product.key}: nothing gives column {missing[0]} of contracts/{product.key}.yaml. Allowed: "
            f"{', '.join(made.column_names)}."
        )
    columns = ", ".join(
        f'cast("{column.name}" as {column.physical_type}) as "{column.name}"' for column in table.columns
    )
    order = ", ".join(f'"{name}"' for name in table.primary_key) or "all"
    connection.register("made", made)
    create_schema(connection, product.build_schema)
    connection.execute(
        f"create or replace table {LAKE}.{product.build_schema}.{table.name} as "
        f"select {columns} from made order by {order}"
    )
    connection.unregister("made")
