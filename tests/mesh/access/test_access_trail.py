"""The trail of accesses: what was answered is on disk, and what is on disk is recorded once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mesh.access import KeyRing
from mesh.access.shipping import Shipping, read_service_accesses
from mesh.access.trail import Event, Trail, TrailBroken
from mesh.errors import ServiceError
from mesh.session import Mesh
from tests.conftest import ROOT

LOOK = Event("given", 200, "GET /cases/{id}", "t1", "team", "reviewer", "tests")
REFUSAL = Event("refused: no token", 401, "POST /cases", None, None, None, None)
KEYS = KeyRing([b"k" * 32])

CHILD = """
import asyncio, sys
from pathlib import Path
from mesh.access import KeyRing
from mesh.access.trail import Trail
from tests.mesh.access.test_access_trail import KEYS, LOOK

async def look(trail, start):
    for number in range(start, 10**9, 8):
        await trail.looked(LOOK, f"{sys.argv[2]}-{number}", [str(number)])
        print(f"{sys.argv[2]}-{number}", flush=True)

async def main():
    trail = Trail(Path(sys.argv[1]), KEYS, segment_bytes=5_000)
    await asyncio.gather(*(look(trail, start) for start in range(8)))

asyncio.run(main())
"""


def test_what_was_answered_survives_a_kill_and_is_recorded_once(make_mesh: Callable[..., Mesh], tmp_path: Path) -> None:
    mesh = make_mesh()
    answered: list[str] = []
    for patience in (50, 400):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(patience)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        answered += [child.stdout.readline() for _ in range(patience)]
        os.kill(child.pid, signal.SIGKILL)
        answered += child.stdout.readlines()
        child.wait()
    with max(tmp_path.glob("*.jsonl")).open("ab") as torn:
        torn.write(b'{"id": "torn')
    trail = Trail(tmp_path, KEYS)
    try:
        first = Shipping(trail).ship(mesh.postgres)
        found = [entry.correlation for entry in read_service_accesses(mesh.postgres, 1_000_000)]
        assert first == len(found) >= len(answered)
        # a last line without an end was torn on its way to us
        assert {line.strip() for line in answered if line.endswith("\n")} - set(found) == set()
        assert list(tmp_path.glob("*.jsonl")) == []
    finally:
        trail.close()


def test_what_is_shipped_twice_is_recorded_once(make_mesh: Callable[..., Mesh], tmp_path: Path) -> None:
    mesh, trail = make_mesh(), Trail(tmp_path, KEYS)
    try:
        asyncio.run(trail.looked(LOOK, "c1", ["one", "two"]))
        shipping = Shipping(trail)
        assert [shipping.ship(mesh.postgres), shipping.ship(mesh.postgres)] == [1, 0]
        asyncio.run(trail.looked(LOOK, "c2", ["one"]))
        # as after a kill between the commit and the removal of the file
        assert Shipping(trail).ship(mesh.postgres) == 2
        found = read_service_accesses(mesh.postgres, 10)
        assert [entry.correlation for entry in found] == ["c2", "c1"]
        assert found[1].subjects == (trail.subject("one"), trail.subject("two"))
        assert "one" not in repr(found)
    finally:
        trail.close()


def test_an_entry_that_is_half_written_is_shipped_when_it_is_whole(
    make_mesh: Callable[..., Mesh], tmp_path: Path
) -> None:
    mesh, trail = make_mesh(), Trail(tmp_path, KEYS)
    try:
        asyncio.run(trail.looked(LOOK, "c1", ["one"]))
        segment, shipping = trail.current, Shipping(trail)
        assert segment is not None
        line = segment.read_bytes().replace(b'"c1"', b'"c2"').replace(b'"id":"', b'"id":"other')
        for part, sent in ((line[:50], 1), (line[50:], 1), (b"", 0)):
            with segment.open("ab") as file:
                file.write(part)
            assert shipping.ship(mesh.postgres) == sent
        assert {entry.correlation for entry in read_service_accesses(mesh.postgres, 10)} == {"c1", "c2"}
    finally:
        trail.close()


def test_equal_refusals_of_a_moment_are_one_entry_that_counts_them(
    make_mesh: Callable[..., Mesh], tmp_path: Path
) -> None:
    mesh, trail = make_mesh(), Trail(tmp_path, KEYS)
    for number in range(5_000):
        trail.refused(REFUSAL, f"c{number}")
    trail.close()
    Shipping(trail).ship(mesh.postgres)
    found = read_service_accesses(mesh.postgres, 100)
    assert sum(entry.times for entry in found) == 5_000
    assert len(found) < 100
    assert found[-1].correlation == "c0"


def test_a_failed_write_refuses_looks_keeps_refusals_and_damages_nothing(
    make_mesh: Callable[..., Mesh], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh, trail, real = make_mesh(), Trail(tmp_path, KEYS), os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:40])

    try:
        asyncio.run(trail.looked(LOOK, "before", ["one"]))
        monkeypatch.setattr("mesh.access.trail.os.write", half)
        trail.refused(REFUSAL, "meanwhile")
        with pytest.raises(TrailBroken, match="nothing is shown"):
            asyncio.run(trail.looked(LOOK, "refused", ["two"]))
        monkeypatch.setattr("mesh.access.trail.os.write", real)
        asyncio.run(trail.looked(LOOK, "after", ["three"]))
        trail.finish()
        Shipping(trail).ship(mesh.postgres)
        found = {entry.correlation: entry.times for entry in read_service_accesses(mesh.postgres, 10)}
        assert found == {"before": 1, "meanwhile": 1, "after": 1}
    finally:
        trail.close()


def test_a_trail_has_one_owner(tmp_path: Path) -> None:
    trail = Trail(tmp_path, KEYS)
    try:
        with pytest.raises(ServiceError, match="Another process writes the access trail"):
            Trail(tmp_path, KEYS)
    finally:
        trail.close()
    Trail(tmp_path, KEYS).close()
