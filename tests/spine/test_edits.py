"""What a domain team edits while `mesh up` runs: it is served without anybody starting anything again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spine.test_services import LOADED, Served, serving, small_project, wait_for

pytestmark = pytest.mark.timeout(900)


def description(served: Served, domain: str, asset: str) -> str | None:
    asked = (
        f'{{ assetNodeOrError(assetKey: {{path: ["{domain}", "{asset}"]}}) {{ ... on AssetNode {{ description }} }} }}'
    )
    found: str | None = served.ask(asked)["assetNodeOrError"].get("description")
    return found


def test_edits_and_a_new_domain_are_served_while_it_runs(tmp_path: Path) -> None:
    project = small_project(tmp_path / "project", "interactions")
    contract = project / "contracts/interactions/contacts.yaml"
    whole = contract.read_text()
    with serving(tmp_path / "home", project) as served:
        served.in_background()
        wait_for(lambda: served.locations() == {"interactions": LOADED}, "it is loaded")
        before = description(served, "interactions", "contacts_v1")
        assert before

        # A domain and the first product of it.
        assert served.command("new", "domain", "travel").returncode == 0
        wait_for(lambda: "a code location is new or gone: Dagster was started again" in served.said(), "it restarts")
        everywhere = {"interactions": LOADED, "travel": LOADED}
        wait_for(lambda: served.locations() == everywhere, "the new location is loaded")
        sample = tmp_path / "trips.csv"
        sample.write_text("trip,miles\nT1,4\nT2,5\n")
        made = served.command("new", "product", "travel/trips", "--from", str(sample))
        assert made.returncode == 0, made.stderr
        wait_for(lambda: description(served, "travel", "trips_v1"), "the new product is shown")
        wait_for(lambda: "were loaded anew" in served.said(), "every location knows it")

        # An edit, a slip and its mending.
        contract.write_text(whole.replace("When people got in touch", "At what time people got in touch"))
        wait_for(lambda: served.said().count("were loaded anew") == 2, "both edits are loaded")
        assert description(served, "interactions", "contacts_v1") != before
        # A slip: it is named, every domain goes on as it was, and a new one comes once it is mended.
        contract.write_text(whole.replace("apiVersion:", "apiVersion: [", 1))
        wait_for(lambda: "what is loaded stays until this is mended" in served.said(), "the slip is told")
        assert "contracts/interactions/contacts.yaml" in served.said()
        assert served.locations() == everywhere
        # dbt reads its own files: what it cannot read is told with its words.
        contract.write_text(whole)
        model = project / "dbt/models/travel/products/trips.sql"
        model.write_text(model.read_text() + "{{ ref('nowhere') }}")
        wait_for(lambda: "Cannot be loaded, so their sensors rest" in served.said(), "the broken model is told")
        assert "nowhere" in served.said()
        model.write_text(model.read_text().partition("{{ ref('nowhere')")[0])
        wait_for(lambda: served.locations() == everywhere, "every location is loaded again")
        wait_for(lambda: description(served, "interactions", "contacts_v1") == before, "the contract is as it was")
        assert "Stopping" not in served.said()
