"""Which version scores is decided by gates and people; runs follow the ledger, and challengers score in shadow."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from dagster_project.automation import Seen, look
from dagster_project.instance import instance
from dagster_project.resources import process_mesh
from tests.model_desk import MODEL, SCORES, Desk, cases, contract_text, desk
from tests.spine.bench import as_new_process

SHADOW = "desk/shadow"
GATES = "gates: {least: {auc: 0.99}, most: {ece: 1, row_microseconds: 1000000}}\noutputs: {challengers: desk/shadow}\n"
PORT = """\
  - name: shadow
    version: 1.0.0
    contractId: desk-shadow
    inputContracts: [{id: cases-features, version: 1.0.0}, {id: desk-scores, version: 1.0.0}]
"""
COLUMNS = [
    ("case_id", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 1"),
    ("model_version", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 2"),
    ("probability", "DOUBLE", "internal"),
    ("flagged", "BOOLEAN", "internal"),
    ("champion_version", "VARCHAR", "internal"),
    ("champion_probability", "DOUBLE", "internal"),
]

pytestmark = pytest.mark.timeout(600)


def model(made: Desk) -> dict[str, Any]:
    return dict(json.loads(made.say("model", "desk/risk", "--json")))


def standing(made: Desk) -> dict[int, tuple[str, str]]:
    return {one["version"]: (one["standing"], one["decision"].partition(":")[0]) for one in model(made)["versions"]}


def checked(made: Desk) -> list[tuple[bool, Any]]:
    """Every evaluation of the model's gates that Dagster knows, oldest first."""
    records = instance(made.mesh).event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(["desk", "risk_model"]), "promotion_gates"), limit=20
    )
    told = [record.event.dagster_event.asset_check_evaluation_data for record in reversed(records)]  # type: ignore[union-attr]
    return [(one.passed, one.metadata["failed"].value) for one in told]


def shadow(made: Desk) -> list[tuple[Any, ...]]:
    reader = made.mesh.reader()
    try:
        return reader.execute(
            "select model_version, champion_version, count(*) from desk.shadow_v1 group by all order by all"
        ).fetchall()
    finally:
        reader.close()


def watched(made: Desk, seen: Seen) -> str | dg.RunRequest:
    with as_new_process(made.spine):
        return look(process_mesh(), instance(made.mesh), "desk", seen, clock=lambda: time.time() + 3600)


def test_a_model_from_its_first_gate_to_its_retirement(postgres_host: str, tmp_path: Any) -> None:
    more = {
        "data_products/desk/domain.yaml": PORT,
        f"contracts/{SHADOW}.yaml": contract_text(SHADOW, COLUMNS),
    }
    made = desk(tmp_path, postgres_host, model=MODEL + GATES, more=more)
    features, findings = cases(900)
    made.publish("cases/features", features)
    made.publish("cases/findings", findings)

    # A gate that the definition names binds the first version too; a person may decide otherwise.
    status, _, why = made.run()[SCORES]
    assert status == "failed"
    assert why.startswith("desk/risk has no champion. Version 1: least.auc failed: 0.")
    assert "mesh promote desk/risk --version 1 --force --why REASON" in why
    refused = made.say("promote", "desk/risk", "--version", "1", "--why", "somebody has to score", status=1)
    assert "version 1 is not promoted: least.auc failed: 0." in refused
    made.say("promote", "desk/risk", "--version", "1", "--why", "somebody has to score", "--force")
    assert made.run() == {
        SCORES: ("released", 1, "no release yet"),
        SHADOW: ("released", 1, "no release yet"),
    }
    assert shadow(made) == []

    later, found = cases(300, first=900)
    made.publish("cases/findings", pa.concat_tables([findings, found]))
    made.publish("cases/features", pa.concat_tables([features, later]))
    assert {key: row[:2] for key, row in made.run().items()} == {SCORES: ("released", 2), SHADOW: ("released", 2)}
    assert shadow(made) == [("2", "1", 1200)]
    assert checked(made) == [(False, ["least.auc"])] * 3

    made.say("model", "promote", "desk/risk", "--version", "2", "--why", "it has learned more", "--force")
    assert made.run() == {
        SCORES: ("released", 3, "version 2 of risk is champion"),
        SHADOW: ("released", 3, "desk/scores is built anew"),
    }
    assert shadow(made) == [("1", "2", 1200)]
    told = made.say("rollback", "desk/risk", "--to", "1", "--why", "complaints", status=2)
    assert "desk/risk is a model. Its versions are rolled back by: mesh model rollback desk/risk" in told
    seen = Seen()
    assert watched(made, seen) == "All products are up to date."
    made.say("model", "rollback", "desk/risk", "--why", "complaints")
    asked = watched(made, seen)
    assert isinstance(asked, dg.RunRequest)
    assert asked.tags["mesh/why"] == "scores: version 1 of risk is champion; shadow: desk/scores is built anew"
    assert {key: row[:2] for key, row in made.run().items()} == {SCORES: ("released", 4), SHADOW: ("released", 4)}
    served = made.mesh.history().served[SCORES]
    assert (served.details["model_name"], served.details["model_version"]) == ("desk.risk", "1")
    assert {row[0] for row in made.run().values()} == {"unchanged"}
    assert standing(made) == {2: ("challenger", "rolled_back"), 1: ("champion", "promoted")}

    made.say("model", "retire", "desk/risk", "--version", "2", "--why", "not needed")
    assert made.run() == {
        SCORES: ("unchanged", 4, "release 4 is up to date"),
        SHADOW: ("released", 5, "challengers of risk: none"),
    }
    assert shadow(made) == []
    # What version 2 scored can still be made again.
    assert json.loads(made.say("replay", f"{SCORES}@3", "--json"))["identical"] is True
    history = [(one["what"], one["version"], one["why"]) for one in reversed(model(made)["history"])]
    held = [why for what, _, why in history if what == "held"]
    assert all(why.startswith("least.auc failed: 0.") for why in held)
    assert history == [
        ("registered", 1, "trained"),
        ("held", 1, held[0]),
        ("promoted", 1, "somebody has to score (forced past least.auc)"),
        ("registered", 2, "trained"),
        ("held", 2, held[1]),
        ("promoted", 2, "it has learned more (forced past least.auc)"),
        ("rolled back", 1, "complaints"),
        ("retired", 2, "not needed"),
    ]

    # The champion is lost altogether: what comes next cannot be compared with it, so a person decides.
    shutil.rmtree(made.spine.home / "models")
    shutil.rmtree(made.spine.home / "mlflow" / "artifacts")
    made.publish("cases/findings", pa.concat_tables([findings, found, cases(100, first=1200)[1]]))
    status, _, why = made.run()[SCORES]
    assert status == "failed"
    assert why.startswith("desk.risk version 1: its files are neither in ")
    assert why.endswith("or promote another version.")
    assert standing(made)[3] == ("challenger", "held")
    made.say("promote", "desk/risk", "--version", "3", "--why", "the champion is lost", "--force")
    assert made.run()[SCORES][:2] == ("released", 5)
