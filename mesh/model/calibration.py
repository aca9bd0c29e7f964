"""From a tree ensemble's raw margin (log-odds) to a probability, a 0-100 score and a band.

All three are monotone in the margin, and the probability strictly so: calibration never changes who ranks first.

* probability: Platt scaling with Lin's smoothed targets, fitted on rows the trees did not learn from. Two numbers,
  chosen over isotonic steps because a few hundred positives leave steps too coarse to rank within a band.
* score: how many percent of the reference population rank below, rounded down; 78 = riskier than 78 % of it.
  A fixed meaning at any base rate, where 100 x probability would crowd every row near nought.
* band: `high` is the top `capacity` share of that population and is what is flagged for review; `medium` would be
  reviewed too if the capacity doubled; the rest is `low`.

The reference population is every row of the input, reviewed or not, since reviewed rows are not representative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

HIGH, MEDIUM, LOW = "high", "medium", "low"


@dataclass(frozen=True)
class Calibration:
    """probability = 1 / (1 + exp(-(slope x margin + intercept))), slope above 0."""

    slope: float
    intercept: float

    def probability(self, margins: Floats) -> Floats:
        """Probabilities of the positive class, one per margin."""
        import numpy as np

        return 1.0 / (1.0 + np.exp(-(self.slope * margins + self.intercept)))


@dataclass(frozen=True)
class Bands:
    """Margins at 1 to 100 percent of the reference population, and the lowest margins of `high` and `medium`."""

    percentiles: tuple[float, ...]
    high: float
    medium: float
    capacity: float

    def score(self, margins: Floats) -> npt.NDArray[np.int32]:
        """Whole numbers from 0 to 100."""
        import numpy as np

        return np.searchsorted(np.asarray(self.percentiles), margins, side="right").astype(np.int32)

    def flagged(self, margins: Floats) -> npt.NDArray[np.bool_]:
        """True where a row is in the band `high`."""
        return margins >= self.high

    def level(self, margins: Floats) -> npt.NDArray[np.int8]:
        """0 low, 1 medium, 2 high."""
        import numpy as np

        return (margins >= self.medium).astype(np.int8) + (margins >= self.high).astype(np.int8)


def fit_bands(population: Floats, capacity: float) -> Bands:
    """Bands from the margins of the whole population.

    Where equal margins meet a threshold, the threshold is the value that comes nearest to the wanted share.

    Raises:
        ModelError: there is nobody to compare with.
    """
    import numpy as np

    ranked = np.sort(np.asarray(population, dtype=np.float64))
    if not ranked.size:
        raise ModelError("Bands need a population, and this one has no rows.")
    n = len(ranked)
    marks = [ranked[min(n - 1, n - (100 - percent) * n // 100)] for percent in range(1, 101)]
    return Bands(
        percentiles=tuple(float(mark) for mark in marks),
        high=_threshold(ranked, capacity),
        medium=_threshold(ranked, min(2 * capacity, 1.0)),
        capacity=capacity,
    )


def _threshold(ranked: Floats, share: float) -> float:
    import numpy as np

    n = len(ranked)
    wanted = max(1, int(round(share * n, 6)))
    value = ranked[n - wanted]
    with_ties = n - int(np.searchsorted(ranked, value, side="left"))
    without = n - int(np.searchsorted(ranked, value, side="right"))
    if without > 0 and wanted - without < with_ties - wanted:
        return float(ranked[n - without])
    return float(value)


def best_share(margins: Floats, gain: Floats, cost: float, most: float, weights: Floats | None = None) -> float:
    """The share of rows whose review pays best: the greatest (gains found - reviews x cost), highest margins first.

    Args:
        gain: what reviewing each row brings: its value if it is positive, else nothing.
        cost: of one review.
        most: the greatest share that can be reviewed.
        weights: how many rows each row stands for.

    Raises:
        ModelError: no share brings more than it costs.
    """
    import numpy as np

    counts = np.ones(len(margins)) if weights is None else weights
    order = np.argsort(-margins, kind="stable")
    ranked = margins[order]
    # Equal rows are reviewed together or not at all.
    ends = np.concatenate((np.flatnonzero(ranked[1:] != ranked[:-1]), [len(ranked) - 1]))
    share = (np.cumsum(counts[order]) / counts.sum())[ends]
    net = np.cumsum((counts * (gain - cost))[order])[ends]
    net = np.where(share <= most + 1e-12, net, -np.inf)
    best = int(np.argmax(net))
    if not net[best] > 0:
        raise ModelError(
            f"At a cost of {cost:g} for a review no share of the validation rows brings more than it costs. "
            "Check `costs`, give a `capacity` instead, or look for features that tell more."
        )
    return float(share[best])


def fit_calibration(margins: Floats, truth: Floats, weights: Floats | None = None) -> Calibration:
    """Platt scaling by Newton's method (Lin, Lin and Weng 2007, "A note on Platt's probabilistic outputs").

    With weights the probabilities are those of what the rows stand for; how strongly they are drawn in stays a matter
    of how many rows there are.

    Raises:
        ModelError: the margins do not rank the truth, so that no rising curve fits.
    """
    import numpy as np

    counts = np.ones(len(truth)) if weights is None else weights / weights.mean()
    positives = float((counts * truth).sum())
    negatives = len(truth) - positives
    target = np.where(truth > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    slope, intercept = 0.0, float(np.log((positives + 1) / (negatives + 1)))
    centre = float((counts * margins).mean())
    spread = float(np.sqrt((counts * (margins - centre) ** 2).mean()))
    if spread > 0:
        z = (margins - centre) / spread
        for _ in range(100):
            p = 1.0 / (1.0 + np.exp(-(slope * z + intercept)))
            weight, error = counts * p * (1 - p), counts * (p - target)
            g0, g1 = error.sum(), (error * z).sum()
            h00, h01, h11 = weight.sum() + 1e-9, (weight * z).sum(), (weight * z * z).sum() + 1e-9
            det = h00 * h11 - h01 * h01
            step0, step1 = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
            limit = min(1.0, 2.0 / max(abs(step0), abs(step1), 1e-12))
            intercept, slope = float(intercept - limit * step0), float(slope - limit * step1)
            if max(abs(step0), abs(step1)) < 1e-10:
                break
    if not slope > 0:
        raise ModelError(
            "The model ranks the validation rows no better than chance, so its probabilities mean nothing. "
            "Look for features that say something about the label, or for more labels."
        )
    return Calibration(slope=slope / spread, intercept=intercept - slope * centre / spread)
