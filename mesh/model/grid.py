"""Where a row's values stand among the thresholds of a model: the one table of numbers that its trees are asked with.

A split on a number asks `value <= threshold`. Where `place` counts the thresholds of the feature that lie below the
value, the same question is `place <= number of the threshold`, on a byte instead of a double. A missing value takes the
first place where the split sends it left and the last where right, so that a feature may need two columns. A split on
a category asks whether the code is in a set; each distinct set is a column of its own, 0 for inside and 1 for outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.trees import MISSING_NAN, ZERO, Tree

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int32]
    Words = npt.NDArray[np.uint32]

Key = tuple[int, int, bool] | tuple[int, bytes]


@dataclass(frozen=True)
class Grid:
    """Columns of places and how they are found.

    `searches` has a line per feature and kind of missing value: feature, kind, first threshold, steps of the search,
    thresholds, column where missing goes left, column where it goes right (-1 for none). The thresholds of a line are
    padded with infinity to 2^steps - 1. `sets` has a line per set of categories: feature, codes, first word, column;
    the words of a set are followed by an empty one.
    """

    searches: Integers
    thresholds: Floats
    sets: Integers
    words: Words
    columns: int
    small: bool

    def places(self, matrix: Floats) -> npt.NDArray[Any]:
        """Columns x rows, without Numba."""
        import numpy as np

        found = np.empty((self.columns, len(matrix)), np.uint8 if self.small else np.uint16)
        for feature, missing, first, _steps, count, left, right in self.searches.tolist():
            values = np.where(np.abs(matrix[:, feature]) <= ZERO, 0.0, matrix[:, feature])
            if missing != MISSING_NAN:
                values = np.where(np.isnan(values), 0.0, values)
            places = np.searchsorted(self.thresholds[first : first + count], values, side="left")
            absent = np.isnan(values) if missing == MISSING_NAN else (values == 0.0) & (missing != 0)
            for column, instead in ((left, 0), (right, count)):
                if column >= 0:
                    found[column] = np.where(absent, instead, places)
        for feature, width, first, column in self.sets.tolist():
            values = matrix[:, feature]
            inside = (values > -1.0) & (values < width)
            code = np.where(inside, values, 0.0).astype(np.int64)
            hit = (self.words[first + (code >> 5)] >> (code & 31).astype(np.uint32)) & np.uint32(1)
            found[column] = ~(inside & (hit == 1))
        return found


@dataclass(frozen=True)
class Asked:
    """The splits of a tree on a grid: a row goes right where its place in `column` is above `cut`."""

    column: Integers
    cut: Integers


def build_grid(trees: Sequence[Tree]) -> tuple[Grid, list[Asked]]:
    """The grid of a model and its trees on it."""
    import numpy as np

    keys = [[_key(tree, split) for split in range(tree.splits)] for tree in trees]
    distinct = sorted({key for of_tree in keys for key in of_tree}, key=lambda key: (len(key), key))
    column = {key: place for place, key in enumerate(distinct)}
    asked: dict[tuple[int, int], set[float]] = {}
    for tree, of_tree in zip(trees, keys, strict=True):
        for split, key in enumerate(of_tree):
            if len(key) == 3:
                asked.setdefault((key[0], key[1]), set()).add(float(tree.threshold[split]))
    searches: list[tuple[int, ...]] = []
    thresholds: list[float] = []
    number: dict[tuple[int, int], dict[float, int]] = {}
    for (feature, missing), values in sorted(asked.items()):
        ranked = sorted(values)
        number[feature, missing] = {value: place for place, value in enumerate(ranked)}
        steps = len(ranked).bit_length()
        sides = [column.get((feature, missing, left), -1) for left in (True, False)]
        searches.append((feature, missing, len(thresholds), steps, len(ranked), *sides))
        thresholds += ranked + [np.inf] * ((1 << steps) - 1 - len(ranked))
    sets, words = _sets(column)
    grid = Grid(
        searches=np.array(searches, np.int32).reshape(-1, 7),
        thresholds=np.array(thresholds, np.float64),
        sets=np.array(sets, np.int32).reshape(-1, 4),
        words=np.array(words, np.uint32),
        columns=len(distinct),
        small=all(len(values) < 256 for values in asked.values()),
    )
    return grid, [
        Asked(
            np.array([column[key] for key in of_tree], np.int32),
            np.array(
                [
                    number[key[0], key[1]][float(tree.threshold[split])] if len(key) == 3 else 0
                    for split, key in enumerate(of_tree)
                ],
                np.int32,
            ),
        )
        for tree, of_tree in zip(trees, keys, strict=True)
    ]


def _key(tree: Tree, split: int) -> Key:
    words = tree.sets[split]
    feature = int(tree.feature[split])
    if words is not None:
        return feature, words.tobytes()
    return feature, int(tree.missing[split]), bool(tree.default_left[split])


def _sets(column: dict[Key, int]) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    import numpy as np

    mine = [(key[0], np.frombuffer(key[1], np.uint32), place) for key, place in column.items() if len(key) == 2]
    widest: dict[int, int] = {}
    for feature, held, _place in mine:
        widest[feature] = max(widest.get(feature, 0), len(held))
    sets: list[tuple[int, int, int, int]] = []
    words: list[int] = []
    for feature, held, place in mine:
        sets.append((feature, 32 * widest[feature], len(words), place))
        words += [*held.tolist(), *[0] * (widest[feature] - len(held) + 1)]
    return sets, words
