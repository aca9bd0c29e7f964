"""Blocks laid out for the store: the sorted rows and events of many entities become one run of words.

The layout is told in `kernels`; these are the loops that write it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mesh.compiling import compiled
from mesh.features.kept import Kept, Words
from mesh.features.kernels import WIDE, spread


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
        _carriers(
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
    _run(rows.sums, starts, running)

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
    _write(
        starts, wide, rows.moments, running, rows.values, rows.period, plain, first, counts, lasts, carried,
        event_moments, event_at, at, words, seen_at, seen,
    )  # fmt: skip
    return Laid(keys, words, at, seen, seen_at)


def _bounds(sorted_keys: np.ndarray, keys: np.ndarray) -> Words:
    ends = np.searchsorted(sorted_keys, keys, side="right")
    return np.concatenate([np.searchsorted(sorted_keys, keys[:1]), ends]).astype(np.int64)


def _between(values: np.ndarray, starts: Words) -> np.ndarray:
    running = np.concatenate([[0], np.cumsum(values)])
    return running[starts[1:]] - running[starts[:-1]]


def _power(size: int) -> int:
    """The power of two that is at least `size`."""
    return 1 << max(size - 1, 1).bit_length()


@compiled
def _carriers(keys, values, moments, places, first, counts, lasts):
    """Which row is the first of its entity with its value; there, how often that was seen, and when last."""
    mask = np.uint64(len(places) - 1)
    for row in range(len(keys)):
        if values[row] == 0:
            continue
        at = spread(np.int64(spread(keys[row])) ^ values[row]) & mask
        while places[np.int64(at)] != 0:
            other = places[np.int64(at)] - 1
            if keys[other] == keys[row] and values[other] == values[row]:
                break
            at = (at + np.uint64(1)) & mask
        if places[np.int64(at)] == 0:
            places[np.int64(at)] = row + 1
            first[row] = 1
        carrier = places[np.int64(at)] - 1
        counts[carrier] += 1
        lasts[carrier] = moments[row]


@compiled
def _run(sums, starts, running):
    """Running sums of each entity; they may wrap around, as their differences do."""
    for line in range(sums.shape[0]):
        for entity in range(len(starts) - 1):
            total = np.int64(0)
            for row in range(starts[entity], starts[entity + 1]):
                total += sums[line, row]
                running[line, row] = total


@compiled
def _write(
    starts, wide, moments, running, values, period, plain, first, counts, lasts, carried, event_moments, event_at, at,
    words, seen_at, seen,
):  # fmt: skip
    distinct, events = values.shape[0], event_at.shape[0]
    for entity in range(len(starts) - 1):
        begin, end = starts[entity], starts[entity + 1]
        place = at[entity]
        for field in range(2 + distinct + events):
            count = end - begin
            if field == 1:
                count = wide[entity]
            elif field >= 2 + distinct:
                event = field - 2 - distinct
                count = event_at[event, entity + 1] - event_at[event, entity]
            elif field >= 2:
                count = carried[field - 2, entity]
            words[place + (field >> 1)] |= count << np.int64(32 * (field & 1))
        place += (3 + distinct + events) >> 1
        for row in range(begin, end):
            words[place] = moments[row]
            place += 1
        for line in range(running.shape[0]):
            for row in range(begin, end):
                words[place] = running[line, row]
                place += 1
        shown = seen_at[entity]
        for line in range(distinct):
            many = carried[line, entity]
            for row in range(begin, end):
                if first[line, row]:
                    words[place], words[place + many] = values[line, row], moments[row]
                    if line >= plain:
                        for part in range(3):
                            words[place + many * (2 + part)] = period[part, row]
                    elif end - begin > 1:
                        seen[shown], seen[shown + 1] = counts[line, row], lasts[line, row]
                        shown += 2
                    place += 1
            place += many * (4 if line >= plain else 1)
        for event in range(events):
            for one in range(event_at[event, entity], event_at[event, entity + 1]):
                words[place] = event_moments[one]
                place += 1
