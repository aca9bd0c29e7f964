"""Which features tell a group of people by themselves, so that leaving the group's column out does not leave it out.

A feature is judged by how well it ranks the rows of a group before all others: AUC in either direction, missing values
first or last; a category by the share of the group among the other half of the rows, as for leaks. 0.5 tells nothing,
1 tells it for certain. The score is judged like a feature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.encoding import CATEGORY, NUMBER, Feature
from mesh.model.leakage import single_auc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

SCORE = "score"
STRONG = 0.7
"""AUC from which a feature is told as a proxy; below it, a group is told little better than by chance."""

MOST_ROWS = 10_000
"""Rows looked at; the standard error of an AUC on them is about 0.01 for a group of a tenth."""


@dataclass(frozen=True)
class Proxy:
    """How well a feature tells the group of a column that it tells best."""

    feature: str
    column: str
    group: str
    auc: float

    @property
    def strong(self) -> bool:
        return self.auc >= STRONG


def proxies(
    features: Sequence[Feature], matrix: Floats, score: Floats, groups: pa.Table, least_rows: int
) -> tuple[Proxy, ...]:
    """For every feature, and the score, and every column of groups: the group it tells best. Strongest first.

    Args:
        matrix: encoded rows x features; `score` and `groups` have the same rows.
        least_rows: smaller groups are passed over, and rows whose group is not known are left out.
    """
    import numpy as np

    # Evenly over the whole, so that no part of the time order is left out and no chance decides.
    chosen = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), MOST_ROWS)).astype(np.int64))
    columns = [*features, Feature(SCORE, NUMBER)]
    values = np.column_stack((matrix[chosen], score[chosen]))
    found = []
    for name in groups.column_names:
        there, members = _members(groups.column(name).take(chosen), least_rows)
        if not members:
            continue
        for place, feature in enumerate(columns):
            aucs = _aucs(feature, values[there, place], list(members.values()))
            group, best = max(zip(members, aucs, strict=True), key=lambda pair: pair[1])
            found.append(Proxy(feature.name, name, group, round(best, 4)))
    return tuple(sorted(found, key=lambda one: (-one.auc, one.column, one.feature)))


def _members(column: Any, least: int) -> tuple[npt.NDArray[np.bool_], dict[str, Floats]]:
    """Which rows have a known group, and among these 1 for the rows of each group that is large enough."""
    import numpy as np

    words = np.asarray(column.to_pylist(), dtype=object)
    there = np.array([word is not None for word in words], dtype=bool)
    counts = Counter(words[there])
    most = int(there.sum()) - least
    large = sorted(word for word, count in counts.items() if least <= count <= most)
    return there, {word: (words[there] == word).astype(np.float64) for word in large}


def _aucs(feature: Feature, values: Floats, members: Sequence[Floats]) -> list[float]:
    """As `single_auc`, for many groups of the same rows, which are sorted once."""
    import numpy as np
    from scipy.stats import rankdata

    if feature.kind == CATEGORY:
        return [single_auc(feature, values, mine) for mine in members]
    missing = np.isnan(values)
    ends = (-np.inf, np.inf) if missing.any() else (0.0,)
    ranked = [rankdata(np.where(missing, end, values)) for end in ends]
    found = []
    for mine in members:
        inside = float(mine.sum())
        pairs = inside * (len(mine) - inside)
        areas = [(float(ranks @ mine) - inside * (inside + 1) / 2) / pairs for ranks in ranked]
        found.append(max(max(area, 1.0 - area) for area in areas))
    return found


def strongest(found: Iterable[Proxy]) -> dict[str, Proxy]:
    """Per column the feature that tells a group of it best."""
    best: dict[str, Proxy] = {}
    for one in sorted(found, key=lambda one: -one.auc):
        if one.feature != SCORE:
            best.setdefault(one.column, one)
    return best
