"""What is handed in is on record once it is answered, and only once."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from mesh.decide.log import (
    DecisionLog,
    NotRecorded,
    Receipt,
    Recovery,
    RequestConflict,
    Submission,
    last_root,
    read,
    verify,
)
from mesh.decide.log.index import Index, Indexed, Posting
from mesh.decide.log.segments import Place
from mesh.errors import DecisionLogError, NotFound, SettingsError, UsageError
from tests.conftest import ROOT
from tests.mesh.decide.desk import KEYS, OTHERS_KEYS, decision, opened, submission, written


def sequences(folder: Path, after: int = 0) -> list[int]:
    return [one.entry.sequence for one in read(folder, after)]


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "segments").iterdir())


def test_a_decision_comes_back_whole_under_its_correlation_id_and_its_claim(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        (receipt,) = log.append_now([submission(1)])
        recent = log.find("c-00000001")
    with opened(tmp_path) as log:
        indexed, by_claim, absent = log.find("c-00000001"), log.decided("claim-1"), log.find("c-2")
    assert isinstance(receipt, Receipt)
    assert (receipt.sequence, receipt.decision, receipt.repeated) == (1, decision(1), False)
    assert recent == indexed == by_claim
    assert recent is not None
    assert (recent.entry.body, recent.payload, recent.hash) == (decision(1), submission(1).payload, receipt.hash)
    assert absent is None


def test_the_same_request_again_gets_the_first_answer_and_another_one_a_conflict(tmp_path: Path) -> None:
    written(tmp_path, 1)
    with opened(tmp_path) as log:
        again = submission(1)._replace(decision=decision(9))
        same, other = log.append_now([again, submission(1, b"something else")])
        assert log.known("claim-2", b"") is None
    assert isinstance(same, Receipt)
    assert (same.sequence, same.decision, same.repeated) == (1, decision(1), True)
    assert isinstance(other, RequestConflict)
    assert sequences(tmp_path) == [1]


def test_one_claim_many_times_at_the_same_moment_is_decided_once(tmp_path: Path) -> None:
    """Before the first is on disk the second has come: both wait for the one record."""

    async def ask(log: DecisionLog) -> list[Receipt | BaseException]:
        same = [log.append(*submission(1)) for _ in range(20)]
        return await asyncio.gather(*same, log.append(*submission(1, b"other")), return_exceptions=True)

    with opened(tmp_path) as log:
        *receipts, conflict = asyncio.run(ask(log))
    assert {one.sequence for one in receipts if isinstance(one, Receipt)} == {1}
    assert sum(not one.repeated for one in receipts if isinstance(one, Receipt)) == 1
    assert isinstance(conflict, RequestConflict)
    assert sequences(tmp_path) == [1]


def test_many_callers_of_an_event_loop_and_a_batch_are_all_on_record_in_order(tmp_path: Path) -> None:
    async def ask(log: DecisionLog) -> list[int]:
        one_by_one = await asyncio.gather(*(log.append(*submission(number)) for number in range(1, 301)))
        batch = await log.append_all([submission(number) for number in range(301, 401)])
        return [one.sequence for one in (*one_by_one, *batch) if isinstance(one, Receipt)]

    with opened(tmp_path, segment_bytes=20_000, root_records=100) as log:
        assert asyncio.run(ask(log)) == list(range(1, 401))
        # Read while the owner has it open, from the middle.
        assert sequences(tmp_path, after=390) == list(range(391, 401))
    assert len(segments(tmp_path)) > 1, "a group that is written at once stays together, the batch begins anew"
    verdict = verify(tmp_path, KEYS.public, [last_root(tmp_path)])
    assert (verdict.faults, verdict.records, verdict.decisions, verdict.unrooted) == ([], 400, 400, 0)
    with opened(tmp_path) as log:
        assert [log.known(f"claim-{n}", b"request %d" % n).sequence for n in (1, 150, 400)] == [1, 150, 400]  # type: ignore[union-attr]


def test_the_index_is_made_anew_from_the_records_and_caught_up(tmp_path: Path) -> None:
    log_folder, kept = tmp_path / "log", tmp_path / "kept"
    written(log_folder, 10, segment_bytes=1500)
    shutil.copytree(log_folder / "index", kept)
    with opened(log_folder) as log:
        log.append_now([submission(11)])
    for index in (None, kept):
        shutil.rmtree(log_folder / "index")
        if index:
            shutil.copytree(index, log_folder / "index")
        with opened(log_folder) as log:
            found = [log.decided(f"claim-{number}") for number in range(1, 12)]
        assert [one and one.entry.sequence for one in found] == list(range(1, 12))


def test_an_index_of_another_log_is_not_believed(tmp_path: Path) -> None:
    written(tmp_path / "a", 3)
    written(tmp_path / "b", 5)
    shutil.rmtree(tmp_path / "b/index")
    shutil.copytree(tmp_path / "a/index", tmp_path / "b/index")
    with opened(tmp_path / "b") as log:
        found = [log.decided(f"claim-{number}") for number in range(1, 6)]
    assert [one and one.payload for one in found] == [submission(number).payload for number in range(1, 6)]


def test_an_erased_payload_is_gone_from_every_file_and_the_chain_stays_whole(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append_now([submission(number) for number in (1, 2, 3)])
        assert log.erase("claim-2", who="officer", why="asked for") == 4
        with pytest.raises(DecisionLogError, match="record 2 is erased already"):
            log.erase("claim-2", who="officer", why="again")
        with pytest.raises(NotFound):
            log.erase("claim-9", who="officer", why="asked for")
        found = log.find("c-00000002")
        (again,) = log.append_now([submission(2)])
    assert found is not None
    assert (found.erased, found.payload, found.entry.body) == (True, None, decision(2))
    assert isinstance(again, RequestConflict)
    assert again.erased
    assert not any(submission(2).payload in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    verdict = verify(tmp_path, KEYS.public)
    assert (verdict.faults, verdict.records, verdict.erased) == ([], 4, 1)


def test_an_erasure_that_a_kill_cut_short_is_done_at_the_next_start(tmp_path: Path) -> None:
    """Its record is on disk first; the payload is put back here, as if the wipe had not happened."""
    with opened(tmp_path) as log:
        log.append_now([submission(1), submission(2)])
    (segment,) = segments(tmp_path)
    before = segment.read_bytes()
    roots = (tmp_path / "roots.jsonl").read_bytes()
    with opened(tmp_path) as log:
        log.erase("claim-1", who="officer", why="asked for")
    after = segment.read_bytes()
    segment.write_bytes(before + after[len(before) :])
    (tmp_path / "roots.jsonl").write_bytes(roots)
    assert "but it is there" in " ".join(verify(tmp_path, KEYS.public).faults)
    opened(tmp_path).close()
    assert segment.read_bytes() == after
    assert verify(tmp_path, KEYS.public).faults == []


def test_one_process_at_a_time_owns_a_log(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(DecisionLogError, match="Another process writes the decision log"):
        opened(tmp_path)
    opened(tmp_path).close()


def test_a_half_written_last_record_is_cut_off_told_and_on_record(tmp_path: Path) -> None:
    written(tmp_path, 3)
    (segment,) = segments(tmp_path)
    whole = segment.read_bytes()
    with opened(tmp_path) as log:
        log.append_now([submission(4)])
    longer = segment.read_bytes()
    lines = (tmp_path / "roots.jsonl").read_bytes().splitlines(keepends=True)
    for kept in (1, 47, 48, 60, 300, len(longer) - len(whole) - 1):
        segment.write_bytes(longer[: len(whole) + kept])
        (tmp_path / "roots.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:40])
        with opened(tmp_path) as log:
            assert log.cut_bytes == kept
            assert log.known("claim-4", b"request 4") is None
        assert [one.entry.body for one in read(tmp_path, 3)] == [Recovery(kept)]
        assert verify(tmp_path, KEYS.public).faults == []


def test_a_log_that_is_damaged_behind_its_last_root_is_not_written_to(tmp_path: Path) -> None:
    written(tmp_path, 5, segment_bytes=1500)
    lines = (tmp_path / "roots.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "roots.jsonl").write_bytes(lines[0])
    segment = segments(tmp_path)[0]
    raw = bytearray(segment.read_bytes())
    at = raw.index(b"aaaa")  # within the policy's hash
    raw[at] ^= 1
    segment.write_bytes(raw)
    with pytest.raises(DecisionLogError, match=r"00001\.segment: record 1 at byte 84: its hash does not follow"):
        opened(tmp_path)
    raw[at] ^= 1
    raw[84] ^= 1  # a length that was damaged must not pass for a write cut short, or all behind it would go
    segment.write_bytes(raw)
    with pytest.raises(DecisionLogError, match="record 1 at byte 84: its lengths or its hash were changed"):
        opened(tmp_path)
    raw[84] ^= 1
    segment.write_bytes(raw.replace(b"payload 2", b"payload 7"))
    with pytest.raises(DecisionLogError, match=r"record 2 at byte \d+: its payload was changed"):
        opened(tmp_path)
    segment.write_bytes(raw)
    opened(tmp_path).close()


def test_a_log_that_was_cut_before_its_last_root_is_not_written_to(tmp_path: Path) -> None:
    written(tmp_path, 5)
    (segment,) = segments(tmp_path)
    segment.write_bytes(segment.read_bytes()[:-500])
    with pytest.raises(DecisionLogError, match="the last signed root stands at record 5, but the log ends before it"):
        opened(tmp_path)


def test_a_log_of_another_mesh_is_not_written_to(tmp_path: Path) -> None:
    written(tmp_path, 1)
    with pytest.raises((DecisionLogError, SettingsError), match="not by a key of this mesh"):
        opened(tmp_path, OTHERS_KEYS)


@contextmanager
def full_disk(bytes_: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: a real error of the kernel, after a partial write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_refuses_the_callers_and_nothing_else(tmp_path: Path) -> None:
    async def ask(log: DecisionLog, numbers: range) -> list[Receipt | BaseException]:
        asked = (log.append(f"claim-{n}", b"r", decision(n), b"x" * 30_000) for n in numbers)
        return await asyncio.gather(*asked, return_exceptions=True)

    with opened(tmp_path) as log:
        first = asyncio.run(ask(log, range(1, 3)))
        (segment,) = segments(tmp_path)
        size = segment.stat().st_size
        with full_disk(size + 10_000):
            refused = asyncio.run(ask(log, range(3, 13)))
        assert {type(one) for one in refused} == {NotRecorded}
        assert segment.stat().st_size == size  # nor is anything half written left
        assert sequences(tmp_path) == [1, 2]
        again = asyncio.run(ask(log, range(3, 13)))
        assert log.known("claim-12", b"r") is not None
    assert [one.sequence for one in (*first, *again) if isinstance(one, Receipt)] == list(range(1, 13))
    assert verify(tmp_path, KEYS.public, [last_root(tmp_path)]).faults == []


def test_an_answer_waits_until_the_disk_has_its_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sync is held up: nobody is answered. What comes meanwhile is one group: one more sync for all of it."""
    synced, release, real = [], threading.Event(), os.fdatasync

    def held(descriptor: int) -> None:
        release.wait(10)
        real(descriptor)
        synced.append(descriptor)

    async def ask(log: DecisionLog) -> tuple[bool, list[Receipt]]:
        asked = [asyncio.ensure_future(log.append(*submission(1)))]
        await asyncio.sleep(0.05)
        asked += [asyncio.ensure_future(log.append(*submission(number))) for number in range(2, 30)]
        await asyncio.sleep(0.05)
        early = any(one.done() for one in asked) or bool(sequences(tmp_path))
        release.set()
        return early, await asyncio.gather(*asked)

    with opened(tmp_path) as log:
        monkeypatch.setattr(os, "fdatasync", held)
        early, receipts = asyncio.run(ask(log))
        count = len(synced)
    assert not early
    assert [one.sequence for one in receipts] == list(range(1, 30))
    assert count == 2


def test_a_correlation_id_that_cannot_be_indexed_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for word in ("", "x" * 201):
            bad = msgspec.structs.replace(decision(2), correlation_id=word)
            with pytest.raises(UsageError, match="Allowed: 1 to 200 characters"):
                log.append_now([submission(1), Submission("claim-2", b"r", bad, b"p")])
        assert log.append_now([submission(1)])[0].sequence == 1
    assert verify(tmp_path, KEYS.public).faults == []


def test_memory_does_not_grow_with_the_index(tmp_path: Path) -> None:
    """Its pages are mapped: without being let go they would all count as this process's own."""
    index = Index(tmp_path)
    file = str(tmp_path / "data.mdb")

    def resident() -> int:
        return sum(one.rss for one in psutil.Process().memory_maps() if one.path == file)

    chance = random.Random(1)
    for begin in range(0, 120_000, 20_000):
        postings = [
            Posting(chance.randbytes(16), b"c-%016x" % chance.getrandbits(60), Indexed(number, 84, bytes(16)))
            for number in range(begin, begin + 20_000)
        ]
        index.add(postings, Place(begin + 20_000, bytes(32)), 84)
    assert (tmp_path / "data.mdb").stat().st_size > 8 << 20
    assert resident() < 2 << 20
    assert index.subject(postings[7].subject) == postings[7].at
    index.close()


CHILD = """
import asyncio, os, sys
from pathlib import Path
from tests.mesh.decide.desk import opened, submission

async def load(log, base):
    numbers = iter(range(base, 10**9))
    async def one():
        for number in numbers:
            receipt = await log.append(*submission(number))
            os.write(1, b"%d %d\\n" % (receipt.sequence, number))
    await asyncio.gather(*(one() for _ in range(32)))

log = opened(Path(sys.argv[1]), segment_bytes=200_000, root_records=500)
asyncio.run(load(log, int(sys.argv[2])))
"""


def kill_rounds(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    answered: dict[int, int] = {}
    for number in range(rounds):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), str(number * 1_000_000)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # at work
        try:
            child.wait(timeout=chance.uniform(0.02, 0.4))
        except subprocess.TimeoutExpired:
            child.kill()
        lines += child.stdout.read().splitlines(keepends=True)
        child.wait()
        whole = [line.split() for line in lines if line.endswith(b"\n")]
        assert whole
        answered |= {int(sequence): int(claim) for sequence, claim in whole}
        with opened(folder) as log:
            for sequence, claim in whole[-50:]:
                known = log.known(f"claim-{int(claim)}", b"request %d" % int(claim))
                assert known is not None
                assert (known.sequence, known.same) == (int(sequence), True)
        on_disk = {one.entry.sequence: one.payload for one in read(folder)}
        missing = [
            sequence for sequence, claim in answered.items() if on_disk.get(sequence) != submission(claim).payload
        ]
        assert missing == []
        assert verify(folder, KEYS.public).faults == []


def test_a_kill_under_load_loses_no_answered_record(tmp_path: Path) -> None:
    kill_rounds(tmp_path, rounds=2, seed=1)


@pytest.mark.torture
def test_many_kills_under_load_lose_no_answered_record(tmp_path: Path) -> None:
    kill_rounds(tmp_path, rounds=60, seed=2)
