"""How many labels contradict strongly what is known otherwise: an estimate of wrong labels, told in counts only.

After confident learning (Northcutt, Jiang and Chuang 2021): a label is contradicted where a model that never saw the
row gives the other class at least the probability that rows labelled so get on average, and more than one half.
Wrong labels look like that; so do rows whose features tell nothing. Who they are is nobody's business here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Contradictions:
    """Among `positives` and `negatives` by label, how many are contradicted."""

    positives: int
    negatives: int
    contradicted_positives: int
    contradicted_negatives: int

    @property
    def share(self) -> float:
        """Contradicted labels among all."""
        return (self.contradicted_positives + self.contradicted_negatives) / max(self.positives + self.negatives, 1)


def count_contradictions(truth: Floats, probability: Floats) -> Contradictions:
    """Compare labels (0 or 1) with probabilities of a model that did not learn them."""
    import numpy as np

    positive = truth == 1
    usual = float(probability[positive].mean()) if positive.any() else 1.0
    usual_other = float(1.0 - probability[~positive].mean()) if (~positive).any() else 1.0
    innocent = positive & (1.0 - probability >= max(usual_other, 0.5))
    guilty = ~positive & (probability >= max(usual, np.nextafter(0.5, 1.0)))
    return Contradictions(int(positive.sum()), int((~positive).sum()), int(innocent.sum()), int(guilty.sum()))
