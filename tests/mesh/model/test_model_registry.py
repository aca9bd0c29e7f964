from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError, NotFound
from mesh.model import (
    ModelDefinition,
    Registry,
    ReleaseRef,
    TrainedModel,
    TrainingContext,
    champion,
    find_registered,
    fingerprint,
    prepare_tracking,
    register,
    score,
)

MadeStore = Any
TrainedFor = Callable[[TrainingContext], TrainedModel]


def test_a_registered_model_is_tracked_whole(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor, everybody: pa.Table, tmp_path: Path
) -> None:
    trained = trained_for(context)
    path = tmp_path / "risk.yaml"
    path.write_text("model: risk\n")
    done = register(trained, replace(definition, path=path), context)
    assert (done.name, done.version, done.decision, done.reused) == (f"{context.domain}.risk", 1, "promoted", False)

    client = prepare_tracking(context.tracking_uri)
    run = client.get_run(done.run_id)
    assert run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == f"{context.domain}/risk"
    assert (
        run.data.tags.items()
        >= {
            "mesh.fingerprint": "f" * 64,
            "mesh.code_revision": "0123abc",
            "mesh.run_id": "run-1",
            "mesh.release.insight/features": "4@17",
            "mesh.release.cases/outcomes": "2@15",
            "mesh.contract.insight/features": "1.2.0 " + "ab" * 32,
            "mesh.decision": "promoted",
            "mesh.reason": "there was no champion; not judged: groups.flag_rate_ratio, groups.false_positive_gap",
        }.items()
    )
    test = trained.metrics["test"]["auc"]
    figures = run.data.metrics
    assert (figures["test_auc"], figures["test_auc_low"], figures["test_auc_high"]) == (test.value, test.low, test.high)
    assert figures["test_recall_at_capacity"] == trained.metrics["test"]["recall_at_capacity"].value
    assert {"train_auc", "validation_auc", "test_n", "test_positives"} <= set(figures)
    assert run.data.params.items() >= {"capacity": "0.22", "num_leaves": "15", "excluded": "answer, note"}.items()
    assert {item.path for item in client.list_artifacts(done.run_id, "plots")} == {
        f"plots/{name}.png"
        for name in ("precision_recall", "roc", "calibration", "gain", "importance", "shap", "drift")
    }
    assert [item.path for item in client.list_artifacts(done.run_id, "definition")] == ["definition/risk.yaml"]
    assert client.get_model_version(done.name, "1").tags.items() >= {"mesh.fingerprint": "f" * 64}.items()

    model = champion(definition, context)
    assert model.version == 1
    assert (context.home / "models" / model.sha256 / "model.txt").is_file()
    assert score(model, everybody).equals(score(trained.model, everybody))
    assert not (tmp_path / "mlruns").exists()


def test_the_logged_model_is_one_that_mlflow_itself_can_load(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    import mlflow

    trained = trained_for(context)
    done = register(trained, definition, context)
    uri = f"models:/{done.name}@champion"
    rows = np.zeros((3, len(trained.model.card.features)))
    expected = trained.model.booster.predict(rows)
    assert mlflow.lightgbm.load_model(uri).predict(rows).tolist() == expected.tolist()
    import pandas as pd

    names = [feature.name for feature in trained.model.card.features]
    served = mlflow.pyfunc.load_model(uri)
    assert served.predict(pd.DataFrame(rows, columns=names)).tolist() == expected.tolist()
    assert served.metadata.get_input_schema().input_names() == names
    example = served.input_example
    assert example is not None
    assert example.to_numpy().tolist() == [[0.0] * len(names)], "an input example may hold no person's values"


def test_a_data_release_can_be_read_back_from_a_run(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    import mlflow

    done = register(trained_for(context), definition, context)
    inputs = prepare_tracking(context.tracking_uri).get_run(done.run_id).inputs.dataset_inputs
    found = {
        item.dataset.name: (mlflow.data.get_source(item), item.tags[0].value, item.dataset.digest) for item in inputs
    }
    assert {name: (source.to_dict(), source.load(), use, digest) for name, (source, use, digest) in found.items()} == {
        "insight/features": (
            {
                "product": "insight/features", "release": 4, "snapshot": 17, "contract_version": "1.2.0",
                "contract_hash": "ab" * 32,
            },
            "insight/features@4", "features", "release-4",
        ),
        "cases/outcomes": (
            {
                "product": "cases/outcomes", "release": 2, "snapshot": 15, "contract_version": "", "contract_hash": "",
            },
            "cases/outcomes@2", "label", "release-2",
        ),
    }  # fmt: skip


def test_registering_twice_gives_one_version_and_one_run(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    assert find_registered(definition, context) is None
    first = register(trained_for(context), definition, context)
    second = register(trained_for(context), definition, context)
    assert second == replace(first, reused=True)
    assert find_registered(definition, context) == second
    assert find_registered(definition, replace(context, fingerprint="0" * 64)) is None
    client = prepare_tracking(context.tracking_uri)
    assert len(client.search_model_versions(f"name = '{first.name}'")) == 1
    experiment = client.get_experiment_by_name(f"{context.domain}/risk").experiment_id
    assert len(client.search_runs([experiment])) == 1


@pytest.mark.parametrize(
    "step", ["create_logged_model", "create_model_version", "set_terminated", "set_registered_model_alias"]
)
def test_a_run_killed_at_any_step_is_continued_to_one_version(
    definition: ModelDefinition,
    context: TrainingContext,
    trained_for: TrainedFor,
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    class Killed(BaseException):
        pass

    def kill(*_args: object, **_kwargs: object) -> None:
        raise Killed

    trained = trained_for(context)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, step, kill)
        with pytest.raises(Killed):
            register(trained, definition, context)
    done = find_registered(definition, context) or register(trained, definition, context)
    assert (done.version, done.decision) == (1, "promoted")
    client = prepare_tracking(context.tracking_uri)
    assert len(client.search_model_versions(f"name = '{done.name}'")) == 1
    experiment = client.get_experiment_by_name(f"{context.domain}/risk").experiment_id
    states = sorted(run.info.status for run in client.search_runs([experiment]))
    assert states == (
        ["FINISHED", "KILLED"] if step in ("create_logged_model", "create_model_version") else ["FINISHED"]
    )
    assert champion(definition, context).version == 1


def test_the_gates_promote_what_is_not_worse_and_hold_what_is(
    definition: ModelDefinition,
    context: TrainingContext,
    trained_for: TrainedFor,
    weak: TrainedModel,
    other: TrainedModel,
) -> None:
    decisions = []
    for number, trained in enumerate((trained_for(context), trained_for(context, weak), trained_for(context, other))):
        done = register(trained, definition, replace(context, fingerprint=f"{number}" * 64))
        decisions.append((done.version, done.decision, champion(definition, context).version))
    assert decisions == [(1, "promoted", 1), (2, "held", 1), (3, "promoted", 3)]
    again = register(trained_for(context), definition, replace(context, fingerprint="1" * 64))
    assert (again.version, again.decision, again.reused) == (2, "held", True)


def test_a_damaged_champion_is_refused_and_put_back_by_training_again(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    first = register(trained_for(context), definition, context)
    stored = next(Path(context.artifact_dir or "").rglob(f"{first.run_id}/artifacts/bundle/model.txt"))
    whole = stored.read_bytes()
    stored.write_bytes(whole[: len(whole) // 2])
    elsewhere = replace(context, home=context.home.parent / "another machine")
    with pytest.raises(ModelError, match="the file is not the one that was registered"):
        champion(definition, elsewhere)
    assert find_registered(definition, elsewhere) is None
    assert register(trained_for(context), definition, elsewhere) == replace(first, reused=True)
    assert champion(definition, elsewhere).sha256 == first.sha256
    assert stored.read_bytes() == whole


def test_a_damaged_kept_copy_is_refused_and_put_back_by_training_again(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    first = register(trained_for(context), definition, context)
    kept = context.home / "models" / first.sha256 / "encoding.json"
    kept.write_text(json.dumps({"format": 1}))
    with pytest.raises(ModelError, match=r"encoding\.json: the file is not the one"):
        champion(definition, context)
    assert register(trained_for(context), definition, context) == replace(first, reused=True)
    assert champion(definition, context).sha256 == first.sha256


def test_no_champion_is_told(definition: ModelDefinition, context: TrainingContext) -> None:
    with pytest.raises(NotFound, match="has no champion: no version of it is registered"):
        champion(definition, context)


def test_what_is_done_to_the_alias_by_hand_changes_no_champion_and_is_put_right(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor
) -> None:
    """The ledger is the record; MLflow's alias only shows it."""
    done = register(trained_for(context), definition, context)
    client = prepare_tracking(context.tracking_uri)
    client.delete_registered_model_alias(done.name, "champion")
    assert champion(definition, context).version == 1
    client.create_model_version(done.name, "file:///nowhere")
    client.set_registered_model_alias(done.name, "champion", "2")
    assert champion(definition, context).version == 1
    assert find_registered(definition, context) == replace(done, reused=True)
    assert client.get_model_version_by_alias(done.name, "champion").version == 1


def test_a_version_made_by_hand_is_no_version_of_ours(definition: ModelDefinition, context: TrainingContext) -> None:
    """It has no hash to be verified against, so nothing of it may be parsed."""
    client = prepare_tracking(context.tracking_uri)
    name = f"{context.domain}.risk"
    client.create_registered_model(name)
    client.create_model_version(name, "file:///nowhere")
    client.set_registered_model_alias(name, "champion", "1")
    with pytest.raises(NotFound, match="has no champion"):
        champion(definition, context)
    with pytest.raises(NotFound, match="has no version 1"):
        Registry.of(context).load(name, 1)


def test_what_was_registered_before_there_was_a_ledger_is_put_on_record_once(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor, weak: TrainedModel
) -> None:
    """A mesh of an earlier version goes on with the champion it had."""
    register(trained_for(context), definition, context)
    held = register(trained_for(context, weak), definition, replace(context, fingerprint="1" * 64))
    name = held.name
    assert context.ledger is not None
    with context.ledger.postgres.cursor() as cursor:  # as it was before: the registry of MLflow alone
        cursor.execute("alter table mesh.model_event disable trigger append_only")
        cursor.execute("delete from mesh.model_event where model = %s", (name,))
        cursor.execute("alter table mesh.model_event enable trigger append_only")
    assert champion(definition, context).version == 1
    standing = context.ledger.standing(name)
    assert [(event.kind, event.version, event.who) for event in standing.events] == [
        ("registered", 1, "mesh"), ("promoted", 1, "mesh"), ("registered", 2, "mesh"), ("held", 2, "mesh"),
    ]  # fmt: skip
    assert standing.registration(2).evidence["learned_to"] == [
        weak.parts[part].last for part in ("train", "validation")
    ]
    assert find_registered(definition, replace(context, fingerprint="1" * 64)) is not None
    assert context.ledger.standing(name).last == standing.last


def test_a_model_of_another_name_is_not_registered(
    definition: ModelDefinition, context: TrainingContext, trained: TrainedModel
) -> None:
    with pytest.raises(ModelError, match=r"insight\.risk cannot be registered as"):
        register(trained, definition, context)


def test_a_fingerprint_follows_definition_releases_and_code(definition: ModelDefinition) -> None:
    releases = {"a/b": ReleaseRef(1, 10), "c/d": ReleaseRef(2, 20)}
    first = fingerprint(definition, releases, "abc")
    assert fingerprint(definition, dict(reversed(releases.items())), "abc") == first
    others = {
        fingerprint(replace(definition, seed=8), releases, "abc"),
        fingerprint(definition, {**releases, "c/d": ReleaseRef(3, 30)}, "abc"),
        fingerprint(definition, releases, "abd"),
    }
    assert len(others | {first}) == 4


def test_importing_models_is_cheap_and_mlflow_is_silent_without_pickle_or_telemetry(made_store: MadeStore) -> None:
    """The process that made the tests' store imported `mesh.model`, told what that had loaded, and then used MLflow."""
    assert made_store.errors == ""
    assert json.loads(made_store.output) == {"heavy": [], "pickle": False, "telemetry": False}
