"""Boosted trees: grown without the newest rows, which stop them, and then as many with those."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh.model.encoding import CATEGORY, Feature
from mesh.model.engine import lightgbm
from mesh.model.parameters import lightgbm_parameters

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

    What is newest is most like what comes next, so the trees that score have learned it too; how far to trust them is
    told by the first ones, which have not.
    """
    import numpy as np

    parameters = lightgbm_parameters(given, seed=seed, threads=threads)
    draft = fit(parameters, features, matrix, truth, weights, slice(0, tail.start), tail)
    held_out = np.asarray(draft.predict(matrix[tail], raw_score=True, num_threads=threads), dtype=np.float64)
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
    labels, weight = truth[stop], None if weights is None else normal(weights[stop])

    def judge(chance: Floats, _: Any) -> tuple[str, float, bool]:
        return "loss", loss(labels, chance, weight), False

    # LightGBM sums its own loss by thread, so that the last digit - and with it the number of trees - would hang on
    # how many there are.
    settings = {**parameters, "metric": "None"}
    return lgb.train(settings, train, valid_sets=[data(stop, train)], feval=judge, callbacks=list(callbacks))


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
