"""The inner loops of scoring and explaining, compiled by Numba for the processor at hand.

Rows go through in blocks, column by column. First every value becomes a small number, its *place* among the thresholds
of its feature, so that each split of each tree is one comparison of bytes that the processor makes for dozens of rows
at once (after QuickScorer, Lucchese and others 2015). No step branches on a row's values.

No product meets a sum here, which a processor could fuse, and every sum has one order, that of the trees: a row's bits
depend on nothing but the row. The kernels do not hold the interpreter's lock, so that threads may share the rows of a
table.

Numba keeps what it compiled beside this file, or where that cannot be written in the user's cache; a change of this
file, of Numba or of the processor makes it compile anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mesh.compiling import compiled as _compiled
from mesh.model.trees import MISSING_NAN, MISSING_NONE, ZERO

BLOCK = 1024
"""Rows in a block: their sums fit the second cache, and the tables of a large model are not read too often."""

TEXT, NUMBERS, CATEGORIES = 0, 1, 2
"""How a reason picks its words: it has one text, one of low, high and missing, or one per category."""


@intrinsic
def _lowest_bit(typing: Any, word: Any) -> Any:
    """The number of the lowest bit that is set, of an unsigned word that is not nought."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))
        wide = ir.IntType(64)
        return found if found.type == wide else builder.zext(found, wide)

    return types.uint64(word), build


@_compiled
def place_block(matrix, at, rows, searches, thresholds, category_columns, words, values, found, places):
    """Write the places of a block of rows: one line of `places` per column of the plan (see `grid.py`)."""
    for search in range(len(searches)):
        feature, missing, first, bits, count, left, right = searches[search]
        for row in range(rows):
            value = matrix[at + row, feature]
            if abs(value) <= ZERO or (missing != MISSING_NAN and np.isnan(value)):
                value = 0.0
            values[row] = value
        for row in range(rows):
            found[row] = 0
        step = np.uint32(1) << np.uint32(bits)
        while step > 1:
            step >>= np.uint32(1)
            base = np.uint64(first) + np.uint64(step) - np.uint64(1)
            for row in range(rows):
                below = thresholds[base + np.uint64(found[row])] < values[row]
                found[row] += step if below else np.uint32(0)
        for side in range(2):
            column = left if side == 0 else right
            if column < 0:
                continue
            line = places[column]
            other = np.uint32(0) if side == 0 else np.uint32(count)
            if missing == MISSING_NONE:
                for row in range(rows):
                    line[row] = found[row]
            elif missing == MISSING_NAN:
                for row in range(rows):
                    line[row] = other if np.isnan(values[row]) else found[row]
            else:
                for row in range(rows):
                    line[row] = other if values[row] == 0.0 else found[row]
    before = -1
    for place in range(len(category_columns)):
        feature, width, first, column = category_columns[place]
        if feature != before:
            before = feature
            for row in range(rows):
                value = matrix[at + row, feature]
                inside = value > -1.0 and value < width
                # The word after the last holds no category.
                found[row] = np.uint32(np.int32(value)) if inside else np.uint32(width)
        line = places[column]
        for row in range(rows):
            word = words[np.uint64(first) + np.uint64(found[row] >> np.uint32(5))]
            line[row] = (~word >> (found[row] & np.uint32(31))) & np.uint32(1)


@_compiled
def margin_block(rows, columns, cuts, keeps, split_from, leaf_from, values, places, masks, sums):
    """Write the margins of a block of rows, whose places are given.

    The word of a row has one bit for each leaf of a tree, the leftmost lowest. A split that a row passes on the right
    takes away the leaves on its left; the lowest bit that is left over is the row's leaf.
    """
    # A constant of the words' own width: numba widens every other.
    full = keeps[len(keeps) - 1]
    for row in range(rows):
        sums[row] = 0.0
    for tree in range(len(leaf_from) - 1):
        for row in range(rows):
            masks[row] = full
        for split in range(split_from[tree], split_from[tree + 1]):
            line, cut, keep = places[columns[split]], cuts[split], keeps[split]
            for row in range(rows):
                masks[row] &= keep if line[row] > cut else full
        base = np.uint64(leaf_from[tree])
        for row in range(rows):
            sums[row] += values[base + _lowest_bit(masks[row])]


@_compiled
def margins(matrix, start, stop, grid, scorer, result):
    """Raw margins of the rows from `start` to `stop`."""
    searches, thresholds, category_columns, words, places_like = grid
    columns, cuts, keeps, split_from, leaf_from, values = scorer
    block = min(BLOCK, stop - start)
    places = np.zeros((places_like.shape[0], block), places_like.dtype)
    masks = np.zeros(block, keeps.dtype)
    sums, known, found = np.zeros(block), np.zeros(block), np.zeros(block, np.uint32)
    for at in range(start, stop, BLOCK):
        rows = min(BLOCK, stop - at)
        place_block(matrix, at, rows, searches, thresholds, category_columns, words, known, found, places)
        margin_block(rows, columns, cuts, keeps, split_from, leaf_from, values, places, masks, sums)
        for row in range(rows):
            result[at + row] = sums[row]


@_compiled
def contribution_block(
    rows, columns, cuts, strides, split_from, features, feature_from, table_from, tables, places, ways, sums
):
    """Write the contributions of a block of rows, features x rows."""
    sums[:] = 0.0
    nothing = strides.dtype.type(0)
    for part in range(len(split_from) - 1):
        for row in range(rows):
            ways[row] = 0
        for split in range(split_from[part], split_from[part + 1]):
            line, cut, stride = places[columns[split]], cuts[split], strides[split]
            for row in range(rows):
                ways[row] += stride if line[row] > cut else nothing
        for place in range(feature_from[part], feature_from[part + 1]):
            total, base = sums[features[place]], np.uint64(table_from[place])
            for row in range(rows):
                total[row] += tables[base + np.uint64(ways[row])]


@_compiled
def contributions(matrix, start, stop, grid, explainer, result):
    """Contributions of the rows from `start` to `stop`, rows x features."""
    searches, thresholds, category_columns, words, places_like = grid
    columns, cuts, strides, split_from, features, feature_from, table_from, tables, sums_like = explainer
    block = min(BLOCK, stop - start)
    places = np.zeros((places_like.shape[0], block), places_like.dtype)
    sums, ways = np.zeros((sums_like.shape[0], block)), np.zeros(block, strides.dtype)
    known, found = np.zeros(block), np.zeros(block, np.uint32)
    for at in range(start, stop, BLOCK):
        rows = min(BLOCK, stop - at)
        place_block(matrix, at, rows, searches, thresholds, category_columns, words, known, found, places)
        contribution_block(
            rows, columns, cuts, strides, split_from, features, feature_from, table_from, tables, places, ways, sums
        )
        for row in range(rows):
            for feature in range(sums.shape[0]):
                result[at + row, feature] = sums[feature, row]


@_compiled
def word_of(value, kind, first, categories, median):
    """The number of the words for a value of a reason's column; see `reasons.py`."""
    if kind == TEXT:
        return first
    if kind == CATEGORIES:
        return first + (categories if np.isnan(value) else np.int32(value))
    if np.isnan(value):
        return first + 2
    return first + (1 if value > median else 0)


@_compiled
def explained(matrix, start, stop, grid, scorer, explainer, told, result, words_of):
    """Margins of the rows from `start` to `stop`, and the numbers of the words of their reasons, strongest first."""
    searches, thresholds, category_columns, words, places_like = grid
    s_columns, s_cuts, keeps, s_split_from, leaf_from, values = scorer
    columns, cuts, strides, split_from, features, feature_from, table_from, tables, sums_like = explainer
    group_of, members, medians, least, digits = told
    reasons, groups = words_of.shape[1], len(members)
    block = min(BLOCK, stop - start)
    places = np.zeros((places_like.shape[0], block), places_like.dtype)
    masks, ways = np.zeros(block, keeps.dtype), np.zeros(block, strides.dtype)
    sums, grouped = np.zeros((sums_like.shape[0], block)), np.zeros((groups, block))
    known, found, margin = np.zeros(block), np.zeros(block, np.uint32), np.zeros(block)
    best, best_group = np.zeros(reasons + 1), np.zeros(reasons + 1, np.int32)
    for at in range(start, stop, BLOCK):
        rows = min(BLOCK, stop - at)
        place_block(matrix, at, rows, searches, thresholds, category_columns, words, known, found, places)
        margin_block(rows, s_columns, s_cuts, keeps, s_split_from, leaf_from, values, places, masks, margin)
        contribution_block(
            rows, columns, cuts, strides, split_from, features, feature_from, table_from, tables, places, ways, sums
        )
        grouped[:] = 0.0
        for feature in range(len(group_of)):
            into, line = grouped[group_of[feature]], sums[feature]
            for row in range(rows):
                into[row] += line[row]
        for group in range(groups):
            into = grouped[group]
            for row in range(rows):
                into[row] = np.rint(into[row] * digits) / digits
        for row in range(rows):
            result[at + row] = margin[row]
            count = 0
            for group in range(groups):
                worth = grouped[group, row]
                if worth < least or (count == reasons and worth <= best[reasons - 1]):
                    continue
                # Insertion from below; the first of equals stays ahead.
                place = min(count, reasons - 1)
                while place > 0 and best[place - 1] < worth:
                    best[place], best_group[place] = best[place - 1], best_group[place - 1]
                    place -= 1
                best[place], best_group[place] = worth, group
                count = min(count + 1, reasons)
            for place in range(reasons):
                if place >= count:
                    words_of[at + row, place] = -1
                    continue
                group = best_group[place]
                feature, kind, first, categories = members[group]
                value = matrix[at + row, feature]
                words_of[at + row, place] = word_of(value, kind, first, categories, medians[group])


@_compiled
def one_margin(row, roots, nodes, thresholds, words, values):
    """The raw margin of one row, by walking each tree: quicker than a block for so few."""
    total = 0.0
    for root in roots:
        node = root
        while node >= 0:
            feature, left, right, missing, default_left, first, width = nodes[node]
            value = row[feature]
            if abs(value) <= ZERO:
                value = 0.0
            if width >= 0:
                inside = value > -1.0 and value < width
                code = np.uint32(np.int32(value)) if inside else np.uint32(0)
                hit = inside and (words[first + (code >> 5)] >> (code & np.uint32(31))) & np.uint32(1)
                node = left if hit else right
                continue
            if missing != MISSING_NAN and np.isnan(value):
                value = 0.0
            absent = np.isnan(value) if missing == MISSING_NAN else missing != MISSING_NONE and value == 0.0
            goes = default_left != 0 if absent else value <= thresholds[node]
            node = left if goes else right
        total += values[-1 - node]
    return total
