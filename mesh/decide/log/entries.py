"""What a decision log records, and how a record lies on disk.

A record is a frame of fixed size, a *chained part* and an *erasable part*:

    frame     lengths of both parts, a checksum of hash and chained part, the chain's hash, a checksum of all these
    chained   an `Entry` in MessagePack: everything that stays for ever; no value about a person
    erasable  salt (16 bytes), keyed hash of the request (16 bytes), payload: what may have to be forgotten

The chain's hash of a record is SHA-256(hash before || chained part). The chained part holds SHA-256(erasable part), so
that the erasable part can be wiped and the chain stays whole; without the salt, which is wiped with it, nobody can try
out what was there.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from typing import NamedTuple

import msgspec

FRAME = struct.Struct("<III32sI")
_HEAD = struct.Struct("<III32s")
SALT = 16
FINGERPRINT = 16
WORD_LIMIT = 200
"""Characters of a correlation id: LMDB takes keys of up to 511 bytes."""


class Policy(msgspec.Struct, frozen=True, array_like=True):
    """The policy that turned a score into a decision."""

    version: str
    sha256: str


class Model(msgspec.Struct, frozen=True, array_like=True):
    """The model that scored."""

    name: str
    version: int
    sha256: str


class Decision(msgspec.Struct, frozen=True, array_like=True, tag="decision"):
    """An answer, without a value about anybody.

    Attributes:
        score: 0-100.
        decision: such as accept, review or block.
        reasons: reason codes.
        releases: number of the release of every product that the answer was made from.
    """

    correlation_id: str
    score: int
    probability: float
    decision: str
    reasons: tuple[str, ...]
    policy: Policy
    model: Model
    releases: dict[str, int]


class Erasure(msgspec.Struct, frozen=True, array_like=True, tag="erasure"):
    """That the erasable part of an earlier record was wiped; by whom and why."""

    erased: int
    who: str
    why: str


class Recovery(msgspec.Struct, frozen=True, array_like=True, tag="recovery"):
    """That a start found the last record half written, which nobody had been answered, and cut it off."""

    cut_bytes: int


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """The chained part of a record.

    Attributes:
        sequence: 1, 2, 3, ... over the whole log.
        moment: microseconds since 1970, UTC.
        subject: keyed hash of the id of what was decided (16 bytes); empty for an entry about no submission.
        commitment: SHA-256 of the erasable part.
        erasable: bytes of the erasable part.
    """

    sequence: int
    moment: int
    subject: bytes
    commitment: bytes
    erasable: int
    body: Decision | Erasure | Recovery


class Recorded(NamedTuple):
    """A record as readers get it.

    Attributes:
        hash: the chain's hash of this record.
        payload: None where it was erased, the entry has none, or it was not asked for.
        erased: whether it was erased (known only where payloads are asked for).
    """

    entry: Entry
    hash: bytes
    payload: bytes | None
    erased: bool


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entry).decode


def chain(before: bytes, chained: bytes) -> bytes:
    return hashlib.sha256(before + chained).digest()


def checksum(hash_: bytes, chained: bytes) -> int:
    return zlib.crc32(chained, zlib.crc32(hash_))


def commit(erasable: bytes) -> bytes:
    return hashlib.sha256(erasable).digest()


def framed(hash_: bytes, chained: bytes, erasable: bytes) -> bytes:
    """A record as it is written."""
    head = _HEAD.pack(len(chained), len(erasable), checksum(hash_, chained), hash_)
    return b"".join((head, zlib.crc32(head).to_bytes(4, "little"), chained, erasable))


def sound(frame: bytes) -> bool:
    """Whether the lengths in a whole frame can be believed: a damaged one must not pass for a write cut short."""
    return zlib.crc32(frame[: _HEAD.size]) == int.from_bytes(frame[_HEAD.size :], "little")


def wiped(erasable: bytes) -> bool:
    """Whether nothing but zeros is left."""
    return not erasable.strip(b"\0")


def recorded(entry: Entry, hash_: bytes, erasable: bytes | None) -> Recorded:
    if not erasable:
        return Recorded(entry, hash_, None, False)
    if wiped(erasable):
        return Recorded(entry, hash_, None, True)
    return Recorded(entry, hash_, erasable[SALT + FINGERPRINT :], False)
