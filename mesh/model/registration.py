"""One MLflow run and one registered version per fingerprint, and the gates' decision on it.

A registration is found again by its fingerprint, a tag written in the same call that creates the version. A run that
was killed before that left no version, only an open run, which is closed as killed; one that was killed between the
version and its entry in the ledger is completed by the next one. One registration at a time per model and home.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.failpoints import reached
from mesh.model.bundle import write_bundle
from mesh.model.comparison import NO_GROUPS, WEIGHT, Comparison, Groups, compare
from mesh.model.context import TrainingContext
from mesh.model.definition import ModelDefinition
from mesh.model.frame import AT_RANDOM
from mesh.model.gates import FAILED, NOT_JUDGED, NOT_WORSE, Verdict, judge
from mesh.model.ledger import HELD, PROMOTED, REGISTERED, ModelEvent, Standing
from mesh.model.registry import (
    FINGERPRINT,
    PLATFORM,
    SHA256,
    Registry,
    fetch,
    mirror,
    one_at_a_time,
    opponent,
    registered_name,
    restore,
)
from mesh.model.run import log_run
from mesh.model.split import TEST, TRAIN, VALIDATION
from mesh.model.training import TrainedModel

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class RegisteredModel:
    """A version in the registry. `decision` is the last word on it, such as `promoted` (it became champion) or `held`,
    `reason` says why, `verdicts` are those of the gates.

    `reused` tells that the version was there already, so nothing was trained or logged a second time.
    """

    name: str
    version: int
    run_id: str
    sha256: str
    decision: str
    reason: str
    reused: bool
    verdicts: tuple[Verdict, ...] = ()


def register(
    trained: TrainedModel,
    definition: ModelDefinition,
    context: TrainingContext,
    *,
    groups: Groups | str = NO_GROUPS,
) -> RegisteredModel:
    """Log a run, register its model and let the gates decide whether it becomes champion; once per fingerprint.

    Args:
        groups: the groups of the rows of `trained.test_rows`, for the gates on fairness.

    Raises:
        ServiceError: MLflow's store cannot be opened.
        ModelError: the model is another one than the definition names.
    """
    name = registered_name(definition, context.domain)
    if trained.model.name != name:
        raise ModelError(f"{trained.model.name} cannot be registered as {name}. Train that definition.")
    registry = Registry.of(context)
    client = registry.client()
    with one_at_a_time(context.home, name):
        if found := find_registered(definition, context):
            return found
        standing = registry.standing(name)
        known = _the_same(standing, trained, context)
        if known is not None:
            restore(registry, trained.model, run_id=str(standing.registration(known).evidence.get("run", "")))
            return _told(standing, known, reused=True)
        decision = _weigh(registry, standing, trained, definition, context, groups)
        version = _undecided(client, registry, standing, trained, context)
        if version is None:
            experiment = _experiment(client, definition, context)
            _close_left_open(client, experiment, context.fingerprint)
            run_id, model_id, source = log_run(client, experiment, trained, definition, context)
            _ensure_model(client, name, definition)
            tags = {FINGERPRINT: context.fingerprint, SHA256: trained.model.sha256}
            version = client.create_model_version(
                name, source, run_id, tags=tags, description=definition.description, model_id=model_id
            )
        client.set_terminated(version.run_id)
        write_bundle(context.home / "models" / trained.model.sha256, trained.model, home=context.home)
        number = int(version.version)
        if number in standing.sha256:
            raise ModelError(
                f"{name}: MLflow calls the new model version {number}, which the ledger knows with other files. Its "
                "store was replaced by another one: restore it, or point the mesh to a new Postgres."
            )
        learned = {
            "run": version.run_id,
            "fingerprint": context.fingerprint,
            "learned_to": [trained.parts[part].last for part in (TRAIN, VALIDATION)],
            "releases": {product: ref.number for product, ref in context.releases.items()},
        }
        born = ModelEvent(name, number, trained.model.sha256, REGISTERED, PLATFORM, "trained", learned)
        standing = registry.ledger.append([born, replace(decision, version=number)], after=standing.last)
        reached("model.recorded", name)
        mirror(client, standing)
        return _told(standing, number, reused=False)


def find_registered(definition: ModelDefinition, context: TrainingContext) -> RegisteredModel | None:
    """The version with the context's fingerprint whose files verify, or None. Ask before training: it saves both.

    Nothing is decided a second time: a version that was rolled back or retired stays so.

    Raises:
        ServiceError: MLflow's store cannot be opened.
    """
    registry = Registry.of(context)
    client = registry.client()
    name = registered_name(definition, context.domain)
    standing = registry.standing(name)
    mirror(client, standing)
    for version in _with_fingerprint(client, name, context.fingerprint):
        number = int(version.version)
        if number not in standing.decisions:
            continue  # killed before it was decided: training again gives the evidence that the gates need
        try:
            registry.load(name, number)
        except ModelError:
            continue
        return _told(standing, number, reused=True)
    return None


def evidence_of(found: Comparison, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """What goes on record with a decision: figures on both sides and every gate's verdict."""
    return {**found.to_json(), "gates": [verdict.to_json() for verdict in verdicts]}


def in_words(found: Comparison, verdicts: tuple[Verdict, ...]) -> str:
    """Why the gates decided as they did, in a sentence; the verdicts themselves have every number."""
    holding = [one for one in verdicts if one.holds]
    if holding:
        return "; ".join(f"{one.gate} {one.verdict}: {one.told}" for one in holding)
    if found.champion is None:
        why = "there was no champion"
    elif found.differences:
        named = [one.gate.partition(".")[2] for one in verdicts if one.gate.startswith(NOT_WORSE)]
        changes = ", ".join(f"{name} {found.differences[name].value:+.4f}" for name in named)
        why = f"not worse than version {found.champion} on the same {found.compared_rows} rows: {changes}"
    else:
        why = "every gate that binds was passed"
    failed = [one.gate for one in verdicts if one.verdict == FAILED]
    not_judged = [one.gate for one in verdicts if one.verdict == NOT_JUDGED and not one.gate.startswith(NOT_WORSE)]
    why += f"; failed, but only stands in: {', '.join(failed)}" if failed else ""
    return why + (f"; not judged: {', '.join(not_judged)}" if not_judged else "")


def _weigh(
    registry: Registry,
    standing: Standing,
    trained: TrainedModel,
    definition: ModelDefinition,
    context: TrainingContext,
    groups: Groups | str,
) -> ModelEvent:
    """The decision on a model that has no number yet."""
    rows = trained.test_rows
    if sample := trained.samples.get(TEST):
        drawn = rows.column(AT_RANDOM).to_numpy()
        rows = rows.append_column(WEIGHT, [[sample.weight if one else sample.weight_otherwise for one in drawn]])
    found = compare(
        definition,
        trained.model,
        rows,
        opponent(registry, standing),
        champion_version=standing.champion,
        groups=groups,
        threads=context.threads,
    )
    verdicts = judge(definition.gates, found)
    kind = HELD if any(one.holds for one in verdicts) else PROMOTED
    why = in_words(found, verdicts)
    before = standing.rejected(trained.model.sha256)
    if before is not None:
        kind, why = HELD, f"the same model was rolled back to version {before.version}: {before.why}"
    evidence = evidence_of(found, verdicts)
    evidence["releases"] = {product: ref.number for product, ref in context.releases.items()}
    return ModelEvent(standing.model, 0, trained.model.sha256, kind, PLATFORM, why, evidence)


def _the_same(standing: Standing, trained: TrainedModel, context: TrainingContext) -> int | None:
    """The version that was trained from the same and came out the same, where its files were lost or damaged since."""
    for number in standing.versions:
        same = standing.sha256[number] == trained.model.sha256
        if same and standing.registration(number).evidence.get("fingerprint") == context.fingerprint:
            return number
    return None


def _undecided(
    client: MlflowClient, registry: Registry, standing: Standing, trained: TrainedModel, context: TrainingContext
) -> ModelVersion | None:
    """The version that a killed run left without a decision, if its files are those of this training."""
    for version in _with_fingerprint(client, standing.model, context.fingerprint):
        number = int(version.version)
        if number in standing.sha256 or version.tags.get(SHA256) != trained.model.sha256:
            continue
        try:
            fetch(registry, version.run_id, trained.model.sha256, standing.model, number)
        except ModelError:
            continue
        return version
    return None


def _told(standing: Standing, version: int, *, reused: bool) -> RegisteredModel:
    decision = standing.decisions[version]
    judged = [event for event in standing.events if event.version == version and event.evidence.get("gates")]
    return RegisteredModel(
        name=standing.model,
        version=version,
        run_id=str(standing.registration(version).evidence.get("run", "")),
        sha256=standing.sha256[version],
        decision=decision.word,
        reason=decision.why,
        reused=reused,
        verdicts=tuple(Verdict.from_json(one) for one in judged[-1].evidence["gates"]) if judged else (),
    )


def _with_fingerprint(client: MlflowClient, name: str, fingerprint: str) -> list[ModelVersion]:
    query = f"name = '{name}' and tags.`{FINGERPRINT}` = '{fingerprint}'"
    return sorted(client.search_model_versions(query), key=lambda found: -int(found.version))


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
