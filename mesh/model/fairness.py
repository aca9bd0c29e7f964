"""How a model treats groups of people: per group the figures auditors ask for, and whether they differ from the rest.

Every figure of a group is held against that of the rest: all other rows whose group is known, so that those of whom
nothing is known do not blur the comparison of the others. A flag rate is of all rows. The
others need a truth, and only rows that somebody reviewed have one: precision, recall and false positives are of rows
whose label is known, weighted where the caller says how the reviewed rows were chosen.

Intervals are 95 %: Wilson for shares, order statistics for the median (exact, free of any distribution). A difference
is tested by Fisher's exact test, by the two-proportion test where counts are large, and by Mann and Whitney's for days;
weighted rows count as their effective number (the smaller of Kish's and of what their linearised variance amounts to).
All comparisons of one call are one family: their p-values are adjusted by Holm, so that the chance of a single false
alarm among all of them is at most 5 %. Rows without a group are a group of their own, held against all known ones; a
group on too few rows is told as that, not judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

FLAG_RATE, PRECISION, RECALL, FALSE_POSITIVE_RATE = "flag_rate", "precision", "recall", "false_positive_rate"
MEDIAN_DAYS = "median_days"
FIGURES = (FLAG_RATE, PRECISION, RECALL, FALSE_POSITIVE_RATE, MEDIAN_DAYS)

HIGHER, LOWER, ALIKE, TOO_FEW = "higher", "lower", "not told apart", "too few rows"
VERDICTS = (HIGHER, LOWER, ALIKE, TOO_FEW)

NOT_KNOWN = "not known"
"""The group of rows whose group is missing."""

LEAST_ROWS = 50
LEVEL = 0.05
LARGE = 100.0
"""Expected count of every cell from which the two-proportion test stands in for the exact one."""

Z = 1.959963984540054


@dataclass(frozen=True)
class GroupFigure:
    """One figure of one group of one protected column.

    Attributes:
        rows, share: size of the group, and its share of all rows.
        n: rows that the figure is worked out on: all of the group, or the reviewed ones it is about.
        value, low, high: the figure and its 95 % interval; None on too few rows, or with too few others.
        rest, ratio: the figure of all other rows with a known group, and value by rest; no ratio to nought.
        p, p_adjusted: of the difference from the rest, alone and among all comparisons (Holm).
        verdict: `higher` or `lower` than the rest, `not told apart`, or `too few rows`.
    """

    column: str
    group: str
    figure: str
    rows: int
    share: float
    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rest: float | None = None
    ratio: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    verdict: str = TOO_FEW

    @property
    def judged(self) -> bool:
        return self.verdict != TOO_FEW

    @property
    def differs(self) -> bool:
        return self.verdict in (HIGHER, LOWER)


def group_figures(
    flagged: npt.ArrayLike,
    groups: Mapping[str, Sequence[str | None]] | pa.Table,
    *,
    truth: npt.ArrayLike | None = None,
    weight: npt.ArrayLike | None = None,
    days: npt.ArrayLike | None = None,
    least_rows: int = LEAST_ROWS,
) -> tuple[GroupFigure, ...]:
    """The figures of every group, by column as given, then group by name, then figure.

    Args:
        flagged: per row whether the model picks it.
        groups: per protected column the group of each row, missing where it is not known.
        truth: per row 1 positive, 0 negative, NaN where nobody looked; None where nothing is known of any.
        weight: how many rows a reviewed row stands for; default 1. One that stands for none counts as not looked at.
        days: per row the days until a decision, NaN where there is none.
        least_rows: a figure on fewer rows, or held against fewer, is not judged.

    Raises:
        ModelError: lengths differ, or a weight is below 0.
    """
    import numpy as np

    picked = np.asarray(flagged, dtype=bool)
    known = np.full(len(picked), np.nan) if truth is None else np.asarray(truth, dtype=np.float64)
    heavy = np.ones(len(picked)) if weight is None else np.asarray(weight, dtype=np.float64)
    waited = np.full(len(picked), np.nan) if days is None else np.asarray(days, dtype=np.float64)
    names = list(groups.column_names) if hasattr(groups, "column_names") else list(groups)
    for name, given in (
        ("truth", known),
        ("weight", heavy),
        ("days", waited),
        *((name, groups[name]) for name in names),
    ):
        if len(given) != len(picked):
            raise ModelError(
                f"Fairness is measured row by row: {len(picked)} rows were scored, {name} has {len(given)}."
            )
    if not (heavy[~np.isnan(known)] >= 0).all():
        raise ModelError("A reviewed row stands for a number of rows; a weight is below 0.")
    seen = ~np.isnan(known) & (heavy > 0)
    flat = np.ones(len(picked))
    shares = {
        FLAG_RATE: (np.ones(len(picked), dtype=bool), picked, flat),
        PRECISION: (seen & picked, known == 1.0, heavy),
        RECALL: (seen & (known == 1.0), picked, heavy),
        FALSE_POSITIVE_RATE: (seen & (known == 0.0), picked, heavy),
    }
    found: list[GroupFigure] = []
    for column in names:
        codes, words = _codes(groups[column])
        known_group = codes != words.index(NOT_KNOWN) if NOT_KNOWN in words else np.ones(len(codes), dtype=bool)
        for group in sorted(range(len(words)), key=lambda code: words[code]):
            inside = codes == group
            others = known_group & ~inside
            rows = int(inside.sum())
            base = GroupFigure(column, words[group], "", rows, rows / len(picked), 0)
            for figure, (of, hit, weights) in shares.items():
                if figure == FLAG_RATE or truth is not None:
                    found.append(_share(replace(base, figure=figure), (inside, others), of, hit, weights, least_rows))
            if days is not None:
                found.append(_median(replace(base, figure=MEDIAN_DAYS), (inside, others), waited, least_rows))
    return _judged(found)


def _codes(column: Any) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The group of each row as a number, and the words of the numbers that occur."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(list(column), pa.string())
    encoded = pc.dictionary_encode(pc.fill_null(pc.cast(values, pa.string()), NOT_KNOWN))
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary.to_pylist()


def _share(
    base: GroupFigure, sides: tuple[Bools, Bools], of: Bools, hit: Bools, weights: Floats, least: int
) -> GroupFigure:
    mine, others = of & sides[0], of & sides[1]
    base = replace(base, n=int(mine.sum()))
    if min(base.rows, base.n, int(others.sum())) < least:
        return base
    value, effective = _weighed(hit[mine], weights[mine])
    rest, of_rest = _weighed(hit[others], weights[others])
    low, high = wilson(value, effective)
    p = _difference(value, effective, rest, of_rest)
    return replace(base, value=value, low=low, high=high, rest=rest, ratio=_ratio(value, rest), p=p)


def _median(base: GroupFigure, sides: tuple[Bools, Bools], waited: Floats, least: int) -> GroupFigure:
    import numpy as np
    from scipy import stats

    there = ~np.isnan(waited)
    mine, others = waited[there & sides[0]], waited[there & sides[1]]
    base = replace(base, n=len(mine))
    if min(base.rows, base.n, len(others)) < least:
        return base
    value, rest = float(np.median(mine)), float(np.median(others))
    ends = stats.quantile_test(mine, q=value, p=0.5).confidence_interval(1 - LEVEL)
    low, high = float(ends.low), float(ends.high)
    same = len(np.unique(np.concatenate((mine, others)))) == 1
    p = 1.0 if same else float(stats.mannwhitneyu(mine, others, method="asymptotic").pvalue)
    return replace(base, value=value, low=low, high=high, rest=rest, ratio=_ratio(value, rest), p=p)


def _ratio(value: float, rest: float) -> float | None:
    return value / rest if rest > 0 else None


def _weighed(hit: Bools, weights: Floats) -> tuple[float, float]:
    """The weighted share of hits, and how many rows of one weight would be as sure."""
    total = float(weights.sum())
    share = float(weights[hit].sum()) / total
    squares = weights * weights
    effective = total * total / float(squares.sum())
    # Where the heavy rows are of the rarer kind, a share is less sure than its weights alone tell.
    spread = float((squares * (hit - share) ** 2).sum()) / (total * total)
    return share, min(effective, share * (1 - share) / spread) if spread > 0 else effective


def wilson(share: float, n: float) -> tuple[float, float]:
    """The 95 % interval of a share seen on `n` rows (Wilson 1927)."""
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _difference(first: float, n: float, second: float, m: float) -> float:
    """Two-sided p of two shares on `n` and `m` rows being one and the same."""
    from scipy import stats

    pooled = (first * n + second * m) / (n + m)
    if min(pooled, 1 - pooled) * min(n, m) < LARGE:
        a, b, rows, others = round(first * n), round(second * m), round(n), round(m)
        return float(stats.fisher_exact([[a, rows - a], [b, others - b]]).pvalue)
    z = (first - second) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return float(2 * stats.norm.sf(abs(z)))


def _judged(figures: Sequence[GroupFigure]) -> tuple[GroupFigure, ...]:
    """Adjust all p-values as one family and say what they mean."""
    adjusted = iter(holm([figure.p for figure in figures if figure.p is not None]))
    found = []
    for figure in figures:
        if figure.p is None or figure.value is None or figure.rest is None:
            found.append(figure)
            continue
        p = next(adjusted)
        side = HIGHER if figure.value > figure.rest else LOWER
        # Equal medians may differ in how they spread; then neither is higher.
        verdict = side if p < LEVEL and figure.value != figure.rest else ALIKE
        found.append(replace(figure, p_adjusted=p, verdict=verdict))
    return tuple(found)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm 1979): below 5 % means that at 5 % the whole family has at most one chance in twenty of a
    false alarm.
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for place, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        largest = max(largest, min(ps[index] * (len(ps) - place), 1.0))
        adjusted[index] = largest
    return adjusted


def most_unequal(figures: Iterable[GroupFigure], figure: str) -> GroupFigure | None:
    """Of the judged groups the one that is furthest from its rest, in either direction; None where none is judged."""
    return min((one for one in figures if one.figure == figure and one.judged), key=evenness, default=None)


def evenness(figure: GroupFigure) -> float:
    """How alike a judged group and its rest are: the smaller by the larger of both, 1 where they are equal."""
    first, second = sorted((figure.value or 0.0, figure.rest or 0.0))
    return first / second if second > 0 else 1.0
