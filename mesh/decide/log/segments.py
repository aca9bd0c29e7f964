"""The files of a log: segments of records, each beginning with a header that is itself bound into the chain.

<log>/segments/<number of its first record, 20 digits>.segment
<log>/roots.jsonl     signed roots
<log>/durable         number of the last record known to be on disk: how far another process may read
<log>/index/          derived from the records, can be deleted
<log>/requests/       what other processes ask of the owner
<log>/lock            held by the owner
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mesh.decide.log.entries import FRAME, Entry, Recorded, chain, checksum, decode, recorded, sound
from mesh.errors import DecisionLogError

MAGIC = b"MESHLOG1"
HEADER = struct.Struct("<8s16s16sQ32sI")
DURABLE = struct.Struct("<Q")
NAME = re.compile(r"\d{20}\.segment")
CHUNK = 1 << 22
LARGEST = 1 << 28
"""Bytes of one part that a frame may claim; more is damage, not data."""


@dataclass(frozen=True)
class Identity:
    """What tells one log from another, and the id of the key that hashes its subjects."""

    log: bytes
    key_id: str

    @property
    def genesis(self) -> bytes:
        """The hash before the first record."""
        return hashlib.sha256(MAGIC + self.log + self.key_id.encode().ljust(16, b"\0")).digest()

    def header(self, first: int, before: bytes) -> bytes:
        raw = HEADER.pack(MAGIC, self.log, self.key_id.encode(), first, before, 0)
        return raw[:-4] + zlib.crc32(raw[:-4]).to_bytes(4, "little")


class Damage(Exception):
    """Something in a segment is not as it was written.

    Attributes:
        sequence: of the record where it shows; the one that should be there.
        torn: the file ends within this record, as a killed process leaves it.
        offset: where the record begins.
        end: where the next record begins, if that can still be told.
        hash: the hash that stands in the record, to go on from.
    """

    def __init__(
        self, segment: Path, sequence: int, offset: int, what: str, *,
        torn: bool = False, end: int | None = None, hash_: bytes = b"",
    ) -> None:  # fmt: skip
        self.segment, self.sequence, self.offset, self.what = segment, sequence, offset, what
        self.torn, self.end, self.hash = torn, end, hash_
        super().__init__(str(self))

    def __str__(self) -> str:
        return f"{self.segment.name}: record {self.sequence} at byte {self.offset}: {self.what}"


@dataclass(slots=True)
class Place:
    """A position in the chain: after which record, with which hash."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Walked:
    """A record whose place in the chain was checked; its erasable part was not."""

    entry: Entry
    hash: bytes
    offset: int
    end: int
    erasable: bytes


def log_folder(home: Path) -> Path:
    """Where the log of a mesh is, given its home."""
    return home / "decisions" / "log"


def segment_files(folder: Path) -> list[Path]:
    """The segments in order."""
    return sorted(path for path in (folder / "segments").glob("*.segment") if NAME.fullmatch(path.name))


def first_of(segment: Path) -> int:
    return int(segment.stem)


def segment_path(folder: Path, first: int) -> Path:
    return folder / "segments" / f"{first:020d}.segment"


def identity_of(segment: Path) -> Identity:
    """What the header of a log's first segment says.

    Raises:
        DecisionLogError: there is no whole header.
    """
    try:
        with segment.open("rb") as file:
            raw = file.read(HEADER.size)
        magic, log, key_id, *_ = HEADER.unpack(raw)
        named = key_id.rstrip(b"\0").decode("ascii")
    except OSError as error:
        raise DecisionLogError(f"{segment} cannot be read: {error.strerror}.") from error
    except (struct.error, ValueError) as error:
        raise DecisionLogError(f"{segment}: the header is damaged. Restore the log from a backup.") from error
    if magic != MAGIC:
        raise DecisionLogError(f"{segment} is no segment of a decision log: it does not begin with {MAGIC.decode()}.")
    return Identity(log, named)


def walk(segment: Path, identity: Identity, place: Place, *, begin: int = 0) -> Iterator[Walked]:
    """The records of a segment, each checked against the chain; `place` moves along.

    Args:
        begin: byte of a record to begin with; 0 checks the header first.

    Raises:
        Damage: at the first record that is not as it was written. Whoever wants to go on may, from its `end`.
    """
    with segment.open("rb") as file:
        if not begin:
            header = file.read(HEADER.size)
            if header != identity.header(place.sequence + 1, place.hash) or first_of(segment) != place.sequence + 1:
                torn = len(header) < HEADER.size
                raise Damage(segment, place.sequence + 1, 0, _header_fault(segment, header, place), torn=torn)
            begin = HEADER.size
        for offset, frame, body in _records(file.fileno(), begin):
            expected = place.sequence + 1
            if len(frame) < FRAME.size:
                raise Damage(segment, expected, offset, "the file ends within it", torn=True)
            if not sound(frame):
                blank = not frame.strip(b"\0")
                what = "zeros stand in its place" if blank else "its lengths or its hash were changed"
                raise Damage(segment, expected, offset, what, torn=blank and _blank(file.fileno(), offset))
            chained_length, erasable_length, crc, hash_, _ = FRAME.unpack(frame)
            end = offset + FRAME.size + chained_length + erasable_length
            if len(body) < chained_length + erasable_length:
                raise Damage(segment, expected, offset, "the file ends within it", torn=True)
            chained = body[:chained_length]
            entry = _entry(chained)
            fault = _fault(entry, expected, erasable_length, crc, hash_, chained, place.hash)
            if fault or entry is None:
                raise Damage(segment, expected, offset, fault or "unreadable", end=end, hash_=hash_)
            place.sequence, place.hash = expected, hash_
            yield Walked(entry, hash_, offset, end, body[chained_length:])


def read(folder: Path, after: int = 0, *, payloads: bool = True) -> Iterator[Recorded]:
    """The records after a number, as they are now: whole ones that are on disk, in order. The owner may go on writing.

    The chain is not checked; that is what `verify` is for.

    Raises:
        DecisionLogError: a record's checksum does not fit.
    """
    durable = read_durable(folder)
    segments = segment_files(folder)
    begin = max((at for at, segment in enumerate(segments) if first_of(segment) <= after + 1), default=0)
    for segment in segments[begin:]:
        sequence = first_of(segment) - 1
        with segment.open("rb") as file:
            for offset, frame, body in _records(file.fileno(), HEADER.size):
                sequence += 1
                if durable is not None and sequence > durable:
                    return
                whole = len(frame) == FRAME.size and sound(frame)
                chained_length, erasable_length, crc, hash_, _ = FRAME.unpack(frame) if whole else (0, 0, 0, b"", 0)
                if not whole or len(body) < chained_length + erasable_length:
                    if durable is None:
                        return  # a copy, made while the last record was being written
                    raise DecisionLogError(
                        f"{segment}: record {sequence} at byte {offset} is damaged. `mesh verify decisions` tells more."
                    )
                if sequence <= after:
                    continue
                chained = body[:chained_length]
                if crc != checksum(hash_, chained):
                    raise DecisionLogError(
                        f"{segment}: record {sequence} at byte {offset} is damaged. `mesh verify decisions` tells more."
                    )
                yield recorded(decode(chained), hash_, body[chained_length:] if payloads else None)


def read_at(segment: Path, offset: int) -> tuple[Entry, bytes, bytes, int]:
    """One record: entry, hash, erasable part, and where that begins."""
    with segment.open("rb") as file:
        frame = os.pread(file.fileno(), FRAME.size, offset)
        chained_length, erasable_length, crc, hash_, _ = FRAME.unpack(frame)
        body = os.pread(file.fileno(), chained_length + erasable_length, offset + FRAME.size)
    chained = body[:chained_length]
    if crc != checksum(hash_, chained):
        raise DecisionLogError(
            f"{segment}: the record at byte {offset} is damaged. `mesh verify decisions` tells more."
        )
    return decode(chained), hash_, body[chained_length:], offset + FRAME.size + chained_length


def read_durable(folder: Path) -> int | None:
    """How far another process may read; None where nothing says so, as in a copy."""
    try:
        raw = (folder / "durable").read_bytes()
    except FileNotFoundError:
        return None
    return int(DURABLE.unpack(raw)[0]) if len(raw) == DURABLE.size else None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _records(descriptor: int, begin: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Offset, frame and body of each record; the last may be short. Reads in chunks: a mapped file that another
    process cuts would end this one.
    """
    base, at, chunk = begin, 0, os.pread(descriptor, CHUNK, begin)
    size = FRAME.size
    unpack = FRAME.unpack_from
    while True:
        need = size
        if at + size <= len(chunk):
            chained_length, erasable_length, _, _, _ = unpack(chunk, at)
            need = size + min(chained_length + erasable_length, LARGEST)
        if at + need > len(chunk):
            base += at
            chunk, at = _fill(descriptor, base, need), 0
            if not chunk:
                return
            if len(chunk) < need:
                yield base, chunk[:size], chunk[size:]
                return
            if need == size:
                continue
        yield base + at, chunk[at : at + size], chunk[at + size : at + need]
        at += need


def _fill(descriptor: int, offset: int, need: int) -> bytes:
    """At least so many bytes where the file has them; a frame's own length decides in the next look."""
    parts, got, want = [], 0, max(CHUNK, need)
    while got < want:
        part = os.pread(descriptor, want - got, offset + got)
        if not part:
            break
        parts.append(part)
        got += len(part)
    return b"".join(parts)


def _blank(descriptor: int, offset: int) -> bool:
    while chunk := os.pread(descriptor, CHUNK, offset):
        if chunk.strip(b"\0"):
            return False
        offset += len(chunk)
    return True


def _entry(chained: bytes) -> Entry | None:
    try:
        return decode(chained)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _fault(
    entry: Entry | None, expected: int, erasable: int, crc: int, hash_: bytes, chained: bytes, before: bytes
) -> str | None:
    """What is wrong with a record, in the words that help most."""
    if entry is None:
        return "it cannot be read"
    if entry.sequence != expected:
        return f"record {entry.sequence} stands in its place: records were removed, repeated or moved"
    if hash_ != chain(before, chained):
        return "its hash does not follow from the record before and its own content: one of them was changed"
    if crc != checksum(hash_, chained):
        return "its checksum does not fit"
    if entry.erasable != erasable:
        return "the length of its payload was changed"
    return None


def _header_fault(segment: Path, header: bytes, place: Place) -> str:
    if len(header) < HEADER.size:
        return "the file ends within its header"
    if first_of(segment) != place.sequence + 1:
        return f"the segment begins with record {first_of(segment)}: a segment was removed, repeated or cut short"
    return "the segment's header does not follow from what is before it"
