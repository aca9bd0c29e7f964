"""A domain team's first day: a domain, a product from a file and a model of it, by commands alone; then more files."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from mesh.contract import load_contracts
from tests.conftest import copy_project
from tests.spine.conftest import Done, Spine, new_spine

HEADER = [
    "TripNo",
    "NINO",
    "Contact e-mail",
    "Started",
    "Miles",
    "Cost",
    "Mode",
    "Order",
    "Reason",
    "Postcode",
    "Refused",
]
ROWS = 600

pytestmark = pytest.mark.timeout(600)


def trips() -> list[list[str]]:
    """Journeys of two years: the long and dear ones are refused; two rows have a word where miles should be."""
    rng = random.Random(4)
    rows = []
    for number in range(1, ROWS + 1):
        miles, mode = rng.randint(1, 300), rng.choice(["car", "train", "bus"])
        refused = rng.random() < (0.75 if miles > 200 else 0.08)
        rows.append(
            [
                f"T{number:05d}", f"AB{number:06d}C", f"person{number}@example.org",
                f"{1 + number % 28:02d}/{1 + number % 12:02d}/{2001 + number * 2 // (ROWS + 1)} 09:{number % 60:02d}",
                "many" if number in (7, 8) else str(miles), f"{miles * 0.45:.2f}", mode, str(number % 3),
                f"went to see family number {number} by {mode} and came back", "AB1 2CD", "Yes" if refused else "No",
            ]
        )  # fmt: skip
    return rows


def write(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return path


def said(done: Done) -> str:
    assert done.status == 0, done.err
    return done.out


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sample") / "trips_2001.csv", trips())


@pytest.fixture(scope="module")
def desk(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Spine:
    folder = tmp_path_factory.mktemp("new")
    landing = folder / "landing"
    landing.mkdir()
    return new_spine(folder, postgres_host, landing, copy_project(folder / "project"))


def state(desk: Spine) -> str:
    """A digest of all files of the project."""
    digest = hashlib.sha256()
    for path in sorted(desk.project.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(desk.project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def test_a_domain_stands_in_each_of_its_places(desk: Spine) -> None:
    lines = said(desk.fork("new", "domain", "travel", "--owner", "travel-team")).splitlines()
    assert [line.split() for line in lines[:-1]] == [
        ["added", "data_products/travel/domain.yaml"],
        ["added", "dbt/models/travel/group.yml"],
        ["added", "dbt/models/travel/sources.yml"],
        ["added", "dagster_project/locations/travel.py"],
        ["changed", "dbt/dbt_project.yml"],
        ["changed", "workspace.yaml"],
    ]
    assert "location_name: travel}" in (desk.project / "workspace.yaml").read_text().splitlines()[-1]
    assert desk.mesh.project.domain("travel").file.team == {
        "name": "travel-team", "members": [{"username": "travel-team", "role": "owner"}],
    }  # fmt: skip
    before = state(desk)
    again = desk.fork("new", "domain", "travel")
    assert (again.status, again.err.strip()) == (
        2, "Error Domain travel is there already: data_products/travel/domain.yaml.",
    )  # fmt: skip
    for name in ("select", "Travel", "inputs"):
        assert desk.fork("new", "domain", name).status == 2
    assert state(desk) == before


REFUSED = [
    (("travel/trips", "--key", "Mode"), "--key mode does not name each row: 597 rows share a value with another."),
    (("nowhere/trips",), "There is no domain nowhere. Domains of this mesh: claims, "),
    (("travel",), "travel is no product. Allowed: DOMAIN/NAME, such as claims/motor"),
    (("travel/contacts",), "dbt/models/interactions/products/contacts.sql is a dbt model called contacts already."),
    (("claims/claims",), "claims/claims is there already: contracts/claims/claims.yaml."),
]


@pytest.mark.parametrize(("words", "what"), REFUSED)
def test_what_does_not_fit_changes_nothing(desk: Spine, sample: Path, words: tuple[str, ...], what: str) -> None:
    before = state(desk)
    done = desk.fork("new", "product", words[0], "--from", str(sample), *words[1:])
    assert done.status in (1, 2)
    assert what in done.err
    assert state(desk) == before
    assert not list(desk.landing.rglob("*.csv"))


def test_a_product_comes_from_a_file(desk: Spine, sample: Path) -> None:
    out = said(desk.fork("new", "product", "travel/trips", "--from", str(sample)))
    assert "example.org" not in out
    assert "AB000001C" not in out
    contract = load_contracts(desk.project)["travel/trips"]
    table = contract.tables[0]
    assert (contract.status, contract.owner, table.primary_key) == ("draft", "travel-team", ("trip_no",))
    assert [(column.name, column.physical_type, column.classification) for column in table.columns] == [
        ("trip_no", "VARCHAR", "internal"),
        ("nino_token", "VARCHAR", "confidential"),
        ("nino_status", "VARCHAR", "internal"),
        ("contact_e_mail_token", "VARCHAR", "confidential"),
        ("contact_e_mail_status", "VARCHAR", "internal"),
        ("started", "TIMESTAMP", "internal"),
        ("miles", "INTEGER", "internal"),
        ("cost", "DECIMAL(18,2)", "internal"),
        ("mode", "VARCHAR", "internal"),
        ("order_", "INTEGER", "internal"),
        ("reason", "VARCHAR", "confidential"),
        ("postcode", "VARCHAR", "internal"),
        ("refused", "VARCHAR", "internal"),
        ("unreadable", "VARCHAR", "internal"),
        ("load_id", "VARCHAR", "internal"),
        ("source_file", "VARCHAR", "internal"),
        ("source_row", "BIGINT", "internal"),
    ]
    strict = {rule.id.removeprefix("trips."): rule.action for rule in table.rules if rule.severity == "error"}
    assert strict == {
        "schema": "fail",
        "primary_key": "quarantine",
        "trip_no.required": "quarantine",
        "nino_status.required": "fail",
        "nino_status.nino_status_known": "quarantine",
        "contact_e_mail_status.required": "fail",
        "contact_e_mail_status.contact_e_mail_status_known": "quarantine",
        "miles.minimum": "quarantine",
        "cost.minimum": "quarantine",
        "order_.minimum": "quarantine",
        "refused.refused_known": "quarantine",
        "unreadable.readable": "quarantine",
        "load_id.required": "fail",
        "source_file.required": "fail",
        "source_row.required": "fail",
        "has_rows": "fail",
    }


def test_its_first_release_puts_aside_what_cannot_be_read(desk: Spine) -> None:
    done = desk.run("--select", "travel/trips")["travel/trips"]
    assert (done["status"], done["rows"], done["quarantined"]) == ("released", ROWS - 2, 2), done
    release = desk.mesh.history().served["travel/trips"]
    assert release.accounting == {
        "source": ROWS, "published": ROWS - 2, "quarantined": 2, "filtered": 0, "rejected": 0, "difference": 0,
    }  # fmt: skip
    given = trips()[0]
    first = desk.mesh.reader().execute(
        "select started, miles, cost, order_, reason, unreadable from travel.trips_v1 where trip_no = 'T00001'"
    )
    assert first.fetchall() == [
        (datetime(2001, 2, 2, 9, 1), int(given[4]), Decimal(given[5]), 1, given[8], None),
    ]  # fmt: skip
    with desk.mesh.writer() as writer:
        aside = writer.execute(
            "select trip_no, unreadable, _rule_ids from lake.travel_build.trips_quarantine order by 1"
        ).fetchall()
    assert aside == [(key, "miles", "trips.unreadable.readable") for key in ("T00007", "T00008")]


def test_a_later_delivery_replaces_rows_and_may_lack_what_is_optional(desk: Spine) -> None:
    """The owner edits two YAML files; nothing is generated again."""
    source = desk.project / "data_products/travel/sources/trips.yaml"
    source.write_text(source.read_text().replace("refused: Refused", "refused: {from: Refused, optional: true}"))
    rows = trips()
    changed = [*rows[0][:6], "plane", *rows[0][7:-1]]
    new = ["T09999", *rows[1][1:-1]]
    write(desk.landing / "travel/trips/trips_2002.csv", [changed, new], HEADER[:-1])

    done = desk.run("--select", "travel/trips")["travel/trips"]

    assert (done["status"], done["rows"]) == ("released", ROWS - 1), done
    found = desk.mesh.reader().execute(
        "select trip_no, mode, refused from travel.trips_v1 where trip_no in ('T00001', 'T09999') order by 1"
    )
    assert found.fetchall() == [("T00001", "plane", None), ("T09999", new[6], None)]
    audit = json.loads(said(desk.fork("audit", "travel/trips", "--json")))
    assert {rule["rule"] for rule in audit if not rule["passed"]} == {"trips.mode.mode_known"}


def test_a_model_of_it_is_made_trained_and_explained(desk: Spine) -> None:
    wrong = desk.fork("new", "model", "refusals", "--product", "travel/trips", "--label", "colour", "--time", "started")
    assert "--label colour: travel/trips has no such column. Allowed: trip_no, " in wrong.err
    out = said(
        desk.fork("new", "model", "refusals", "--product", "travel/trips", "--label", "Refused", "--time", "started",
                  "--domain", "travel", "--capacity", "0.3")
    )  # fmt: skip
    assert "By started: the latest 25% of the labelled rows are kept for testing." in out.splitlines()

    done = desk.run("--select", "travel/refusals_scores")["travel/refusals_scores"]

    assert (done["status"], done["rows"]) == ("released", ROWS - 1), done
    told = json.loads(said(desk.fork("model", "travel/refusals", "--json")))
    columns = {column["column"]: column for column in told["columns"]}
    assert {name for name, column in columns.items() if column["used"]} & {"miles", "cost"}
    assert columns["nino_token"]["why"] == "An identifier can only be learned by heart."
    assert columns["reason"]["why"] == "Personal data that is no code."
    assert told["versions"][0]["auc"] > 0.6
    assert "travel/refusals " in said(desk.fork("models"))
