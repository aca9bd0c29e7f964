"""A score release is made again from what it pinned: the same bits, whatever happened since."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh.model.tracking import prepare_tracking
from tests.model_desk import SCORES, Desk, cases, desk


@pytest.fixture(scope="module")
def replayed(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two releases of scores by two models, and the first one served again."""
    made = desk(tmp_path_factory.mktemp("replay"), postgres_host)
    features, findings = cases(900)
    made.publish("cases/features", features)
    made.publish("cases/findings", findings)
    assert made.run()[SCORES][:2] == ("released", 1)
    more, later = cases(300, first=900)
    made.publish("cases/findings", _joined(findings, later))
    made.publish("cases/features", _joined(features, more))
    assert made.run()[SCORES][:2] == ("released", 2)
    made.say("rollback", SCORES, "--to", "1", "--why", "a trial")
    return made


def _joined(*tables: Any) -> Any:
    import pyarrow as pa

    return pa.concat_tables(tables)


def _found(made: Desk, *words: str, status: int = 0) -> dict[str, Any]:
    return dict(json.loads(made.say("replay", *words, "--json", status=status)))


@pytest.mark.parametrize(("number", "rows"), [(1, 900), (2, 1200)])
@pytest.mark.parametrize("threads", ["1", "3"])
def test_no_bit_differs_after_newer_releases_and_a_rollback(
    replayed: Desk, number: int, rows: int, threads: str
) -> None:
    found = _found(replayed, f"{SCORES}@{number}", "--threads", threads)
    assert (found["identical"], found["rows"], found["rows_differing"], set(found["differing"].values())) == (
        True, rows, 0, {0},
    )  # fmt: skip
    assert found["inputs"] == [f"cases/features@{number}", f"cases/findings@{number}"]
    assert (found["model"], found["threads"], found["put_aside"]) == ("desk.risk", int(threads), 0)
    assert list(found["differing"])[:3] == ["case_id", "at", "probability"]


def test_what_a_person_reads_ends_with_the_verdict(replayed: Desk) -> None:
    said = replayed.say("replay", f"{SCORES}@1").splitlines()
    assert said[0] == f"{SCORES}@1"
    assert said[-1] == "Identical: 0 of 900 rows differ in any bit."


def test_a_single_bit_is_told(replayed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """-0.0 equals 0.0, and the neighbour of a double is within any tolerance: both are other bits."""
    import numpy as np

    from mesh.model import replay as module

    score = module.score

    def nudged(*given: Any, **more: Any) -> Any:
        import pyarrow as pa

        table = score(*given, **more)
        values = table["probability"].to_numpy().copy()
        values[7] = np.nextafter(values[7], 1.0)
        return table.set_column(table.column_names.index("probability"), "probability", pa.array(values))

    monkeypatch.setattr(module, "score", nudged)
    found = _found(replayed, f"{SCORES}@1", status=1)
    assert {name: rows for name, rows in found["differing"].items() if rows} == {"probability": 1}
    assert (found["identical"], found["rows_differing"]) == (False, 1)
    assert "DIFFERENT: 1 rows differ, 0 are only published, 0 only replayed." in replayed.say(
        "replay", f"{SCORES}@1", status=1
    )


def test_rows_that_only_one_side_has_are_told(replayed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from mesh.model import replay as module

    read = module.read_rows
    monkeypatch.setattr(module, "read_rows", lambda *given: read(*given).slice(3))
    found = _found(replayed, f"{SCORES}@1", status=1)
    assert (found["only_published"], found["only_replayed"], found["rows_differing"]) == (3, 0, 0)


@pytest.mark.parametrize(
    ("release", "status", "said"),
    [
        ("cases/features@1", 2, "cases/features@1 holds no scores of a model."),
        (f"{SCORES}@9", 1, f"{SCORES} has no release 9: it has 1, 2."),
        ("scores", 2, "is not a release. Allowed: DOMAIN/PRODUCT@NUMBER"),
    ],
)
def test_what_cannot_be_replayed_is_said(replayed: Desk, release: str, status: int, said: str) -> None:
    assert said in replayed.say("replay", release, status=status)


def test_a_lost_model_version_is_named(replayed: Desk) -> None:
    """Last of this file: what it deletes is gone."""
    mesh = replayed.mesh
    client = prepare_tracking(mesh.postgres.url(mesh.postgres.mlflow_database))
    version = mesh.history().get(SCORES, 2).details["model_version"]
    client.delete_model_version("desk.risk", version)
    said = replayed.say("replay", f"{SCORES}@2", status=1)
    assert f"{SCORES}@2 was scored by desk.risk version {version}." in said
    assert "was deleted there" in said
