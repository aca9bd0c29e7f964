"""What people decide about versions, and what the ledger makes of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg2
import pyarrow as pa
import pytest

from mesh.errors import ModelError, NotFound, UsageError
from mesh.model import (
    Ledger,
    ModelDefinition,
    Registry,
    TrainedModel,
    TrainingContext,
    champion,
    find_registered,
    maker,
    prepare_tracking,
    register,
    score,
    versions,
)
from mesh.model.derived import Making
from mesh.model.promotion import Ask, promote, restore, retire, roll_back, weigh
from mesh.model.registry import mirror
from tests.mesh.model.conftest import SHARED_KEY

TrainedFor = Callable[..., TrainedModel]
ASK = Ask("ann", "the regulator asked")


@pytest.fixture
def name(context: TrainingContext) -> str:
    return f"{context.domain}.risk"


@pytest.fixture(scope="module")
def base(
    tmp_path_factory: pytest.TempPathFactory,
    store: str,
    ledger: Ledger,
    definition: ModelDefinition,
    trained_for: TrainedFor,
    weak: TrainedModel,
    other: TrainedModel,
) -> Registry:
    """Version 1 was champion, 2 was held, 3 is champion; registered once, since MLflow takes seconds for it."""
    folder = tmp_path_factory.mktemp("base")
    context = TrainingContext(
        "base", {}, {}, "0123abc", "run-1", store, "", folder, artifact_dir=folder / "artefacts", ledger=ledger
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESH_TOKEN_KEY", SHARED_KEY)
        for number, model in enumerate((trained_for(context), trained_for(context, weak), trained_for(context, other))):
            register(model, definition, replace(context, fingerprint=f"{number}" * 64))
    return Registry.of(context)


@pytest.fixture
def registry(base: Registry, context: TrainingContext, name: str) -> Registry:
    """The same three versions under a name and in a home of this test's own."""
    registry, client = Registry.of(context), base.client()
    shutil.copytree(base.home / "models", registry.home / "models")
    client.create_registered_model(name)
    for number in (1, 2, 3):
        there = client.get_model_version("base.risk", str(number))
        client.create_model_version(name, there.source, there.run_id, tags=there.tags)
    events = [replace(event, model=name) for event in base.ledger.standing("base.risk").events]
    mirror(client, registry.ledger.append(events, after=0))
    return registry


def kinds(registry: Registry, name: str) -> list[tuple[str, int, str, str]]:
    return [(event.kind, event.version, event.who, event.why) for event in registry.ledger.standing(name).events]


@contextmanager
def artefacts_moved_away(base: Registry) -> Iterator[None]:
    """As where somebody deleted the artefacts of MLflow."""
    folder = base.home / "artefacts"
    folder.rename(folder.with_suffix(".gone"))
    yield
    folder.with_suffix(".gone").rename(folder)


def alias(context: TrainingContext, name: str) -> int:
    return int(prepare_tracking(context.tracking_uri).get_model_version_by_alias(name, "champion").version)


def test_a_promotion_shows_figures_of_both_sides_on_the_same_rows(
    registry: Registry, name: str, trained: TrainedModel, other: TrainedModel
) -> None:
    events = registry.ledger.standing(name).events
    assert [(event.kind, event.version) for event in events] == [
        ("registered", 1), ("promoted", 1), ("registered", 2), ("held", 2), ("registered", 3), ("promoted", 3),
    ]  # fmt: skip
    held, promoted = events[3].evidence, events[5].evidence
    assert (promoted["champion"], promoted["compared_rows"], promoted["left_out"]) == (1, 791, 0)
    for side, model in (("challenger", other), ("champion", trained)):
        shown = promoted["figures"][side]["average_precision"]
        assert shown == pytest.approx(model.metrics["test"]["average_precision"].value)
    change = promoted["differences"]["average_precision"]
    both = promoted["figures"]
    assert change["value"] == pytest.approx(
        both["challenger"]["average_precision"] - both["champion"]["average_precision"]
    )
    assert change["low"] < change["value"] < change["high"]
    verdicts = {one["gate"]: one["verdict"] for one in held["gates"]}
    assert verdicts == {
        "not_worse.average_precision": "failed",
        "not_worse.recall_at_capacity": "failed",
        "most.ece": "passed",
        "most.megabytes": "passed",
        "most.row_microseconds": "passed",
        "groups.flag_rate_ratio": "not judged",
        "groups.false_positive_gap": "not judged",
    }
    assert events[3].why.startswith("not_worse.average_precision failed: 0.")
    assert registry.load(name, 2).sha256 == events[3].sha256


def test_the_server_refuses_to_change_the_ledger(registry: Registry, name: str) -> None:
    before = kinds(registry, name)
    for statement in (
        "update mesh.model_event set who = 'nobody'",
        "delete from mesh.model_event",
        "truncate mesh.model_event",
    ):
        with registry.ledger.postgres.cursor() as cursor, pytest.raises(psycopg2.Error, match="append-only"):
            cursor.execute(statement)
    assert kinds(registry, name) == before


def test_a_version_that_fails_a_gate_is_promoted_only_by_force_which_stays_on_record(
    definition: ModelDefinition, context: TrainingContext, registry: Registry, name: str, labelled: pa.Table
) -> None:
    found = weigh(registry, name, 2, definition, labelled)
    assert (found.champion, found.compared_rows) == (3, 791)
    with pytest.raises(
        ModelError, match=r"version 2 is not promoted: not_worse\.average_precision failed: 0\..*--force"
    ):
        promote(registry, name, 2, ASK, definition, found)
    assert champion(definition, context).version == 3
    done = promote(registry, name, 2, ASK, definition, found, force=True)
    assert (done.version, done.before, done.forced) == (2, 3, True)
    assert (champion(definition, context).version, alias(context, name)) == (2, 2)
    forced = "forced past not_worse.average_precision, not_worse.recall_at_capacity"
    assert kinds(registry, name)[-1] == ("promoted", 2, "ann", f"the regulator asked ({forced})")
    evidence = registry.ledger.standing(name).events[-1].evidence
    assert (evidence["forced"], len(evidence["gates"])) == (True, 7)
    with pytest.raises(ModelError, match="version 2 is champion already"):
        promote(registry, name, 2, ASK, definition, found, force=True)


def test_rows_that_the_champion_learned_from_do_not_count_and_too_few_hold_a_version(
    definition: ModelDefinition, registry: Registry, name: str, labelled: pa.Table
) -> None:
    """Or a champion would be flattered by what it knows by heart."""
    few = weigh(registry, name, 1, definition, labelled.slice(0, labelled.num_rows - 780))
    assert (few.rows, few.compared_rows, few.differences) == (11, 11, {})
    with pytest.raises(ModelError, match="not judged: of 11 later rows the champion has not learned from 11, "):
        promote(registry, name, 1, ASK, definition, few)


def test_rolling_back_takes_one_command_and_training_again_does_not_undo_it(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor, other: TrainedModel, name: str
) -> None:
    for number, trained in enumerate((trained_for(context), trained_for(context, other))):
        register(trained, definition, replace(context, fingerprint=f"{number}" * 64))
    registry = Registry.of(context)
    assert roll_back(registry, name, None, ASK) == (2, 1)
    assert (champion(definition, context).version, alias(context, name)) == (1, 1)
    again = find_registered(definition, replace(context, fingerprint="1" * 64))
    assert again is not None
    told = "rolled back to version 1: the regulator asked"
    assert (again.version, again.decision, again.reason) == (2, "rolled_back", told)
    # The same rows released once more give the same model: it must not come back by the back door.
    renewed = register(trained_for(context, other), definition, replace(context, fingerprint="3" * 64))
    assert (renewed.version, renewed.decision) == (3, "held")
    assert renewed.reason == "the same model was rolled back to version 1: the regulator asked"
    assert champion(definition, context).version == 1
    assert [(one.version, one.standing) for one in versions(registry, name)] == [
        (3, "challenger"), (2, "challenger"), (1, "champion"),
    ]  # fmt: skip


def test_only_an_earlier_champion_in_service_can_be_rolled_back_to(registry: Registry, name: str) -> None:
    with pytest.raises(ModelError, match=r"version 2 was never champion.*Earlier champions: 1, 3"):
        roll_back(registry, name, 2, ASK)
    with pytest.raises(NotFound, match=r"has no version 9\. Versions: 3, 2, 1"):
        roll_back(registry, name, 9, ASK)
    retire(registry, name, 1, ASK)
    with pytest.raises(ModelError, match="version 1 is retired: the regulator asked"):
        roll_back(registry, name, 1, ASK)
    with pytest.raises(NotFound, match="has no earlier champion in service"):
        roll_back(registry, name, None, ASK)
    with pytest.raises(UsageError, match="--why is empty"):
        Ask("ann", " ")


def test_a_retired_version_scores_an_old_releases_rows_though_mlflow_lost_it(
    base: Registry, context: TrainingContext, registry: Registry, name: str, everybody: pa.Table
) -> None:
    """A decision of years ago must be explained with the model that made it."""
    before = score(registry.load(name, 1), everybody)
    retire(registry, name, 1, ASK)
    assert registry.ledger.standing(name).challengers == (2,)
    prepare_tracking(context.tracking_uri).delete_model_version(name, "1")
    assert score(registry.load(name, 1), everybody).equals(before)
    elsewhere = replace(registry, home=registry.home.parent / "another machine")
    assert score(elsewhere.load(name, 1), everybody).equals(before)
    shutil.rmtree(elsewhere.home / "models")
    with artefacts_moved_away(base):
        assert [one.version for one in versions(elsewhere, name)] == [3, 2, 1]
        with pytest.raises(ModelError, match=r"neither in .*/models/.* nor among the artefacts .* backup"):
            elsewhere.load(name, 1)


def test_the_champion_cannot_be_retired_and_what_is_retired_can_be_restored(registry: Registry, name: str) -> None:
    with pytest.raises(ModelError, match="version 3 is champion: without it nothing is scored"):
        retire(registry, name, 3, ASK)
    with pytest.raises(ModelError, match="version 2 is in service"):
        restore(registry, name, 2, ASK)
    retire(registry, name, 2, ASK)
    restore(registry, name, 2, Ask("ben", "it is needed"))
    assert kinds(registry, name)[-2:] == [
        ("retired", 2, "ann", "the regulator asked"), ("restored", 2, "ben", "it is needed"),
    ]  # fmt: skip
    assert registry.ledger.standing(name).challengers == (2, 1)


ROLL_BACK = """
import sys
from pathlib import Path
from mesh.model import Ledger, Registry
from mesh.model.registry import mirror
from mesh.model.promotion import Ask, roll_back
from mesh.postgres import start
from mesh.settings import Settings
home, url, uri, name = sys.argv[1:]
roll_back(Registry(Ledger(start(Settings(home=home, postgres_url=url))), uri, Path(home)), name, 1, Ask("ann", "why"))
"""


def test_a_kill_between_ledger_and_alias_is_put_right_by_whoever_looks_next(
    definition: ModelDefinition, context: TrainingContext, registry: Registry, name: str
) -> None:
    postgres = registry.ledger.postgres
    url = f"postgresql://postgres@/{postgres.database}?host={postgres.host}"
    words = [sys.executable, "-c", ROLL_BACK, str(registry.home), url, registry.tracking_uri, name]
    environment = {**os.environ, "MESH_FAILPOINT": f"model.recorded@{name}"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    assert (champion(definition, context).version, alias(context, name)) == (1, 3)
    client = prepare_tracking(context.tracking_uri)
    assert client.get_model_version(name, "3").tags["mesh.decision"] == "promoted"
    find_registered(definition, context)
    assert alias(context, name) == 1
    assert client.get_model_version(name, "3").tags["mesh.decision"] == "rolled_back"
    assert kinds(registry, name)[-1] == ("rolled_back", 1, "ann", "why")


def test_two_who_decide_at_once_do_not_both_succeed(registry: Registry, name: str) -> None:
    standing = registry.ledger.standing(name)
    retire(registry, name, 2, ASK)
    event = replace(standing.events[0], kind="retired")
    with pytest.raises(ModelError, match="somebody else registered, promoted or retired a version"):
        registry.ledger.append([event], after=standing.last)


def making(con: duckdb.DuckDBPyConnection, definition: ModelDefinition, context: TrainingContext) -> Making:
    relations = {"insight/features": "features", "insight/scores": "champion_scores"}
    return Making(con, definition, context, relations.__getitem__)


def test_challengers_score_the_same_rows_beside_the_champion(
    con: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    context: TrainingContext,
    registry: Registry,
    name: str,
    everybody: pa.Table,
) -> None:
    scored = score(registry.load(name, 3), everybody.slice(1))
    scored = scored.append_column("model_version", pa.repeat(pa.scalar("3"), scored.num_rows))
    con.register("champion_scores", scored)
    made = maker("challengers")(making(con, definition, context))
    assert made.scored_by == tuple((number, registry.load(name, number).sha256) for number in (2, 1))
    used = {feature.name for number in (1, 2) for feature in registry.load(name, number).card.features}
    assert {(one.table, one.column) for one in made.lineage["score"]} == {("insight/features", one) for one in used}
    assert made.details == {"model_name": name, "challengers": "2, 1", "left_out": {}, "not_in_shadow": 0}
    table = made.table.sort_by([("model_version", "ascending"), ("case_id", "ascending")])
    assert table.num_rows == 2 * everybody.num_rows
    assert set(table["champion_version"].to_pylist()) == {"3", None}
    assert table["champion_version"].null_count == 2  # one row that the champion has not scored, by two challengers
    first = table.slice(0, everybody.num_rows)
    alone = score(registry.load(name, 1), everybody).sort_by("case_id")
    for column in ("case_id", "probability", "score", "band", "flagged"):
        assert first[column].equals(alone[column])


def test_a_challenger_that_cannot_score_is_left_out_and_told(
    base: Registry,
    con: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    context: TrainingContext,
    registry: Registry,
    name: str,
) -> None:
    retire(registry, name, 2, ASK)
    shutil.rmtree(registry.home / "models" / registry.ledger.standing(name).need(1))
    con.execute("create or replace temp view champion_scores as select '' as case_id, '' as model_version, "
                "0.0 as probability, true as flagged")  # fmt: skip
    with artefacts_moved_away(base):
        made = maker("challengers")(making(con, definition, context))
    assert made.table.num_rows == 0
    assert made.table.column_names[:2] == ["case_id", "probability"]
    assert list(made.details["left_out"]) == ["1"]
    assert "are neither in" in made.details["left_out"]["1"]
    con.execute("drop view champion_scores")


def test_the_ledger_is_read_without_mlflow(registry: Registry, name: str) -> None:
    """A plan asks for the champion on every look; MLflow takes seconds to import."""
    program = (
        "import sys; from mesh.model import Ledger, Registry, champion; from mesh.model.challengers import live; "
        "print(sorted({'mlflow', 'lightgbm', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert Path(registry.home / "models" / registry.ledger.standing(name).need(2) / "model.txt").is_file()
