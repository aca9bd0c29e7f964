"""Whatever is changed in a log shows against a root that was kept elsewhere; what was not changed is not blamed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

import pytest

from mesh.decide.log import PublicKeys, last_root, verify
from mesh.decide.log.roots import Root
from tests.mesh.decide.desk import KEYS, OTHERS_KEYS, opened, submission, written
from tests.mesh.decide.tampering import Files, Tamperer, content, put


def tried_log(folder: Path) -> tuple[Files, Root]:
    """A log of several segments and roots with two payloads erased; its files before that, and its last root."""
    for begin in range(1, 25, 6):
        with opened(folder, segment_bytes=2600) as log:
            for number in range(begin, begin + 6):
                log.append_now([submission(number)])
    before = content(folder)
    with opened(folder, segment_bytes=2600) as log:
        for number in (3, 17):
            log.erase(f"claim-{number}", who="officer", why="asked for")
    return before, last_root(folder)


def tamper(folder: Path, times: int, seed: int) -> None:
    before, root = tried_log(folder)
    tamperer = Tamperer(folder, before, random.Random(seed))
    ways: Counter[str] = Counter()
    missed: list[str] = []
    for number in range(times):
        way, files = tamperer.tampered()
        ways[way] += 1
        put(folder, tamperer.files, files)
        if not verify(folder, KEYS.public, [root]).faults:
            missed.append(way)
        put(folder, files, tamperer.files)
        if number % 20 == 0:
            assert verify(folder, KEYS.public, [root]).faults == []
    assert missed == []
    assert len(ways) == len({way.__name__ for way in tamperer.ways})


def test_every_tampering_is_found(tmp_path: Path) -> None:
    tamper(tmp_path, 200, seed=5)


@pytest.mark.torture
def test_ten_thousand_tamperings_are_found(tmp_path: Path) -> None:
    tamper(tmp_path, 10_000, seed=6)


def test_every_single_byte_counts(tmp_path: Path) -> None:
    """One bit of each byte of the shortest log with an erasure: headers, lengths, checksums, salts, zeros."""
    with opened(tmp_path) as log:
        log.append_now([submission(1)])
        log.erase("claim-1", who="officer", why="asked for")
    files, root = content(tmp_path), last_root(tmp_path)
    missed = []
    for name, raw in files.items():
        for at in range(len(raw)):
            changed = bytearray(raw)
            changed[at] ^= 1 << (at % 8)
            put(tmp_path, files, {**files, name: bytes(changed)})
            if not verify(tmp_path, KEYS.public, [root]).faults:
                missed.append((name, at))
        put(tmp_path, {**files, name: b""}, files)
    assert missed == []


def test_a_fault_names_segment_and_record_and_hides_no_other(tmp_path: Path) -> None:
    written(tmp_path, 9, segment_bytes=1500)
    files = content(tmp_path)
    first, second, *_ = files
    changed = {
        name: files[name].replace(b"payload 2 ", b"payload 0 ").replace(b"payload 5 ", b"payload 0 ") for name in files
    }
    put(tmp_path, files, changed)
    faults = verify(tmp_path, KEYS.public).faults
    assert [fault.split(" at byte")[0] for fault in faults] == [
        f"{Path(first).name}: record 2",
        f"{Path(second).name}: record 5",
    ]
    assert all(fault.endswith("its payload was changed") for fault in faults)


def test_a_public_key_is_enough_to_verify_and_that_of_another_mesh_is_not(tmp_path: Path) -> None:
    written(tmp_path / "log", 3)
    for name, keys in (("own", KEYS), ("other", OTHERS_KEYS)):
        (tmp_path / f"{name}.pem").write_bytes(keys.public.pem)
    own, other = (PublicKeys.read([tmp_path / f"{name}.pem"]) for name in ("own", "other"))
    assert verify(tmp_path / "log", own).faults == []
    assert "no root signed by one of the public keys" in verify(tmp_path / "log", other).faults[0]


def test_a_log_is_whole_while_it_is_written(tmp_path: Path) -> None:
    """Verified from the outside again and again while records and erasures come in."""
    with opened(tmp_path, segment_bytes=20_000, root_records=20) as log:

        def write() -> None:
            for number in range(1, 400):
                log.append_now([submission(number)])
                if number % 10 == 0:
                    log.erase(f"claim-{number}", who="officer", why="asked for")

        writer = threading.Thread(target=write)
        writer.start()
        faults = []
        while writer.is_alive():
            faults += verify(tmp_path, KEYS.public).faults
        writer.join()
    assert faults == []
    verdict = verify(tmp_path, KEYS.public)
    assert (verdict.decisions, verdict.erased) == (399, 39)
