"""Opening a log for writing: what is behind the last root is checked, what a kill left half written is cut off."""

from __future__ import annotations

import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from mesh.decide.log.entries import FINGERPRINT, SALT, Decision, Erasure, commit, wiped
from mesh.decide.log.index import Index, Indexed, Posting
from mesh.decide.log.keys import LogKeys
from mesh.decide.log.roots import Root, last_root
from mesh.decide.log.segments import (
    HEADER,
    Damage,
    Identity,
    Place,
    first_of,
    identity_of,
    segment_files,
    sync_folder,
    walk,
)
from mesh.decide.log.tail import Tail
from mesh.errors import DecisionLogError

CATCH_UP = 20_000
"""Records that are indexed in one transaction."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A log at the moment of its opening.

    Attributes:
        root: the last root; None for a log that has none yet.
        cut_bytes: length of a half-written record that was cut off.
        erasures: sequences whose erasure is recorded behind the last root; wiping them may have been cut short.
    """

    tail: Tail
    identity: Identity
    root: Root | None
    cut_bytes: int
    erasures: tuple[int, ...]


def open_tail(folder: Path, keys: LogKeys, segment_bytes: int) -> Opened:
    """Check the log's end and open it there.

    Raises:
        DecisionLogError: something other than a half-written last record is wrong.
    """
    files = segment_files(folder)
    _without_header(files)
    if not files:
        if (folder / "roots.jsonl").exists():
            raise DecisionLogError(f"{folder}: there are signed roots but no segments. Restore the log from a backup.")
        sync_folder(folder)
        identity = Identity(secrets.token_bytes(16), keys.active_id)
        return Opened(Tail.begun(folder, identity, segment_bytes), identity, None, 0, ())
    identity = identity_of(files[0])
    root = _root(folder, files, identity, keys)
    place, begin, first = (root.place, root.end, root.segment) if root else (Place(0, identity.genesis), 0, 1)
    behind = [path for path in files if first_of(path) >= first]
    end, cut, unexplained, erasures = begin, 0, {}, []
    if not behind or first_of(behind[0]) != first or behind[0].stat().st_size < begin:
        raise DecisionLogError(
            f"{folder}: the last signed root stands at record {place.sequence}, but the log ends before it: records "
            f"were removed. {_WAY_OUT}"
        )
    for path in behind:
        end = begin or HEADER.size
        try:
            for record in walk(path, identity, place, begin=begin):
                end = record.end
                if isinstance(record.entry.body, Erasure):
                    erasures.append(record.entry.body.erased)
                if record.erasable and commit(record.erasable) != record.entry.commitment:
                    unexplained[record.entry.sequence] = (path, record.offset, wiped(record.erasable), end)
        except Damage as damage:
            if not damage.torn or path != behind[-1]:
                raise DecisionLogError(f"{damage}. {_WAY_OUT}") from damage
            cut = path.stat().st_size - damage.offset
        begin = 0
    torn = _explained(unexplained, erasures, place.sequence)
    if torn is not None:
        raise DecisionLogError(f"{torn}. {_WAY_OUT}")
    if cut:
        _log.warning("%s: %s bytes of a half-written last record, which nobody had been answered, are cut off.",
                     behind[-1], cut)  # fmt: skip
        os.truncate(behind[-1], end)
    tail = Tail(folder, identity, first_of(behind[-1]), place, end, segment_bytes)
    return Opened(tail, identity, root, cut, tuple(erasures))


_WAY_OUT = (
    "Nothing is written to a log that is not whole: `mesh verify decisions` tells all that is wrong; restore it from a "
    "backup, or move the folder aside for the auditor and begin a new log."
)


def _without_header(files: list[Path]) -> None:
    """A segment whose header never reached the disk has no records: it goes."""
    if files and files[-1].stat().st_size < HEADER.size:
        files[-1].unlink()
        sync_folder(files.pop().parent)


def _root(folder: Path, files: list[Path], identity: Identity, keys: LogKeys) -> Root | None:
    if not (folder / "roots.jsonl").exists():
        if len(files) == 1 and files[0].stat().st_size == HEADER.size and first_of(files[0]) == 1:
            return None  # killed between its first segment and its first root
        raise DecisionLogError(f"{folder}: roots.jsonl is missing. {_WAY_OUT}")
    root = last_root(folder)
    if not root.of(identity):
        raise DecisionLogError(f"{folder}/roots.jsonl: the last root is that of another log. {_WAY_OUT}")
    if not root.genuine(keys.public):
        raise DecisionLogError(
            f"{folder}/roots.jsonl: the signature of the last root is not by a key of this mesh. If the mesh's keys "
            f"were lost, restore them. {_WAY_OUT}"
        )
    return root


def _explained(unexplained: dict[int, tuple[Path, int, bool, int]], erasures: list[int], last: int) -> str | None:
    """What is wrong with a payload that does not fit, unless its erasure is on record."""
    for sequence, (path, offset, gone, _) in unexplained.items():
        if sequence not in erasures:
            what = "its payload was erased without a record of that" if gone else "its payload was changed"
            return f"{path.name}: record {sequence} at byte {offset}: {what}"
    return None


def catch_up(index: Index, folder: Path, identity: Identity, head: Place) -> None:
    """Index what is on disk and not in the index; where the index is of something else, all of it.

    Raises:
        DecisionLogError: the records are not whole.
    """
    through = index.through
    if through is not None and (through[0].sequence > head.sequence or not _joins(folder, identity, *through, head)):
        index.clear()
        through = None
    place, begin = through or (Place(0, identity.genesis), 0)
    postings: list[Posting] = []
    files = segment_files(folder)
    at = max((at for at, path in enumerate(files) if first_of(path) <= max(place.sequence, 1)), default=0)
    for path in files[at:]:
        end = begin
        try:
            for one in walk(path, identity, place, begin=begin):
                end = one.end
                if isinstance(body := one.entry.body, Decision):
                    found = Indexed(place.sequence, one.offset, one.erasable[SALT : SALT + FINGERPRINT])
                    postings.append(Posting(one.entry.subject, body.correlation_id.encode(), found))
                if len(postings) >= CATCH_UP:
                    index.add(postings, place, one.end)
                    postings = []
        except Damage as damage:
            raise DecisionLogError(f"{damage}. {_WAY_OUT}") from damage
        if postings:
            index.add(postings, place, end)
            postings = []
        begin = 0


def _joins(folder: Path, identity: Identity, place: Place, end: int, head: Place) -> bool:
    """Whether the chain goes on from where the index ends."""
    if place.sequence == head.sequence:
        return place.hash == head.hash
    segment = [path for path in segment_files(folder) if first_of(path) <= place.sequence][-1]
    start = Place(place.sequence, place.hash)
    try:
        return next(walk(segment, identity, start, begin=end), None) is not None or segment != segment_files(folder)[-1]
    except Damage:
        return False
