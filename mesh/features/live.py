"""Rows decided since the store was built, so that every aggregate counts what was decided seconds ago.

All memory is taken and touched at the start, so that none is asked for under load. Rows are only ever added. They
belong to the store beside them: to make room, or when a newer store comes, those that it does not contain are carried
over to a new `LiveRows`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from enum import Enum
from typing import Any

import msgspec
import numpy as np

from mesh.errors import UsageError
from mesh.features import kernels
from mesh.features.hashing import Hashed, Hasher
from mesh.features.kept import Keeping, Words, number
from mesh.features.store import EntityStore

CAPACITY = 250_000
ROW_BYTES = 384
"""Room for the values of a row, on average; a token has 40 characters."""
MOST = 1 << 27
"""Rows beyond which numbers of nodes would outgrow their 32 bits."""
STEP = 100
"""Rows carried over at a time: two milliseconds."""


class Outcome(Enum):
    """What became of a row that was to be added."""

    ADDED = "added"
    KNOWN = "known"
    """It counts already: the store contains it, or it was added before."""
    FULL = "full"
    """It does not count until a newer store contains it."""


class LiveRows:
    """The rows beside a store. For one thread at a time.

    Attributes:
        rows: how many there are. capacity: how many there can be.
        refused: rows that found no room; from then on counts are too low, until a newer store comes.
    """

    def __init__(
        self, keeping: Keeping, store: EntityStore, *, capacity: int = CAPACITY, row_bytes: int = ROW_BYTES
    ) -> None:
        """Take all memory: about 1,000 bytes and `row_bytes` for each row, for a declaration of six kinds of entities.

        Raises:
            UsageError: the capacity is none.
        """
        if not 1 <= capacity <= MOST // max(1, *(kept.values for kept in keeping.kept)):
            raise UsageError(
                f"{capacity} rows cannot be held. Allowed: 1 to {MOST:,} through the distinct values of a row"
            )
        self.keeping, self.store, self.capacity = keeping, store, capacity
        self.rows, self.refused = 0, 0
        self.hasher = Hasher(keeping)
        features = keeping.features
        wanted = {*keeping.hashed, features.time} | {column for kept in keeping.kept for column, _ in kept.sums}
        wanted |= {day for kept in keeping.kept if kept.period for day in (kept.period.start, kept.period.end)}
        self._columns = [place for place, name in enumerate(features.row) if name in wanted]
        self._width = len(features.row)
        slots = _power(2 * capacity)
        self.nodes = [_touched((capacity, kept.node_words)) for kept in keeping.kept]
        self.slots = [_touched((slots, 2)) for _ in keeping.kept]
        self._tables = [_touched((_power(2 * capacity * kept.values),), np.int32) for kept in keeping.kept]
        self._keys = _touched((slots, 2))
        self._values = _touched((capacity * row_bytes,), np.uint8)
        self._room = memoryview(self._values)
        self._ends = _touched((capacity + 1,))
        self._encode, self._decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode
        self.events: dict[tuple[int, bytes], list[tuple[int, int]]] = {}
        """Events about rows that the store waited for, by kind and key of the entities: place of the event, moment."""

    @property
    def size(self) -> int:
        """Bytes of memory."""
        arrays = [*self.nodes, *self.slots, *self._tables, self._keys, self._values, self._ends]
        return sum(array.nbytes for array in arrays)

    def hashed(self, row: Sequence[Any]) -> Hashed:
        """A row of the declaration with its hashes."""
        return self.hasher(row)

    def add(self, hashed: Hashed) -> Outcome:
        """Let a row count for those after it."""
        if self.store.contains(hashed.key):
            return Outcome.KNOWN
        encoded = self._encode([hashed.row[place] for place in self._columns])
        row = self.rows
        start = int(self._ends[row])
        end = start + len(encoded)
        if row == self.capacity or end > len(self._room):
            if self.contains(hashed.key):
                return Outcome.KNOWN
            self.refused += 1
            return Outcome.FULL
        if not kernels.note(self._keys, number(hashed.key), row):
            return Outcome.KNOWN
        self._room[start:end] = encoded
        self._ends[row + 1] = end
        for place, entity in enumerate(hashed.entities):
            if entity is not None:
                kernels.add(
                    self.store.block(place, entity), self.keeping.kept[place].config, row, number(entity),
                    hashed.moment, self.hasher.given(hashed, place), self.nodes[place], self.slots[place],
                    self._tables[place],
                )  # fmt: skip
        self.rows += 1
        if self.store.waits:
            self._wake(hashed)
        return Outcome.ADDED

    def contains(self, key: bytes) -> bool:
        """Whether a row of this key was added."""
        return bool(kernels.heads(self._keys, number(key))[0] >= 0)

    def _wake(self, hashed: Hashed) -> None:
        names = self.keeping.about_rows
        for event, moment in self.store.waiting(hashed.about):
            for place, (kept, entity) in enumerate(zip(self.keeping.kept, hashed.entities, strict=True)):
                if entity is not None and names[event] in kept.events:
                    known = self.events.setdefault((place, entity), [])
                    known.append((kept.events.index(names[event]), moment))

    def values(self, row: int) -> list[Any]:
        """A row that was added, as far as anything is made of it."""
        found: list[Any] = [None] * self._width
        encoded = self._room[self._ends[row] : self._ends[row + 1]]
        for place, value in zip(self._columns, self._decode(encoded), strict=True):
            found[place] = value
        return found

    def carry_over(self, store: EntityStore, *, capacity: int | None = None) -> Generator[int, None, LiveRows]:
        """Carry what a newer store does not contain over to it.

        A generator, so that a server can answer between two steps; rows may be added here meanwhile. When it returns,
        nothing is left behind, and the new rows can take the place of these at once. Yields the rows still to go.
        """
        fresh = LiveRows(
            self.keeping, store, capacity=capacity or self.capacity, row_bytes=len(self._room) // self.capacity
        )
        at = 0
        while at < self.rows:
            for row in range(at, min(at + STEP, self.rows)):
                fresh.add(self.hasher(self.values(row)))
            at = min(at + STEP, self.rows)
            if at < self.rows:
                yield self.rows - at
        return fresh

    def rows_of(self, place: int, entity: bytes) -> Words:
        """The numbers of an entity's rows."""
        found = np.empty(256, np.int64)
        count = kernels.rows_of(number(entity), self.nodes[place], self.slots[place], found)
        if count > len(found):
            found = np.empty(count, np.int64)
            kernels.rows_of(number(entity), self.nodes[place], self.slots[place], found)
        return found[:count]


def _power(size: int) -> int:
    """The power of two that is at least `size`, and 2 at least."""
    return 1 << max(size - 1, 1).bit_length()


def _touched(shape: tuple[int, ...], kind: Any = np.int64) -> Any:
    array = np.empty(shape, kind)
    array.fill(0)
    return array
