"""Encoded rows to learn from, which the choice of columns and the search for parameters both look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.model.encoding import Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LearningRows:
    """Rows ordered by (time, key): a column of `matrix` per feature, labels 0 or 1, and what each counts for."""

    features: Sequence[Feature]
    matrix: Floats
    truth: Floats
    weights: Floats | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def fewest(self) -> int:
        """Rows of the rarer class."""
        return int(min(self.truth.sum(), len(self.truth) - self.truth.sum()))

    def spaced(self, most: int) -> LearningRows:
        """At most so many rows, evenly spaced, so that no time is left out."""
        import numpy as np

        if len(self) <= most:
            return self
        rows = (np.arange(most) * len(self)) // most
        weights = None if self.weights is None else self.weights[rows]
        return LearningRows(self.features, self.matrix[rows], self.truth[rows], weights)
