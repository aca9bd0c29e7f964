"""A model is watched after its training; what comes back teaches it, and a breach starts that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from mesh.model.tracking import prepare_tracking
from tests.model_desk import MODEL, SCORES, WATCHED, Desk, cases, contract_text, desk

WATCH_COLUMNS = [
    ("model_version", "VARCHAR", "internal"),
    ("period", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 1"),
    ("stage", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 2"),
    ("measure", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 3"),
    ("subject", "VARCHAR", "internal, primaryKey: true, primaryKeyPosition: 4"),
    ("value", "DOUBLE", "internal"),
    ("low", "DOUBLE", "internal"),
    ("high", "DOUBLE", "internal"),
    ("rows", "BIGINT", "internal"),
    ("watch", "DOUBLE", "internal"),
    ("breach", "DOUBLE", "internal"),
    ("status", "VARCHAR", "internal"),
]
QUALITY = """\
    quality:
      - id: nothing_in_breach
        type: sql
        query: select count(*) from ${table} where status = 'breach'
        mustBe: 0
        severity: warning
"""
PORT = """\
  - name: watch
    version: 1.0.0
    contractId: desk-watch
    inputContracts:
      - {id: desk-scores, version: 1.0.0}
      - {id: cases-features, version: 1.0.0}
      - {id: cases-findings, version: 1.0.0}
"""
WATCHING = MODEL + "outputs: {monitoring: desk/watch}\nmonitoring: {period: week, retrain: breach}\n"
MORE = {
    f"contracts/{WATCHED}.yaml": contract_text(WATCHED, WATCH_COLUMNS, QUALITY),
    "data_products/desk/domain.yaml": PORT,
}


def _versions(made: Desk) -> dict[int, dict[str, str]]:
    """The tags of the run of each version."""
    client = prepare_tracking(made.mesh.postgres.url(made.mesh.postgres.mlflow_database))
    found = client.search_model_versions("name = 'desk.risk'")
    return {int(one.version): dict(client.get_run(one.run_id).data.tags) for one in found}


def _watched(made: Desk, where: str) -> list[tuple[Any, ...]]:
    with made.mesh.reader() as reader:
        return reader.execute(
            f"select stage, measure, subject, status from desk.watch_v1 where {where} order by all"
        ).fetchall()


def test_a_breach_starts_one_training_and_outcomes_that_came_back_are_named(postgres_host: str, tmp_path: Path) -> None:
    made = desk(tmp_path, postgres_host, model=WATCHING, more=MORE)
    features, findings = cases(3000)
    made.publish("cases/features", features)
    made.publish("cases/findings", findings)
    first = made.run()
    assert {key: found[0] for key, found in first.items()} == {SCORES: "released", WATCHED: "released"}
    tags = _versions(made)[1]
    assert (tags["mesh.why"], tags["mesh.labels"]) == ("there is no champion", str(findings.num_rows))
    assert _watched(made, "status = 'breach'") == []
    assert f"{WATCHED}@1 holds no scores of a model." in made.say("replay", f"{WATCHED}@1", status=2)
    assert {stage for stage, *_ in _watched(made, "true")} == {"learned", "tested"}

    # What comes is like what was: the champion goes on, nothing is trained.
    more, later = cases(500, first=3000)
    features, findings = pa.concat_tables([features, more]), pa.concat_tables([findings, later])
    made.publish("cases/features", features)
    made.publish("cases/findings", findings)
    assert made.run()[SCORES][:2] == ("released", 2)
    assert set(_versions(made)) == {1}
    assert _watched(made, "stage = 'new' and status = 'breach'") == []
    assert {found[0] for found in made.run().values()} == {"unchanged"}

    # Amounts double: most cases are flagged, and the monitoring says so.
    moved, outcomes = cases(600, first=3500, moved=2.5)
    made.publish("cases/features", pa.concat_tables([features, moved]))
    made.publish("cases/findings", pa.concat_tables([findings, outcomes]))
    assert made.run()[SCORES][:2] == ("released", 3)
    assert set(_versions(made)) == {1}
    broken = _watched(made, "status = 'breach'")
    assert {("new", "psi", "score", "breach"), ("new", "psi", "amount", "breach"),
            ("new", "flag_rate", "flagged", "breach")} <= set(broken)  # fmt: skip
    watched = made.mesh.history().served[WATCHED]
    assert watched.audit["warnings"] == ["watch.nothing_in_breach"]

    status, number, why = made.run()[SCORES]
    assert (status, number) == ("released", 4)
    assert why.startswith(f"{WATCHED}@3 tells a breach: ")
    tags = _versions(made)[2]
    assert tags["mesh.why"] == why
    new = later.num_rows + outcomes.num_rows
    assert {name: tags[f"mesh.labels{name}"] for name in ("", ".before", ".new", ".gone", ".changed")} == {
        "": str(findings.num_rows + outcomes.num_rows), ".before": str(findings.num_rows - later.num_rows),
        ".new": str(new), ".gone": "0", ".changed": "0",
    }  # fmt: skip
    assert (tags["mesh.labels.since"], tags["mesh.labels.release"]) == ("cases/findings@1", "cases/findings@3")
    decided = pa.concat_tables([later, outcomes])["decided_at"].to_pylist()
    assert (tags["mesh.labels.new.first"], tags["mesh.labels.new.last"]) == (
        min(decided).isoformat(), max(decided).isoformat(),
    )  # fmt: skip
    assert not any(key in value for value in tags.values() for key in later["case"].to_pylist())

    # The same breach on the same releases is not trained on again, whoever is champion now.
    assert {found[0] for found in made.run().values()} == {"unchanged"}
    assert set(_versions(made)) == {1, 2}
