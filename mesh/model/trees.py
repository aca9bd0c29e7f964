"""The trees of a LightGBM model as arrays, read from its own text, whose hash was verified before.

Only what the mesh's own engines know is read: one tree an iteration, constant leaves, sums and not means. Anything else
is `UnknownTrees`, and LightGBM answers by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int32]
    Words = npt.NDArray[np.uint32]

ZERO = 1.0000000180025095e-35
"""LightGBM's notion of nought: 1e-35 in single precision. What is nearer to nought is nought."""

MISSING_NONE, MISSING_ZERO, MISSING_NAN = 0, 1, 2

_CATEGORICAL, _DEFAULT_LEFT = 1, 2


class UnknownTrees(Exception):
    """A model that only LightGBM itself can score."""


@dataclass(frozen=True)
class Tree:
    """One tree. A child of -1 - n is leaf n; a tree of one leaf has no splits.

    `threshold` is that of a split on a number; a split on a category has the words of its bitset in `sets`, whose
    members go left. `missing` is one of the MISSING_ kinds. `split_rows` and `leaf_rows` are counts of training rows.
    """

    feature: Integers
    threshold: Floats
    sets: tuple[Words | None, ...]
    missing: Integers
    default_left: npt.NDArray[np.bool_]
    left: Integers
    right: Integers
    value: Floats
    split_rows: Floats
    leaf_rows: Floats

    @property
    def splits(self) -> int:
        return len(self.feature)

    @property
    def leaves(self) -> int:
        return len(self.value)

    def rows(self, node: int) -> float:
        """Training rows that reached a node, split or leaf."""
        return float(self.split_rows[node] if node >= 0 else self.leaf_rows[-1 - node])


def read_trees(text: str) -> list[Tree]:
    """All trees in the order in which their values are summed.

    Raises:
        UnknownTrees: the model is of a kind that the mesh's engines do not know.
    """
    head, *blocks = text.split("\nTree=")
    if "\nnum_tree_per_iteration=1\n" not in head or "\naverage_output\n" in f"{head}\n":
        raise UnknownTrees("more than one tree an iteration, or trees that are averaged")
    return [_read(dict(_pairs(block))) for block in blocks]


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n\n", 1)[0].splitlines()[1:]:
        name, _, value = line.partition("=")
        yield name, value


def _read(fields: Mapping[str, str]) -> Tree:
    import numpy as np

    if fields.get("is_linear", "0") != "0":
        raise UnknownTrees("leaves that are linear models")
    value = _numbers(fields["leaf_value"])
    if len(value) == 1:
        none, nothing = np.zeros(0, np.int32), np.zeros(0)
        absent = np.zeros(0, bool)
        return Tree(none, nothing, (), none, absent, none, none, value, nothing, np.ones(1))
    decision = _numbers(fields["decision_type"]).astype(np.int32)
    threshold = _numbers(fields["threshold"])
    sets: list[Words | None] = [None] * len(threshold)
    if categorical := np.flatnonzero(decision & _CATEGORICAL).tolist():
        bounds = _numbers(fields["cat_boundaries"]).astype(int)
        words = np.array(fields["cat_threshold"].split(), dtype=np.uint32)
        for split in categorical:
            place = int(threshold[split])
            sets[split] = words[bounds[place] : bounds[place + 1]]
    return Tree(
        feature=_numbers(fields["split_feature"]).astype(np.int32),
        threshold=threshold,
        sets=tuple(sets),
        missing=(decision >> 2) & 3,
        default_left=(decision & _DEFAULT_LEFT) != 0,
        left=_numbers(fields["left_child"]).astype(np.int32),
        right=_numbers(fields["right_child"]).astype(np.int32),
        value=value,
        split_rows=_numbers(fields["internal_count"]),
        leaf_rows=_numbers(fields["leaf_count"]),
    )


def _numbers(text: str) -> Floats:
    import numpy as np

    return np.array(text.split(), dtype=np.float64)
