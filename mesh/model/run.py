"""What one training leaves in MLflow: parameters, figures with intervals, lineage, plots, the model and its bundle."""

from __future__ import annotations

import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.model.bundle import MODEL, write_bundle
from mesh.model.context import ContractRef, TrainingContext
from mesh.model.definition import LOGISTIC, ModelDefinition
from mesh.model.encoding import CATEGORY
from mesh.model.evidence import label_facts, search_facts, write_evidence
from mesh.model.fairness_report import fairness_files, fairness_metrics
from mesh.model.model_card import CARD, model_card
from mesh.model.plots import write_plots
from mesh.model.report import REPORT, to_json, to_markdown
from mesh.model.training import TrainedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient

BUNDLE = "bundle"
PLOTS = "plots"
COLUMNS = "columns"
EVIDENCE = "evidence"


def log_run(
    client: MlflowClient, experiment: str, trained: TrainedModel, definition: ModelDefinition, context: TrainingContext
) -> tuple[str, str, str]:
    """Log everything of one training; the run stays open until its version is registered.

    Returns:
        Run id, logged-model id, and the URI the version is made from.
    """
    from mlflow.entities import Param

    run = client.create_run(experiment, run_name=f"{definition.model}-{context.fingerprint[:8]}", tags=_tags(context))
    run_id = str(run.info.run_id)
    params = _params(trained, definition)
    client.log_batch(run_id, metrics=_metrics(trained), params=[Param(name, value) for name, value in params.items()])
    client.log_inputs(run_id, datasets=_inputs(definition, context))
    with tempfile.TemporaryDirectory(prefix="mesh-run-") as draft:
        folder = Path(draft)
        write_bundle(folder / BUNDLE, trained.model, home=context.home)
        client.log_artifacts(run_id, str(folder / BUNDLE), BUNDLE)
        write_plots(folder / PLOTS, trained, trained.capacity)
        client.log_artifacts(run_id, str(folder / PLOTS), PLOTS)
        (folder / COLUMNS).mkdir()
        (folder / REPORT).write_text(to_json(trained.columns, trained.selection), encoding="utf-8")
        (folder / COLUMNS / "columns.md").write_text(to_markdown(trained.columns), encoding="utf-8")
        client.log_artifacts(run_id, str(folder / COLUMNS), COLUMNS)
        for place, text in _documents(trained, definition, context).items():
            path = folder / "documents" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        client.log_artifacts(run_id, str(folder / "documents"))
        write_evidence(folder / EVIDENCE, trained)
        client.log_artifacts(run_id, str(folder / EVIDENCE), EVIDENCE)
        if definition.path is not None and definition.path.is_file():
            client.log_artifact(run_id, str(definition.path), "definition")
    # Created here because `Model.log` would put it into MLflow's active experiment, which is not ours.
    name = definition.model
    logged = client.create_logged_model(experiment, name, source_run_id=run_id, params=params)
    return run_id, str(logged.model_id), _log_model(run_id, name, str(logged.model_id), trained)


def _log_model(run_id: str, name: str, model_id: str, trained: TrainedModel) -> str:
    """The model as a genuine MLflow model without a pickle: trees as `mlflow.lightgbm` reads them, terms as pyfunc.

    It takes the encoded matrix and answers uncalibrated; scores come from the bundle. The input example is made up
    (noughts), so that no person's values are stored, and is not run through a scoring server.
    """
    import pandas as pd
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, Schema

    card = trained.model.card
    names = [feature.name for feature in card.features]
    signature = ModelSignature(
        inputs=Schema([ColSpec("double", name, required=False) for name in names]), outputs=Schema([ColSpec("double")])
    )
    common: dict[str, Any] = {
        "artifact_path": None,
        "run_id": run_id,
        "name": name,
        "model_id": model_id,
        "signature": signature,
        "input_example": pd.DataFrame([[0.0] * len(names)], columns=names),
        "metadata": {"mesh_bundle_sha256": trained.model.sha256, "encoded_input": True},
    }
    if card.algorithm == LOGISTIC:
        import mlflow.pyfunc

        with tempfile.TemporaryDirectory(prefix="mesh-linear-") as place:
            (Path(place) / MODEL).write_text(trained.model.model_text, encoding="utf-8")
            info = Model.log(
                flavor=mlflow.pyfunc,
                loader_module="mesh.model.logistic",
                data_path=str(Path(place) / MODEL),
                pip_requirements=[f"mlflow=={version('mlflow')}", f"numpy=={version('numpy')}"],
                **common,
            )
        return str(info.model_uri)
    import mlflow.lightgbm

    info = Model.log(
        flavor=mlflow.lightgbm,
        lgb_model=trained.model.booster,
        pip_requirements=[f"lightgbm=={version('lightgbm')}", f"mlflow=={version('mlflow')}"],
        **common,
    )
    return str(info.model_uri)


def _documents(trained: TrainedModel, definition: ModelDefinition, context: TrainingContext) -> dict[str, str]:
    """Texts about the training, by place; those that came with it replace what is written here."""
    found = {CARD: model_card(trained, definition, context)}
    if trained.fairness is not None and definition.groups is not None:
        found |= fairness_files(trained.fairness, definition.groups.least_rows)
    return found | dict(trained.documents)


def _tags(context: TrainingContext) -> dict[str, str]:
    tags = {
        "mesh.fingerprint": context.fingerprint,
        "mesh.domain": context.domain,
        "mesh.code_revision": context.code_revision,
        "mesh.run_id": context.run_id,
        "mlflow.source.name": "mesh",
        "mlflow.source.git.commit": context.code_revision,
    }
    tags |= {f"mesh.release.{product}": f"{ref.number}@{ref.snapshot}" for product, ref in context.releases.items()}
    tags |= {f"mesh.{name}": text for name, text in context.told.items()}
    tags |= {f"mesh.contract.{product}": f"{ref.version} {ref.hash}" for product, ref in context.contracts.items()}
    return tags


def _params(trained: TrainedModel, definition: ModelDefinition) -> dict[str, str]:
    values: dict[str, object] = {
        **trained.parameters,
        "algorithm": definition.algorithm,
        "capacity": trained.capacity,
        "trees": trained.trees,
        "features": len(trained.model.card.features),
        "categorical": sum(feature.kind == CATEGORY for feature in trained.model.card.features),
        "excluded": ", ".join(sorted(definition.exclude)) or "none",
        "protected": ", ".join(sorted(definition.protected)) or "none",
        "feature_selection": definition.feature_selection,
        "columns_left_out": len(trained.selection.verdicts) - len(trained.model.card.features),
        "definition": definition.digest,
        **label_facts(trained),
        **search_facts(trained),
    }
    for name, part in trained.parts.items():
        values |= {f"{name}_first": part.first, f"{name}_last": part.last}
    return {name: str(value) for name, value in values.items()}


def _metrics(trained: TrainedModel) -> list[Any]:
    from mlflow.entities import Metric as Logged

    now = int(time.time() * 1000)
    found = []
    for part, metrics in trained.metrics.items():
        for name, metric in metrics.items():
            found.append(Logged(f"{part}_{name}", metric.value, now, 0))
            if metric.low < metric.high:
                found += [Logged(f"{part}_{name}_{end}", getattr(metric, end), now, 0) for end in ("low", "high")]
    if trained.fairness is not None:
        found += [Logged(name, value, now, 0) for name, value in fairness_metrics(trained.fairness).items()]
    if trained.search is not None:
        # A step per trial, so that MLflow draws how the search went.
        name = f"search_{trained.search.objective}"
        found += [Logged(name, trial.value, now, trial.number) for trial in trained.search.trials]
    return found


def _inputs(definition: ModelDefinition, context: TrainingContext) -> list[Any]:
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    from mesh.model.lineage import LakeReleaseSource

    found = []
    uses = dict.fromkeys(context.releases, "input")
    if definition.groups is not None:
        uses[definition.groups.product] = "groups"
    uses |= {definition.label.product or definition.input: "label", definition.input: "features"}
    for product, ref in sorted(context.releases.items()):
        contract = context.contracts.get(product, ContractRef("", ""))
        source = LakeReleaseSource(product, ref.number, ref.snapshot, contract.version, contract.hash)
        dataset = MetaDataset(source, name=product, digest=f"release-{ref.number}")
        found.append(DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", uses[product])]))
    return found
