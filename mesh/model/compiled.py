"""A model's trees laid out for the compiled kernels: the margins of LightGBM to the last bit, several times faster.

    model.compiled.margins(matrix, threads=2)    # a margin per row, whatever the threads and however rows are cut
    model.compiled.margin(values)                # one row, in microseconds: what a service asks

The first call loads Numba (about half a second, and some seconds more where nothing compiled is kept yet), so that
`LoadedModel.margins` leaves few rows to LightGBM. Nothing that was compiled belongs to one model: the trees are data.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.grid import Asked, Grid, build_grid
from mesh.model.trees import Tree, UnknownTrees

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MAX_LEAVES = 64
"""A row's way through a tree is one word, one bit per leaf."""

PIECE = 1 << 14
"""Rows a thread takes at once."""


@dataclass(frozen=True)
class Compiled:
    """The trees of one model. Safe to share between threads."""

    grid: Grid
    asked: tuple[Asked, ...]
    trees: tuple[Tree, ...]
    width: int
    of_grid: tuple[Any, ...]
    scorer: tuple[Any, ...]
    _walker: tuple[Any, ...]

    def margins(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """Raw margins (log-odds) of encoded rows, those of `Booster.predict(matrix, raw_score=True)`."""
        import numpy as np

        from mesh.model import kernels

        self._check(matrix.shape[1] if matrix.ndim == 2 else -1)
        # One layout, so that the kernels are compiled for one.
        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        result = np.empty(len(rows))
        in_pieces(
            len(rows),
            threads,
            lambda start, stop: kernels.margins(rows, start, stop, self.of_grid, self.scorer, result),
        )
        return result

    def margin(self, row: Floats | Sequence[float]) -> float:
        """The raw margin of one encoded row."""
        import numpy as np

        from mesh.model import kernels

        values = np.ascontiguousarray(row, dtype=np.float64)
        self._check(values.shape[0] if values.ndim == 1 else -1)
        return float(kernels.one_margin(values, *self._walker))

    def _check(self, given: int) -> None:
        if given != self.width:
            raise ValueError(f"This model takes rows of {self.width} numbers, not {given}.")


def compile_trees(trees: Sequence[Tree], width: int) -> Compiled:
    """Lay out trees for the kernels.

    Args:
        width: features of the model.

    Raises:
        UnknownTrees: a tree has more leaves than a word has bits.
        ValueError: a tree refers to what is not there.
    """
    import numpy as np

    for tree in trees:
        _check_tree(tree, width)
    leaves = max(tree.leaves for tree in trees)
    if leaves > MAX_LEAVES:
        raise UnknownTrees(f"{leaves} leaves in a tree")
    grid, asked = build_grid(trees)
    small = np.uint8 if grid.small else np.uint16
    word = np.uint16 if leaves <= 16 else np.uint32 if leaves <= 32 else np.uint64
    columns, cuts, keeps, values = [], [], [], []
    split_from, leaf_from = [0], [0]
    for tree, on_grid in zip(trees, asked, strict=True):
        order, spans = _left_to_right(tree)
        columns += on_grid.column.tolist()
        cuts += on_grid.cut.tolist()
        full = (1 << word().itemsize * 8) - 1
        keeps += [full & ~(((1 << count) - 1) << first) for first, count in spans]
        values += tree.value[order].tolist()
        split_from.append(len(columns))
        leaf_from.append(len(values))
    as_int = np.int32
    scorer = (
        np.array(columns, as_int),
        np.array(cuts, small),
        np.array([*keeps, full], word),
        np.array(split_from, as_int),
        np.array(leaf_from, as_int),
        np.array(values, np.float64),
    )
    places_like = np.zeros((grid.columns, 1), small)
    of_grid = (grid.searches, grid.thresholds, grid.sets, grid.words, places_like)
    return Compiled(grid, tuple(asked), tuple(trees), width, of_grid, scorer, _walker(trees))


def kernels_loaded() -> bool:
    """Whether this process has paid for the kernels already."""
    return "mesh.model.kernels" in sys.modules


def in_pieces(rows: int, threads: int, work: Callable[[int, int], object]) -> None:
    """Call `work(start, stop)` for pieces of the rows; the pieces never depend on the number of threads."""
    pieces = [(start, min(start + PIECE, rows)) for start in range(0, rows, PIECE)]
    if threads <= 1 or len(pieces) <= 1:
        for start, stop in pieces:
            work(start, stop)
        return
    with ThreadPoolExecutor(min(threads, len(pieces))) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in pieces]:
            done.result()


def _check_tree(tree: Tree, width: int) -> None:
    """The kernels look nothing over, so that a tree may name only features, splits and leaves that there are."""
    import numpy as np

    if tree.splits != tree.leaves - 1 or not np.isfinite(tree.value).all():
        raise ValueError("A tree has another number of splits or leaves than it says.")
    if tree.splits and not 0 <= int(tree.feature.min()) <= int(tree.feature.max()) < width:
        raise ValueError(f"A tree asks for a feature that is not there. Allowed: 0 to {width - 1}.")
    children = np.concatenate((tree.left, tree.right))
    # LightGBM numbers a split after its parent; so every way down ends, and it ends at a leaf.
    wanted = np.concatenate((np.arange(1, tree.splits), -1 - np.arange(tree.leaves))) if tree.splits else children
    parents = np.tile(np.arange(tree.splits), 2)
    if not np.array_equal(np.sort(children), np.sort(wanted)) or ((children >= 0) & (children <= parents)).any():
        raise ValueError("A tree's splits do not lead to each other and to its leaves.")


def _left_to_right(tree: Tree) -> tuple[list[int], list[tuple[int, int]]]:
    """The leaves of a tree from left to right, and per split the first and the number of those on its left."""
    order: list[int] = []
    spans = [(0, 0)] * tree.splits

    def walk(node: int) -> None:
        if node < 0:
            order.append(-1 - node)
            return
        first = len(order)
        walk(int(tree.left[node]))
        spans[node] = (first, len(order) - first)
        walk(int(tree.right[node]))

    walk(0 if tree.splits else -1)
    return order, spans


def _walker(trees: Sequence[Tree]) -> tuple[Any, ...]:
    """All trees in one list of nodes; a node below nought is a leaf of the whole model."""
    import numpy as np

    roots: list[int] = []
    nodes: list[tuple[int, ...]] = []
    words: list[int] = []
    thresholds: list[float] = []
    values: list[float] = []
    for tree in trees:
        base, leaf = len(nodes), len(values)
        roots.append(base if tree.splits else -1 - leaf)
        for split in range(tree.splits):
            down = [int(side[split]) for side in (tree.left, tree.right)]
            left, right = (child + base if child >= 0 else child - leaf for child in down)
            held = tree.sets[split]
            first, width = (len(words), 32 * len(held)) if held is not None else (0, -1)
            words += [] if held is None else held.tolist()
            nodes.append(
                (
                    int(tree.feature[split]),
                    left,
                    right,
                    int(tree.missing[split]),
                    tree.default_left[split],
                    first,
                    width,
                )
            )
        thresholds += tree.threshold.tolist()
        values += tree.value.tolist()
    return (
        np.array(roots, np.int32),
        np.array(nodes, np.int32).reshape(-1, 7),
        np.array(thresholds, np.float64),
        np.array(words, np.uint32),
        np.array(values, np.float64),
    )
