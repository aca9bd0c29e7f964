"""The gate holds with automation on: no evaluation, no lone publish and no stale pass makes a bad candidate visible."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from mesh.release import find_audit, last_build
from tests.spine.bench import as_new_process, command, served
from tests.spine.conftest import Spine, new_spine

KEY = "interactions/contacts"
VIEW, CANDIDATE = dg.AssetKey(["interactions", "contacts_v1"]), dg.AssetKey(["interactions", "contacts_build"])
HEADER = "contact_id,nino,channel,started_at,duration_seconds,reason,device_id,phone,result\n"
ROW = "{},,{},2020-12-31T12:19:46,1371,claim_progress,,,resolved\n"

pytestmark = pytest.mark.timeout(600)


@dataclass
class Desk:
    """The code location of one domain, its runs started part by part as the UI or the daemon would."""

    spine: Spine
    location: dg.Definitions
    dagster: dg.DagsterInstance
    cursor: Any = None

    def deliver(self, name: str, channel: str) -> None:
        path = self.spine.landing / f"interactions/contacts/{name}.csv"
        path.write_text(HEADER + ROW.format(name, channel))
        os.utime(path, (path.stat().st_mtime - 60,) * 2)

    def build(self, *, checked: bool) -> None:
        """The candidate and what it is made of, with or without its checks; nothing is published."""
        job = self.location.resolve_implicit_global_asset_job_def()
        graph = job.asset_layer.asset_graph
        keys = (dg.AssetSelection.assets(CANDIDATE).upstream() - dg.AssetSelection.assets(VIEW)).resolve(graph)
        checks = {check for check in graph.asset_check_keys if check.asset_key == CANDIDATE} if checked else set()
        part = job.get_subset(asset_selection=keys, asset_check_selection=checks)
        part.execute_in_process(instance=self.dagster, raise_on_error=False)

    def publish(self) -> dg.ExecuteInProcessResult:
        """The published view alone, in a run of its own."""
        job = self.location.resolve_implicit_global_asset_job_def()
        part = job.get_subset(asset_selection={VIEW}, asset_check_selection=set())
        return part.execute_in_process(instance=self.dagster, raise_on_error=False)

    def tick(self) -> set[dg.AssetKey]:
        """What the automation sensor would launch now."""
        found = dg.evaluate_automation_conditions(
            self.location, self.dagster, asset_selection=dg.AssetSelection.assets(VIEW), cursor=self.cursor
        )
        self.cursor = found.cursor
        return {VIEW} if found.get_num_requested(VIEW) else set()

    def audited(self) -> str | None:
        """The verdict on record for the newest candidate."""
        mesh = self.spine.mesh
        build = last_build(mesh.postgres, KEY)
        assert build is not None
        found = find_audit(mesh.postgres, KEY, build.snapshot, mesh.project.product(KEY).contract.hash)
        return found.verdict if found else None

    def gained(self, before: dict[str, dict[str, Any]]) -> tuple[int, int]:
        """Releases and rows since then."""
        old, new = before[KEY], self.served()[KEY]
        return len(new["records"]) - len(old["records"]), new["rows"]["contacts"] - old["rows"]["contacts"]

    def served(self) -> dict[str, dict[str, Any]]:
        return served(self.spine.mesh)


@pytest.fixture(scope="module")
def desk(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One product, released once before the first test."""
    folder = tmp_path_factory.mktemp("automation")
    spine = new_spine(folder, postgres_host, folder / "landing")
    (spine.landing / "interactions/contacts").mkdir(parents=True)
    (spine.landing / "interactions/contacts/first.csv").write_text(HEADER + ROW.format("first", "phone"))
    assert command(spine, "run", "--select", KEY).status == 0
    with as_new_process(spine):
        from dagster_project.instance import instance
        from dagster_project.locations.interactions import defs

        yield Desk(spine, defs, instance(spine.mesh))


def test_a_failed_candidate_is_neither_requested_nor_published(desk: Desk) -> None:
    desk.tick()
    before = desk.served()
    desk.deliver("request", "pigeon")
    desk.build(checked=True)
    assert desk.audited() == "failed"
    assert desk.tick() == set()
    assert not desk.publish().success
    assert desk.served() == before

    # The same with a good candidate, to see that the evaluation above could have said something else.
    desk.deliver("request", "letter")
    desk.build(checked=True)
    assert desk.tick() == {VIEW}
    assert desk.publish().success
    assert desk.gained(before) == (1, 1)


def test_a_candidate_without_an_audit_is_audited_by_the_publish_step(desk: Desk) -> None:
    before = desk.served()
    desk.deliver("audit", "pigeon")
    desk.build(checked=False)
    assert desk.audited() is None
    assert not desk.publish().success
    assert desk.audited() == "failed"
    assert desk.served() == before

    desk.deliver("audit", "letter")
    desk.build(checked=False)
    assert desk.audited() is None
    assert desk.publish().success
    assert desk.audited() == "passed"
    assert desk.gained(before) == (1, 1)


def test_a_stale_pass_does_not_open_the_gate(desk: Desk) -> None:
    """Dagster's condition reads stored checks, and those of the candidate before have all passed."""
    before = desk.served()
    desk.deliver("stale", "letter")
    desk.build(checked=True)
    assert desk.audited() == "passed"
    desk.deliver("stale", "pigeon")
    desk.build(checked=False)
    assert not desk.publish().success
    assert desk.served() == before


def test_publishing_what_is_published_already_changes_nothing(desk: Desk) -> None:
    """A second click, or a daemon that was late: the release is there, so the step shows it and succeeds."""
    desk.deliver("twice", "letter")
    desk.deliver("stale", "letter")
    desk.build(checked=True)
    assert desk.publish().success
    before = desk.served()
    again = desk.publish()
    assert again.success
    (shown,) = again.asset_materializations_for_node("publish_contacts")
    assert shown.metadata["release"].value == before[KEY]["records"][-1][1]
    assert desk.served() == before
