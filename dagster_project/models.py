"""A model as assets: trained and registered on published releases, its scores a candidate like any other."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import dagster as dg
import duckdb
import pyarrow

from dagster_project import lineage, plan, retraining
from dagster_project.candidate import Engine, finish
from dagster_project.guard import values_kept_out
from dagster_project.keys import candidate_key, model_key, owners
from dagster_project.records import documents
from dagster_project.resources import MeshResource
from mesh.errors import ModelError
from mesh.failpoints import reached
from mesh.lake import INPUTS, LAKE, create_schema, current_snapshot
from mesh.model import (
    SCORED,
    ColumnReport,
    ContractRef,
    Ledger,
    LoadedModel,
    ModelDefinition,
    RegisteredModel,
    Registry,
    RelationFor,
    ReleaseRef,
    TrainingContext,
    Verdict,
    assemble,
    champion,
    facts_of,
    feedback,
    find_registered,
    fingerprint,
    groups_of,
    measure,
    population_frame,
    prepare_tracking,
    read_columns,
    read_groups,
    register,
    score,
    scoring_frame,
    train,
    training_frame,
)
from mesh.model.gates import FAILED, NOT_JUDGED
from mesh.project import Product
from mesh.session import Mesh

PROMOTION_GATES = "promotion_gates"


def model_assets(product: Product, definition: ModelDefinition) -> list[dg.AssetsDefinition]:
    """The model that scores a product, and the candidate it makes."""
    return [_model_asset(product, definition), _scores_asset(product, definition)]


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
                "gates": _gates(registered.verdicts),
                "why": "trained on these releases already" if registered.reused and decision.trains else decision.why,
                **_labels(around, registered.run_id),
                "upstream_releases": [f"{name}@{ref.number}" for name, ref in around.releases.items()],
                **{name: round(value, 4) for name, value in _test_metrics(around, registered.run_id).items()},
                "columns": _columns(read_columns(around.tracking_uri, registered.run_id)),
            },
            check_results=[_gate_check(registered)],
        )

    return model


def _gate_check(registered: RegisteredModel) -> dg.AssetCheckResult:
    """Whether the version passed its gates; a warning, since the champion goes on scoring either way."""
    failed = [one for one in registered.verdicts if one.verdict == FAILED or one.holds]
    not_judged = [one.gate for one in registered.verdicts if one.verdict == NOT_JUDGED and not one.holds]
    told = "; ".join(f"{one.gate} {one.verdict}: {one.told}" for one in failed) or registered.reason
    return dg.AssetCheckResult(
        check_name=PROMOTION_GATES,
        passed=not failed,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Version {registered.version} {registered.decision.replace('_', ' ')}: {told}",
        metadata={
            "version": registered.version,
            "decision": registered.decision,
            "failed": [one.gate for one in failed],
            "not_judged": not_judged,
            "look": f"mesh model {registered.name.replace('.', '/')}",
        },
    )


def _gates(verdicts: Sequence[Verdict]) -> dg.TableMetadataValue:
    head = [dg.TableColumn("gate"), dg.TableColumn("verdict"), dg.TableColumn("told"), dg.TableColumn("named")]
    records = [
        dg.TableRecord(
            {
                "gate": one.gate,
                "verdict": one.verdict,
                "told": one.told,
                "named": "definition" if one.named else "stands in",
            }
        )
        for one in verdicts
    ]
    return dg.TableMetadataValue(records, dg.TableSchema(head))


def _columns(reports: Sequence[ColumnReport]) -> dg.TableMetadataValue:
    """What became of each column, what is used first."""
    head = [
        dg.TableColumn("column"),
        dg.TableColumn("used"),
        dg.TableColumn("why"),
        dg.TableColumn("alone", "float", description="AUC of the column by itself"),
        dg.TableColumn("gain", "float", description="loss saved on rows of another time, in nats per 1,000 rows"),
        dg.TableColumn("drift", "float", description="population stability index, earlier to later rows"),
    ]
    records = [
        dg.TableRecord(
            {
                "column": report.column,
                "used": "yes" if report.used else "no",
                "why": report.why,
                "alone": report.auc_alone,
                "gain": report.gain,
                "drift": report.drift,
            }
        )
        for report in sorted(reports, key=lambda report: not report.used)
    ]
    return dg.TableMetadataValue(records, dg.TableSchema(head))


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


def _labels(around: TrainingContext, run_id: str) -> dict[str, str]:
    """How the training set grew, as the run says it."""
    from mlflow.exceptions import MlflowException

    try:
        tags = prepare_tracking(around.tracking_uri).get_run(run_id).data.tags
    except MlflowException:
        return {}  # the run was deleted; its version stands all the same
    return {tag.removeprefix("mesh."): text for tag, text in tags.items() if tag.startswith("mesh.labels")}


def _scores_asset(product: Product, definition: ModelDefinition) -> dg.AssetsDefinition:
    table = product.contract.tables[0]

    @dg.asset(
        key=candidate_key(product.domain, table.name),
        deps=[model_key(product.domain, definition.model), published(definition.input)],
        description=table.description,
        group_name=product.domain,
        kinds={definition.algorithm, "ducklake", "table"},
        tags={"domain": product.domain, "layer": "candidate"},
        owners=owners(product),
        op_tags={"domain": product.domain},
    )
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
                    "test": _test_metrics(around, _run_of(around, model)),
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


def _test_metrics(around: TrainingContext, run_id: str) -> dict[str, float]:
    """The headline figures on later rows, as MLflow holds them, with the ends of their intervals."""
    from mlflow.exceptions import MlflowException

    try:
        found = prepare_tracking(around.tracking_uri).get_run(run_id).data.metrics
    except MlflowException:
        return {}  # the run was deleted; the model scores all the same
    headline = ("auc", "average_precision", "recall_at_capacity", "precision_at_capacity")
    names = [f"test_{name}{end}" for name in headline for end in ("", "_low", "_high")]
    return {name: found[name] for name in names if name in found}


def _run_of(around: TrainingContext, model: LoadedModel) -> str:
    standing = Registry.of(around).standing(model.name)
    return str(standing.registration(int(str(model.version))).evidence.get("run", ""))


def training_context(
    mesh: Mesh,
    product: Product,
    definition: ModelDefinition,
    at: int,
    run_id: str,
    products: Sequence[str] = (),
) -> TrainingContext:
    """Where a training or scoring stands: the releases served at a snapshot, their contracts, this code.

    Args:
        products: what is read; default what training reads.
    """
    served = mesh.history().at(at).served
    read = tuple(products) or definition.products
    missing = [key for key in read if key not in served]
    if missing:
        raise ModelError(f"{definition.model} reads {', '.join(missing)}, which has no release yet. Publish it first.")
    undeclared = sorted(set(read) - set(product.inputs))
    if undeclared:
        raise ModelError(
            f"{definition.model} reads {', '.join(undeclared)}; name it among the inputContracts of {product.name} in "
            f"data_products/{product.domain}/domain.yaml, so that a new release is noticed."
        )
    releases = {key: ReleaseRef(served[key].release, served[key].snapshot) for key in read}
    return TrainingContext(
        domain=product.domain,
        releases=releases,
        contracts={key: ContractRef(served[key].contract_version, served[key].contract_hash) for key in read},
        code_revision=mesh.code_revision,
        run_id=run_id,
        tracking_uri=mesh.postgres.url(mesh.postgres.mlflow_database),
        artifact_dir=mesh.settings.home / "mlflow" / "artifacts",
        # Not the git commit: an unrelated commit must not train a model again.
        fingerprint=fingerprint(definition, releases, ""),
        home=mesh.settings.home,
        threads=mesh.settings.threads,
        ledger=Ledger(mesh.postgres),
    )


def relations(mesh: Mesh) -> RelationFor:
    """Where the build reads a product: its public view in the pinned inputs."""
    products: Mapping[str, Product] = mesh.project.products

    def relation_for(key: str) -> str:
        product = products[key]
        return f"{INPUTS}.{product.contract.view(product.contract.tables[0])}"

    return relation_for


def relations_at(mesh: Mesh) -> Callable[[str, int], str]:
    """Where the build reads a product as an earlier release had it."""
    history = mesh.history()

    def relation_at(key: str, number: int) -> str:
        product, release = mesh.project.products[key], history.get(key, number)
        table = product.contract.tables[0]
        return f"(from {INPUTS}.{product.build_schema}.{table.name} at (version => {release.snapshot}))"

    return relation_at


def published(key: str) -> dg.AssetKey:
    """The view of an upstream product; its major version is the one its contract has now."""
    from dagster_project.resources import process_mesh

    upstream = process_mesh().project.product(key)
    return dg.AssetKey(upstream.contract.view(upstream.contract.tables[0]).split("."))


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
