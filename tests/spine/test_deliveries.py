"""A second delivery: only what it touches is rebuilt, and no later fact changes an earlier feature."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb
import pytest

from mesh.model.tracking import prepare_tracking
from tests.spine.conftest import Spine, copied_spine

LATER = "2021-06-0{day}T10:00:00"

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def delivered(spine: Spine, postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Spine:
    """A mesh that took one delivery, and then one full of later facts about the same people."""
    spine = copied_spine(spine, tmp_path_factory.mktemp("deliveries"), postgres_host)
    _later_claims(spine.landing)
    _later_outcomes(spine.landing)
    _later_contacts(spine.landing)
    spine.run()
    return spine


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _later_claims(landing: Path) -> None:
    """The same employees, accounts and devices claim again, half a year later, for a day of the same month."""
    rows = _rows(landing / "claims/cjrs/cjrs_0001.csv")[:200]
    for number, row in enumerate(rows):
        row |= {"claim_ref": f"CJRS-LATER-{number}", "submitted_at": LATER.format(day=number % 9 + 1)}
        row["furlough_end"] = row["furlough_start"]  # another period, which overlaps the first one
    _write(landing / "claims/cjrs/cjrs_0002.csv", rows)


def _later_outcomes(landing: Path) -> None:
    """Claims nobody had looked at turn out to be fraud, after every claim of the first delivery."""
    reviewed = {row["claim_id"] for row in _rows(landing / "claims/outcomes/outcomes_0001.csv")}
    claims = [row["claim_ref"] for row in _rows(landing / "claims/cjrs/cjrs_0001.csv")]
    first = _rows(landing / "claims/outcomes/outcomes_0001.csv")[0]
    rows = [
        first
        | {
            "outcome_id": f"OUT-LATER-{number}",
            "claim_id": claim,
            "selected_at": LATER.format(day=1),
            "decided_at": LATER.format(day=2),
            "finding": "fraud",
        }
        for number, claim in enumerate([claim for claim in claims if claim not in reviewed][:150])
    ]
    _write(landing / "claims/outcomes/outcomes_0002.csv", rows)


def _later_contacts(landing: Path) -> None:
    rows = _rows(landing / "interactions/contacts/contacts_0001.csv")[:150]
    for number, row in enumerate(rows):
        row |= {"contact_id": f"CONTACT-LATER-{number}", "started_at": LATER.format(day=number % 9 + 1)}
    _write(landing / "interactions/contacts/contacts_0002.csv", rows)


def test_only_what_the_delivery_touches_is_released_again(delivered: Spine) -> None:
    history = delivered.mesh.history()
    assert {key: release.release for key, release in history.served.items()} == {
        "claims/claims": 2,
        "claims/outcomes": 2,
        "identity/persons": 1,
        "insight/challenger_scores": 2,
        "insight/claim_features": 2,
        "insight/claim_groups": 2,
        "insight/claim_monitoring": 2,
        "insight/claim_scores": 2,
        "insight/fairness": 2,
        "interactions/contacts": 2,
        "interactions/messages": 1,
    }
    assert [str(upstream) for upstream in history.served["insight/claim_scores"].inputs] == [
        "insight/claim_features@2",
        "claims/outcomes@2",
        "insight/claim_groups@2",
    ]


def test_new_rows_are_published_and_counted(delivered: Spine) -> None:
    history = delivered.mesh.history()
    for product, rows in (("claims/claims", 200), ("claims/outcomes", 150), ("interactions/contacts", 150)):
        first, second = (history.get(product, number) for number in (1, 2))
        assert sum(second.rows.values()) - sum(first.rows.values()) == rows, product
        assert second.accounting["difference"] == 0, product


def test_the_training_set_grows_by_exactly_the_outcomes_that_came_back(delivered: Spine) -> None:
    """Decisions and outcomes in, a new training: its run says how many, from which release, and from when."""
    mesh = delivered.mesh
    client = prepare_tracking(mesh.postgres.url(mesh.postgres.mlflow_database))
    runs = {
        int(version.version): client.get_run(version.run_id).data.tags
        for version in client.search_model_versions("name = 'insight.claim_fraud'")
    }
    assert set(runs) == {1, 2}
    before = int(runs[1]["mesh.labels"])
    assert {name: text for name, text in runs[2].items() if name.startswith(("mesh.labels", "mesh.why"))} == {
        "mesh.why": "insight/claim_features@2 is new; claims/outcomes@2 is new; insight/claim_groups@2 is new",
        "mesh.labels": str(before + 150),
        "mesh.labels.before": str(before),
        "mesh.labels.new": "150",
        "mesh.labels.gone": "0",
        "mesh.labels.changed": "0",
        "mesh.labels.release": "claims/outcomes@2",
        "mesh.labels.since": "claims/outcomes@1",
        "mesh.labels.new.first": LATER.format(day=2),
        "mesh.labels.new.last": LATER.format(day=2),
    }


def test_a_later_fact_changes_no_feature_of_an_earlier_claim(features: duckdb.DuckDBPyConnection) -> None:
    """Later claims of the same account, later findings and later contacts are invisible from the past."""
    counts = features.sql("select (select count(*) from first), (select count(*) from earlier)").fetchone()
    assert counts == (3000, 3000)
    changed = "(from first except from earlier) union all (from earlier except from first)"
    assert features.sql(changed).fetchall() == []


def test_the_later_claims_do_see_the_earlier_ones(features: duckdb.DuckDBPyConnection) -> None:
    """The comparison above would also hold if features looked at nothing."""
    row = features.sql("select count(*), min(account_claims_all), max(account_frauds) from later").fetchone()
    assert row is not None
    rows, fewest, frauds = row
    assert rows == 200
    assert fewest > 0
    assert frauds > 0


@pytest.fixture
def features(delivered: Spine) -> duckdb.DuckDBPyConnection:
    """`first`: the features of release 1; `earlier` and `later`: the same claims and the new ones in release 2."""
    found = duckdb.connect()
    for name, number in (("first", 1), ("second", 2)):
        reader = delivered.mesh.reader(f"insight/claim_features@{number}")
        found.register(name, reader.sql("from insight.claim_features_v1").to_arrow_table())
    found.execute("create view earlier as from second where claim_id not like 'CJRS-LATER-%'")
    found.execute("create view later as from second where claim_id like 'CJRS-LATER-%'")
    return found


def test_the_old_release_is_still_read_as_it_was(delivered: Spine) -> None:
    rows = delivered.command("sql", "select count(*) as n from claims.claims_v1", "--at", "claims/claims@1",
                             "--format", "json")  # fmt: skip
    assert json.loads(rows.stdout) == [{"n": 3000}]


def test_a_third_run_finds_nothing_to_do(delivered: Spine) -> None:
    """What counts a neighbour's files among a product's own would build it once more."""
    assert {key for key, row in delivered.run().items() if row["status"] != "unchanged"} == set()
