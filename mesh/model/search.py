"""Parameters looked for inside the training rows, by blocks of time, within a budget of trials.

A trial learns without a block and is judged on it, block after block; the validation rows, which stop and calibrate,
and the test rows take no part. The first trials are what would have been tried without a search, so that the search can
only improve on it. Optuna proposes (TPE, seeded, in memory, one trial at a time); nothing depends on a clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.boosting import fit, loss
from mesh.model.definition import LOGISTIC, LOSS, ModelDefinition
from mesh.model.encoding import Feature
from mesh.model.learning_rows import LearningRows
from mesh.model.logistic_fit import fit_blocks
from mesh.model.parameters import ALL_PARAMETERS, DEFAULTS, RICHER, lightgbm_parameters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

BLOCKS = 4
LEAST_POSITIVES = 5
"""Positives, and negatives, that a block needs."""

MAX_ROWS = 100_000
"""Rows that a search looks at; of more it takes evenly spaced ones."""

STARTING_TRIALS = 8
"""Trials at random before the sampler follows what it has seen."""

WIDE = 10.0
"""Ratio of the ends of a range from which it is searched by magnitude."""

DIGITS = 9
"""Digits of a trial's value that count: the same trial on another machine may differ beyond them."""


@dataclass(frozen=True)
class Trial:
    """One set of parameters and what it came to; `value` is a loss in nats, or an average precision."""

    number: int
    parameters: Mapping[str, float | int]
    value: float


@dataclass(frozen=True)
class SearchResult:
    """All trials in their order, and the number of the best."""

    objective: str
    blocks: int
    rows: int
    trials: tuple[Trial, ...]
    best: int

    @property
    def parameters(self) -> dict[str, float | int]:
        return dict(self.trials[self.best].parameters)

    def to_dict(self) -> dict[str, Any]:
        """As it is logged: parameters and values, no row."""
        return asdict(self)


def search(
    definition: ModelDefinition,
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    *,
    threads: int,
) -> SearchResult:
    """Look for parameters as the definition says.

    Args:
        matrix, truth, weights: the training rows alone, ordered by (time, key).
        threads: changes no result.

    Raises:
        ModelError: the rows are too few to be cut into blocks.
    """
    import numpy as np
    import optuna

    wanted = definition.search
    assert wanted is not None
    given = LearningRows(features, matrix, truth, weights)
    few, rows = given.fewest, given.spaced(MAX_ROWS)
    count = min(BLOCKS, few // LEAST_POSITIVES)
    if count < 2:
        raise ModelError(
            f"{definition.model}: {few} training rows of one kind are too few to search by. "
            "Leave out `search`, or wait for outcomes."
        )
    # Parted by the rarer class, so that no block and no rest goes without it.
    rarer = np.cumsum(rows.truth == (1.0 if 2 * rows.truth.sum() <= len(rows) else 0.0))
    block = np.minimum(np.maximum(rarer - 1, 0) * count // few, count - 1)
    judge = _Judge(definition, rows, block, threads)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=definition.seed, n_startup_trials=STARTING_TRIALS)
    study = optuna.create_study(sampler=sampler, direction="minimize" if wanted.objective == LOSS else "maximize")
    for usual in _usual(definition):
        study.enqueue_trial(usual)
    study.optimize(lambda trial: judge.value(_ask(trial, definition)), n_trials=wanted.trials)
    trials = tuple(Trial(one.number, dict(one.params), float(one.value or 0.0)) for one in study.trials)
    sign = 1.0 if wanted.objective == LOSS else -1.0
    best = min(trials, key=lambda one: (sign * one.value, one.number)).number
    return SearchResult(wanted.objective, count, len(rows), trials, best)


def _ask(trial: Any, definition: ModelDefinition) -> dict[str, float | int]:
    assert definition.search is not None
    asked: dict[str, float | int] = {}
    for name, low, high in definition.search.space:
        wide = low > 0 and high / low >= WIDE
        if ALL_PARAMETERS[definition.algorithm][name] is int:
            asked[name] = trial.suggest_int(name, int(low), int(high), log=wide)
        else:
            asked[name] = trial.suggest_float(name, low, high, log=wide)
    return asked


def parameters_with(definition: ModelDefinition, asked: Mapping[str, float | int]) -> dict[str, float | int | bool]:
    """What the definition sets and what the search found; trees that learn slowly get the room to."""
    room = {} if definition.algorithm == LOGISTIC else {"num_iterations": RICHER[0]["num_iterations"]}
    return {**room, **definition.parameters, **asked}


def _usual(definition: ModelDefinition) -> list[dict[str, float | int]]:
    """What would be tried without a search, within the space; nothing where the algorithm has no fixed defaults."""
    assert definition.search is not None
    found: list[dict[str, float | int]] = []
    for profile in () if definition.algorithm == LOGISTIC else ({}, *RICHER):
        usual = {**DEFAULTS, **profile}
        if not all(name in usual for name, _, _ in definition.search.space):
            continue
        kinds = ALL_PARAMETERS[definition.algorithm]
        one = {
            name: kinds[name](min(max(float(usual[name]), low), high)) for name, low, high in definition.search.space
        }
        if one not in found:
            found.append(one)
    return found


class _Judge:
    """Blocks of rows, and what parameters come to across them."""

    def __init__(
        self,
        definition: ModelDefinition,
        rows: LearningRows,
        block: npt.NDArray[np.int64],
        threads: int,
    ) -> None:
        self.definition, self.rows, self.block, self.threads = definition, rows, block, threads
        assert definition.search is not None
        self.objective = definition.search.objective

    def value(self, asked: Mapping[str, float | int]) -> float:
        """Mean over the blocks."""
        values = [self._of(asked, block) for block in range(int(self.block.max()) + 1)]
        return round(sum(values) / len(values), DIGITS)

    def _of(self, asked: Mapping[str, float | int], block: int) -> float:
        import numpy as np

        other, mine = np.flatnonzero(self.block != block), np.flatnonzero(self.block == block)
        given, rows = parameters_with(self.definition, asked), self.rows
        if self.definition.algorithm == LOGISTIC:
            margins = fit_blocks(given, rows.features, rows.matrix, rows.truth, rows.weights, other, mine)
            chance = 1.0 / (1.0 + np.exp(-margins))
        else:
            parameters = lightgbm_parameters(given, seed=self.definition.seed, threads=self.threads)
            trees = fit(parameters, rows.features, rows.matrix, rows.truth, rows.weights, other, mine)
            chance = np.asarray(trees.predict(rows.matrix[mine], num_threads=self.threads), dtype=np.float64)
        weights = None if rows.weights is None else rows.weights[mine]
        if self.objective == LOSS:
            return loss(rows.truth[mine], chance, weights)
        return average_precision(rows.truth[mine], chance, weights)


def average_precision(truth: Floats, score: Floats, weights: Floats | None) -> float:
    from mesh.model.metrics import evaluate

    return evaluate(truth, score, 0.5, 0, 0, weights=weights)["average_precision"].value
