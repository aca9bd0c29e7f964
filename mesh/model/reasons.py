"""Why a row scores high: the features that raise its margin most, in plain words.

A contribution is an exact Shapley value over the trees (TreeSHAP, Lundberg and others 2018), in log-odds. Only what
raises the score is a reason: nobody is told what speaks for them by accident. Features that share one text are one
reason and count together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.bundle import LoadedModel
from mesh.model.compiled import in_pieces
from mesh.model.encoding import BOOLEAN, CATEGORY, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

REASONS = 3

LEAST = 0.01
"""Log-odds below which a contribution explains nothing (it moves the odds by under 1 %)."""

DIGITS = 9
"""Contributions are compared to so many decimals: the ways to compute them agree to 14."""

CHUNK = 1 << 16
"""Rows whose contributions NumPy holds in memory at once."""

TEXT, NUMBERS, CATEGORIES = 0, 1, 2


@dataclass(frozen=True)
class Explained:
    """Margins, and per row the numbers of the words of its reasons, strongest first, -1 where there are fewer."""

    margins: Floats
    words: tuple[str, ...]
    of_row: npt.NDArray[np.int32]

    def columns(self) -> list[Any]:
        """`REASONS` Arrow string arrays, NULL where there are fewer reasons."""
        import numpy as np
        import pyarrow as pa

        texts = pa.array(self.words, pa.string())
        found = []
        for place in range(REASONS):
            chosen = np.ascontiguousarray(self.of_row[:, place])
            found.append(texts.take(pa.array(np.maximum(chosen, 0), mask=chosen < 0)))
        return found


def explained(model: LoadedModel, matrix: Floats, threads: int) -> Explained:
    """Score encoded rows and find their reasons."""
    import numpy as np

    texts = Texts(model.card.features, model.card.reasons)
    of_row = np.empty((len(matrix), REASONS), np.int32)
    if model.forest is not None and model.worth_compiling(len(matrix)):
        from mesh.model import kernels

        rows = np.ascontiguousarray(matrix, dtype=np.float64)
        compiled, explainer, told = model.compiled, model.forest.explainer, texts.told()
        margins = np.empty(len(matrix))
        in_pieces(
            len(matrix),
            threads,
            lambda start, stop: kernels.explained(
                rows, start, stop, compiled.of_grid, compiled.scorer, explainer, told, margins, of_row
            ),
        )
        return Explained(margins, tuple(texts.words), of_row)
    for at in range(0, len(matrix), CHUNK):
        piece = matrix[at : at + CHUNK]
        of_row[at : at + CHUNK] = texts.strongest(piece, model.contributions(piece, threads=threads))
    return Explained(model.margins(matrix, threads=threads), tuple(texts.words), of_row)


class Texts:
    """The words of every reason a model can give, numbered.

    A *group* is one reason: a feature, or all features that share one text. `members` tells of each where its value
    is found, how it picks its words, the first of them, and how many categories there are.
    """

    def __init__(self, features: Sequence[Feature], custom: Mapping[str, str]) -> None:
        self.features = tuple(features)
        self.words: list[str] = []
        self.group_of: list[int] = []
        self.members: list[tuple[int, int, int, int]] = []
        self.medians: list[float] = []
        groups: dict[str, int] = {}
        for place, feature in enumerate(features):
            text = custom.get(feature.name)
            name = f"text:{text}" if text else f"feature:{feature.name}"
            if name not in groups:
                groups[name] = len(groups)
                kind = TEXT if text else CATEGORIES if feature.kind == CATEGORY else NUMBERS
                self.members.append((place, kind, len(self.words), len(feature.categories)))
                self.medians.append(0.5 if feature.kind == BOOLEAN else feature.median)
                self.words += [text] if text else default_words(feature)
            self.group_of.append(groups[name])

    def told(self) -> tuple[Any, ...]:
        """The groups as the kernels take them."""
        import numpy as np

        members = np.array(self.members, np.int32).reshape(-1, 4)
        return np.array(self.group_of, np.int32), members, np.array(self.medians), LEAST, float(10**DIGITS)

    def grouped(self, contributions: Floats) -> Floats:
        """Contributions per group, rounded: rows x groups."""
        import numpy as np

        sums = np.zeros((len(contributions), len(self.members)))
        for place, group in enumerate(self.group_of):
            sums[:, group] += contributions[:, place]
        return np.rint(sums * float(10**DIGITS)) / float(10**DIGITS)

    def strongest(self, matrix: Floats, contributions: Floats) -> npt.NDArray[np.int32]:
        """Rows x `REASONS`, numbers of words, -1 for none."""
        import numpy as np

        groups = self.grouped(contributions)
        found = np.full((len(matrix), REASONS), -1, np.int32)
        rows = np.arange(len(matrix))
        for place in range(min(REASONS, len(self.members))):
            # argmax takes the first of equals, and features have one order: no tie is left open.
            best = np.argmax(groups, axis=1)
            there = groups[rows, best] >= LEAST
            found[there, place] = self.word_ids(matrix, best)[there]
            groups[rows, best] = -np.inf
        return found

    def word_ids(self, matrix: Floats, groups: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
        """For each row the number of the words of its group, given the row's own value."""
        import numpy as np

        ids = np.zeros(len(matrix), dtype=np.int32)
        for group, (place, kind, first, _categories) in enumerate(self.members):
            chosen = np.flatnonzero(groups == group)
            ids[chosen] = first
            if kind != TEXT:
                ids[chosen] += variant(self.features[place], matrix[chosen, place])
        return ids


def default_words(feature: Feature) -> list[str]:
    """What a feature without a text of its own can say, in the order of `variant`."""
    name = feature.name.replace("_", " ")
    if feature.kind == CATEGORY:
        return [*(f"{name} is {category}" for category in feature.categories), f"{name} is missing or new"]
    if feature.kind == BOOLEAN:
        return [f"{name}: no", f"{name}: yes", f"{name} is missing"]
    return [f"{name} is low", f"{name} is high", f"{name} is missing"]


def variant(feature: Feature, values: Floats) -> npt.NDArray[np.int32]:
    """Which of its words fits each encoded value; the kernels' `word_of` says the same."""
    import numpy as np

    missing = np.isnan(values)
    known = np.where(missing, 0.0, values)
    if feature.kind == CATEGORY:
        return np.where(missing, len(feature.categories), known).astype(np.int32)
    if feature.kind == BOOLEAN:
        return np.where(missing, 2, known > 0.5).astype(np.int32)
    return np.where(missing, 2, known > feature.median).astype(np.int32)
