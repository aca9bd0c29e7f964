"""`kill -9` at every named step: running again ends where an undisturbed run ends, and readers never notice."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.instance import instance
from mesh.failpoints import STEPS
from mesh.model.tracking import prepare_tracking
from mesh.session import Mesh
from tests.mesh.model.test_model_retraining import MORE, WATCHING
from tests.model_desk import SCORES, WATCHED, cases, desk
from tests.spine.bench import NEW_CLAIMS, Analyst, deliver_claims, served, twin_spine
from tests.spine.conftest import Spine

# From an empty mesh on, in the order in which a whole run reaches them: each killed run gets a step further.
FIRST = (
    "ingest.loaded@claims/cjrs",
    "publish.before_commit@claims/claims",
    "train.registered@insight/claim_scores",
)
# For a second release, with the first one served. From the last kill on nothing is left to do.
SECOND = tuple(
    f"{step}@claims/claims"
    for step in (
        "build.built",
        "build.recorded",
        "audit.recorded",
        "publish.sealed",
        "publish.before_commit",
        "publish.committed",
    )
)
# Of a domain that has a model and nothing else, so that a run takes no longer than the model needs.
MODEL = (f"train.trained@{SCORES}", "model.recorded@desk.risk", f"score.scored@{SCORES}", f"derive.made@{WATCHED}")

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Killed:
    """A mesh whose runs were killed step by step, as it stood after its first and after its second release."""

    spine: Spine
    analyst: Analyst
    first: dict[str, dict[str, object]]
    second: dict[str, dict[str, object]]


@pytest.fixture(scope="module")
def killed(spine: Spine, postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    twin = twin_spine(spine, tmp_path_factory.mktemp("killed"), postgres_host)
    mesh = twin.mesh
    with Analyst(mesh, ("claims/claims", "insight/claim_scores"), pin="claims/claims@1") as analyst:
        for step in FIRST:
            kill_fork(twin, step)
        assert {row["why"] for row in twin.run().values() if row["status"] in ("failed", "blocked")} == set()
        first = served(mesh)
        deliver_claims(twin.landing, 2)
        for step in SECOND:
            kill_fork(twin, step, "--select", "claims/claims")
        assert {row["status"] for row in twin.run("--select", "claims/claims").values()} == {"unchanged"}
    return Killed(twin, analyst, first, served(mesh))


def kill(spine: Spine, step: str, *words: str) -> None:
    done = spine.command("run", *words, MESH_FAILPOINT=step)
    assert done.returncode == -signal.SIGKILL, f"{step} was not reached:\n{done.stdout}\n{done.stderr}"


def kill_fork(spine: Spine, step: str, *words: str) -> None:
    done = spine.fork("run", *words, MESH_FAILPOINT=step)
    assert done.status == -signal.SIGKILL, f"{step} was not reached:\n{done.out}\n{done.err}"


def test_the_chains_kill_at_every_step_and_the_torture_profile_wherever_one_is_reached() -> None:
    assert {step.split("@")[0] for step in (*FIRST, *SECOND, *MODEL)} == set(STEPS)
    assert {step.split("@")[0] for step in subjects()} == set(STEPS)
    assert {*FIRST, *SECOND} <= set(subjects())


def test_killed_runs_end_in_the_releases_of_an_undisturbed_run(spine: Spine, killed: Killed) -> None:
    """Nothing is lost or doubled: rows, contents, accounting, model and release numbers are the same."""
    assert killed.first == served(spine.mesh)


def test_a_second_release_survives_kills_around_its_commit(killed: Killed) -> None:
    before, after = killed.first["claims/claims"], killed.second["claims/claims"]
    assert after["records"] == [("release", 1), ("release", 2)]
    assert after["rows"] == {"claims": before["rows"]["claims"] + NEW_CLAIMS}  # type: ignore[index]
    unchanged = killed.first.keys() - {"claims/claims"}
    assert {key: killed.second[key] for key in unchanged} == {key: killed.first[key] for key in unchanged}


def test_an_analyst_reads_whole_releases_through_every_kill(killed: Killed) -> None:
    """Each read is one release from first to last row, releases come in their order, and a pinned one stays."""
    contents = [state["claims/claims"]["content"]["claims"] for state in (killed.first, killed.second)]  # type: ignore[index]
    scores = killed.first["insight/claim_scores"]["content"]["claim_scores"]  # type: ignore[index]
    assert killed.analyst.failures == []
    assert killed.analyst.seen == {"claims/claims": contents, "insight/claim_scores": [scores]}
    assert set(killed.analyst.pinned) == {contents[0]}


def test_no_killed_run_stands_as_started_for_ever(killed: Killed) -> None:
    dagster = instance(killed.spine.mesh)
    states = [run.status for run in dagster.get_runs()]
    assert set(states) == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert states.count(dg.DagsterRunStatus.FAILURE) == len(FIRST) + len(SECOND)


def test_a_published_view_is_materialised_in_dagster_though_its_run_was_killed(killed: Killed) -> None:
    """The lake has the release, so the UI must not go on showing the one before."""
    event = instance(killed.spine.mesh).get_latest_materialization_event(dg.AssetKey(["claims", "claims_v1"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["release"].value == 2


def test_the_model_is_registered_once_and_no_training_is_left_open(killed: Killed) -> None:
    assert registered(killed.spine.mesh, "insight.claim_fraud") == ([1], 1, {"FINISHED"})


def registered(mesh: Mesh, name: str) -> tuple[list[int], int, set[str]]:
    """The versions of a model, its champion, and how the trainings of the mesh ended."""
    client = prepare_tracking(mesh.postgres.url(mesh.postgres.mlflow_database))
    versions = [int(version.version) for version in client.search_model_versions(f"name = '{name}'")]
    champion = int(client.get_model_version_by_alias(name, "champion").version)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return versions, champion, {run.info.status for run in client.search_runs(experiments)}


def test_a_model_killed_at_each_of_its_steps_ends_as_one_that_was_left_alone(
    postgres_host: str, tmp_path: Path
) -> None:
    features, findings = cases(800)
    left_alone, made = (desk(tmp_path / name, postgres_host, model=WATCHING, more=MORE) for name in ("alone", "killed"))
    for each in (left_alone, made):
        each.publish("cases/features", features)
        each.publish("cases/findings", findings)
    left_alone.run()
    for step in MODEL:
        kill_fork(made.spine, step, "--select", "desk")
    assert {status for status, _, _ in made.run().values()} <= {"released", "unchanged"}
    assert served(made.mesh) == served(left_alone.mesh)
    assert registered(made.mesh, "desk.risk") == ([1], 1, {"FINISHED"})


def subjects() -> list[str]:
    """Every step of every product or source that reaches it."""
    from tests.conftest import ROOT
    from tests.spine.test_first_run import PRODUCTS

    sources = sorted((ROOT / "data_products").glob("*/sources/*.yaml"))
    names = [f"ingest.loaded@{path.parts[-3]}/{path.stem}" for path in sources]
    for step in STEPS:
        if step.startswith(("train.", "score.")):
            names.append(f"{step}@insight/claim_scores")
        elif step.startswith("model."):
            names.append(f"{step}@insight.claim_fraud")
        elif step.startswith("derive."):
            names += [f"{step}@insight/{name}" for name in ("challenger_scores", "claim_monitoring", "fairness")]
        elif step != "ingest.loaded":
            names += [f"{step}@{product}" for product in sorted(PRODUCTS)]
    return names


@pytest.mark.torture
@pytest.mark.parametrize("step", subjects())
def test_any_one_kill_is_made_good_by_the_next_run(spine: Spine, postgres_host: str, tmp_path: Path, step: str) -> None:
    twin = twin_spine(spine, tmp_path, postgres_host)
    kill(twin, step)
    assert {row["why"] for row in twin.run().values() if row["status"] in ("failed", "blocked")} == set()
    assert served(twin.mesh) == served(spine.mesh)
