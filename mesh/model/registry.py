"""Where models are kept and found: the ledger that decides, MLflow that tracks, a copy of every bundle in the home.

MLflow's alias and tags mirror the ledger (`mesh.model.ledger`); a mirror that fell behind is put right by whoever looks
next. Nothing here, or anywhere in the mesh, deletes a bundle.
"""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError, NotFound
from mesh.model.bundle import LoadedModel, load_bundle, write_bundle
from mesh.model.comparison import Opponent
from mesh.model.context import TrainingContext
from mesh.model.definition import ModelDefinition
from mesh.model.ledger import HELD, PROMOTED, REGISTERED, Ledger, ModelEvent, Standing
from mesh.model.run import BUNDLE
from mesh.model.split import TEST, TRAIN, VALIDATION
from mesh.model.tracking import prepare_tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from mesh.session import Mesh

ALIAS = "champion"
FINGERPRINT, SHA256, DECISION, REASON = "mesh.fingerprint", "mesh.bundle_sha256", "mesh.decision", "mesh.reason"
PLATFORM = "mesh"
"""Who decides where no person does."""


@dataclass(frozen=True)
class Registry:
    """Where models are kept: the ledger that decides, MLflow that tracks, and a home with a copy of every bundle."""

    ledger: Ledger
    tracking_uri: str
    home: Path

    @classmethod
    def opened(cls, mesh: Mesh) -> Registry:
        """That of an opened mesh."""
        postgres = mesh.postgres
        return cls(Ledger(postgres), postgres.url(postgres.mlflow_database), mesh.settings.home)

    @classmethod
    def of(cls, context: TrainingContext) -> Registry:
        """That of a training.

        Raises:
            ModelError: the context has no ledger; one that only trains needs none.
        """
        if context.ledger is None:
            raise ModelError("Nothing is registered or loaded without the ledger of models: give the context one.")
        return cls(context.ledger, context.tracking_uri, context.home)

    def client(self) -> MlflowClient:
        return prepare_tracking(self.tracking_uri)

    def standing(self, name: str) -> Standing:
        """Where the versions of a model stand; what MLflow knew before there was a ledger is put on record first."""
        found = self.ledger.standing(name)
        return found if found.events else _adopt(self, name)

    def load(self, name: str, version: int) -> LoadedModel:
        """Any version, whatever its standing: a release may refer to it long after it went out of service.

        Its files are verified against the ledger's hash. They come from `<home>/models/<sha256>/`, or else from
        MLflow, and are then kept there.

        Raises:
            NotFound: the ledger knows no such version.
            ModelError: the files are damaged, were replaced, or are in neither place.
        """
        standing = self.standing(name)
        sha256 = standing.need(version)
        kept = self.home / "models" / sha256
        if kept.is_dir():
            return load_bundle(kept, sha256=sha256, home=self.home, version=version)
        run_id = str(standing.registration(version).evidence.get("run", ""))
        return fetch(self, run_id, sha256, name, version)


def registered_name(definition: ModelDefinition, domain: str) -> str:
    """The name in the registry: `<domain>.<model>`."""
    return f"{domain}.{definition.model}"


@dataclass(frozen=True)
class Version:
    """A version as a listing shows it; `metrics` are those of the later rows, empty where MLflow lost the run.

    `standing` is `champion`, `challenger` or `retired`; `decision` the last word on it and `reason` its why.
    """

    version: int
    standing: str
    run_id: str
    decision: str
    reason: str
    made_at: datetime
    releases: tuple[str, ...]
    metrics: dict[str, float]

    @property
    def champion(self) -> bool:
        return self.standing == ALIAS


def versions(registry: Registry, name: str) -> tuple[Version, ...]:
    """Every version of a model (`<domain>.<model>`), newest first; nothing where there is none."""
    from mlflow.exceptions import MlflowException

    client = registry.client()
    standing = registry.standing(name)
    found = []
    for number in standing.versions:
        born = standing.registration(number)
        decision = standing.decisions[number]
        run_id = str(born.evidence.get("run", ""))
        try:
            figures = client.get_run(run_id).data.metrics
        except MlflowException:
            figures = {}
        made = born.evidence.get("made_at")
        found.append(
            Version(
                version=number,
                standing=standing.word(number),
                run_id=run_id,
                decision=decision.word,
                reason=decision.why,
                made_at=datetime.fromisoformat(made) if made else (born.at or datetime.now(UTC)).replace(tzinfo=None),
                releases=learned_from(born),
                metrics={key.removeprefix(f"{TEST}_"): value for key, value in figures.items() if key.startswith(TEST)},
            )
        )
    return tuple(found)


def learned_from(registration: ModelEvent) -> tuple[str, ...]:
    """The releases that a version learned from, `domain/product@number`."""
    return tuple(f"{key}@{number}" for key, number in sorted(registration.evidence.get("releases", {}).items()))


def champion(definition: ModelDefinition, context: TrainingContext) -> LoadedModel:
    """The model that scores now by the ledger's word, verified and kept under `<home>/models/<sha256>/`.

    Only `domain`, `ledger`, `tracking_uri` and `home` of the context are used.

    Raises:
        NotFound: no version is champion.
        ModelError: the champion's files are damaged or were replaced.
    """
    return load_champion(registered_name(definition, context.domain), Registry.of(context))


def load_champion(name: str, registry: Registry) -> LoadedModel:
    """As `champion`, for a reader that knows only the registered name."""
    standing = registry.standing(name)
    if standing.champion is None:
        key = name.replace(".", "/")
        newest = next(iter(standing.challengers), None)
        if newest is None:
            raise NotFound(f"{key} has no champion: no version of it is registered. Train it: `mesh run`.")
        raise NotFound(
            f"{key} has no champion. Version {newest}: {standing.decisions[newest].why}. Look at it with `mesh model "
            f"{key}`; make it champion with `mesh promote {key} --version {newest} --force --why REASON`."
        )
    return registry.load(name, standing.champion)


def opponent(registry: Registry, standing: Standing) -> Opponent | str | None:
    """The champion as an opponent; None where there is none, a text where it cannot be had."""
    if standing.champion is None:
        return None
    learned_to = standing.registration(standing.champion).evidence.get("learned_to")
    if not learned_to:
        return f"nobody knows up to when champion version {standing.champion} learned"
    try:
        return Opponent(registry.load(standing.model, standing.champion), tuple(learned_to))
    except ModelError as error:
        return f"champion version {standing.champion} cannot be loaded: {error}"


def mirror(client: MlflowClient, standing: Standing) -> None:
    """Make MLflow's alias and tags say what the ledger says; what says so already is left alone."""
    from mlflow.exceptions import MlflowException

    if not standing.events:
        return
    name = standing.model
    there = {int(one.version): one for one in client.search_model_versions(f"name = '{name}'")}
    if not there:
        return
    current = _aliased(client, name)
    if standing.champion is None:
        if current is not None:
            client.delete_registered_model_alias(name, ALIAS)
    elif standing.champion in there and current != standing.champion:
        client.set_registered_model_alias(name, ALIAS, str(standing.champion))
    for number, decision in standing.decisions.items():
        version = there.get(number)
        if version is None:
            continue
        for tag, value in ((REASON, decision.why[:5000]), (DECISION, decision.word)):
            if version.tags.get(tag) != value:
                client.set_model_version_tag(name, version.version, tag, value)
                try:
                    client.set_tag(version.run_id, tag, value)
                except MlflowException:
                    continue  # the run was deleted by hand; the version still tells


def _adopt(registry: Registry, name: str) -> Standing:
    """Put on record what MLflow's tags and alias said before there was a ledger."""
    client = registry.client()
    there = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version))
    events = []
    last = None
    for version in there:
        if SHA256 not in version.tags or DECISION not in version.tags:
            continue
        number, sha256 = int(version.version), version.tags[SHA256]
        run = client.get_run(version.run_id).data
        ends = [run.params.get(f"{part}_last") for part in (TRAIN, VALIDATION)]
        prefix = "mesh.release."
        evidence = {
            "run": version.run_id,
            "fingerprint": version.tags.get(FINGERPRINT, ""),
            "learned_to": [end for end in ends if end],
            "releases": {
                tag.removeprefix(prefix): int(value.partition("@")[0])
                for tag, value in run.tags.items()
                if tag.startswith(prefix)
            },
            "made_at": datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).replace(tzinfo=None).isoformat(),
        }
        why = "registered before there was a ledger"
        events.append(ModelEvent(name, number, sha256, REGISTERED, PLATFORM, why, evidence))
        kind = PROMOTED if version.tags[DECISION] == PROMOTED else HELD
        events.append(ModelEvent(name, number, sha256, kind, PLATFORM, version.tags.get(REASON, why), {}))
        last = number if kind == PROMOTED else last
    aliased = _aliased(client, name)
    known = {event.version: event.sha256 for event in events}
    if aliased in known and aliased != last:
        why = "it was champion before there was a ledger"
        events.append(ModelEvent(name, aliased, known[aliased], PROMOTED, PLATFORM, why, {}))
    return registry.ledger.append(events, after=0) if events else Standing(name)


def fetch(registry: Registry, run_id: str, sha256: str, name: str, version: int) -> LoadedModel:
    """A bundle from the artefacts of an MLflow run, verified, and kept from now on.

    Raises:
        ModelError: it is not there, or not the one that was registered.
    """
    from mlflow.exceptions import MlflowException

    kept = registry.home / "models" / sha256
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=kept.parent) as draft:
        try:
            folder = Path(registry.client().download_artifacts(run_id, BUNDLE, draft))
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"{name} version {version}: its files are neither in {kept} nor among the artefacts of MLflow run "
                f"{run_id}, so nothing can be scored with it. Put the folder back from a backup (the SHA-256 of its "
                "manifest is its name), restore the run (`mlflow runs restore`) with its artefacts, train the same "
                "definition on the same releases again, which gives the same files, or promote another version."
            ) from error
        model = load_bundle(folder, sha256=sha256, home=registry.home, version=version)
    write_bundle(kept, model, home=registry.home)
    return model


def restore(registry: Registry, model: LoadedModel, *, run_id: str) -> None:
    """Put the files of a known bundle back where they were lost or damaged; a damaged folder is moved aside."""
    from mlflow.exceptions import MlflowException

    kept = registry.home / "models" / model.sha256
    if kept.is_dir():
        try:
            load_bundle(kept, sha256=model.sha256, home=registry.home)
        except ModelError:
            kept.rename(Path(tempfile.mkdtemp(prefix=f"damaged-{model.sha256[:12]}-", dir=kept.parent)) / kept.name)
    write_bundle(kept, model, home=registry.home)
    try:
        registry.client().log_artifacts(run_id, str(kept), BUNDLE)
    except (MlflowException, OSError):
        return  # the run is gone; the home's copy serves


def _aliased(client: MlflowClient, name: str) -> int | None:
    from mlflow.exceptions import MlflowException

    try:
        return int(client.get_model_version_by_alias(name, ALIAS).version)
    except MlflowException as error:
        # A missing alias is INVALID_PARAMETER_VALUE in the SQL store, a missing model RESOURCE_DOES_NOT_EXIST.
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


@contextmanager
def one_at_a_time(home: Path, name: str) -> Iterator[Any]:
    """Hold the lock of a model in this home."""
    folder = home / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
