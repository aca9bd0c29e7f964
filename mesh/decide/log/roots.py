"""Signed roots: statements of where the chain stood, which whoever holds one can hold the log to.

`roots.jsonl` has one in each line. Its number counts them, so that none can be taken out of the middle; its signature
covers all other fields.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from mesh.decide.log.keys import LogKeys, PublicKeys
from mesh.decide.log.segments import Identity, Place, sync_folder
from mesh.errors import DecisionLogError

PURPOSE = b"mesh decision log root v1\n"
LINE_LIMIT = 4096


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the chain of a log stood.

    Attributes:
        log: the log's own id (hex).
        number: 1, 2, 3, ... over the roots of this log.
        sequence: the last record; 0 before the first.
        hash: the chain's hash there (hex).
        moment: microseconds since 1970, UTC.
        segment: first record of the segment that record is in.
        end: byte of that segment where the next record begins.
        key: id of the key that signed.
        signature: Ed25519 over all other fields (hex).
    """

    log: str
    number: int
    sequence: int
    hash: str
    moment: int
    segment: int
    end: int
    key: str
    signature: str = ""

    @property
    def line(self) -> bytes:
        return msgspec.json.encode(self) + b"\n"

    @property
    def place(self) -> Place:
        return Place(self.sequence, bytes.fromhex(self.hash))

    def signed_by(self, keys: LogKeys) -> Root:
        return msgspec.structs.replace(self, signature=keys.sign(self._signed).hex())

    def genuine(self, keys: PublicKeys) -> bool:
        try:
            signature = bytes.fromhex(self.signature)
        except ValueError:
            return False
        return keys.verifies(self._signed, signature)

    def of(self, identity: Identity) -> bool:
        return self.log == identity.log.hex()

    @property
    def _signed(self) -> bytes:
        return PURPOSE + msgspec.json.encode(msgspec.structs.replace(self, signature=""))


def parse(line: bytes) -> Root | None:
    """The root of a line; None where it is not exactly what was written."""
    try:
        root = msgspec.json.decode(line, type=Root)
        canonical = all(bytes.fromhex(text).hex() == text for text in (root.hash, root.signature))
    except (msgspec.MsgspecError, ValueError):
        return None
    return root if canonical and root.line == line else None


def read_root(file: Path) -> Root:
    """An exported root.

    Raises:
        DecisionLogError: the file cannot be read or holds no root.
    """
    try:
        line = file.read_bytes()
    except OSError as error:
        raise DecisionLogError(f"{file} cannot be read: {error.strerror}.") from error
    root = parse(line.strip() + b"\n")
    if root is None:
        raise DecisionLogError(f"{file} is no root of a decision log. Allowed: what `mesh decisions root` writes.")
    return root


def last_root(folder: Path) -> Root:
    """The newest whole root of a log; a line that a kill cut short does not count.

    Raises:
        DecisionLogError: there is none.
    """
    return _last(folder)[0]


def append_root(folder: Path, root: Root) -> None:
    """Write a root durably; what a kill left half written goes.

    Raises:
        OSError: it could not be written; then nothing of it is left.
    """
    path = folder / "roots.jsonl"
    new = not path.exists()
    end = 0 if new else _last(folder)[1]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, end)
        try:
            os.pwrite(descriptor, root.line, end)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    if new:
        sync_folder(folder)


def _last(folder: Path) -> tuple[Root, int]:
    """The newest root and where its line ends."""
    path = folder / "roots.jsonl"
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            begin = max(0, size - LINE_LIMIT)
            file.seek(begin)
            tail = file.read()
    except OSError as error:
        raise DecisionLogError(f"{path} cannot be read: {error.strerror}. Restore it from a backup.") from error
    whole = tail[: tail.rfind(b"\n") + 1]
    root = parse(whole[whole.rfind(b"\n", 0, -1) + 1 :]) if whole else None
    if root is None:
        raise DecisionLogError(f"{path}: the last root is damaged. Restore the file from a backup.")
    return root, begin + len(whole)
