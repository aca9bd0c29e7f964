"""The decision log: durable before the answer leaves, one decision for one request, tamper-evident.

Callers build their records themselves and put them into a queue; one writer thread takes whatever waits, writes it as
one piece, syncs once and wakes them. So the event loop never waits for the disk, and a busy log syncs once for many.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import lmdb
from filelock import FileLock, Timeout

from mesh.decide.log import requests
from mesh.decide.log.entries import (
    SALT,
    WORD_LIMIT,
    Decision,
    Entry,
    Erasure,
    Recorded,
    Recovery,
    chain,
    commit,
    encode,
    framed,
    recorded,
    wiped,
)
from mesh.decide.log.index import Index, Indexed, Posting
from mesh.decide.log.keys import LogKeys, keyed
from mesh.decide.log.opening import catch_up, open_tail
from mesh.decide.log.segments import Place, first_of, read, read_at, segment_path
from mesh.decide.log.waiting import Batch, LogOwned, NotRecorded, Receipt, RequestConflict, Waiting, Wipe, wake
from mesh.decide.log.writer import ROOT_RECORDS, ROOT_SECONDS, Rooting, Writer
from mesh.errors import DecisionLogError, MeshError, NotFound, UsageError

SEGMENT_BYTES = 1 << 26
INDEX_GROUP = 128
UNINDEXED_LIMIT = 50_000
SLIM_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Submission(NamedTuple):
    """What is to be recorded.

    Attributes:
        claim_id: id of what was decided; one decision each.
        request: the request as it came, or a hash of it: the same again is the same request.
        decision: the answer.
        payload: all that a replay needs; the part that can be erased.
    """

    claim_id: str
    request: bytes
    decision: Decision
    payload: bytes


class Known(NamedTuple):
    """That there is a decision on this id already, on disk or on its way there.

    Attributes:
        same: whether it answered the same request.
        erased: whether that request was erased, so that `same` cannot be told.
    """

    sequence: int
    same: bool
    erased: bool


class DecisionLog:
    """One log, owned by this process. Methods may be called from any thread; `append` from any event loop.

    Attributes:
        cut_bytes: length of the half-written record that the opening cut off; 0 where there was none.
    """

    def __init__(
        self, folder: Path, keys: LogKeys, *,
        segment_bytes: int = SEGMENT_BYTES, root_records: int = ROOT_RECORDS, root_seconds: float = ROOT_SECONDS,
    ) -> None:  # fmt: skip
        """Open a log for writing; an empty or missing folder becomes a new one.

        Raises:
            LogOwned: another process writes it.
            DecisionLogError: it is not whole.
            SettingsError: the key that it was begun with is missing.
        """
        self._folder, self._keys = folder, keys
        for name in ("segments", "requests"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = FileLock(folder / "lock", timeout=0, mode=0o600)
        try:
            self._owner.acquire()
        except Timeout as error:
            raise LogOwned(
                f"Another process writes the decision log {folder}: one at a time owns it. Stop that one first."
            ) from error
        try:
            self._open(segment_bytes, root_records, root_seconds)
        except BaseException:
            self._owner.release()
            raise

    @classmethod
    def open(cls, folder: Path, keys: LogKeys) -> DecisionLog:
        """The log in a folder, with the usual sizes; see the class for what it raises."""
        return cls(folder, keys)

    def _open(self, segment_bytes: int, root_records: int, root_seconds: float) -> None:
        opened = open_tail(self._folder, self._keys, segment_bytes)
        self.cut_bytes = opened.cut_bytes
        self._tail = opened.tail
        self._key = self._keys.subject_key(opened.identity.key_id)
        self._next, self._head = self._tail.place.sequence + 1, self._tail.place.hash
        self._index = Index(self._folder / "index")
        catch_up(self._index, self._folder, opened.identity, self._tail.place)
        self._lock, self._index_lock = threading.Lock(), threading.Lock()
        self._recent: dict[bytes, Waiting] = {}
        self._recent_correlations: dict[str, Waiting] = {}
        self._unindexed: list[Waiting] = []
        self._closed, self._salts, self._slimmed_at = False, b"", 0.0
        rooting = Rooting(self._folder, self._keys, opened.identity, opened.root, root_records, root_seconds)
        unwiped = [wipe for erased in opened.erasures if (wipe := self._wipe_of(self._place_of(erased)))]
        self._writer = Writer(self._tail, rooting, unwiped, settled=self._settled, idle=self._idle, wiped=self._forget)
        self._writer.start()
        if self.cut_bytes:
            self._enter(Recovery(self.cut_bytes), b"", None)[1].result()

    # What callers do.

    def known(self, claim_id: str, request: bytes) -> Known | None:
        """Whether there is a decision on this id, also one that is only on its way to the disk; None where not."""
        subject = keyed(self._key, claim_id.encode())
        waiting = self._recent.get(subject)
        at = Indexed(waiting.sequence, 0, waiting.fingerprint) if waiting else self._index.subject(subject)
        if at is None:
            return None
        return Known(at.sequence, at.fingerprint == keyed(self._key, request), wiped(at.fingerprint))

    async def append(self, claim_id: str, request: bytes, decision: Decision, payload: bytes) -> Receipt:
        """Record a decision; returns once it is on disk. The same request again gets the receipt of the first time.

        Raises:
            RequestConflict: there is a decision on this id for another request.
            NotRecorded: the disk refused.
        """
        submission = Submission(claim_id, request, decision, payload)
        (found,), waiters = self._hand_in((submission,), asyncio.get_running_loop())
        for one in waiters:
            await one
        if isinstance(found, RequestConflict):
            raise found
        return found

    async def append_all(self, submissions: Sequence[Submission]) -> list[Receipt | RequestConflict]:
        """Record many at once: receipts, or why there is none, in order. All of it is on disk, or nothing.

        Raises:
            NotRecorded: the disk refused.
        """
        found, waiters = self._hand_in(submissions, asyncio.get_running_loop())
        for one in waiters:
            await one
        return found

    def append_now(self, submissions: Sequence[Submission]) -> list[Receipt | RequestConflict]:
        """`append_all` for callers without an event loop: waits for the disk."""
        found, waiters = self._hand_in(submissions, None)
        for one in waiters:
            one.result()
        self._index_many()
        return found

    def find(self, correlation_id: str) -> Recorded | None:
        """The record of a correlation id, with its payload unless that was erased; None where there is none."""
        if waiting := self._recent_correlations.get(correlation_id):
            if not waiting.batch.settled or not waiting.offset:
                return None  # not answered yet, so nobody can know the id
            return self._read(waiting.sequence, waiting.offset)
        key = correlation_id.encode()
        at = self._index.correlation(key) if 0 < len(key) <= 2 * WORD_LIMIT else None
        return None if at is None else self._read(*at)

    def decided(self, claim_id: str) -> Recorded | None:
        """The record of a decision on this id, with its payload unless that was erased; None where there is none."""
        subject = keyed(self._key, claim_id.encode())
        if waiting := self._recent.get(subject):
            return self._read(waiting.sequence, waiting.offset) if waiting.batch.settled else None
        at = self._index.subject(subject)
        return None if at is None else self._read(at.sequence, at.offset)

    def erase(self, claim_id: str, *, who: str, why: str) -> int:
        """Wipe the payload of the decision on this id for ever, and put on record that it was; its sequence number.

        Raises:
            NotFound: there is no decision on this id.
            DecisionLogError: it is erased already, or the disk refused.
        """
        sequence, done = self._erase(keyed(self._key, claim_id.encode()), who, why)
        done.result()
        return sequence

    @property
    def head(self) -> Place:
        """The last record on disk."""
        return self._tail.place

    def close(self) -> None:
        """Write what waits, sign a last root and let go of the log."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._writer.close()
        self._index_recent()
        self._index.close()
        self._tail.close()
        self._owner.release()

    def __enter__(self) -> DecisionLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Handing in.

    def _hand_in(
        self, submissions: Sequence[Submission], loop: asyncio.AbstractEventLoop | None
    ) -> tuple[list[Receipt | RequestConflict], list[Any]]:
        """What becomes of each, and what has to be waited for."""
        if not all(0 < len(one.decision.correlation_id) <= WORD_LIMIT for one in submissions):
            raise UsageError(f"A correlation id is too short or too long. Allowed: 1 to {WORD_LIMIT} characters.")
        found: list[Receipt | RequestConflict] = []
        waiters: list[Any] = []
        batch = Batch()
        key = self._key
        with self._lock:
            self._usable()
            joined = {batch}
            for claim_id, request, decision, payload in submissions:
                subject = keyed(key, claim_id.encode())
                fingerprint = keyed(key, request)
                earlier = self._recent.get(subject)
                if earlier is not None:
                    same = earlier.fingerprint == fingerprint
                    found.append(earlier.receipt(repeated=True) if same else RequestConflict(earlier.sequence))
                    if earlier.batch not in joined and not earlier.batch.settled:
                        joined.add(earlier.batch)
                        waiters.append(self._join(earlier.batch, loop))
                elif (at := self._index.subject(subject)) is not None:
                    found.append(self._earlier(subject, fingerprint, at))
                else:
                    erasable = b"".join((self._salt(), fingerprint, payload))
                    waiting = self._build(batch, decision, subject, erasable, fingerprint)
                    self._recent[subject] = waiting
                    self._recent_correlations[decision.correlation_id] = waiting
                    found.append(waiting.receipt(repeated=False))
            if batch.records:
                waiters.append(self._join(batch, loop))
                self._writer.put(batch)
        return found, waiters

    @staticmethod
    def _join(batch: Batch, loop: asyncio.AbstractEventLoop | None) -> Any:
        future: Any = Future() if loop is None else loop.create_future()
        batch.waiters.append((loop, future))
        return future

    def _build(
        self, batch: Batch, body: Decision | Erasure | Recovery, subject: bytes, erasable: bytes, fingerprint: bytes
    ) -> Waiting:
        moment = time.time_ns() // 1000
        chained = encode(Entry(self._next, moment, subject, commit(erasable), len(erasable), body))
        self._head = chain(self._head, chained)
        decision = body if isinstance(body, Decision) else None
        waiting = Waiting(
            self._next, moment, self._head, subject if decision else b"", decision.correlation_id if decision else "",
            fingerprint, decision, framed(self._head, chained, erasable), batch,
        )  # fmt: skip
        self._next += 1
        batch.records.append(waiting)
        return waiting

    def _enter(self, body: Erasure | Recovery, subject: bytes, wipe: Wipe | None) -> tuple[int, Future[None]]:
        batch = Batch()
        with self._lock:
            self._usable()
            self._build(batch, body, subject, b"", b"").wipe = wipe
            future: Future[None] = self._join(batch, None)
            self._writer.put(batch)
        return batch.records[0].sequence, future

    def _usable(self) -> None:
        if self._closed:
            raise NotRecorded("The decision log is closed, so nothing can be decided.")
        if len(self._unindexed) > UNINDEXED_LIMIT:
            raise NotRecorded(
                f"The index of the decision log {self._folder} cannot be written, so nothing can be decided. "
                "Make space on its disk."
            )

    def _salt(self) -> bytes:
        if not self._salts:
            self._salts = os.urandom(SALT * 256)
        salt, self._salts = self._salts[:SALT], self._salts[SALT:]
        return salt

    def _earlier(self, subject: bytes, fingerprint: bytes, at: Indexed) -> Receipt | RequestConflict:
        if at.fingerprint != fingerprint:
            return RequestConflict(at.sequence, erased=wiped(at.fingerprint))
        one = self._read(at.sequence, at.offset)
        assert isinstance(one.entry.body, Decision)
        assert one.entry.subject == subject
        return Receipt(one.entry.sequence, one.entry.moment, one.hash, one.entry.body, True)

    def _read(self, sequence: int, offset: int) -> Recorded:
        entry, hash_, erasable, _ = read_at(self._segment_of(sequence), offset)
        if entry.sequence != sequence:
            raise DecisionLogError(
                f"The index of the decision log {self._folder} is not that of its records. Stop the service, delete "
                f"{self._folder / 'index'} and start again: it is made anew."
            )
        return recorded(entry, hash_, erasable)

    def _segment_of(self, sequence: int) -> Path:
        return segment_path(self._folder, self._tail.segment_of(sequence))

    # Called by the writer's thread.

    def _settled(self, batches: list[Batch], error: Exception | None) -> None:
        """Groups are on disk, or the disk refused them; then also what was built upon them is refused."""
        with self._lock:
            if error is not None:
                batches = [*batches, *self._writer.drain()]
                self._next, self._head = self._tail.place.sequence + 1, self._tail.place.hash
            for batch in batches:
                batch.settled, batch.error = True, error
                if error is None:
                    self._unindexed += batch.records
                else:
                    self._drop(batch.records)
        wake(batches, self._index_many)

    def _idle(self) -> None:
        self._index_recent()
        if time.monotonic() > self._slimmed_at + SLIM_SECONDS:
            self._slimmed_at = time.monotonic()
            self._index.slim()
        for request in requests.waiting(self._folder):
            try:
                sequence, done = self._erase(request.subject, request.who, request.why)
            except MeshError as error:
                request.answer(str(error))
            else:
                done.add_done_callback(partial(request.settled, sequence))

    def _forget(self, wipe: Wipe) -> None:
        self._index.forget(wipe.subject, Indexed(wipe.sequence, wipe.offset, b""))

    # The index.

    def _index_many(self) -> None:
        """Index what is on disk once there is enough of it: one transaction for many. Runs where callers wake: each
        call into LMDB gives up the interpreter, and a thread that has to win it back each time would fall behind.
        """
        if len(self._unindexed) >= INDEX_GROUP:
            self._index_recent()

    def _index_recent(self) -> None:
        with self._index_lock:
            with self._lock:
                these, self._unindexed = self._unindexed, []
            if not these:
                return
            last = these[-1]
            try:
                self._index.add(
                    [Posting(one.subject, one.correlation.encode(), one.at) for one in these],
                    Place(last.sequence, last.hash), last.offset + len(last.record),
                )  # fmt: skip
            except (lmdb.Error, OSError) as error:
                _log.warning("%s: the index cannot be written (%s); it is tried again.", self._folder, error)
                with self._lock:
                    self._unindexed = these + self._unindexed
                return
            with self._lock:
                self._drop(these)

    def _drop(self, records: list[Waiting]) -> None:
        for one in records:
            self._recent.pop(one.subject, None)
            self._recent_correlations.pop(one.correlation, None)

    # Erasing.

    def _erase(self, subject: bytes, who: str, why: str) -> tuple[int, Future[None]]:
        self._index_recent()
        at = self._index.subject(subject)
        if at is None:
            raise NotFound("There is no decision on this id, or it is being made just now.")
        wipe = self._wipe_of(at)
        if wipe is None:
            raise DecisionLogError(f"The payload of record {at.sequence} is erased already.")
        return self._enter(Erasure(at.sequence, who, why), subject, wipe)

    def _place_of(self, sequence: int) -> Indexed:
        """Where a record is whose subject is not known."""
        found = next(read(self._folder, sequence - 1))
        at = self._index.subject(found.entry.subject)
        assert at is not None
        return at

    def _wipe_of(self, at: Indexed) -> Wipe | None:
        segment = self._segment_of(at.sequence)
        entry, _, erasable, begin = read_at(segment, at.offset)
        if wiped(erasable):
            return None
        return Wipe(entry.subject, at.sequence, at.offset, first_of(segment), begin, len(erasable))
