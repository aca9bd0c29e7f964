"""How far a column's values moved from earlier to later rows: the population stability index.

PSI = sum over bins of (later share - earlier share) x ln(later share / earlier share). Below 0.1 a column counts as
stable, from 0.25 on as moved (the usual bounds of credit scoring). Numbers are cut at the tenths of the earlier rows;
a category is a bin; missing, and a category that training did not know, are bins of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mesh.model.encoding import CATEGORY, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BINS = 10
STABLE, MOVED = 0.1, 0.25
FLOOR = 1e-4
"""Share that an empty bin counts as, so that the index stays finite."""


class Reference:
    """The values of one encoded column that others are held against; NaN where missing."""

    def __init__(self, feature: Feature, values: Floats) -> None:
        import numpy as np

        self.kind, self.rows = feature.kind, len(values)
        if feature.kind == CATEGORY:
            self.edges = np.arange(len(feature.categories)) + 0.5
        else:
            known = values[~np.isnan(values)]
            self.edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else np.zeros(0)
        self.shares = self._shares(values)
        self.ranked = np.sort(_below_all(values))

    def psi(self, later: Floats) -> float:
        """Population stability index of other values; 0 where either part has no rows."""
        import numpy as np

        if not self.rows or not len(later):
            return 0.0
        shares = self._shares(later)
        return float(((shares - self.shares) * np.log(shares / self.shares)).sum())

    def ks(self, later: Floats) -> float | None:
        """Greatest distance between the two distribution functions (Kolmogorov and Smirnov), missing values lowest;
        None for a category, which has no order, and where either part has no rows.
        """
        import numpy as np

        if self.kind == CATEGORY or not self.rows or not len(later):
            return None
        ranked = np.sort(_below_all(later))
        # Between two points of the later rows their function is flat, so the distance is greatest beside a point.
        points = np.unique(ranked)
        before = _function(ranked, points, "left") - _function(self.ranked, points, "left")
        after = _function(ranked, points, "right") - _function(self.ranked, points, "right")
        return float(np.abs(np.concatenate((before, after))).max())

    def _shares(self, values: Floats) -> Floats:
        import numpy as np

        missing = np.isnan(values)
        last = len(self.edges) + 1
        bins = np.where(missing, last, np.searchsorted(self.edges, np.where(missing, 0.0, values), side="left"))
        counts = np.bincount(bins.astype(np.int64), minlength=last + 1)
        return np.asarray(np.maximum(counts / max(len(values), 1), FLOOR))


def stability_index(feature: Feature, earlier: Floats, later: Floats) -> float:
    """PSI of one encoded column; 0 where either part has no rows.

    Args:
        earlier: encoded values of the rows that were learned from, NaN where missing.
        later: those of later rows.
    """
    return Reference(feature, earlier).psi(later)


def _function(ranked: Floats, points: Floats, side: Literal["left", "right"]) -> Floats:
    """The distribution function of sorted values, just before each point or at it."""
    import numpy as np

    return np.searchsorted(ranked, points, side=side) / len(ranked)


def _below_all(values: Floats) -> Floats:
    import numpy as np

    return np.where(np.isnan(values), -np.inf, values)
