"""The trail of a service: who was refused, and who looked at what is known of somebody.

The request path meets no server: entries go to files of this machine, many with one fsync, and are shipped to
`mesh.service_access` when Postgres is up (`mesh.access.shipping`). A look waits until it is on disk, and where the disk
refuses there is no look. Refusals wait for nothing: equal ones of a moment become one entry that counts them, so a
flood of forged tokens fills neither memory nor disk. What was looked at is named by a keyed hash, never by a value.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec
from filelock import FileLock, Timeout

from mesh.access.keys import KeyRing
from mesh.errors import ServiceError

SEGMENT_BYTES = 8 * 1024 * 1024
WAITING_LOOKS = 10_000
GATHER_SECONDS = 0.2
"""How long equal refusals are gathered into one entry."""

_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look or a refusal.

    Attributes:
        id: unique; shipping an entry twice records it once.
        at: microseconds since 1970 (UTC).
        outcome: `given`, or `refused: WHY`.
        status: the HTTP status of the answer.
        route: method and path template; None where there is none.
        bearer: who holds the token, by whoever issued it.
        subjects: what was looked at, by keyed hashes.
        times: how many equal refusals this stands for.
    """

    id: str
    at: int
    outcome: str
    status: int
    route: str | None
    token: str | None
    bearer: str | None
    role: str | None
    purpose: str | None
    subjects: tuple[str, ...]
    correlation: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """What an entry is made of, before it has an id."""

    outcome: str
    status: int
    route: str | None
    token: str | None
    bearer: str | None
    role: str | None
    purpose: str | None


class TrailBroken(ServiceError):
    """What was looked at could not be put on record, so it is not shown."""


class Trail:
    """The files of one service's trail and the thread that writes them. One process at a time owns a folder."""

    def __init__(self, folder: Path, keyring: KeyRing, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises:
        ServiceError: another process owns the folder.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._lock = FileLock(folder / "owner.lock", timeout=0, mode=0o600, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise ServiceError(f"Another process writes the access trail in {folder}. Stop it first.") from None
        self._key, self._key_id = keyring.trail_key(), keyring.active_id
        self._segment_bytes = segment_bytes
        self.current: Path | None = None
        """The segment that is being written, set before the file is there; every other one is finished."""
        self._descriptor: int | None = None
        self._size = 0
        self._work = threading.Condition()
        self._looks: list[tuple[Entry, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._refusals: dict[Event, tuple[int, str, int]] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._write_on, name="access-trail", daemon=True)
        self._thread.start()

    def subject(self, value: str) -> str:
        """The name under which a value is on record: the same for the same value, and no way back without the key."""
        return f"{self._key_id}:{hmac.digest(self._key, value.encode(), hashlib.sha256)[:16].hex()}"

    def refused(self, event: Event, correlation: str) -> None:
        """Put a refusal on record; returns at once."""
        with self._work:
            known = self._refusals.get(event)
            if known is None:
                self._refusals[event] = (_now(), correlation, 1)
                self._work.notify()
            else:
                self._refusals[event] = (known[0], known[1], known[2] + 1)

    async def looked(self, event: Event, correlation: str, subjects: Sequence[str]) -> None:
        """Put a look on record and wait until it is on disk.

        Args:
            subjects: the values that were looked at; only their keyed hashes are written.

        Raises:
            TrailBroken: it is not on disk; whoever asked must then be shown nothing.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        entry = _entry(event, _now(), correlation, tuple(self.subject(value) for value in subjects), 1)
        with self._work:
            if self._closing or len(self._looks) >= WAITING_LOOKS:
                raise TrailBroken("The access trail takes no more looks at this moment.")
            self._looks.append((entry, loop, done))
            self._work.notify()
        await done

    def finish(self) -> None:
        """Write what waits, and take no more."""
        with self._work:
            self._closing = True
            self._work.notify()
        self._thread.join()
        self._finish_segment()

    def close(self) -> None:
        """Write what waits, take no more, and give the folder free."""
        self.finish()
        self._lock.release()

    def _write_on(self) -> None:
        while True:
            with self._work:
                self._work.wait_for(lambda: self._closing or self._looks or self._refusals)
                if not self._looks:
                    # Nobody waits for refusals: gather more of them, unless a look comes.
                    self._work.wait_for(lambda: self._closing or self._looks, timeout=GATHER_SECONDS)
                closing, looks, refusals = self._closing, self._looks, self._refusals
                self._looks, self._refusals = [], {}
            error = self._write_group([look[0] for look in looks], refusals)
            for _, loop, done in looks:
                # The loop may have ended under a caller that is gone.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_settle, done, error)
            if closing and not looks and not refusals:
                return
            if error is not None and closing:
                return
            if error is not None:
                time.sleep(GATHER_SECONDS)

    def _write_group(self, looks: Sequence[Entry], refusals: dict[Event, tuple[int, str, int]]) -> TrailBroken | None:
        gathered = [_entry(event, at, first, (), times) for event, (at, first, times) in refusals.items()]
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in (*looks, *gathered))
        if not lines:
            return None
        try:
            self._append(lines)
        except OSError as error:
            _log.error("The access trail in %s cannot be written: %s", self.folder, os.strerror(error.errno or 0))
            with self._work:
                for event, (at, first, times) in refusals.items():  # kept for the next attempt
                    self._refusals[event] = (at, first, times + self._refusals.get(event, (0, "", 0))[2])
            return TrailBroken("The look could not be put on record, so nothing is shown.")
        return None

    def _append(self, lines: bytes) -> None:
        if self._descriptor is not None and self._size >= self._segment_bytes:
            self._finish_segment()
        if self._descriptor is None:
            self._begin_segment()
        assert self._descriptor is not None
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._descriptor, left) :]
            os.fdatasync(self._descriptor)
        except OSError:
            # After a failed write or sync nobody knows what is on disk: cut it off, and go on in another segment.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            self._finish_segment()
            raise
        self._size += len(lines)

    def _begin_segment(self) -> None:
        self.current = self.folder / f"{_now():017d}-{os.getpid()}.jsonl"
        self._descriptor = os.open(self.current, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)
        self._size = 0
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _finish_segment(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
        self.current = None


def _entry(event: Event, at: int, correlation: str, subjects: tuple[str, ...], times: int) -> Entry:
    return Entry(
        id=uuid4().hex, at=at, outcome=event.outcome, status=event.status, route=event.route, token=event.token,
        bearer=event.bearer, role=event.role, purpose=event.purpose, subjects=subjects, correlation=correlation,
        times=times,
    )  # fmt: skip


def _settle(done: asyncio.Future[None], error: TrailBroken | None) -> None:
    if done.done():
        return  # whoever waited has been cancelled
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _now() -> int:
    return time.time_ns() // 1000
