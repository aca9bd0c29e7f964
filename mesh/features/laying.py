"""Blocks laid out for the store: the sorted rows and events of many entities become one run of words.

The layout is told in `kernels`; these are the loops that write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.features.kept import Kept, Words
from mesh.features.kernels import WIDE
from mesh.features.laying_kernels import carriers, run_up, write


@dataclass(frozen=True)
class Sorted:
    """Rows of some entities, by key and moment.

    Attributes:
        keys, moments: of each row; keys are unsigned.
        sums, values: a line for each summed column and each distinct value (0 for none), the period's last.
        period: label, first day, last day, where there is a period.
        events: for each timeline its keys and moments, by key and moment.
    """

    keys: np.ndarray
    moments: Words
    sums: Words
    values: Words
    period: Words
    events: Sequence[tuple[np.ndarray, Words]]


@dataclass(frozen=True)
class Laid:
    """Entities in the order of their keys: entity `i` has `words[at[i]:at[i + 1]]`.

    `seen` is what people are shown of its distinct columns, for entities with more than one row: how often each value
    was seen, and when last, in the order of the block; entity `i` has `seen[seen_at[i]:seen_at[i + 1]]`.
    """

    keys: np.ndarray
    words: Words
    at: Words
    seen: Words
    seen_at: Words


def lay(kept: Kept, rows: Sorted) -> Laid:
    """Lay out every entity that has a row or an event."""
    keys = np.unique(np.concatenate([rows.keys, *(key for key, _ in rows.events)]))
    starts = _bounds(rows.keys, keys)
    first, counts, lasts = (np.zeros(rows.values.shape, np.int64) for _ in range(3))
    for line in range(len(rows.values)):
        places = np.zeros(_power(2 * len(rows.keys)), np.int64)
        carriers(
            rows.keys.view(np.int64), rows.values[line], rows.moments, places, first[line], counts[line], lasts[line]
        )
    carried = np.zeros((len(rows.values), len(keys)), np.int64)
    for line in range(len(rows.values)):
        carried[line] = _between(first[line], starts)
    happened_at = [_bounds(key, keys) for key, _ in rows.events]
    happened = np.array([np.diff(at) for at in happened_at], np.int64).reshape(len(rows.events), len(keys))
    wide = np.zeros(len(keys), np.int64)
    for line in rows.sums:
        # In floating point, which cannot wrap around; an entity near the limit may be called wide without need.
        total = _between(np.abs(line.astype(np.float64)), starts)
        wide |= total >= float(WIDE) * 0.99
    running = np.zeros(rows.sums.shape, np.int64)
    run_up(rows.sums, starts, running)

    rows_of = np.diff(starts)
    plain = len(kept.distinct)
    sizes = (3 + kept.values + len(kept.events)) // 2 + rows_of * (1 + len(kept.sums)) + happened.sum(axis=0)
    sizes += 2 * carried[:plain].sum(axis=0) + 5 * carried[plain:].sum(axis=0)
    seen_sizes = np.where(rows_of > 1, 2 * carried[:plain].sum(axis=0), 0)
    at, seen_at = (np.concatenate([[0], np.cumsum(one)]).astype(np.int64) for one in (sizes, seen_sizes))
    words, seen = np.zeros(at[-1], np.int64), np.zeros(seen_at[-1], np.int64)
    event_moments = np.concatenate([np.zeros(0, np.int64), *(moments for _, moments in rows.events)])
    event_at = np.zeros((len(rows.events), len(keys) + 1), np.int64)
    before = 0
    for line, bounds in enumerate(happened_at):
        event_at[line] = bounds + before
        before += len(rows.events[line][1])
    write(
        starts, wide, rows.moments, running, rows.values, rows.period, plain, first, counts, lasts, carried,
        event_moments, event_at, at, words, seen_at, seen,
    )  # fmt: skip
    return Laid(keys, words, at, seen, seen_at)


def _bounds(sorted_keys: np.ndarray, keys: np.ndarray) -> Words:
    """Where the lines of each key begin, and where the last one's end; there is no other key."""
    return np.concatenate([[0], np.searchsorted(sorted_keys, keys, side="right")]).astype(np.int64)


def _between(values: np.ndarray, starts: Words) -> np.ndarray:
    running = np.concatenate([[0], np.cumsum(values)])
    sums: np.ndarray = running[starts[1:]] - running[starts[:-1]]
    return sums


def _power(size: int) -> int:
    """The power of two that is at least `size`."""
    return 1 << max(size - 1, 1).bit_length()
