"""Reading a whole log to find what was changed: every byte of every record, and the log against signed roots.

Needs no secret: public keys are enough. A chain alone shows what was changed within it. That its end was cut off, or
written anew with hashes that fit, shows against a root; one that was exported out of reach of whoever may write to the
log's disk holds against them, too.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mesh.decide.log.entries import Decision, Erasure, commit, wiped
from mesh.decide.log.keys import PublicKeys
from mesh.decide.log.roots import Root, parse
from mesh.decide.log.segments import (
    NAME,
    Damage,
    Identity,
    Place,
    identity_of,
    read,
    read_at,
    segment_files,
    walk,
)
from mesh.errors import DecisionLogError

_TORN = " (a killed process leaves that; the next start cuts it off)"
FAULTS = 100
"""Faults that are listed; a log whose chain is broken early would list every record."""


WIPE_LOOKS = 20
WIPE_LOOK_SECONDS = 0.05


@dataclass
class Verdict:
    """What a log holds and what is wrong with it.

    Attributes:
        faults: one sentence each, naming segment and record; empty where the log is as it was written.
        unrooted: records behind the last root, which nothing but the chain itself protects.
    """

    records: int = 0
    decisions: int = 0
    erased: int = 0
    segments: int = 0
    roots: int = 0
    unrooted: int = 0
    first: datetime | None = None
    last: datetime | None = None
    head: str = ""
    faults: list[str] = field(default_factory=list)

    def blame(self, what: str) -> None:
        if len(self.faults) < FAULTS:
            self.faults.append(what)


@dataclass(frozen=True)
class _Suspect:
    """A payload that does not fit, until an erasure explains it."""

    segment: Path
    offset: int


def verify(folder: Path, keys: PublicKeys, exported: Sequence[Root] = ()) -> Verdict:
    """Read everything. The owner may go on writing meanwhile.

    Args:
        exported: roots that were kept elsewhere.

    Raises:
        DecisionLogError: there is no log here.
    """
    if not folder.is_dir():
        raise DecisionLogError(f"There is no decision log in {folder}.")
    verdict = Verdict()
    lines = _root_lines(folder, verdict)
    roots = _genuine(lines, keys, verdict)
    files = segment_files(folder)
    for path in sorted((folder / "segments").glob("*")):
        if not NAME.fullmatch(path.name):
            verdict.blame(f"{path.name}: no segment of a log is called so")
    if not files:
        verdict.blame(f"{folder}: there are no segments")
        return verdict
    try:
        identity = identity_of(files[0])
    except DecisionLogError as error:
        verdict.blame(str(error))
        return verdict
    wanted = [("roots.jsonl", root) for root in roots]
    for root in exported:
        if not root.genuine(keys):
            verdict.blame(f"exported root at record {root.sequence}: its signature is not by one of the public keys")
        wanted.append(("exported root", root))
    hashes = _walk_all(folder, identity, {root.sequence for _, root in wanted}, verdict)
    for name, root in wanted:
        _hold(name, root, identity, hashes, verdict)
    if roots and len(roots) < max((root.number for root in exported), default=0):
        verdict.blame("roots.jsonl: it ends before an exported root: roots were removed")
    verdict.unrooted = max(0, verdict.records - max((root.sequence for _, root in wanted), default=0))
    return verdict


def _walk_all(folder: Path, identity: Identity, wanted: set[int], verdict: Verdict) -> dict[int, bytes]:
    """Every record of every segment; the chain's hashes at the records that are wanted."""
    place = Place(0, identity.genesis)
    hashes = {0: identity.genesis}
    suspects: dict[int, _Suspect] = {}
    erasures: dict[int, int] = {}
    while segments := segment_files(folder)[verdict.segments :]:
        path = segments[0]
        begin: int | None = 0
        verdict.segments += 1
        while begin is not None:
            try:
                for one in walk(path, identity, place, begin=begin):
                    entry = one.entry
                    verdict.records += 1
                    moment = datetime.fromtimestamp(entry.moment / 1_000_000, UTC)
                    verdict.first, verdict.last = verdict.first or moment, moment
                    if entry.sequence in wanted:
                        hashes[entry.sequence] = one.hash
                    if isinstance(entry.body, Decision):
                        verdict.decisions += 1
                    elif isinstance(entry.body, Erasure):
                        erasures[entry.body.erased] = entry.sequence
                    if commit(one.erasable) != entry.commitment:
                        suspects[entry.sequence] = _Suspect(path, one.offset)
                begin = None
            except Damage as damage:
                begin = None
                if damage.torn and len(segments) == 1 and _owned(folder):
                    continue  # it is being written just now
                verdict.blame(f"{damage}{_TORN if damage.torn and len(segments) == 1 else ''}")
                if damage.end is not None and len(verdict.faults) < FAULTS:
                    # Held against its own word from here on, so that the next fault is not hidden by this one.
                    place.sequence, place.hash, begin = damage.sequence, damage.hash, damage.end
                    verdict.records += 1
    verdict.head = place.hash.hex()
    _judge_erasures(folder, suspects, erasures, verdict)
    return hashes


def _judge_erasures(folder: Path, suspects: dict[int, _Suspect], erasures: dict[int, int], verdict: Verdict) -> None:
    """A payload may differ from what was committed to only by being wiped, and only with a record that says so."""
    for sequence, at in suspects.items():
        # Read again: it may have been wiped while it was being read.
        gone = _waited(folder, partial(_wiped_at, at))
        by = erasures.get(sequence, 0)
        if gone and by > sequence:
            verdict.erased += 1
            continue
        what = "its payload was erased without a record of that" if gone else "its payload was changed"
        verdict.blame(f"{at.segment.name}: record {sequence} at byte {at.offset}: {what}")
    for sequence, by in erasures.items():
        if sequence in suspects:
            continue
        if not _waited(folder, partial(_erased, folder, sequence)):
            verdict.blame(f"record {by} says that the payload of record {sequence} was erased, but it is there")
        else:
            verdict.erased += 1


def _root_lines(folder: Path, verdict: Verdict) -> list[bytes]:
    try:
        lines = (folder / "roots.jsonl").read_bytes().split(b"\n")
    except OSError as error:
        verdict.blame(f"roots.jsonl cannot be read: {error.strerror}")
        return []
    if lines.pop() and not _owned(folder):
        verdict.blame(f"roots.jsonl: the last line is cut short{_TORN}")
    return [line + b"\n" for line in lines]


def _genuine(lines: list[bytes], keys: PublicKeys, verdict: Verdict) -> list[Root]:
    """The roots of a log that can be believed."""
    roots: list[Root] = []
    for number, line in enumerate(lines, start=1):
        root = parse(line)
        if root is None or not root.genuine(keys):
            verdict.blame(f"roots.jsonl: line {number} is no root signed by one of the public keys")
        elif root.number != number:
            verdict.blame(f"roots.jsonl: root {root.number} stands in line {number}: roots were removed or moved")
        else:
            roots.append(root)
    verdict.roots = len(roots)
    if not lines:
        verdict.blame("roots.jsonl: there is no root")
    return roots


def _hold(name: str, root: Root, identity: Identity, hashes: dict[int, bytes], verdict: Verdict) -> None:
    """Hold the log to what a root says."""
    if not root.of(identity):
        verdict.blame(f"{name} at record {root.sequence}: it is that of another log")
    elif root.sequence not in hashes:
        verdict.blame(f"{name} at record {root.sequence}: the log has no such record: it was cut short")
    elif hashes[root.sequence] != root.place.hash:
        verdict.blame(f"{name} at record {root.sequence}: the log was written anew: its hash there is another")


def _wiped_at(at: _Suspect) -> bool:
    return wiped(read_at(at.segment, at.offset)[2])


def _erased(folder: Path, sequence: int) -> bool:
    try:
        return next(read(folder, sequence - 1)).erased
    except (StopIteration, DecisionLogError):
        return False


def _waited(folder: Path, holds: Callable[[], bool]) -> bool:
    """Whether something holds, perhaps in a moment: the owner of a log records an erasure just before it wipes."""
    for _ in range(WIPE_LOOKS):
        if holds():
            return True
        if not _owned(folder):
            break
        time.sleep(WIPE_LOOK_SECONDS)
    return holds()


def _owned(folder: Path) -> bool:
    """Whether a process has the log open for writing."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
