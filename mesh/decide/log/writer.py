"""The one thread that writes: what waits becomes one write and one sync, then its callers are woken."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from mesh.decide.log.keys import LogKeys
from mesh.decide.log.roots import Root, append_root
from mesh.decide.log.segments import Identity, Place
from mesh.decide.log.tail import Tail
from mesh.decide.log.waiting import Batch, NotRecorded, Wipe
from mesh.errors import DecisionLogError

ROOT_RECORDS = 50_000
ROOT_SECONDS = 60.0
GROUP_BATCHES = 2048
IDLE_SECONDS = 0.05
IDLE_AT_MOST_SECONDS = 0.5

_log = logging.getLogger(__name__)


class Rooting:
    """When to sign the next root, and signing it."""

    def __init__(
        self, folder: Path, keys: LogKeys, identity: Identity, last: Root | None, records: int, seconds: float
    ) -> None:
        self._folder, self._keys, self._identity, self._last = folder, keys, identity, last
        self._records, self._seconds = records, seconds
        self._at = time.monotonic()

    def due(self, place: Place) -> bool:
        behind = place.sequence - (self._last.sequence if self._last else -1)
        late = time.monotonic() >= self._at + self._seconds
        return self._last is None or behind >= self._records or (behind > 0 and late)

    def sign(self, tail: Tail) -> None:
        """Sign where the log stands, unless that is signed already. A disk that refuses is told and tried again."""
        if self._last is not None and self._last.sequence == tail.place.sequence:
            return
        self._at = time.monotonic()
        root = Root(
            self._identity.log.hex(), self._last.number + 1 if self._last else 1, tail.place.sequence,
            tail.place.hash.hex(), time.time_ns() // 1000, tail.first, tail.end, self._keys.active_id,
        ).signed_by(self._keys)  # fmt: skip
        try:
            append_root(self._folder, root)
        except (OSError, DecisionLogError) as error:
            _log.warning("%s: a root could not be written (%s); it is tried again.", self._folder, error)
            return
        self._last = root


class Writer:
    """The thread and its queue.

    Args:
        unwiped: wipes that an earlier process may have left undone.
        settled: told of batches that are on disk, or that were refused.
        idle: called now and then, and when nothing waits.
        wiped: told of each payload that is gone.
    """

    def __init__(
        self, tail: Tail, rooting: Rooting, unwiped: Sequence[Wipe], *,
        settled: Callable[[list[Batch], Exception | None], None],
        idle: Callable[[], None], wiped: Callable[[Wipe], None],
    ) -> None:  # fmt: skip
        self._tail, self._rooting, self._unwiped = tail, rooting, list(unwiped)
        self._settled, self._idle, self._wiped = settled, idle, wiped
        self._queue: SimpleQueue[Batch | None] = SimpleQueue()
        self._wipe()
        self._root()
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, batch: Batch) -> None:
        self._queue.put(batch)

    def drain(self, limit: float = math.inf) -> list[Batch]:
        """What waits, taken out of the queue."""
        taken: list[Batch] = []
        while len(taken) < limit:
            try:
                one = self._queue.get_nowait()
            except Empty:
                break
            if one is None:
                self._queue.put(None)
                break
            taken.append(one)
        return taken

    def close(self) -> None:
        """Write what waits and sign a last root; nothing may be put any more."""
        self._queue.put(None)
        self._thread.join()
        self._wipe()
        if not self._unwiped:
            self._rooting.sign(self._tail)

    def _run(self) -> None:
        idled = time.monotonic()
        while True:
            try:
                first = self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                first = Batch()
            if first is None:
                return
            if first.records:
                self._write([first, *self.drain(GROUP_BATCHES)])
            if not first.records or time.monotonic() > idled + IDLE_AT_MOST_SECONDS:
                self._wipe()
                self._idle_once()
                idled = time.monotonic()
            self._root()

    def _write(self, batches: list[Batch]) -> None:
        records = [record for batch in batches for record in batch.records]
        last = records[-1]
        try:
            at = self._tail.write(b"".join([one.record for one in records]), Place(last.sequence, last.hash))
        except OSError as error:
            refused = NotRecorded(
                f"The decision log cannot be written ({error.strerror}), so nothing is decided. Nothing was recorded; "
                "it is tried again with the next submission. Make space on its disk, or make it writable."
            )
            _log.error("%s", refused)
            self._settled(batches, refused)
            return
        for one in records:
            one.offset = at
            at += len(one.record)
        wipes = [one.wipe for one in records if one.wipe is not None]
        if wipes:
            # Recorded first: a kill in between leaves a wipe to be done at the next start, never one without a record.
            self._unwiped += wipes
            self._wipe()
        self._settled(batches, None)

    def _wipe(self) -> None:
        for wipe in list(self._unwiped):
            try:
                self._tail.wipe(wipe.first, wipe.begin, wipe.length)
                self._wiped(wipe)
            except Exception as error:
                _log.error("Record %s is to be erased, which failed (%s); it is tried again.", wipe.sequence, error)
                return
            self._unwiped.remove(wipe)

    def _root(self) -> None:
        # The next start looks behind the last root only, so a wipe that is still to be done has to stay behind it.
        if not self._unwiped and self._rooting.due(self._tail.place):
            self._rooting.sign(self._tail)

    def _idle_once(self) -> None:
        try:
            self._idle()
        except Exception as error:
            # Whatever it is, the thread on which every answer waits goes on.
            _log.error("The decision log could not look after its index or requests: %s", type(error).__name__)
