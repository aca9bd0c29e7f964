"""What `mesh up` does by itself: it builds what is out of date, once, and lets nothing bad through.

The sensor is asked as the daemon asks it, and what it requests is run as the daemon runs it, in this process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb
import pytest

from dagster_project import automation, orphans
from dagster_project.automation import Seen, look
from dagster_project.plan import Step
from dagster_project.resources import process_mesh
from mesh.ingest import landing_state, load_sources
from mesh.release import find_audit, last_build
from tests.spine.bench import as_new_process, command, served
from tests.spine.conftest import Spine, new_spine

KEY = "interactions/contacts"
VIEW, CANDIDATE = dg.AssetKey(["interactions", "contacts_v1"]), dg.AssetKey(["interactions", "contacts_build"])
HEADER = "contact_id,nino,channel,started_at,duration_seconds,reason,device_id,phone,result\n"
ROW = "{},,{},2020-12-31T12:19:46,1371,claim_progress,,,resolved\n"

QUIET = "interactions/messages: no file has arrived yet."

pytestmark = pytest.mark.timeout(600)


@dataclass
class Desk:
    """The code location of one domain, its runs started part by part as the UI or the daemon would."""

    spine: Spine
    location: dg.Definitions
    dagster: dg.DagsterInstance
    seen: Seen = field(default_factory=Seen)

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

    def tick(self, later: float = 3600.0) -> dg.RunRequest | str:
        """What the sensor says: a request for a run, or why there is none.

        Args:
            later: seconds by which its clock is ahead, so that a file that was just delivered counts as settled.
        """
        return look(process_mesh(), self.dagster, "interactions", self.seen, clock=lambda: time.time() + later)

    def obey(self, request: dg.RunRequest | str) -> dg.ExecuteInProcessResult:
        """Run what the sensor requested, as the daemon does."""
        assert isinstance(request, dg.RunRequest), request
        job = self.location.resolve_implicit_global_asset_job_def()
        part = job.get_subset(asset_selection=set(request.asset_selection or ()))
        tags = {**request.tags, ".dagster/repository": "__repository__@interactions"}
        return part.execute_in_process(instance=self.dagster, raise_on_error=False, tags=tags)

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


def test_a_delivery_is_released_once(desk: Desk) -> None:
    assert desk.tick() == QUIET
    before = desk.served()
    desk.deliver("arrived", "letter")

    assert desk.tick(later=0) == "Files are arriving; waiting until nobody has touched them for a while."
    request = desk.tick()
    assert isinstance(request, dg.RunRequest)
    assert request.tags["mesh/why"] == "contacts: 1 new file"
    assert desk.obey(request).success

    assert desk.gained(before) == (1, 1)
    assert desk.tick() == QUIET


def test_a_half_written_file_waits_and_is_named(desk: Desk) -> None:
    path = desk.spine.landing / "interactions/contacts/slow.csv.part"
    path.write_text(HEADER + ROW.format("slow", "phone")[:20])
    desk.seen = Seen()
    told = desk.tick()
    path.unlink()
    assert told == f"{QUIET} Still being written: interactions/contacts/slow.csv.part."


def test_a_failed_audit_releases_nothing_and_is_not_tried_again_until_something_changes(desk: Desk) -> None:
    before = desk.served()
    desk.deliver("request", "pigeon")
    failed = desk.obey(desk.tick())
    assert not failed.success
    assert desk.served() == before

    assert desk.tick() == f"Run {failed.run_id[:8]} failed (AuditFailed); waiting for a change."
    # Said without another plan: nothing changed since.
    assert desk.tick() == f"Run {failed.run_id[:8]} failed (AuditFailed); waiting for a change."

    desk.deliver("request", "letter")
    assert desk.obey(desk.tick()).success
    assert desk.gained(before) == (1, 1)


def test_while_a_mesh_run_is_at_work_the_sensor_leaves_the_work_to_it(desk: Desk) -> None:
    desk.deliver("beside", "letter")
    with desk.spine.mesh.at_work():
        assert desk.tick() == "A `mesh run` is at work."
    assert desk.obey(desk.tick()).success


def test_a_run_whose_process_died_is_ended_and_tried_again(desk: Desk) -> None:
    desk.deliver("killed", "letter")
    request = desk.tick()
    assert isinstance(request, dg.RunRequest)
    dead = {orphans.PID: "1", orphans.BORN: "0.00", orphans.HOST: orphans.process_tags()[orphans.HOST]}
    job = desk.location.resolve_implicit_global_asset_job_def()
    tags = {**request.tags, **dead, ".dagster/repository": "__repository__@interactions"}
    run = desk.dagster.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)

    again = desk.tick()

    ended = desk.dagster.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status == dg.DagsterRunStatus.FAILURE
    assert isinstance(again, dg.RunRequest)
    assert again.tags == request.tags
    before = desk.served()
    assert desk.obey(again).success
    assert desk.gained(before) == (1, 1)


def test_a_run_that_is_at_work_is_not_joined_by_another(desk: Desk) -> None:
    job = desk.location.resolve_implicit_global_asset_job_def()
    mine = {**orphans.process_tags(), ".dagster/repository": "__repository__@interactions"}
    mine[orphans.PID], mine[orphans.BORN] = _parent()
    run = desk.dagster.create_run_for_job(job, tags=mine, status=dg.DagsterRunStatus.STARTED)
    try:
        assert desk.tick() == f"Run {run.run_id[:8]} of this domain is at work."
        assert orphans.at_work(desk.spine.mesh, "interactions")
        assert not orphans.at_work(desk.spine.mesh, "claims")
    finally:
        desk.dagster.report_run_failed(run)


def _parent() -> tuple[str, str]:
    """A process that lives and is not this one."""
    import psutil

    process = psutil.Process(os.getppid())
    return str(process.pid), f"{process.create_time():.2f}"


def test_a_fault_of_the_machine_is_tried_again_after_a_while_and_three_times_at_most(
    desk: Desk, monkeypatch: Any
) -> None:
    desk.deliver("fault", "letter")
    monkeypatch.setattr("dagster_project.raw.ingest", _no_disk)
    failed = [desk.obey(desk.tick())]
    assert desk.tick(later=0.0) != ""  # nobody has touched the file for a while only by a clock that is ahead
    soon = desk.tick(later=30.0)
    assert isinstance(soon, str)
    assert soon.startswith(f"Run {failed[0].run_id[:8]} met a fault; trying again in ")
    failed += [desk.obey(desk.tick()), desk.obey(desk.tick())]
    assert desk.tick() == f"Run {failed[2].run_id[:8]} failed, as 2 before it; waiting for a change."
    monkeypatch.undo()
    desk.deliver("fault", "phone")
    assert desk.obey(desk.tick()).success


def _no_disk(*_: Any, **__: Any) -> None:
    raise OSError("no space left on device")


def test_no_value_that_an_engine_quotes_is_kept_of_a_failed_step(desk: Desk, monkeypatch: Any) -> None:
    """Dagster stores what a step raises and shows it to whoever opens the run."""

    def quotes(*_: Any, **__: Any) -> None:
        raise duckdb.ConversionException("Could not convert string 'AB123456C' to INT32")

    for place, channel in (
        ("dagster_project.raw.ingest", "letter"),
        ("dagster_project.transform.dbt.build", "phone"),
    ):
        desk.deliver("quoted", channel)
        with monkeypatch.context() as patch:
            patch.setattr(place, quotes)
            failed = desk.obey(desk.tick())
        assert not failed.success
        kept = [str(entry) for entry in desk.dagster.all_logs(failed.run_id)]
        assert any("DuckDB refused" in text for text in kept), place
        assert not [text for text in kept if "AB123456C" in text], place
    desk.deliver("quoted", "web")  # not what failed before, which would be refused
    assert desk.obey(desk.tick()).success


def test_what_is_built_upstream_is_known_near_and_far(desk: Desk) -> None:
    """The sensor waits for these: else three domains that build one after the other had their reader rebuilt thrice."""
    mesh = process_mesh()
    features = mesh.project.product("insight/claim_features")
    assert automation._upstream(mesh, features) == {"claims", "identity", "interactions"}


def test_a_domain_waits_while_one_that_it_is_made_from_is_being_built(desk: Desk, monkeypatch: Any) -> None:
    mesh = desk.spine.mesh
    features = mesh.project.product("insight/claim_features")
    # Its inputs were never released here, so a real plan would call it blocked.
    monkeypatch.setattr(automation, "_plan", lambda *_: (Step(features, "build", "a new release upstream", "d"),))
    waiting = []
    for upstream, status in (("claims", dg.DagsterRunStatus.STARTED), ("claims", dg.DagsterRunStatus.FAILURE)):
        tags = {**orphans.process_tags(), ".dagster/repository": f"__repository__@{upstream}"}
        tags[orphans.PID], tags[orphans.BORN] = _parent()
        job = desk.location.resolve_implicit_global_asset_job_def()
        run = desk.dagster.create_run_for_job(job, tags=tags, status=status)
        told = look(process_mesh(), desk.dagster, "insight", Seen(), clock=lambda: time.time() + 3600)
        waiting.append(told if isinstance(told, str) else told.tags["mesh/why"])
        desk.dagster.delete_run(run.run_id)
    assert waiting == ["Waiting for claims, which is being built.", "claim_features: a new release upstream"]


def test_the_state_of_the_landing_zone_follows_every_touch(desk: Desk) -> None:
    mesh = desk.spine.mesh
    sources = [one for one in load_sources(mesh.settings.project, "interactions") if one.into == "raw_contacts"]
    before = landing_state(sources, desk.spine.landing)
    assert landing_state(sources, desk.spine.landing) == before
    path = desk.spine.landing / "interactions/contacts/first.csv"
    os.utime(path, (path.stat().st_mtime + 5,) * 2)
    after = landing_state(sources, desk.spine.landing)
    assert after.digest != before.digest
    assert after.touched > before.touched


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
