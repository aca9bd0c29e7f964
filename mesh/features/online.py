"""Aggregates of one row at its moment, from the store and the rows decided since.

They are what the SQL of the same declaration gives for the row in batch, to the last bit: facts strictly earlier count,
a row never counts for itself, rows of one microsecond do not see each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from mesh.features import kernels
from mesh.features.hashing import Hashed
from mesh.features.kept import Answer, Words, as_text, composed, digest, number, overlap_value
from mesh.features.live import LiveRows, Outcome

_NULL = int(kernels.NULL)


@dataclass(frozen=True)
class Occurrence:
    """A value that an entity was seen with: how often, and when last, in microseconds."""

    value: str
    count: int
    last_seen: int


@dataclass(frozen=True)
class Relationship:
    """The different values of a column that an entity's rows have: how many, and those seen most often."""

    column: str
    count: int
    values: tuple[Occurrence, ...]


class Online:
    """The online side of one declaration: hashes rows, tells what is known of them, lets them count.

    Attributes:
        live: the rows decided since, with the store they belong to. To swap the store, make another `Online`.
    """

    def __init__(self, live: LiveRows) -> None:
        self.live, self.store, self.keeping = live, live.store, live.keeping
        features = self.keeping.features
        self._out = [np.zeros(kept.out_words, np.int64) for kept in self.keeping.kept]
        self._found = np.zeros(64, np.int64)
        self._own: list[tuple[str, int]] = []
        self._missing = [(None,) * len(answer.places) for answer in self.keeping.answers]
        self._pick = [_picker(answer.places) for answer in self.keeping.answers]
        hashed = self.keeping.hashed
        self._lookups = [
            (place, hashed.index(one.row_key), (None,) * len(one.values)) for place, one in enumerate(features.lookups)
        ]
        names = [found.name for found in features.aggregates]
        of = [found.of for found in features.aggregates]
        self._names = {
            entity.name: tuple(name for name, other in zip(names, of, strict=True) if other == entity.name)
            for entity in features.entities
        }

    def hashed(self, row: Sequence[Any]) -> Hashed:
        """A row with its hashes: values in the declaration's order, as `mesh.features.types` has them in Python.

        Raises:
            ValueError: the row has no key or no time.
        """
        return self.live.hashed(row)

    def add(self, hashed: Hashed) -> Outcome:
        """Let a row count for those after it."""
        return self.live.add(hashed)

    def aggregates(self, hashed: Hashed) -> tuple[Any, ...]:
        """Every aggregate, in the order of the declaration's `aggregates`."""
        found: list[Any] = []
        self._own = self._own_events(hashed) if self.store.waits else []
        for place, answer in enumerate(self.keeping.answers):
            key = hashed.entities[answer.kept]
            if answer.overlap is not None:
                found.append(self._overlap(hashed, answer, key))
            elif key is None:
                found += self._missing[place]
            elif answer.places:
                found += self._pick[place](self._measured(answer.kept, key, hashed.moment))
        if _NULL in found:
            found = [None if value == _NULL else value for value in found]
        self._own = []
        return tuple(found)

    def _own_events(self, hashed: Hashed) -> list[tuple[str, int]]:
        """Events about the row itself: in batch it is there when its entities' events are counted."""
        if self.live.contains(hashed.key):
            return []
        return [(self.keeping.about_rows[event], moment) for event, moment in self.store.waiting(hashed.about)]

    def lookups(self, hashed: Hashed) -> tuple[Any, ...]:
        """Every value of every lookup, in the order of the declaration's `lookup_types`."""
        found: tuple[Any, ...] = ()
        for place, column, missing in self._lookups:
            key = hashed.digests[column]
            found += missing if key is None else self.store.lookup(place, key) or missing
        return found

    def _measured(self, place: int, key: bytes, moment: int) -> list[Any]:
        out, kept, live = self._out[place], self.keeping.kept[place], self.live
        kernels.measure(
            self.store.block(place, key), kept.config, number(key), moment, live.nodes[place], live.slots[place], out
        )
        values: list[Any] = out.tolist()
        events = live.events.get((place, key), []) if live.events else []
        if self._own:
            events = events + [(kept.events.index(name), at) for name, at in self._own if name in kept.events]
        if events:
            first = len(kept.spans) * (1 + len(kept.sums)) + kept.values + 1
            for pair, (event, span) in enumerate(kept.asked):
                values[first + pair] += sum(
                    other == event and at < moment and (span < 0 or at >= moment - span) for other, at in events
                )
        return values

    def _overlap(self, hashed: Hashed, answer: Answer, key: bytes | None) -> Any:
        period, overlap = hashed.periods[answer.kept], answer.overlap
        assert overlap is not None
        if key is None or period is None:
            return None
        _, own, start, end = period
        live, place = self.live, answer.kept
        asked = (
            self.store.block(place, key), self.keeping.kept[place].config, number(key), hashed.moment, own, start, end,
            live.nodes[place], live.slots[place],
        )  # fmt: skip
        labels, others, same = kernels.overlaps(*asked, self._found)
        if labels > len(self._found):
            self._found = np.zeros(2 * labels, np.int64)
            labels, others, same = kernels.overlaps(*asked, self._found)

        def tell() -> Iterable[str]:
            if overlap.side == "same":
                return [str(hashed.row[self._column(overlap.label)])] if same else []
            return [self._label(place, key, one) for one in self._found[:labels].tolist()]

        return overlap_value(overlap, labels, others, same, tell)

    def _column(self, name: str) -> int:
        return list(self.keeping.features.row).index(name)

    def _label(self, place: int, key: bytes, label: int) -> str:
        text = self.store.text(label)
        if text is None:
            # Only a row decided since has it: its label stands behind its hashes.
            kept = self.keeping.kept[place]
            assert kept.period is not None
            rows = self.live.rows_of(place, key)
            labels = self.live.nodes[place][rows, kernels.FIRST_SUM + len(kept.sums) + 2 * kept.values]
            text = as_text(self.live.values(int(rows[labels == label][0]))[self._column(kept.period.label)])
        return text

    def about(self, entity: str, key: Sequence[Any], moment: int) -> dict[str, Any]:
        """An entity's aggregates at a moment, by name, whoever asks: no row is needed.

        Args:
            key: the values of its key columns, in the declaration's order.

        Raises:
            KeyError: no such entity is declared.
        """
        place = self._place(entity)
        answer = next(one for one in self.keeping.answers if one.overlap is None and one.kept == place)
        names = self._names[entity]
        if not names:
            return {}
        hashed = composed([digest(as_text(part)) for part in key])
        values = self._pick[self.keeping.answers.index(answer)](self._measured(place, hashed, moment))
        return {name: None if value == _NULL else value for name, value in zip(names, values, strict=True)}

    def relationships(self, entity: str, key: Sequence[Any], *, top: int = 10) -> tuple[Relationship, ...]:
        """What an entity was seen with, column by column: all rows of the store and those decided since.

        Raises:
            KeyError: no such entity is declared.
        """
        place = self._place(entity)
        hashed = composed([digest(as_text(part)) for part in key])
        kept = self.keeping.kept[place]
        block, seen = self.store.block(place, hashed), self.store.seen(place, hashed)
        rows = self.live.rows_of(place, hashed)
        nodes = self.live.nodes[place][rows]
        at = len(kept.nothing) + _count(block, 0) * (1 + len(kept.sums))
        shown = 0
        found = []
        for column, name in enumerate(kept.distinct):
            many = _count(block, 2 + column)
            values = block[at : at + many]
            if seen is None:
                counts, lasts = np.ones(many, np.int64), block[at + many : at + 2 * many]
            else:
                counts, lasts = seen[shown : shown + 2 * many].reshape(-1, 2).T
            live = nodes[:, kernels.FIRST_SUM + len(kept.sums) + kept.values + column]
            there = live != 0
            found.append(
                self._related(
                    name, top, np.concatenate([values, live[there]]),
                    np.concatenate([counts, np.ones(int(there.sum()), np.int64)]),
                    np.concatenate([lasts, nodes[there, kernels.MOMENT]]), live, rows,
                )
            )  # fmt: skip
            at += 2 * many
            shown += 2 * many
        return tuple(found)

    def _related(
        self, column: str, top: int, values: Words, counts: Words, lasts: Words, live: Words, rows: Words
    ) -> Relationship:
        different, which = np.unique(values, return_inverse=True)
        count, last = np.zeros(len(different), np.int64), np.full(len(different), _NULL)
        np.add.at(count, which, counts)
        np.maximum.at(last, which, lasts)
        place = self._column(column)

        def text(value: int) -> str:
            known = self.store.text(value)
            return as_text(self.live.values(int(rows[live == value][0]))[place]) if known is None else known

        first = np.lexsort((different, -last, -count))[:top]
        occurrences = [Occurrence(text(int(different[one])), int(count[one]), int(last[one])) for one in first]
        return Relationship(column, len(different), tuple(occurrences))

    def _place(self, entity: str) -> int:
        if entity not in self._names:
            raise KeyError(entity)
        return next(place for place, kept in enumerate(self.keeping.kept) if kept.name == entity)


def _count(block: Words, place: int) -> int:
    word = int(block[place >> 1])
    return (word >> 32) & 0xFFFFFFFF if place & 1 else word & 0xFFFFFFFF


def _picker(places: tuple[int, ...]) -> Any:
    if len(places) == 1:
        return lambda values: (values[places[0]],)
    return itemgetter(*places) if places else None
