"""The loops that lay out blocks (see `laying`), compiled by Numba."""

from __future__ import annotations

import numpy as np

from mesh.compiling import compiled
from mesh.features.kernels import spread


@compiled
def carriers(keys, values, moments, places, first, counts, lasts):
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
def run_up(sums, starts, running):
    """Running sums of each entity; they may wrap around, as their differences do."""
    for line in range(sums.shape[0]):
        for entity in range(len(starts) - 1):
            total = np.int64(0)
            for row in range(starts[entity], starts[entity + 1]):
                total += sums[line, row]
                running[line, row] = total


@compiled
def write(
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
