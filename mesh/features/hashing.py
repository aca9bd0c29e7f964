"""A row as the online side takes it: its hashes, made once, by which everything about it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mesh.features.kept import Keeping, Period, Words, as_text, composed, digest, number, period_value


@dataclass(frozen=True, slots=True)
class Hashed:
    """A row with its hashes.

    Attributes:
        row: its values, in the declaration's order.
        key: of the row. about: of the first part of its key, by which events are about it.
        digests: of the hashed columns, None for a missing value.
        entities: the key of each kind of entity, None where a part of it is missing.
        periods: of each kind that has one: value, label, first and last day; None where one is missing.
    """

    row: Sequence[Any]
    moment: int
    key: bytes
    about: bytes
    digests: tuple[bytes | None, ...]
    entities: tuple[bytes | None, ...]
    periods: tuple[tuple[int, int, int, int] | None, ...]


class Hasher:
    """Makes `Hashed` of rows of one declaration."""

    def __init__(self, keeping: Keeping) -> None:
        features = keeping.features
        place = {name: number for number, name in enumerate(features.row)}
        hashed = {name: number for number, name in enumerate(keeping.hashed)}
        self._time = place[features.time]
        self._columns = tuple(place[name] for name in keeping.hashed)
        self._key = tuple(hashed[name] for name in features.key)
        self._entities = tuple(tuple(hashed[name] for name in kept.key) for kept in keeping.kept)
        self._periods = tuple(_places(kept.period, hashed, place) for kept in keeping.kept)
        self._given = tuple(
            (
                kept,
                tuple(place[column] for column, _ in kept.sums),
                tuple(hashed[column] for column in kept.distinct),
                np.zeros(kept.given_words, np.int64),
            )
            for kept in keeping.kept
        )

    def __call__(self, row: Sequence[Any]) -> Hashed:
        """The hashes of a row, whose key and time must be there."""
        digests = tuple(None if row[place] is None else digest(as_text(row[place])) for place in self._columns)
        entities = tuple(_together(digests, places) for places in self._entities)
        key = _together(digests, self._key)
        moment = row[self._time]
        if key is None or moment is None:
            raise ValueError("A row without its key or its time has no place among the others.")
        about = digests[self._key[0]]
        assert about is not None
        periods = tuple(None if places is None else _period(row, digests, places) for places in self._periods)
        return Hashed(row, moment, key, about, digests, entities, periods)

    def given(self, hashed: Hashed, place: int) -> Words:
        """What the kernel adds to the entity of a kind; the array is used again for the next row."""
        kept, sums, distinct, given = self._given[place]
        for at, column in enumerate(sums):
            given[at] = hashed.row[column] or 0
        for at, column in enumerate(distinct, len(sums)):
            value = hashed.digests[column]
            given[at] = 0 if value is None else number(value)
        if kept.period:
            given[len(sums) + len(distinct) :] = hashed.periods[place] or (0, 0, 0, 0)
        return given


def _together(digests: Sequence[bytes | None], places: Sequence[int]) -> bytes | None:
    if len(places) == 1:
        return digests[places[0]]
    parts = [part for place in places if (part := digests[place]) is not None]
    return composed(parts) if len(parts) == len(places) else None


def _places(period: Period | None, hashed: dict[str, int], place: dict[str, int]) -> tuple[int, int, int] | None:
    return None if period is None else (hashed[period.label], place[period.start], place[period.end])


def _period(
    row: Sequence[Any], digests: Sequence[bytes | None], places: tuple[int, int, int]
) -> tuple[int, int, int, int] | None:
    """Without a label, periods are asked about but none is remembered: value and label are then 0."""
    label, start, end = digests[places[0]], row[places[1]], row[places[2]]
    if start is None or end is None:
        return None
    if label is None:
        return 0, 0, start, end
    own = number(label)
    return period_value(own, start, end), own, start, end
