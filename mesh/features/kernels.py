"""The inner loops of aggregates at a moment, compiled by Numba.

What is known of an entity stands in two places, and one call adds them up.

*A block* is what the store holds: 64-bit words, all of an entity in one value of the key-value store, read where it
lies.

    header      32-bit counts: rows, whether its sums are wide, values of each distinct column, moments of each event
    moments     of its rows, ascending, in microseconds
    sums        running, of each summed column
    distinct    of each column: hashes of the values, ascending moments at which each was first seen; of periods also
                the hash of the label, first day, last day
    events      ascending moments of each

*Nodes* are the rows decided since. A row whose moment is not before those that its entity already has joins the
entity's chain: it carries running counts and sums, and a second link that jumps back (Myers, An applicative
random-access stack, 1983), so that the last row before any moment is found in logarithmic time. Every other row - one
that came late, or before a value's first row in the store - is put into the entity's other chain, of *loose* rows,
which are looked at one by one. So nothing that was written is ever changed by a row that comes after it.
"""

from __future__ import annotations

import numpy as np
from numba import types

from mesh.compiling import compiled, compiled_for

NULL = np.int64(-(2**63))
"""No value, in every word that can have none."""
NEVER = np.int64(2**63 - 1)
BASE = np.int64(10**9)
DAY = np.int64(86_400_000_000)
WIDE = np.int64(2**62)
"""Running sums stay below this, so that the difference of two of them is a 64-bit number."""

SUMS, DISTINCT, PERIODS, EVENTS, SPANS, ASKED, PLACES = range(7)
"""Places in a configuration: numbers of summed and distinct columns, whether the last of these is of periods, numbers
of events, of spans, and of asked pairs of event and span; from PLACES on the spans, the limits of the sums, the
pairs."""

MOMENT, BEFORE, JUMP, DEPTH, KEY, FIRST_SUM = range(6)
"""Columns of a node; then the sums, the counts of distinct values, their hashes, and label, first and last day."""

WORDS = types.Array(types.int64, 1, "C", readonly=True, aligned=False)
LINE = types.Array(types.int64, 1, "C")
TABLE = types.Array(types.int64, 2, "C")
PLACE = types.Array(types.int32, 1, "C")
FLAGS = types.Array(types.int64, 2, "C")


@compiled
def count_at(words, place):
    """A 32-bit count of a header."""
    word = words[place >> 1]
    return (word >> np.int64(32)) if place & 1 else (word & np.int64(0xFFFFFFFF))


@compiled
def earlier(words, start, count, moment):
    """How many of `count` ascending words are below `moment`."""
    low, high = np.int64(0), np.int64(count)
    while low < high:
        middle = (low + high) >> 1
        if words[start + middle] < moment:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def spread(number):
    """The bits of a hash mixed once more, as those of a composed key differ in few places."""
    number = np.uint64(number)
    number ^= number >> np.uint64(31)
    number *= np.uint64(0x9E3779B97F4A7C15)
    number ^= number >> np.uint64(29)
    return number


@compiled
def slot_of(slots, key):
    """The slot that holds the key, or the empty one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    at = spread(key) & mask
    while slots[np.int64(at), 1] != 0 and slots[np.int64(at), 0] != key:
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@compiled
def heads(slots, key):
    """The newest row of the entity's chain and that of its loose rows, -1 where there is none."""
    both = slots[slot_of(slots, key), 1]
    return (both & np.int64(0xFFFFFFFF)) - 1, (both >> np.int64(32)) - 1


@compiled
def last_before(nodes, node, moment):
    """The newest row of a chain, from `node` back, with an earlier moment."""
    while node >= 0 and nodes[node, MOMENT] >= moment:
        jump = nodes[node, JUMP]
        node = jump if jump >= 0 and nodes[jump, MOMENT] >= moment else nodes[node, BEFORE]
    return node


@compiled
def oldest(nodes, node):
    """The first row of a chain."""
    while nodes[node, BEFORE] >= 0:
        node = nodes[node, JUMP] if nodes[node, JUMP] >= 0 else nodes[node, BEFORE]
    return node


@compiled
def header_words(config):
    return (3 + config[DISTINCT] + config[EVENTS]) >> 1


@compiled
def _note(out, high, rest, number):
    whole = number // BASE
    out[high] += whole
    out[rest] += number - whole * BASE


@compiled_for(WORDS, LINE, types.int64, types.int64, TABLE, TABLE, LINE)
def measure(words, config, key, moment, nodes, slots, out):
    """All aggregates of one entity over its rows strictly before `moment`.

    Written to `out`: rows per span; sums per summed column and span, NULL beyond the limit; different values per
    distinct column; whole days since the first, NULL where there is none; events per asked pair. Behind these it needs
    two words per sum and span.
    """
    sums, distinct, spans, asked = config[SUMS], config[DISTINCT], config[SPANS], config[ASKED]
    rows, wide = count_at(words, 0), count_at(words, 1)
    moments = header_words(config)
    newest, loose = heads(slots, key)
    top = last_before(nodes, newest, moment)
    upto = earlier(words, moments, rows, moment)
    first_distinct = spans + sums * spans
    first_at = first_distinct + distinct
    scratch = first_at + 1 + asked
    for place in range(sums * spans * 2):
        out[scratch + place] = 0

    for span in range(spans):
        length = config[PLACES + span]
        since, low, bottom = NULL, np.int64(0), np.int64(-1)
        if length >= 0:
            since = moment - length
            low = earlier(words, moments, rows, since)
            bottom = last_before(nodes, top, since)
        count = upto - low
        if top >= 0:
            count += nodes[top, DEPTH]
        if bottom >= 0:
            count -= nodes[bottom, DEPTH]
        out[span] = count
        for column in range(sums):
            at = scratch + 2 * (column * spans + span)
            running = moments + rows * (1 + column)
            if wide:
                for row in range(low, upto):
                    # The running sums wrapped around, and so does their difference: back to what was added.
                    _note(out, at, at + 1, words[running + row] - (words[running + row - 1] if row else np.int64(0)))
            elif upto > low:
                _note(out, at, at + 1, words[running + upto - 1] - (words[running + low - 1] if low else np.int64(0)))
            if top >= 0:
                total = nodes[top, FIRST_SUM + column]
                if bottom >= 0:
                    total -= nodes[bottom, FIRST_SUM + column]
                _note(out, at, at + 1, total)

    start = moments + rows * (1 + sums)
    for column in range(distinct):
        values = count_at(words, 2 + column)
        count = earlier(words, start + values, values, moment)
        if top >= 0:
            count += nodes[top, FIRST_SUM + sums + column]
        out[first_distinct + column] = count
        start += values * (5 if config[PERIODS] and column == distinct - 1 else 2)

    first = NEVER
    if upto > 0:
        first = words[moments]
    if top >= 0:
        first = min(first, nodes[oldest(nodes, top), MOMENT])

    node = loose
    while node >= 0:
        seen = nodes[node, MOMENT]
        if seen < moment:
            first = min(first, seen)
            for span in range(spans):
                length = config[PLACES + span]
                if length < 0 or seen >= moment - length:
                    out[span] += 1
                    for column in range(sums):
                        at = scratch + 2 * (column * spans + span)
                        _note(out, at, at + 1, nodes[node, FIRST_SUM + column])
            for column in range(distinct):
                if moment <= nodes[node, FIRST_SUM + sums + column]:
                    out[first_distinct + column] += 1
        node = nodes[node, BEFORE]
    out[first_at] = NULL if first == NEVER else (moment - first) // DAY

    for column in range(sums):
        limit = config[PLACES + spans + column]
        for span in range(spans):
            at = scratch + 2 * (column * spans + span)
            high = out[at] + out[at + 1] // BASE
            rest = out[at + 1] % BASE
            total = NULL
            if abs(high) <= 2 * BASE:
                total = high * BASE + rest
                if abs(total) >= limit:
                    total = NULL
            out[spans + column * spans + span] = total

    pairs = PLACES + spans + sums
    for pair in range(asked):
        event, length = config[pairs + 2 * pair], config[pairs + 2 * pair + 1]
        at = start
        for other in range(event):
            at += count_at(words, 2 + distinct + other)
        happened = count_at(words, 2 + distinct + event)
        count = earlier(words, at, happened, moment)
        if length >= 0:
            count -= earlier(words, at, happened, moment - length)
        out[first_at + 1 + pair] = count


@compiled
def _found(table, nodes, key, value, column, sums, distinct):
    """Where the table holds the row that carries a value of an entity, or the empty place where it belongs."""
    mask = np.uint64(len(table) - 1)
    at = spread(np.int64(spread(key)) ^ value) + np.uint64(column)
    at &= mask
    while table[np.int64(at)] != 0:
        row, which = divmod(np.int64(table[np.int64(at)]) - 1, distinct)
        if which == column and nodes[row, KEY] == key and nodes[row, FIRST_SUM + sums + distinct + column] == value:
            break
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@compiled_for(WORDS, LINE, types.int64, types.int64, types.int64, LINE, TABLE, TABLE, PLACE)
def add(words, config, row, key, moment, given, nodes, slots, table):
    """Write a row of one entity as node `row`.

    Args:
        given: amounts, hashes of the distinct columns' values (0 for none), then label, first and last day.
        table: finds the row that carries a value: number of the node times number of columns, plus column and 1.
    """
    sums, distinct = config[SUMS], config[DISTINCT]
    counts, hashes = FIRST_SUM + sums, FIRST_SUM + sums + distinct
    newest, loose = heads(slots, key)
    nodes[row, MOMENT], nodes[row, KEY] = moment, key
    regular = newest < 0 or nodes[newest, MOMENT] <= moment
    if newest >= 0:
        for column in range(sums):
            # Both are below 2^63 in size, so the check itself cannot wrap around.
            if abs(nodes[newest, FIRST_SUM + column] // 4 + given[column] // 4) >= WIDE // 4:
                regular = False
    for column in range(sums):
        if abs(given[column]) >= WIDE:
            regular = False

    rows = count_at(words, 0)
    start = header_words(config) + rows * (1 + sums)
    for column in range(distinct):
        values = count_at(words, 2 + column)
        value = given[sums + column]
        nodes[row, hashes + column] = value
        until = NULL
        if value != 0:
            first = NEVER
            at = _found(table, nodes, key, value, column, sums, distinct)
            if table[at] != 0:
                first = nodes[(np.int64(table[at]) - 1) // distinct, MOMENT]
            else:
                for place in range(values):
                    if words[start + place] == value:
                        first = words[start + values + place]
                        break
            if moment < first:
                until = first
                table[at] = np.int32(row * distinct + column + 1)
                if first != NEVER:
                    regular = False
        nodes[row, counts + column] = until
        start += values * (5 if config[PERIODS] and column == distinct - 1 else 2)
    if config[PERIODS]:
        for place in range(3):
            nodes[row, hashes + distinct + place] = given[sums + distinct + place]

    for column in range(sums):
        running = nodes[newest, FIRST_SUM + column] if regular and newest >= 0 else np.int64(0)
        nodes[row, FIRST_SUM + column] = running + given[column]
    if regular:
        for column in range(distinct):
            carried = np.int64(1) if nodes[row, counts + column] == NEVER else np.int64(0)
            nodes[row, counts + column] = carried + (nodes[newest, counts + column] if newest >= 0 else np.int64(0))
        jump = newest
        depth = np.int64(1)
        if newest >= 0:
            depth = nodes[newest, DEPTH] + 1
            far = nodes[newest, JUMP]
            if far >= 0:
                farther = nodes[far, JUMP]
                beyond = nodes[farther, DEPTH] if farther >= 0 else np.int64(0)
                if nodes[newest, DEPTH] - nodes[far, DEPTH] == nodes[far, DEPTH] - beyond:
                    jump = farther
        nodes[row, BEFORE], nodes[row, JUMP], nodes[row, DEPTH] = newest, jump, depth
        newest = row
    else:
        nodes[row, BEFORE], nodes[row, JUMP], nodes[row, DEPTH] = loose, -1, 0
        loose = row
    at = slot_of(slots, key)
    slots[at, 0] = key
    slots[at, 1] = (newest + 1) | ((loose + 1) << np.int64(32))


@compiled
def _shares_a_day(label, start, end, first_day, last_day):
    return label != 0 and start <= last_day and end >= first_day


@compiled
def _noted(label, found, labels):
    """The number of different labels once this one is among them; as many as it takes are in `found`."""
    for place in range(min(labels, len(found))):
        if found[place] == label:
            return labels
    if labels < len(found):
        found[labels] = label
    return labels + 1


@compiled_for(WORDS, LINE, types.int64, types.int64, types.int64, types.int64, types.int64, TABLE, TABLE, LINE)
def overlaps(words, config, key, moment, own, first_day, last_day, nodes, slots, found):
    """Periods of an entity before `moment` that share a day with this one: (other labels, their periods, periods of
    its own label).

    The hashes of the other labels are written to `found`, as many as it takes.
    """
    sums, distinct = config[SUMS], config[DISTINCT]
    labels, others, same = np.int64(0), np.int64(0), np.int64(0)
    if own == 0:
        return labels, others, same
    column = distinct - 1
    at = header_words(config) + count_at(words, 0) * (1 + sums)
    for other in range(column):
        at += 2 * count_at(words, 2 + other)
    values = count_at(words, 2 + column)
    for place in range(earlier(words, at + values, values, moment)):
        label = words[at + values * 2 + place]
        if _shares_a_day(label, words[at + values * 3 + place], words[at + values * 4 + place], first_day, last_day):
            if label == own:
                same += 1
            else:
                labels, others = _noted(label, found, labels), others + 1

    newest, loose = heads(slots, key)
    counts, extra = FIRST_SUM + sums + column, FIRST_SUM + sums + 2 * distinct
    node, chained = last_before(nodes, newest, moment), True
    if node < 0:
        node, chained = loose, False
    while node >= 0:
        before = nodes[node, BEFORE]
        if chained:
            counted = nodes[node, counts] > (nodes[before, counts] if before >= 0 else 0)
        else:
            counted = nodes[node, MOMENT] < moment <= nodes[node, counts]
        label = nodes[node, extra]
        if counted and _shares_a_day(label, nodes[node, extra + 1], nodes[node, extra + 2], first_day, last_day):
            if label == own:
                same += 1
            else:
                labels, others = _noted(label, found, labels), others + 1
        node = before
        if node < 0 and chained:
            node, chained = loose, False
    return labels, others, same


@compiled_for(types.int64, TABLE, TABLE, LINE)
def rows_of(key, nodes, slots, found):
    """All rows of an entity decided since, written to `found` as many as it takes; their number."""
    count = np.int64(0)
    for head in heads(slots, key):
        node = head
        while node >= 0:
            if count < len(found):
                found[count] = node
            count += 1
            node = nodes[node, BEFORE]
    return count


@compiled_for(TABLE, types.int64, types.int64)
def note(slots, key, row):
    """Write the row of a key; whether it was not there before."""
    at = slot_of(slots, key)
    if slots[at, 1] != 0:
        return False
    slots[at, 0], slots[at, 1] = key, row + 1
    return True
