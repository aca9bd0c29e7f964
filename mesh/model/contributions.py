"""Exact Shapley values of every feature for many rows at once (path-dependent TreeSHAP, Lundberg and others 2018).

LightGBM's own `pred_contrib` walks every tree anew for every row. Here a tree is solved once, for every way in which a
row can answer its splits, and nearly all work is one table look-up per row, tree and feature. Trees with too many ways
are cut into *parts*, groups of neighbouring leaves that few splits lead to: contributions add up over leaves, so a tree
is the sum of its parts.

For a leaf of value v under a path with the distinct features U, where z_j is the share of training rows that pass
the path's splits on j, and o_j is 1 if this row passes them, else 0:

    phi_f = v (o_f - z_f) sum over S in U without f of |S|! (|U|-|S|-1)! / |U|!  prod o_j (j in S)  prod z_j (others)

The values are those of `pred_contrib` up to the rounding of sums, and each sum has one order - leaves in a part, parts
in a tree, trees in the model - so that a row's bits never depend on the rows beside it, on threads, or on whether
NumPy or the compiled kernels added them up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import factorial
from typing import TYPE_CHECKING, Any

from mesh.model.compiled import Compiled, in_pieces
from mesh.model.grid import Asked
from mesh.model.trees import Tree, UnknownTrees

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MOST_WAYS = 1024
"""Ways to answer the splits of a part; a part's tables then stay in the processor's caches."""


@dataclass(frozen=True)
class _Step:
    """A split on a leaf's path: the leaf wants the place in `column` above `cut`, or not above it."""

    feature: int
    column: int
    cut: int
    right: bool
    share: float


@dataclass(frozen=True)
class _Leaf:
    value: float
    path: tuple[_Step, ...]
    features: tuple[int, ...]

    def shares(self) -> list[float]:
        """Per distinct feature the share of training rows that pass its splits."""
        found = dict.fromkeys(self.features, 1.0)
        for step in self.path:
            found[step.feature] *= step.share
        return list(found.values())


@dataclass(frozen=True)
class _Part:
    """Leaves and the splits above them. `stride[n]` is what passing split n on the right adds to a row's way."""

    leaves: tuple[_Leaf, ...]
    splits: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    ways: int
    features: tuple[int, ...]


class Forest:
    """The trees of a model, ready to explain.

    Raises:
        UnknownTrees: a path is so long that its ways cannot be listed.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self.width = compiled.width
        parts: list[_Part] = []
        for tree, asked in zip(compiled.trees, compiled.asked, strict=True):
            if tree.splits:
                parts += _parts(_leaves(tree, asked))
        self._parts = tuple(parts)
        self._tables = _tables(parts)

    def contributions(self, matrix: Floats, *, threads: int = 1, kernels: bool = False) -> Floats:
        """Log-odds that each feature adds to each row's margin: rows x features, without the base value."""
        import numpy as np

        if not kernels:
            return np.ascontiguousarray(self._by_numpy(matrix).T)
        from mesh.model import kernels as compiled

        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        total = np.empty((len(rows), self.width))
        grid = self._compiled.of_grid
        in_pieces(
            len(rows),
            threads,
            lambda start, stop: compiled.contributions(rows, start, stop, grid, self.explainer, total),
        )
        return total

    def _by_numpy(self, matrix: Floats) -> Floats:
        import numpy as np

        places = self._compiled.grid.places(matrix)
        total = np.zeros((self.width, len(matrix)))
        for part, table in zip(self._parts, self._tables, strict=True):
            way = np.zeros(len(matrix), np.uint16)
            for (column, cut), stride in zip(part.splits, part.strides, strict=True):
                way += (places[column] > cut).astype(np.uint16) * np.uint16(stride)
            for place, feature in enumerate(part.features):
                total[feature] += table[place][way]
        return total

    @cached_property
    def explainer(self) -> tuple[Any, ...]:
        """The parts as the kernels take them."""
        import numpy as np

        small = np.uint8 if self._compiled.grid.small else np.uint16
        splits = [split for part in self._parts for split in part.splits]
        counts = [len(part.splits) for part in self._parts]
        starts = [part.ways for part in self._parts for _ in part.features]
        return (
            np.array([column for column, _ in splits], np.int32),
            np.array([cut for _, cut in splits], small),
            np.array([stride for part in self._parts for stride in part.strides], np.uint16),
            np.concatenate(([0], np.cumsum(counts, dtype=np.int32))).astype(np.int32),
            np.array([feature for part in self._parts for feature in part.features], np.int32),
            np.concatenate(([0], np.cumsum([len(part.features) for part in self._parts]))).astype(np.int32),
            np.concatenate(([0], np.cumsum(starts)))[: len(starts)].astype(np.int64),
            np.concatenate([table.ravel() for table in self._tables]) if self._tables else np.zeros(0),
            np.zeros((self.width, 1)),
        )


def _leaves(tree: Tree, asked: Asked) -> list[_Leaf]:
    """The leaves of a tree from left to right."""
    found: list[_Leaf] = []

    def walk(node: int, path: tuple[_Step, ...]) -> None:
        if node < 0:
            features = tuple(dict.fromkeys(step.feature for step in path))
            found.append(_Leaf(float(tree.value[-1 - node]), path, features))
            return
        rows = tree.rows(node)
        if not rows:
            raise UnknownTrees("a split that no row of the training reached")
        for child, right in ((int(tree.left[node]), False), (int(tree.right[node]), True)):
            feature, column, cut = int(tree.feature[node]), int(asked.column[node]), int(asked.cut[node])
            walk(child, (*path, _Step(feature, column, cut, right, tree.rows(child) / rows)))

    walk(0, ())
    return found


def _parts(leaves: Sequence[_Leaf], depth: int = 0) -> list[_Part]:
    """Leaves that share their path's first `depth` steps, cut where the tree forks until each part has few ways."""
    by_column: dict[int, set[int]] = {}
    for leaf in leaves:
        for step in leaf.path:
            by_column.setdefault(step.column, set()).add(step.cut)
    ways = 1
    splits: list[tuple[int, int]] = []
    strides: list[int] = []
    for column, cuts in by_column.items():
        splits += [(column, cut) for cut in sorted(cuts)]
        strides += [ways] * len(cuts)
        ways *= len(cuts) + 1
    if ways <= MOST_WAYS:
        features = dict.fromkeys(feature for leaf in leaves for feature in leaf.features)
        return [_Part(tuple(leaves), tuple(splits), tuple(strides), ways, tuple(features))]
    if len(leaves) == 1:
        raise UnknownTrees(f"a path of {len(leaves[0].path)} splits")
    sides = [[leaf for leaf in leaves if leaf.path[depth].right is right] for right in (False, True)]
    return [part for side in sides for part in _parts(side, depth + 1)]


def _tables(parts: Sequence[_Part]) -> list[Floats]:
    """Per part the contributions by feature and way."""
    import numpy as np

    leaves = [leaf for part in parts for leaf in part.leaves]
    of_leaf: dict[int, Floats] = {}
    by_depth: dict[int, list[_Leaf]] = {}
    for leaf in leaves:
        by_depth.setdefault(len(leaf.features), []).append(leaf)
    for alike in by_depth.values():
        solved = _leaf_tables(np.array([leaf.value for leaf in alike]), np.array([leaf.shares() for leaf in alike]))
        of_leaf.update((id(leaf), one) for leaf, one in zip(alike, solved, strict=True))
    found = []
    for part in parts:
        place = {feature: number for number, feature in enumerate(part.features)}
        table = np.zeros((len(part.features), part.ways))
        passed = _passed(part)
        for leaf in part.leaves:
            way = np.zeros(part.ways, np.intp)
            for bit, feature in enumerate(leaf.features):
                through = np.ones(part.ways, bool)
                for step in leaf.path:
                    if step.feature == feature:
                        through &= passed[step.column, step.cut] == step.right
                way |= through.astype(np.intp) << bit
            for bit, feature in enumerate(leaf.features):
                table[place[feature]] += of_leaf[id(leaf)][bit][way]
        found.append(table)
    return found


def _passed(part: _Part) -> dict[tuple[int, int], npt.NDArray[np.bool_]]:
    """Per split of a part the ways that pass it on the right."""
    import numpy as np

    ways = np.arange(part.ways)
    found, rank = {}, dict.fromkeys((column for column, _ in part.splits), 0)
    count = {column: sum(1 for other, _ in part.splits if other == column) for column in rank}
    for (column, cut), stride in zip(part.splits, part.strides, strict=True):
        # Cuts are in rising order: whoever is above one is above all before it.
        found[column, cut] = ways // stride % (count[column] + 1) > rank[column]
        rank[column] += 1
    return found


def _leaf_tables(values: Floats, shares: Floats) -> Floats:
    """Contributions of leaves for each of the 2^d ways to pass their d features: leaves x d x 2^d."""
    import numpy as np

    depth = shares.shape[1]
    passes = ((np.arange(1 << depth)[None, :] >> np.arange(depth)[:, None]) & 1).astype(np.float64)
    weights = [factorial(size) * factorial(depth - size - 1) / factorial(depth) for size in range(depth)]
    table = np.empty((len(values), depth, 1 << depth))
    for place in range(depth):
        # Coefficients of prod (z_j + o_j t): the one of t^s sums over all S of size s.
        coefficients = np.zeros((depth, len(values), 1 << depth))
        coefficients[0] = 1.0
        for other in range(depth):
            if other != place:
                raised = np.concatenate((np.zeros((1, *coefficients.shape[1:])), coefficients[:-1])) * passes[other]
                coefficients = coefficients * shares[None, :, other, None] + raised
        summed = sum(weight * coefficient for weight, coefficient in zip(weights, coefficients, strict=True))
        table[:, place] = values[:, None] * (passes[place] - shares[:, place, None]) * summed
    return table
