"""Records between being handed in and being on disk, and whoever waits for them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mesh.decide.log.entries import Decision
from mesh.decide.log.index import Indexed
from mesh.errors import DecisionLogError


class NotRecorded(DecisionLogError):
    """The disk refused: nothing was recorded, so nothing may be answered. The next try may succeed."""


class LogOwned(DecisionLogError):
    """Another process writes the log."""


class RequestConflict(DecisionLogError):
    """A decision on this id is on record for another request, or for one that was erased since.

    Attributes:
        sequence: of that record.
        erased: whether its request was erased, so that nobody can tell whether this is the same again.
    """

    def __init__(self, sequence: int, *, erased: bool = False) -> None:
        self.sequence, self.erased = sequence, erased
        what = "and its request was erased since" if erased else "for a request with other content"
        super().__init__(
            f"Record {sequence} holds a decision on this id already, {what}. Submit it under an id of its own."
        )


class Receipt(NamedTuple):
    """That a decision is on disk.

    Attributes:
        moment: microseconds since 1970, UTC.
        hash: the chain's hash.
        decision: the one on record; where `repeated`, that of the first time.
    """

    sequence: int
    moment: int
    hash: bytes
    decision: Decision
    repeated: bool


class Wipe(NamedTuple):
    """Which bytes of which segment an erasure overwrites, and which record they belong to."""

    subject: bytes
    sequence: int
    offset: int
    first: int
    begin: int
    length: int


@dataclass(slots=True, eq=False)
class Waiting:
    """A record that was handed in; `subject` and `correlation` are empty where the index need not know them."""

    sequence: int
    moment: int
    hash: bytes
    subject: bytes
    correlation: str
    fingerprint: bytes
    decision: Decision | None
    record: bytes
    batch: Batch
    wipe: Wipe | None = None
    offset: int = 0

    @property
    def at(self) -> Indexed:
        return Indexed(self.sequence, self.offset, self.fingerprint)

    def receipt(self, *, repeated: bool) -> Receipt:
        assert self.decision is not None
        return Receipt(self.sequence, self.moment, self.hash, self.decision, repeated)


class Batch:
    """What one caller handed in at once: it becomes durable together, and fails together."""

    __slots__ = ("error", "records", "settled", "waiters")

    def __init__(self) -> None:
        self.records: list[Waiting] = []
        self.waiters: list[tuple[asyncio.AbstractEventLoop | None, Any]] = []
        self.settled = False
        self.error: Exception | None = None


def wake(batches: Iterable[Batch], then: Callable[[], None]) -> None:
    """Tell all waiters of settled batches: one call into each event loop, after which it runs `then`."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Any, Exception | None]]] = defaultdict(list)
    for batch in batches:
        for loop, future in batch.waiters:
            if loop is None:
                _settle([(future, batch.error)])
            else:
                by_loop[loop].append((future, batch.error))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs, then)
        except RuntimeError:
            continue  # the loop was closed: nobody is left to be told


def _settle(pairs: list[tuple[Any, Exception | None]], then: Callable[[], None] | None = None) -> None:
    for future, error in pairs:
        if future.done():
            continue  # who asked has gone away
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
    if then is not None:
        then()
