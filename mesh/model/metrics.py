"""How well a score ranks and how true its probabilities are, each figure with a bootstrap interval.

Everything is computed on weights over rows sorted once by score, so that a resample is only other weights. Rows
with the same score are one group: no figure depends on the order of ties. Interval = 2.5 to 97.5 percentile of
resamples of rows. Where rows stand for unequally many, every figure is that of what they stand for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

RESAMPLES = 200
CALIBRATION_BINS = 10
FALSE_POSITIVES = 0.05
POPULATION = "population_"
"""Prefix of a figure that speaks for all rows and not only for those that were reviewed."""


@dataclass(frozen=True)
class Metric:
    """A figure and its 95 % bootstrap interval; counts have `low == value == high`."""

    value: float
    low: float
    high: float


def evaluate(
    y: npt.ArrayLike,
    p: npt.ArrayLike,
    capacity: float,
    seed: int,
    resamples: int = RESAMPLES,
    *,
    weights: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
) -> dict[str, Metric]:
    """Figures of probabilities `p` against truth `y` (0 or 1), both of one length.

    `auc`, `average_precision`, `brier`, `ece` (expected calibration error, ten bins of equal size),
    `precision_at_capacity` and `recall_at_capacity` (the top `capacity` share is reviewed; ties share the places
    left), `recall_at_5_percent_false_positives` (the threshold that flags so many of the negatives), `n`, `positives`.

    Args:
        weights: how many rows each row stands for; default one. Rows that stand for none are left out.
        values: what finding each row is worth. Adds `money_caught_per_1000_reviews`: the values of the positives among
            the top `capacity` share, per 1,000 rows reviewed. A missing value counts as nothing.

    Raises:
        ModelError: one of the two classes is not there, so that nothing can be measured.
    """
    import numpy as np

    truth, score = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    worth = None if values is None else np.nan_to_num(np.asarray(values, dtype=np.float64))
    counts = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    counts, truth, score, worth = _counted(counts, truth, score, worth)
    positives = int(truth.sum())
    if not 0 < positives < len(truth):
        raise ModelError(f"Nothing can be measured on {len(truth)} rows of which {positives} are positive.")
    ranked = _Ranked(truth, score, capacity, worth)
    counts = counts[ranked.order]
    point = ranked.figures(counts)
    rng = np.random.default_rng(seed)
    draws: list[dict[str, float]] = []
    while len(draws) < resamples:
        drawn = np.bincount(rng.integers(0, len(truth), len(truth)), minlength=len(truth)).astype(np.float64)
        if 0 < drawn @ ranked.truth < len(truth):
            draws.append(ranked.figures(drawn * counts))
    result = {}
    for name, value in point.items():
        low, high = np.quantile([draw[name] for draw in draws], (0.025, 0.975)) if draws else (value, value)
        result[name] = Metric(value, float(min(low, value)), float(max(high, value)))
    for name, count in (("n", len(truth)), ("positives", positives)):
        result[name] = Metric(float(count), float(count), float(count))
    return result


def paired(
    y: npt.ArrayLike,
    mine: npt.ArrayLike,
    theirs: npt.ArrayLike,
    capacity: float,
    seed: int,
    resamples: int = RESAMPLES,
    *,
    weights: npt.ArrayLike | None = None,
    values: npt.ArrayLike | None = None,
) -> dict[str, tuple[float, float, Metric]]:
    """Figures of two sets of probabilities of the same rows: of one, of the other, and one less the other.

    Both are measured on the same resamples of rows, so that the interval is of the difference alone. Weights and values
    are as for `evaluate`.
    """
    import numpy as np

    truth = np.asarray(y, dtype=np.float64)
    worth = None if values is None else np.nan_to_num(np.asarray(values, dtype=np.float64))
    counts = np.ones(len(truth)) if weights is None else np.asarray(weights, dtype=np.float64)
    scores = (np.asarray(given, dtype=np.float64) for given in (mine, theirs))
    counts, truth, one_score, other_score, worth = _counted(counts, truth, *scores, worth)
    sides = [_Ranked(truth, given, capacity, worth) for given in (one_score, other_score)]
    points = [ranked.figures(counts[ranked.order]) for ranked in sides]
    rng = np.random.default_rng(seed)
    draws: list[dict[str, float]] = []
    while len(draws) < resamples:
        drawn = np.bincount(rng.integers(0, len(truth), len(truth)), minlength=len(truth)).astype(np.float64)
        if 0 < drawn @ truth < len(truth):
            one, other = (ranked.figures((drawn * counts)[ranked.order]) for ranked in sides)
            draws.append({name: one[name] - other[name] for name in one})
    found = {}
    for name, value in points[0].items():
        change = value - points[1][name]
        low, high = np.quantile([draw[name] for draw in draws], (0.025, 0.975)) if draws else (change, change)
        found[name] = (value, points[1][name], Metric(change, float(min(low, change)), float(max(high, change))))
    return found


def _counted(counts: Floats, *columns: Any) -> tuple[Any, ...]:
    """The rows that stand for something: with the others a resample might hold no positive that counts."""
    kept = counts > 0
    if kept.all():
        return counts, *columns
    return counts[kept], *(None if column is None else column[kept] for column in columns)


def auc(y: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Probability that a positive row scores above a negative one, ties counting half."""
    import numpy as np

    ranked = _Ranked(np.asarray(y, dtype=np.float64), np.asarray(score, dtype=np.float64), 0.5)
    return ranked.curves(np.ones(len(ranked.truth)))["auc"]


class _Ranked:
    """Rows sorted by falling score, and where the groups of equal scores start."""

    def __init__(self, truth: Floats, score: Floats, capacity: float, worth: Floats | None = None) -> None:
        import numpy as np

        self.order = np.argsort(-score, kind="stable")
        self.truth, self.score, self.capacity = truth[self.order], score[self.order], capacity
        self.caught = None if worth is None else (truth * worth)[self.order]
        self.starts = np.concatenate(([0], np.flatnonzero(self.score[1:] != self.score[:-1]) + 1))
        edges = (np.arange(CALIBRATION_BINS) * len(truth)) // CALIBRATION_BINS
        self.bins = np.unique(edges)

    def figures(self, weights: Floats) -> dict[str, float]:
        import numpy as np

        total = weights.sum()
        error = weights * (self.score - self.truth)
        return {
            **self.curves(weights),
            "brier": float((error * (self.score - self.truth)).sum() / total),
            "ece": float(np.abs(np.add.reduceat(error, self.bins)).sum() / total),
        }

    def curves(self, weights: Floats) -> dict[str, float]:
        import numpy as np

        hits = np.add.reduceat(weights * self.truth, self.starts)
        misses = np.add.reduceat(weights * (1.0 - self.truth), self.starts)
        found, false = np.cumsum(hits), np.cumsum(misses)
        seen = np.maximum(found + false, 1e-12)
        reviewed = self.capacity * seen[-1]
        from_none, found_from_none = np.concatenate(([0.0], seen)), np.concatenate(([0.0], found))
        caught = float(np.interp(reviewed, from_none, found_from_none))
        # Where several thresholds flag the same share of the negatives, the one that finds most counts.
        at_false = np.interp(FALSE_POSITIVES * false[-1], np.concatenate(([0.0], false)), found_from_none)
        money = {}
        if self.caught is not None:
            sums = np.cumsum(np.add.reduceat(weights * self.caught, self.starts))
            worth = float(np.interp(reviewed, from_none, np.concatenate(([0.0], sums))))
            money = {"money_caught_per_1000_reviews": 1000.0 * worth / float(reviewed)}
        return {
            "auc": float((misses * (found - hits / 2.0)).sum() / (found[-1] * false[-1])),
            "average_precision": float((hits * found / seen).sum() / found[-1]),
            "precision_at_capacity": caught / float(reviewed),
            "recall_at_capacity": caught / float(found[-1]),
            "recall_at_5_percent_false_positives": float(at_false) / float(found[-1]),
            **money,
        }


def curve_points(y: npt.ArrayLike, p: npt.ArrayLike) -> dict[str, Any]:
    """Arrays of the usual curves by falling score: `recall`, `precision`, `false_rate`, `share` (of rows seen)."""
    import numpy as np

    ranked = _Ranked(np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64), 0.5)
    ends = np.concatenate((ranked.starts[1:], [len(ranked.truth)]))
    found = np.cumsum(ranked.truth)[ends - 1]
    return {
        "recall": found / found[-1],
        "precision": found / ends,
        "false_rate": (ends - found) / max(len(ranked.truth) - found[-1], 1.0),
        "share": ends / len(ranked.truth),
    }


def calibration_points(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Any, Any]:
    """Mean probability and share of positives of ten bins of equal size, by falling probability."""
    import numpy as np

    ranked = _Ranked(np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64), 0.5)
    sizes = np.diff(np.concatenate((ranked.bins, [len(ranked.truth)])))
    return np.add.reduceat(ranked.score, ranked.bins) / sizes, np.add.reduceat(ranked.truth, ranked.bins) / sizes
