"""A logistic regression fitted; its penalty is chosen on the validation rows unless the definition names one."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mesh.model.boosting import Learned, loss, normal
from mesh.model.encoding import CATEGORY, Feature
from mesh.model.logistic import CategoryTerm, Logistic, NumberTerm

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Values of `C` that are tried on the validation rows."""

TAIL = 0.001
"""Share of the rows at either end of a number beyond which it is bounded: a line goes on for ever, the data do not."""

DIGITS = 12
"""Significant digits that are kept: sums of another machine may differ beyond them."""


def fit_logistic(
    given: Mapping[str, float | int | bool],
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    tail: slice,
) -> Learned:
    """A model without the tail of the earlier rows, which chooses the penalty, and then one with it."""
    import numpy as np

    head, whole = slice(0, tail.start), slice(0, tail.stop)
    weight = None if weights is None else weights[tail]
    design = _Design(features, matrix[head], None if weights is None else weights[head])
    columns = design.columns(matrix[head])
    tried = []
    for penalty in [float(given["C"])] if "C" in given else PENALTIES:
        model = design.fit(columns, truth[head], penalty)
        margins = model.margins(matrix[tail])
        tried.append((loss(truth[tail], 1.0 / (1.0 + np.exp(-margins)), weight), penalty, margins))
    _, penalty, held_out = min(tried, key=lambda one: one[:2])
    design = _Design(features, matrix[whole], None if weights is None else weights[whole])
    model = design.fit(design.columns(matrix[whole]), truth[whole], penalty)
    moved = np.abs(model.contributions(matrix[whole])).mean(axis=0)
    return Learned(
        text=model.to_text(),
        held_out=held_out,
        parameters={"C": penalty},
        size=sum(len(term.levels) if isinstance(term, CategoryTerm) else 2 for term in model.terms),
        importance=tuple((moved / max(moved.sum(), 1e-12)).tolist()),
    )


def fit_blocks(
    given: Mapping[str, float | int | bool],
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    learn: npt.NDArray[np.int64],
    ask: npt.NDArray[np.int64],
) -> Floats:
    """Margins of the rows `ask` by a model of the rows `learn`."""
    design = _Design(features, matrix[learn], None if weights is None else weights[learn])
    return design.fit(design.columns(matrix[learn]), truth[learn], float(given["C"])).margins(matrix[ask])


class _Design:
    """How a matrix becomes linear terms, learned from rows."""

    def __init__(self, features: Sequence[Feature], matrix: Floats, weights: Floats | None) -> None:
        import numpy as np

        self.features = features
        self.weights = np.ones(len(matrix)) if weights is None else normal(weights)
        self.numbers: dict[int, tuple[float, float, float, float, float]] = {}
        for place, feature in enumerate(features):
            if feature.kind == CATEGORY:
                continue
            values = matrix[:, place]
            there = ~np.isnan(values)
            known, weight = values[there], self.weights[there]
            if not known.size:
                self.numbers[place] = (0.0, 0.0, 0.0, 1.0, 1.0)
                continue
            low, high = (float(end) for end in np.quantile(known, (TAIL, 1 - TAIL)))
            bounded = np.clip(known, low, high)
            mean = float((bounded * weight).sum() / weight.sum())
            spread = float(np.sqrt((weight * (bounded - mean) ** 2).sum() / weight.sum()))
            absent = float(self.weights[~there].sum() / self.weights.sum())
            self.numbers[place] = (low, high, mean, spread if spread > 1e-9 else 1.0, absent)

    def columns(self, matrix: Floats) -> Floats:
        """The terms of rows: rows x terms, each feature's together."""
        import numpy as np

        found = []
        for place, feature in enumerate(self.features):
            values = matrix[:, place]
            absent = np.isnan(values)
            if feature.kind == CATEGORY:
                codes = np.where(absent, len(feature.categories), values)
                found += [(codes == code).astype(np.float64) for code in range(len(feature.categories) + 1)]
            else:
                low, high, mean, scale, share = self.numbers[place]
                found.append(np.where(absent, 0.0, (np.clip(values, low, high) - mean) / scale))
                found.append(absent - share)
        return np.column_stack(found)

    def fit(self, columns: Floats, truth: Floats, penalty: float) -> Logistic:
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        learner = LogisticRegression(C=penalty, solver="lbfgs", max_iter=1000, tol=1e-6)
        # More threads add up in another order.
        with threadpool_limits(1), warnings.catch_warnings():
            # Where the classes can be parted there is next to no optimum; the bound on steps is a penalty, too.
            warnings.simplefilter("ignore", ConvergenceWarning)
            learner.fit(columns, truth, sample_weight=self.weights)
        found = np.asarray(learner.coef_[0], dtype=np.float64)
        base, at = float(learner.intercept_[0]), 0
        terms: list[NumberTerm | CategoryTerm] = []
        for place, feature in enumerate(self.features):
            if feature.kind == CATEGORY:
                size = len(feature.categories) + 1
                levels = found[at : at + size]
                shares = (self.weights[:, None] * columns[:, at : at + size]).sum(axis=0) / self.weights.sum()
                mean = float((levels * shares).sum())
                base += mean
                terms.append(CategoryTerm(feature.name, tuple(_kept(value - mean) for value in levels.tolist())))
                at += size
            else:
                low, high, middle, scale, share = self.numbers[place]
                terms.append(
                    NumberTerm(
                        feature.name, low, high, _kept(middle), _kept(scale), _kept(found[at]), _kept(found[at + 1]),
                        _kept(share),
                    )
                )  # fmt: skip
                at += 2
        return Logistic(_kept(base), tuple(terms))


def _kept(value: float) -> float:
    return float(f"{float(value):.{DIGITS}g}")
