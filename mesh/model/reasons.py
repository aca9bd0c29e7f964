"""Why a row scores high: the features that raise its margin most, in plain words.

A contribution is an exact Shapley value over the trees (TreeSHAP, Lundberg and others 2018), in log-odds. Only what
raises the score is a reason: nobody is told what speaks for them by accident. Features that share one text are one
reason and count together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mesh.model.bundle import LoadedModel
from mesh.model.encoding import BOOLEAN, CATEGORY, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

REASONS = 3

LEAST = 0.01
"""Log-odds below which a contribution explains nothing (it moves the odds by under 1 %)."""


def reason_columns(model: LoadedModel, matrix: Floats, threads: int) -> list[Any]:
    """`REASONS` Arrow string arrays, strongest reason first, NULL where there are fewer."""
    import numpy as np
    import pyarrow as pa

    if not len(matrix):
        return [pa.array([], pa.string()) for _ in range(REASONS)]
    texts = _Texts(model.card.features, model.card.reasons)
    raw = model.contributions(matrix, threads=threads)
    groups = np.zeros((len(matrix), max(texts.groups, REASONS)))
    for place, group in enumerate(texts.group_of):
        groups[:, group] += raw[:, place]
    # Both ways to compute agree to 14 digits; rounding makes them order equals in the same way too.
    groups = np.round(groups, 9)
    rows = np.arange(len(matrix))
    words = pa.array(texts.words, pa.string())
    columns = []
    for _ in range(REASONS):
        # argmax takes the first of equals, and features have one order: no tie is left open.
        best = np.argmax(groups, axis=1)
        there = groups[rows, best] >= LEAST
        ids = texts.word_ids(matrix, best)
        columns.append(words.take(pa.array(ids, mask=~there)))
        groups[rows, best] = -np.inf
    return columns


class _Texts:
    """The words of every reason a model can give, numbered."""

    def __init__(self, features: Sequence[Feature], custom: Mapping[str, str]) -> None:
        self.words: list[str] = []
        self.group_of: list[int] = []
        self.members: list[tuple[int, Feature | None, int]] = []
        groups: dict[str, int] = {}
        for place, feature in enumerate(features):
            text = custom.get(feature.name)
            name = f"text:{text}" if text else f"feature:{feature.name}"
            if name not in groups:
                groups[name] = len(groups)
                self.members.append((place, None if text else feature, len(self.words)))
                self.words += [text] if text else default_words(feature)
            self.group_of.append(groups[name])
        self.groups = len(groups)

    def word_ids(self, matrix: Floats, best: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        """For each row the number of the words of its group `best`, given the row's own value."""
        import numpy as np

        ids = np.zeros(len(matrix), dtype=np.int64)
        for group, (place, feature, first) in enumerate(self.members):
            chosen = np.flatnonzero(best == group)
            ids[chosen] = first if feature is None else first + variant(feature, matrix[chosen, place])
        return ids


def default_words(feature: Feature) -> list[str]:
    """What a feature without a text of its own can say, in the order of `variant`."""
    name = feature.name.replace("_", " ")
    if feature.kind == CATEGORY:
        return [*(f"{name} is {category}" for category in feature.categories), f"{name} is missing or new"]
    if feature.kind == BOOLEAN:
        return [f"{name}: no", f"{name}: yes", f"{name} is missing"]
    return [f"{name} is low", f"{name} is high", f"{name} is missing"]


def variant(feature: Feature, values: Floats) -> npt.NDArray[np.int64]:
    """Which of its words fits each encoded value."""
    import numpy as np

    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    if feature.kind == CATEGORY:
        return np.where(missing, len(feature.categories), known).astype(np.int64)
    if feature.kind == BOOLEAN:
        return np.where(missing, 2, known > 0.5).astype(np.int64)
    return np.where(missing, 2, known > feature.median).astype(np.int64)
