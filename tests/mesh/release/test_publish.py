"""The gate: what is published, what is refused, and what consumers see meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mesh.errors import AuditFailed, NotFound, PublishRefused
from mesh.release import Build, Release, rollback
from mesh.release.history import read_whole
from tests.mesh.release.conftest import KEY, Shop


def test_a_release_is_a_view_on_the_audited_snapshot_and_its_record_in_one_commit(shop: Shop) -> None:
    build = shop.build([10, 20], label="first")
    audit = shop.audit(build)
    release = shop.publish(build)

    whole = read_whole(shop.mesh.postgres, release)
    assert whole.model_dump(exclude={"files", "published_at", "commit", "contract_text", "audit"}) == {
        "mark": "insight-mesh/release/1",
        "kind": "release",
        "product": KEY,
        "release": 1,
        "contract_version": "1.0.0",
        "contract_hash": shop.contract.hash,
        "columns": {"orders": ("order_id", "amount"), "lines": ("order_id",)},
        "snapshot": build.snapshot,
        "inputs_snapshot": build.inputs_snapshot,
        "inputs": (),
        "fingerprint": "first",
        "code_revision": "test",
        "run_id": "run-first",
        "author": "tester",
        "why": "",
        "rows": {"orders": 2, "lines": 2},
        "quarantined": {},
        "accounting": {},
        "content": {},
        "seconds": 0.0,
        "details": {},
        "lineage": {},
    }
    assert whole.audit == {"id": audit.id, "verdict": "passed", "rules": len(audit.results), "warnings": []}
    assert whole.contract_text == shop.contract.text
    assert sorted({file.table for file in whole.files}) == ["lines", "orders"]
    assert shop.served() == [10, 20]


def test_a_candidate_nobody_audited_is_refused(shop: Shop) -> None:
    """Dagster's own blocking is not the gate: a publish that skips the checks must find the door shut."""
    build = shop.build([10])
    with pytest.raises(PublishRefused, match=f"no audit of snapshot {build.snapshot}"):
        shop.publish(build)
    assert shop.mesh.history().releases == ()


def test_an_audit_of_another_snapshot_opens_no_gate(shop: Shop) -> None:
    shop.audit(shop.build([10], label="good"))
    bad = shop.build([-5], label="bad")
    with pytest.raises(PublishRefused, match="no audit"):
        shop.publish(bad)


def test_a_failed_audit_leaves_the_last_release_served(shop: Shop) -> None:
    """Consumers must never see unaudited rows."""
    shop.release([10, 20], label="good")
    bad = shop.build([10, -5], label="bad")
    shop.audit(bad)
    with pytest.raises(AuditFailed, match=r"shop/orders: .*orders\.amount\.minimum"):
        shop.publish(bad)
    assert shop.served() == [10, 20]
    assert shop.mesh.history().served[KEY].release == 1


def test_building_a_candidate_changes_nothing_for_consumers(shop: Shop) -> None:
    shop.release([10, 20], label="first")
    shop.build([99], label="second")
    assert shop.served() == [10, 20]


def test_a_candidate_older_than_the_served_release_is_refused(shop: Shop) -> None:
    """Of two overlapping publishers the slower one must not take consumers back in time."""
    slow, fast = shop.build([1], label="slow"), shop.build([2], label="fast")
    shop.audit(slow)
    shop.audit(fast)
    shop.publish(fast)
    with pytest.raises(PublishRefused, match="Another publisher was faster"):
        shop.publish(slow)
    assert shop.served() == [2]


def test_publishers_at_once_lose_no_release_and_double_none(shop: Shop) -> None:
    builds = [shop.build([number], label=str(number)) for number in range(6)]
    for build in builds:
        shop.audit(build)
    start = threading.Barrier(len(builds))

    def go(build: Build) -> Release | PublishRefused:
        start.wait()
        try:
            return shop.publish(build)
        except PublishRefused as refusal:
            return refusal

    with ThreadPoolExecutor(len(builds)) as pool:
        ends = list(pool.map(go, builds))
    released = [end.release for end in ends if isinstance(end, Release)]
    refused = [str(end) for end in ends if isinstance(end, PublishRefused)]

    history = shop.mesh.history().of(KEY)
    assert sorted(released) == [record.release for record in history] == list(range(1, len(released) + 1))
    assert len(released) + len(refused) == len(builds)
    assert all("publisher" in text for text in refused)
    snapshots = [record.snapshot for record in history]
    assert snapshots == sorted(snapshots)
    assert shop.served() == [int(history[-1].fingerprint)]


def test_a_reader_at_a_release_sees_the_mesh_as_it_was(shop: Shop) -> None:
    shop.release([1], label="one")
    shop.release([2], label="two")
    assert shop.served("shop/orders@1") == [1]
    assert shop.served("shop/orders@2") == [2]
    with pytest.raises(NotFound, match="has no release 3: it has 1, 2"):
        shop.served("shop/orders@3")


def test_a_rollback_repoints_with_its_reason_and_the_next_release_goes_on_counting(shop: Shop) -> None:
    shop.release([1], label="one")
    shop.release([2], label="two")
    with shop.mesh.writer() as connection:
        rollback(connection, shop.mesh.postgres, KEY, 1, why="two was wrong", author="tester")
    assert shop.served() == [1]
    history = shop.mesh.history()
    assert [(r.kind, r.release, r.why) for r in history.of(KEY)] == [
        ("release", 1, ""),
        ("release", 2, ""),
        ("rollback", 1, "two was wrong"),
    ]
    assert (history.served[KEY].release, history.newest[KEY].release) == (1, 2)
    assert shop.release([3], label="three").release == 3
    assert shop.served() == [3]


def test_publishing_what_was_rolled_back_is_refused_with_the_reason_and_the_way_back(shop: Shop) -> None:
    """A click in the UI, or a daemon that comes late, must not undo what a person decided."""
    shop.release([1], label="one")
    build = shop.build([2], label="two")
    shop.audit(build)
    shop.publish(build)
    with shop.mesh.writer() as connection:
        rollback(connection, shop.mesh.postgres, KEY, 1, why="two was wrong", author="owner")
    with pytest.raises(PublishRefused) as refused:
        shop.publish(build)
    assert str(refused.value) == (
        "shop/orders: this candidate is release 2, which owner rolled back to 1: two was wrong. Build a new candidate, "
        "or serve it again: `mesh rollback shop/orders --to 2 --why TEXT`."
    )
    assert shop.served() == [1]


def test_a_rollback_to_the_served_release_is_refused(shop: Shop) -> None:
    shop.release([1])
    with shop.mesh.writer() as connection, pytest.raises(PublishRefused, match="already served"):
        rollback(connection, shop.mesh.postgres, KEY, 1, why="no reason", author="tester")
