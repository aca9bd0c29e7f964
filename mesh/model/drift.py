"""How far a column's values moved from earlier to later rows: the population stability index.

PSI = sum over bins of (later share - earlier share) x ln(later share / earlier share). Below 0.1 a column counts as
stable, from 0.25 on as moved (the usual bounds of credit scoring). Numbers are cut at the tenths of the earlier rows;
a category is a bin; missing, and a category that training did not know, are bins of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.model.encoding import CATEGORY, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BINS = 10
STABLE, MOVED = 0.1, 0.25
FLOOR = 1e-4
"""Share that an empty bin counts as, so that the index stays finite."""


def stability_index(feature: Feature, earlier: Floats, later: Floats) -> float:
    """PSI of one encoded column; 0 where either part has no rows.

    Args:
        earlier: encoded values of the rows that were learned from, NaN where missing.
        later: those of later rows.
    """
    import numpy as np

    if not len(earlier) or not len(later):
        return 0.0
    if feature.kind == CATEGORY:
        edges = np.arange(len(feature.categories)) + 0.5
    else:
        known = earlier[~np.isnan(earlier)]
        edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if known.size else np.zeros(0)
    shares = []
    for values in (earlier, later):
        missing = np.isnan(values)
        bins = np.where(missing, len(edges) + 1, np.searchsorted(edges, np.where(missing, 0.0, values), side="left"))
        counts = np.bincount(bins.astype(np.int64), minlength=len(edges) + 2)
        shares.append(np.maximum(counts / len(values), FLOOR))
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
