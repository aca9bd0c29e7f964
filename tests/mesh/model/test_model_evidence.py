"""What a release of scores pinned is enough to make it again, bit for bit, and to explain any of its scores."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from mesh.access.log import read_accesses
from mesh.errors import ServiceError
from mesh.model.encoding import encode
from mesh.model.registry import Registry
from mesh.model.tracking import prepare_tracking
from tests.model_desk import SCORES, Desk, cases, contract_text, desk


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


def test_only_the_bits_of_a_double_count() -> None:
    """-0.0 equals 0.0 in SQL, and is another number to whoever divides by it."""
    import duckdb

    from mesh.contract import parse_contract
    from mesh.model.replay import _unequal

    columns = [("one", "DOUBLE", "internal"), ("two", "VARCHAR", "internal")]
    table = parse_contract(contract_text(SCORES, columns).encode(), Path("contracts/desk/scores.yaml")).tables[0]
    rows = "(values (-0.0::double, 'a'), ('nan'::double, null), (1.5, 'b')) as {}(one, two)"
    found = duckdb.sql(
        f"select {_unequal(table, 'one')}, {_unequal(table, 'two')} "
        f"from (select abs(one) as one, two from {rows.format('r')}) r positional join {rows.format('p')}"
    ).fetchall()
    assert found == [(True, False), (False, False), (False, False)]


def _explained(made: Desk, *words: str) -> dict[str, Any]:
    return dict(json.loads(made.say("explain", "case", *words, "--json")))


def test_contributions_add_up_to_the_margin_and_the_margin_to_the_probability(replayed: Desk) -> None:
    found = _explained(replayed, "C00007")
    parts = {part["feature"]: part["log_odds"] for part in found["contributions"]}
    assert set(parts) == {"amount", "kind", "hours", "urgent"}
    assert math.fsum([found["base"], *parts.values()]) == pytest.approx(found["margin"], abs=1e-12)
    odds = found["slope"] * found["margin"] + found["intercept"]
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(found["row"]["probability"], abs=1e-12)
    assert (found["margin"] >= found["flagged_from"]) is found["row"]["flagged"]

    model = Registry.opened(replayed.mesh).load("desk.risk", found["version"])
    with replayed.mesh.reader() as reader:
        rows = reader.sql("from cases.features_v1 where case_id = 'C00007'").to_arrow_table()
    own = model.booster.predict(encode(rows, model.card.features), pred_contrib=True)[0]
    assert own[-1] == pytest.approx(found["base"], abs=1e-9)
    assert [parts[feature.name] for feature in model.card.features] == pytest.approx(list(own[:-1]), abs=1e-9)
    sizes = [abs(part["log_odds"]) for part in found["contributions"]]
    assert sizes == sorted(sizes, reverse=True)
    for part in found["contributions"]:
        assert part["direction"] == ("raises" if part["log_odds"] > 0 else "lowers" if part["log_odds"] else "neither")


def test_a_score_names_all_that_it_was_made_with(replayed: Desk) -> None:
    """Release 2 is not the one that is served, and is told as it was."""
    found = _explained(replayed, "C01111", "--at", "2")
    release = replayed.mesh.history().get(SCORES, 2)
    assert (found["product"], found["release"], found["sha256"]) == (SCORES, 2, release.details["model_sha256"])
    assert found["inputs"] == {"cases/features@2": "1.0.0", "cases/findings@2": "1.0.0"}
    assert found["contract_hash"] == release.contract_hash
    assert found["contest"]["contacts"] == [
        "desk desk (https://desk.example/contact): Who answers.", "desk-team, which owns the product",
    ]  # fmt: skip
    assert [name for name, _ in found["contest"]["rights"]] == [
        "information", "representations", "human intervention", "contest",
    ]  # fmt: skip
    assert found["contest"]["missing"] == []
    assert "has no score under this case_id" in replayed.say("explain", SCORES, "C01111", status=1)


def test_values_need_a_role_are_masked_and_are_on_record_first(replayed: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(read_accesses(replayed.mesh.postgres))
    bare = _explained(replayed, "C00007")
    assert {part["value"] for part in bare["contributions"]} == {None}
    assert {part["words"] for part in bare["contributions"]} == {"amount", "kind", "hours", "urgent"}
    assert len(read_accesses(replayed.mesh.postgres)) == before

    seen = _explained(replayed, "C00007", "--role", "investigator", "--purpose", "complaint 12")
    values = {part["feature"]: part["value"] for part in seen["contributions"]}
    with replayed.mesh.reader() as reader:
        row = reader.sql("select amount, kind, urgent from cases.features_v1 where case_id = 'C00007'").fetchone()
    assert values == {"amount": row[0], "kind": row[1], "hours": "***", "urgent": row[2]}
    look = read_accesses(replayed.mesh.postgres)[0].look
    assert (look.role, look.purpose, look.product, look.rule, look.rows, set(look.columns)) == (
        "investigator", "complaint 12", "cases/features", "explain", 1, {"amount", "kind", "urgent"},
    )  # fmt: skip

    def lost(*_: object) -> None:
        raise ServiceError("The look could not be put on record.")

    monkeypatch.setattr("mesh.model.explain.record_looks", lost)
    said = replayed.say("explain", "case", "C00007", "--role", "analyst", "--purpose", "x", status=1)
    assert said == "Error The look could not be put on record.\n"


def test_whom_to_ask_is_named_as_missing_where_nobody_said_it_and_the_domain_stands_in() -> None:
    from mesh.contract import parse_contract
    from mesh.model.contest import contest_path

    place = Path("contracts/desk/scores.yaml")
    whole = contract_text(SCORES, [("one", "DOUBLE", "internal")])
    lines = [line.replace(", usage: A score orders work; a person decides.", "") for line in whole.splitlines(True)]
    bare = parse_contract("".join(line for line in lines if not line.startswith("support:")).encode(), place)
    found = contest_path(bare)
    assert (found.usage, found.contacts) == ("", ("desk-team, which owns the product",))
    assert found.missing == (
        "a support channel: `support` of contracts/desk/scores.yaml",
        "what the score is for: `description.usage` of contracts/desk/scores.yaml",
    )
    helped = contest_path(bare, [{"channel": "front door"}])
    assert helped.contacts == ("front door", "desk-team, which owns the product")
    assert helped.missing[0] == "an address of the support channel: `support.url` of contracts/desk/scores.yaml"
    assert contest_path(parse_contract(whole.encode(), place), [{"channel": "front door"}]).missing == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("parcel", "C1"), "No model scores parcel. Allowed: desk/scores or case_id."),
        (("case", "C1", "--at", "cases/features@1"), "Allowed: a number, or desk/scores@NUMBER."),
        (("case", "C1", "--role", "analyst"), "Values need a role and a purpose"),
        (("case", "C1", "--role", "clerk", "--purpose", "x"), "Allowed: analyst (up to internal)"),
    ],
)
def test_a_wrong_question_says_what_can_be_asked(replayed: Desk, words: tuple[str, ...], said: str) -> None:
    assert said in replayed.say("explain", *words, status=2)


def test_an_explanation_reads_from_the_score_to_whom_to_ask(replayed: Desk) -> None:
    lines = replayed.say("explain", "case", "C00007").splitlines()
    assert lines[0].startswith(f"{SCORES}@1  published 20")
    places = [lines.index(line) for line in lines if line.startswith(("What counted", "base ", "Whom to ask"))]
    assert len(places) == 3
    assert places == sorted(places)
    assert any(line.startswith("Values: --role ROLE --purpose TEXT. Roles of the contract: analyst") for line in lines)


def _uri(made: Desk) -> str:
    return made.mesh.postgres.url(made.mesh.postgres.mlflow_database)


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_a_hundred_thousand_scores_come_out_again_to_the_last_bit(postgres_host: str, tmp_path: Path) -> None:
    made = desk(tmp_path, postgres_host)
    features, findings = cases(100_000)
    made.publish("cases/features", features)
    made.publish("cases/findings", findings)
    assert made.run()[SCORES][:2] == ("released", 1)
    for threads in ("1", "2", "5"):
        found = _found(made, f"{SCORES}@1", "--threads", threads)
        assert (found["rows"], found["rows_differing"], set(found["differing"].values())) == (100_000, 0, {0})


def test_a_model_that_is_nowhere_any_more_is_named(replayed: Desk) -> None:
    """Last of this file: what it deletes is gone. A version that was only deleted in MLflow still replays."""
    mesh = replayed.mesh
    client = prepare_tracking(_uri(replayed))
    details = mesh.history().get(SCORES, 2).details
    client.delete_model_version("desk.risk", details["model_version"])
    replayed.say("replay", f"{SCORES}@2")
    shutil.rmtree(mesh.settings.home / "models" / details["model_sha256"])
    shutil.rmtree(mesh.settings.home / "mlflow" / "artifacts")
    said = replayed.say("replay", f"{SCORES}@2", status=1)
    assert f"desk.risk version {details['model_version']}: its files are neither in" in said
