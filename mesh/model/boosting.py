"""Boosted trees: grown without the newest rows, which stop them, and then as many with those."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh.model.encoding import CATEGORY, Feature
from mesh.model.engine import lightgbm
from mesh.model.parameters import RICHER, lightgbm_parameters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """What learning gave, of whichever algorithm.

    Attributes:
        text: the model as it is stored.
        held_out: margins of the validation rows by a model that had not learned them.
        parameters: what was in force, defaults and choices made on the way included.
        size: number of trees, or of coefficients.
        importance: share of each feature, in their order, summing to 1.
    """

    text: str
    held_out: Floats = field(repr=False)
    parameters: Mapping[str, object]
    size: int
    importance: tuple[float, ...]


def grow(
    given: Mapping[str, float | int | bool],
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    tail: slice,
    *,
    seed: int,
    threads: int,
) -> Learned:
    """Trees without the tail of the earlier rows, which stops them, and then as many trees with it.

    Where the definition names no parameters, small trees are tried beside richer ones on the tail. The richer have to
    tell more by a standard error: few rows or a weak signal are better served by the small.

    What is newest is most like what comes next, so the trees that score have learned it too; how far to trust them is
    told by the first ones, which have not.
    """
    import numpy as np

    parameters = lightgbm_parameters(given, seed=seed, threads=threads)
    draft = fit(parameters, features, matrix, truth, weights, slice(0, tail.start), tail)
    held_out = np.asarray(draft.predict(matrix[tail], raw_score=True, num_threads=threads), dtype=np.float64)
    for richer in () if given else RICHER:
        merged = lightgbm_parameters(richer, seed=seed, threads=threads)
        other = fit(merged, features, matrix, truth, weights, slice(0, tail.start), tail)
        theirs = np.asarray(other.predict(matrix[tail], raw_score=True, num_threads=threads), dtype=np.float64)
        saved = _lost(held_out, truth[tail], weights, tail) - _lost(theirs, truth[tail], weights, tail)
        if saved.mean() > saved.std() / np.sqrt(len(saved)):
            parameters, draft, held_out = merged, other, theirs
    whole = {name: value for name, value in parameters.items() if name != "early_stopping_round"}
    whole["num_iterations"] = max(int(draft.best_iteration), 1)
    final = fit(whole, features, matrix, truth, weights, slice(0, tail.stop))
    gain = np.asarray(final.feature_importance("gain"), dtype=np.float64)
    return Learned(
        text=_portable(final.model_to_string()),
        held_out=held_out,
        parameters={name: value for name, value in parameters.items() if name != "num_threads"},
        size=final.num_trees(),
        importance=tuple((gain / max(gain.sum(), 1e-12)).tolist()),
    )


def fit(
    parameters: Mapping[str, object],
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    learn: Any,
    stop: Any = None,
    callbacks: Sequence[Any] = (),
) -> Any:
    """A booster of the rows `learn`, stopped by the loss on the rows `stop` where there are any."""
    lgb = lightgbm()
    names = [feature.name for feature in features]
    kinds = [place for place, feature in enumerate(features) if feature.kind == CATEGORY]

    def data(place: Any, reference: Any = None) -> Any:
        weight = None if weights is None else normal(weights[place])
        return lgb.Dataset(
            matrix[place], truth[place], weight=weight, feature_name=names, categorical_feature=kinds,
            reference=reference,
        )  # fmt: skip

    train = data(learn)
    if stop is None:
        return lgb.train(dict(parameters), train, callbacks=list(callbacks))
    judge = _LevelLoss(truth[stop], None if weights is None else normal(weights[stop]))
    # LightGBM sums its own loss by thread, so that the last digit - and with it the number of trees - would hang on
    # how many there are.
    settings = {**parameters, "metric": "None"}
    return lgb.train(settings, train, valid_sets=[data(stop, train)], feval=judge, callbacks=list(callbacks))


class _LevelLoss:
    """The loss of margins after the one number was fitted to the same rows that sets their level.

    The rows that stop the trees calibrate them afterwards. By the plain loss a base rate that moved between the rows
    that teach and those that stop would end the learning before the trees can rank.
    """

    STEPS, ENOUGH = 10, 1e-7

    def __init__(self, truth: Floats, weights: Floats | None) -> None:
        import numpy as np

        self.truth = truth
        self.weights = np.ones(len(truth)) if weights is None else weights
        self.level = 0.0

    def __call__(self, chance: Floats, _: Any = None) -> tuple[str, float, bool]:
        return "loss", float(self.of_rows(chance).sum() / self.weights.sum()), False

    def of_rows(self, chance: Floats) -> Floats:
        """Weighted loss row by row."""
        import numpy as np

        chance = np.clip(chance, 1e-9, 1 - 1e-9)
        margins = np.log(chance) - np.log1p(-chance)
        # Newton's method from where the trees before left off, which is near.
        for _ in range(self.STEPS):
            p = 1.0 / (1.0 + np.exp(-(margins + self.level)))
            step = float((self.weights * (p - self.truth)).sum() / ((self.weights * p * (1 - p)).sum() + 1e-9))
            self.level -= min(max(step, -1.0), 1.0)
            if abs(step) < self.ENOUGH:
                break
        value = margins + self.level
        # log(1 + e^-v) and log(1 + e^v), neither of which may overflow.
        lost: Floats = self.weights * np.logaddexp(0.0, np.where(self.truth > 0, -value, value))
        return lost


def _lost(margins: Floats, truth: Floats, weights: Floats | None, tail: slice) -> Floats:
    """Loss of the rows of the tail, one by one, their level fitted."""
    import numpy as np

    judge = _LevelLoss(truth, None if weights is None else normal(weights[tail]))
    return judge.of_rows(1.0 / (1.0 + np.exp(-margins)))


def normal(weights: Floats) -> Floats:
    """Weights of mean 1, so that penalties mean the same with and without them."""
    scaled: Floats = weights / weights.mean()
    return scaled


def loss(truth: Floats, chance: Floats, weights: Floats | None = None) -> float:
    """Mean loss in nats."""
    import numpy as np

    chance = np.clip(chance, 1e-9, 1 - 1e-9)
    lost = -np.where(truth > 0, np.log(chance), np.log1p(-chance))
    return float(lost.mean() if weights is None else (lost * weights).sum() / weights.sum())


def _portable(text: str) -> str:
    """The model's text without the thread count it was trained with, the only word that differs between machines."""
    return re.sub(r"\[num_threads: \d+\]", "[num_threads: 0]", text)
