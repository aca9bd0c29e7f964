"""What other processes ask of the one that owns a log: files in its folder `requests/`.

So a payload can be erased while the service goes on deciding. A request names its subject by the keyed hash only.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mesh.decide.log.keys import LogKeys, keyed
from mesh.decide.log.segments import identity_of, segment_files
from mesh.decide.log.waiting import LogOwned
from mesh.errors import DecisionLogError, NotFound

PATIENCE_SECONDS = 15.0
LOOK_SECONDS = 0.05


class _Asked(msgspec.Struct, frozen=True):
    subject: str
    who: str
    why: str


class _Answer(msgspec.Struct, frozen=True):
    sequence: int | None
    error: str | None


@dataclass(frozen=True)
class Request:
    """A request for an erasure, which its file waits to be answered."""

    file: Path
    subject: bytes
    who: str
    why: str

    def settled(self, sequence: int, done: Future[None]) -> None:
        error = done.exception()
        self._answer(_Answer(None, str(error)) if error else _Answer(sequence, None))

    def answer(self, error: str) -> None:
        self._answer(_Answer(None, error))

    def _answer(self, answer: _Answer) -> None:
        _write(self.file.with_suffix(".answer"), msgspec.json.encode(answer))


def waiting(folder: Path) -> Iterator[Request]:
    """Every request so far, each once."""
    for file in sorted((folder / "requests").glob("*.erase")):
        try:
            asked = msgspec.json.decode(file.read_bytes(), type=_Asked)
            subject = bytes.fromhex(asked.subject)
        except (OSError, msgspec.MsgspecError, ValueError):
            file.unlink(missing_ok=True)
            continue
        file.unlink(missing_ok=True)
        yield Request(file, subject, asked.who, asked.why)


def erase(folder: Path, keys: LogKeys, claim_id: str, *, who: str, why: str) -> int:
    """Erase the payload of a decision, by its owner where a process owns the log; the record that says so.

    Raises:
        NotFound: there is no log, or no decision on this id.
        DecisionLogError: it was refused, or the owner does not answer.
    """
    from mesh.decide.log.log import DecisionLog

    files = segment_files(folder)
    if not files:
        raise NotFound(f"There is no decision log in {folder}.")
    try:
        log = DecisionLog(folder, keys)
    except LogOwned:
        subject = keyed(keys.subject_key(identity_of(files[0]).key_id), claim_id.encode())
        return ask(folder, subject, who=who, why=why)
    with log:
        return log.erase(claim_id, who=who, why=why)


def ask(folder: Path, subject: bytes, *, who: str, why: str) -> int:
    """Ask the owner for an erasure and wait for it; the record's sequence number.

    Raises:
        DecisionLogError: it was refused, or the owner does not answer.
    """
    file = folder / "requests" / f"{secrets.token_hex(8)}.erase"
    answer = file.with_suffix(".answer")
    _write(file, msgspec.json.encode(_Asked(subject.hex(), who, why)))
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        if answer.exists():
            got = msgspec.json.decode(answer.read_bytes(), type=_Answer)
            answer.unlink()
            if got.sequence is None:
                raise DecisionLogError(got.error or "The erasure failed.")
            return got.sequence
        time.sleep(LOOK_SECONDS)
    file.unlink(missing_ok=True)
    raise DecisionLogError(
        f"The process that owns the decision log {folder} did not answer within {PATIENCE_SECONDS:.0f} seconds. See "
        "whether it runs and whether its disk is full, then ask again."
    )


def _write(file: Path, content: bytes) -> None:
    temporary = file.with_name(f"{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(content)
    os.replace(temporary, file)
