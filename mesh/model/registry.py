"""Trained models in MLflow: one run, one registered version, one champion.

A registration is found again by its fingerprint, a tag written in the same call that creates the version. A run
that was killed before that left no version, only an open run, which is closed as killed; one that was killed after
it is completed (the promotion is decided where it was not). One registration at a time per model and home.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError, NotFound
from mesh.model.bundle import LoadedModel, load_bundle, write_bundle
from mesh.model.context import TrainingContext
from mesh.model.definition import ModelDefinition
from mesh.model.run import BUNDLE, log_run
from mesh.model.split import TEST
from mesh.model.tracking import prepare_tracking
from mesh.model.training import TrainedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
FINGERPRINT, SHA256, DECISION, REASON = "mesh.fingerprint", "mesh.bundle_sha256", "mesh.decision", "mesh.reason"
PROMOTED, HELD = "promoted", "held"


@dataclass(frozen=True)
class RegisteredModel:
    """A version in the registry. `decision` is `promoted` (it became champion) or `held`, `reason` says why.

    `reused` tells that the version was there already, so nothing was trained or logged a second time.
    """

    name: str
    version: int
    run_id: str
    sha256: str
    decision: str
    reason: str
    reused: bool


def registered_name(definition: ModelDefinition, domain: str) -> str:
    """The name in the registry: `<domain>.<model>`."""
    return f"{domain}.{definition.model}"


def register(trained: TrainedModel, definition: ModelDefinition, context: TrainingContext) -> RegisteredModel:
    """Log a run, register its model and let the gate decide whether it becomes champion; once per fingerprint.

    Raises:
        ServiceError: MLflow's store cannot be opened.
        ModelError: the model is another one than the definition names.
    """
    name = registered_name(definition, context.domain)
    if trained.model.name != name:
        raise ModelError(f"{trained.model.name} cannot be registered as {name}. Train that definition.")
    client = prepare_tracking(context.tracking_uri)
    with _one_at_a_time(context.home, name):
        if found := find_registered(definition, context):
            return found
        experiment = _experiment(client, definition, context)
        _close_left_open(client, experiment, context.fingerprint)
        run_id, model_id, source = log_run(client, experiment, trained, definition, context)
        _ensure_model(client, name, definition)
        version = client.create_model_version(
            name,
            source,
            run_id,
            tags={FINGERPRINT: context.fingerprint, SHA256: trained.model.sha256},
            description=definition.description,
            model_id=model_id,
        )
        client.set_terminated(run_id)
        return replace(_decide(client, version), reused=False)


def find_registered(definition: ModelDefinition, context: TrainingContext) -> RegisteredModel | None:
    """The version with the context's fingerprint whose files verify, or None. Ask before training: it saves both.

    Raises:
        ServiceError: MLflow's store cannot be opened.
    """
    client = prepare_tracking(context.tracking_uri)
    name = registered_name(definition, context.domain)
    query = f"name = '{name}' and tags.`{FINGERPRINT}` = '{context.fingerprint}'"
    versions = sorted(client.search_model_versions(query), key=lambda found: -int(found.version))
    for version in versions:
        try:
            _fetch(client, version, context.home)
        except ModelError:
            continue
        if client.get_run(version.run_id).info.status == "RUNNING":
            client.set_terminated(version.run_id)
        return _decide(client, version)
    return None


@dataclass(frozen=True)
class Version:
    """A registered version as a listing shows it; `metrics` are those of the later rows."""

    version: int
    champion: bool
    run_id: str
    decision: str
    reason: str
    made_at: datetime
    releases: tuple[str, ...]
    metrics: dict[str, float]


def versions(name: str, tracking_uri: str) -> tuple[Version, ...]:
    """Every version of a registered model (`<domain>.<model>`), newest first; nothing where there is none."""
    client = prepare_tracking(tracking_uri)
    current = _champion_version(client, name)
    found = []
    for version in sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: -int(one.version)):
        run = client.get_run(version.run_id).data
        found.append(
            Version(
                version=int(version.version),
                champion=current is not None and current.version == version.version,
                run_id=version.run_id,
                decision=version.tags.get(DECISION, "undecided"),
                reason=version.tags.get(REASON, ""),
                made_at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).replace(tzinfo=None),
                releases=releases_of(run.tags),
                metrics={
                    key.removeprefix(f"{TEST}_"): value for key, value in run.metrics.items() if key.startswith(TEST)
                },
            )
        )
    return tuple(found)


def releases_of(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The releases that a run learned from, as its tags name them: `domain/product@number`."""
    prefix = "mesh.release."
    return tuple(
        f"{tag.removeprefix(prefix)}@{value.partition('@')[0]}"
        for tag, value in sorted(tags.items())
        if tag.startswith(prefix)
    )


def champion(definition: ModelDefinition, context: TrainingContext) -> LoadedModel:
    """The model that scores now, verified and kept under `<home>/models/<sha256>/`.

    Only `domain`, `tracking_uri` and `home` of the context are used.

    Raises:
        NotFound: no version is champion.
        ModelError: the champion's files are damaged or were replaced.
    """
    return load_champion(registered_name(definition, context.domain), context.tracking_uri, context.home)


def load_champion(name: str, tracking_uri: str, home: Path) -> LoadedModel:
    """As `champion`, for a reader that knows only the registered name."""
    client = prepare_tracking(tracking_uri)
    version = _champion_version(client, name)
    if version is None:
        raise NotFound(f"{name} has no champion. Train and register it, or set the alias `{CHAMPION}` on a version.")
    return _fetch(client, version, home)


def load_version(name: str, number: int, tracking_uri: str, home: Path) -> LoadedModel:
    """A version by its number, champion or not, verified and kept as a champion is.

    Raises:
        NotFound: there is no such version.
        ModelError: its files are damaged, were replaced, or cannot be fetched.
    """
    from mlflow.exceptions import MlflowException

    client = prepare_tracking(tracking_uri)
    try:
        version = client.get_model_version(name, str(number))
    except MlflowException as error:
        raise NotFound(f"{name} has no version {number} in MLflow's registry; it was deleted there.") from error
    return _fetch(client, version, home)


def _fetch(client: MlflowClient, version: ModelVersion, home: Path) -> LoadedModel:
    from mlflow.exceptions import MlflowException

    sha256, number = version.tags.get(SHA256), int(version.version)
    if not sha256:
        raise ModelError(f"{version.name} version {number} was not registered by the mesh, so it cannot be verified.")
    kept = home / "models" / sha256
    if kept.is_dir():
        return load_bundle(kept, sha256=sha256, version=number)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept.parent) as draft:
        try:
            folder = Path(client.download_artifacts(version.run_id, BUNDLE, draft))
        except (MlflowException, OSError) as error:
            raise ModelError(f"{version.name} version {number}: its files cannot be fetched from MLflow.") from error
        model = load_bundle(folder, sha256=sha256, version=number)
    write_bundle(kept, model)
    return model


def _decide(client: MlflowClient, version: ModelVersion) -> RegisteredModel:
    """Promote or hold a version, once; the decision is stored before the alias moves, and the alias move repeats."""
    decision, reason = version.tags.get(DECISION), version.tags.get(REASON, "")
    if decision is None:
        decision, reason = _gate(client, version)
        if decision == PROMOTED:
            client.set_registered_model_alias(version.name, CHAMPION, version.version)
        for tag, value in ((REASON, reason), (DECISION, decision)):
            client.set_tag(version.run_id, tag, value)
            client.set_model_version_tag(version.name, version.version, tag, value)
    return RegisteredModel(
        version.name, int(version.version), version.run_id, version.tags[SHA256], decision, reason, reused=True
    )


def _gate(client: MlflowClient, version: ModelVersion) -> tuple[str, str]:
    """Better-not-worse: the later rows' average precision may not fall below the champion's interval."""
    current = _champion_version(client, version.name)
    if current is None:
        return PROMOTED, "there was no champion"
    if current.version == version.version:
        return PROMOTED, "it is the champion already"
    mine = client.get_run(version.run_id).data.metrics[f"{TEST}_average_precision"]
    bar = client.get_run(current.run_id).data.metrics.get(f"{TEST}_average_precision_low")
    if bar is None:
        return HELD, f"champion version {current.version} has no test figures to compare with"
    figures = f"test average precision {mine:.4f}, champion version {current.version} at least {bar:.4f}"
    return (PROMOTED, f"not worse: {figures}") if mine >= bar else (HELD, f"worse: {figures}")


def _champion_version(client: MlflowClient, name: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, CHAMPION)
    except MlflowException as error:
        # A missing alias is INVALID_PARAMETER_VALUE in the SQL store, a missing model RESOURCE_DOES_NOT_EXIST.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _experiment(client: MlflowClient, definition: ModelDefinition, context: TrainingContext) -> str:
    name = f"{context.domain}/{definition.model}"
    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    place = None
    if context.artifact_dir is not None:
        place = (context.artifact_dir / context.domain / definition.model).absolute().as_uri()
    return str(client.create_experiment(name, artifact_location=place))


def _ensure_model(client: MlflowClient, name: str, definition: ModelDefinition) -> None:
    if not client.search_registered_models(f"name = '{name}'", max_results=1):
        client.create_registered_model(name, description=definition.description)


def _close_left_open(client: MlflowClient, experiment: str, fingerprint: str) -> None:
    query = f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status = 'RUNNING'"
    for run in client.search_runs([experiment], query):
        client.set_terminated(run.info.run_id, "KILLED")


@contextmanager
def _one_at_a_time(home: Path, name: str) -> Iterator[Any]:
    folder = home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
