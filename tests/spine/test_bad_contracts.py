"""A contract that is wrong, and one that its data breaks: told exactly, and consumers keep what they had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagster_project.instance import instance
from tests.conftest import copy_project
from tests.spine.bench import command, served
from tests.spine.conftest import Spine, new_spine

KEY = "interactions/contacts"
RULE = "contacts.channel.channel_known"
CHANNELS = "validValues: [phone, web, office, letter]"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def bench(simulated: Path, postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Spine:
    """A mesh over a copy of the project, with one small product released."""
    folder = tmp_path_factory.mktemp("bad_contracts")
    bench = new_spine(folder, postgres_host, simulated, copy_project(folder / "project"))
    assert command(bench, "run", "--select", KEY).status == 0
    return bench


def contract(bench: Spine) -> Path:
    return bench.project / "contracts" / f"{KEY}.yaml"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "tags: [personal data]\n",
            "tags: [personal data\n",
            ":10: The YAML is damaged: while parsing a flow sequence did not find expected ',' or ']'.",
        ),
        (
            "dataProduct: contacts\n",
            "dataProduct: contacts\nowners: contacts-team\n",
            ":9: owners: `owners` is not a key of the standard. Allowed: apiVersion, authoritativeDefinitions, "
            "contractCreatedTs, customProperties, dataProduct, description, domain, id, kind, name, price, roles, "
            "schema, servers, slaDefaultElement, slaProperties, status, support, tags, team, tenant, version",
        ),
        (
            "        required: true\n",
            "        required: maybe\n",
            ":28: schema[0].properties[0].required: This must be true or false.",
        ),
        (
            "physicalType: INTEGER",
            "physicalType: NUMBERISH",
            ":86: schema[0].properties[5].physicalType: `NUMBERISH` cannot hold values of type integer. Allowed: "
            "TINYINT, SMALLINT, INTEGER, BIGINT, HUGEINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT, UHUGEINT",
        ),
        (
            "metric: rowCount",
            "metric: rowsCount",
            ":144: schema[0].quality[0].metric: `rowsCount` is not known (did you mean `rowCount`?). Allowed: "
            "nullValues, missingValues, invalidValues, duplicateValues, rowCount",
        ),
        (
            "dataProduct: contacts\n",
            "",
            ":1: dataProduct: This is missing. Allowed: kind, id, version, status, domain and dataProduct are required",
        ),
    ],
    ids=["not YAML", "unknown key", "wrong type", "unknown column type", "unknown metric", "missing key"],
)
def test_a_wrong_contract_stops_the_run_before_it_touches_anything(bench: Spine, old: str, new: str, told: str) -> None:
    file, before = contract(bench), served(bench.mesh)
    right = file.read_text()
    assert old in right
    file.write_text(right.replace(old, new, 1))
    try:
        done = command(bench, "run")
    finally:
        file.write_text(right)
    assert done.status == 1
    assert done.err == f"Error {file}{told}\n"
    assert served(bench.mesh) == before


def test_a_rule_that_the_data_breaks_keeps_the_last_release_until_it_is_mended(bench: Spine) -> None:
    file, before = contract(bench), served(bench.mesh)
    right = file.read_text()
    stricter = right.replace("version: 1.0.0", "version: 1.1.0")
    file.write_text(stricter.replace(CHANNELS, "validValues: [web]"))
    done = command(bench, "run", "--select", KEY, "--json")
    (row,) = json.loads(done.out)["products"]
    assert (done.status, row["status"], row["release"]) == (1, "failed", 1)
    assert "breaks its contract, so nothing was published and the last good release stays served." in row["why"]
    assert "Failed rules: contacts.channel.channel_known." in row["why"]
    assert served(bench.mesh) == before
    audit = json.loads(command(bench, "audit", KEY, "--json").out)
    (broken,) = [rule for rule in audit if not rule["passed"]]
    assert broken["rule"] == RULE
    _lists_the_failing_rows(bench, broken["failing"])
    _dagster_links_to_them(bench, row["run"])

    file.write_text(right)
    (row,) = json.loads(command(bench, "run", "--select", KEY, "--json").out)["products"]
    assert (row["status"], row["release"]) == ("unchanged", 1)

    file.write_text(stricter.replace("Key of the contact in its system.", "Key of the contact."))
    (row,) = json.loads(command(bench, "run", "--select", KEY, "--json").out)["products"]
    assert (row["status"], row["release"], row["why"]) == ("released", 2, "its contract changed")
    assert served(bench.mesh)[KEY]["content"] == before[KEY]["content"]


def _lists_the_failing_rows(bench: Spine, failing: int) -> None:
    """Where the candidate breaks the contract, in the candidate itself: nothing of it is published."""
    reader = bench.mesh.reader()
    broken = reader.execute(
        "select contact_id, source_file, source_row from interactions.contacts_v1 where channel <> 'web' order by all"
    ).fetchall()
    reader.close()
    found = json.loads(command(bench, "failures", KEY, "--limit", "100000", "--json").out)
    assert [(rule["rule"], rule["failing"]) for rule in found["rules"]] == [(RULE, failing)]
    assert [(row["key"]["contact_id"], row["source_file"], row["source_row"]) for row in found["rows"]] == broken
    assert {(row["state"], tuple(row["values"])) for row in found["rows"]} == {("failing", ())}


def _dagster_links_to_them(bench: Spine, run_id: str) -> None:
    records = instance(bench.mesh).get_records_for_run(run_id, limit=5000).records
    events = [record.event_log_entry.dagster_event for record in records]
    checks = [
        event.asset_check_evaluation_data
        for event in events
        if event and event.event_type_value == "ASSET_CHECK_EVALUATION"
    ]
    links = {
        check.metadata["rule"].value: (check.metadata["failing_rows_page"].value, check.metadata["look"].value)
        for check in checks
        if "failing_rows_page" in check.metadata
    }
    assert len(checks) > 10
    assert links == {RULE: (f"http://127.0.0.1:3100/failures/{KEY}?rule={RULE}", f"mesh failures {KEY} --rule {RULE}")}
