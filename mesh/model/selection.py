"""Which columns a model should see, chosen inside the training rows alone, with a reason for each.

Rows of one time resemble each other, so that a shuffled cross-validation flatters whatever tells times apart. Here
the earlier rows are cut into blocks that follow one another in time; trees learn without a block and are asked about
it, and a column is worth what the loss on that other time rises when its values are shuffled. Four kinds are left out
before that (the same everywhere, the label in disguise, a clock, a part of a date whose cycle did not come round),
then those that mislead, worst first, then those that tell no more than chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.model.boosting import loss, normal
from mesh.model.cycles import comes_round, cycle_of, days_covered
from mesh.model.definition import LIGHTGBM, ModelDefinition
from mesh.model.encoding import CATEGORY, NUMBER, Feature
from mesh.model.engine import lightgbm
from mesh.model.leakage import LIMIT
from mesh.model.learning_rows import LearningRows
from mesh.model.parameters import lightgbm_parameters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

BLOCKS = 8
MIN_BLOCKS = 3
POSITIVES_PER_BLOCK = 5
REPEATS = 2
SHUFFLES = 2
TREES = 80
MAX_ROWS = 20_000
"""Rows that the choice looks at; of more it takes evenly spaced ones."""

ERRORS = 2
"""How many standard errors a gain or harm must be away from nought to count."""

CLOCK = 0.95
"""Rank correlation with the order of the rows from which a number is a clock."""

PER_ROWS = 1000
"""Losses are told per so many rows."""


@dataclass(frozen=True)
class Verdict:
    """What became of one column. `gain` is the loss, in nats per 1,000 rows of another time, that it saves, and
    `error` the standard error of that over the blocks; None where it was decided without.
    """

    column: str
    used: bool
    why: str
    gain: float | None = None
    error: float | None = None


@dataclass(frozen=True)
class Selection:
    """A verdict per column, in their order, and the loss per 1,000 rows of another time with all and with the chosen
    columns; None where nothing was measured.
    """

    verdicts: tuple[Verdict, ...]
    loss_all: float | None = None
    loss_chosen: float | None = None

    @property
    def used(self) -> tuple[str, ...]:
        return tuple(verdict.column for verdict in self.verdicts if verdict.used)


def select(
    definition: ModelDefinition,
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    times: pa.ChunkedArray,
    alone: dict[str, float],
    *,
    weights: Floats | None = None,
    threads: int,
) -> Selection:
    """Choose among the columns.

    Args:
        features: the candidates.
        matrix: their encoded values in the earlier rows (training and validation), ordered by (time, key).
        truth: the labels of those rows.
        times: their times.
        alone: AUC of each column alone.
        weights: how many rows each of them stands for.
        threads: changes no result.
    """
    found = {feature.name: _plain_verdict(feature, matrix[:, at], alone[feature.name], times)
             for at, feature in enumerate(features)}  # fmt: skip
    left = [at for at, feature in enumerate(features) if found[feature.name] is None]
    seen = _Blocks(definition, LearningRows(features, matrix, truth, weights).spaced(MAX_ROWS), threads)
    if not left or seen.count < MIN_BLOCKS:
        why = f"Fewer than {MIN_BLOCKS * POSITIVES_PER_BLOCK} rows of one kind: too few to choose by."
        return Selection(tuple(found[feature.name] or Verdict(feature.name, True, why) for feature in features))
    gains, loss_all = seen.gains(left)
    loss = loss_all
    weighed_once = False
    while len(left) > 1:
        harmful = {at for at in left if gains[at][0] < -ERRORS * gains[at][1]}
        if harmful:
            # One misleading column makes its neighbours look bad, so the worst go first.
            worst = min(gains[at][0] for at in harmful)
            out = {at for at in harmful if gains[at][0] <= worst / 2}
            why = "Misleads: rows of another time are told better without it."
        elif not weighed_once:
            out = {at for at in left if gains[at][0] <= ERRORS * gains[at][1]}
            why = "Tells nothing: without it the loss on rows of another time rises by no more than chance."
            weighed_once = True
        else:
            break
        out -= {max(left, key=lambda at: gains[at][0])}
        for at in out:
            found[features[at].name] = Verdict(features[at].name, False, why, *gains[at])
        if out:
            left = [at for at in left if at not in out]
            gains, loss = seen.gains(left)
        elif weighed_once:
            break
    for at in left:
        gain, error = gains[at]
        why = "Tells something: without it the loss on rows of another time rises."
        if gain <= ERRORS * error:
            why = "The best of the columns, though it tells little."
        found[features[at].name] = Verdict(features[at].name, True, why, gain, error)
    verdicts = tuple(verdict for feature in features if (verdict := found[feature.name]) is not None)
    return Selection(verdicts, loss_all, loss)


def all_used(features: Sequence[Feature]) -> Selection:
    """Every column, because the definition says so."""
    return Selection(tuple(Verdict(feature.name, True, "The definition leaves it in.") for feature in features))


def _plain_verdict(feature: Feature, values: Floats, alone: float, times: pa.ChunkedArray) -> Verdict | None:
    """The verdict on a column that needs no trees; None where it has to be tried."""
    import numpy as np

    def out(why: str) -> Verdict:
        return Verdict(feature.name, False, why)

    known = values[~np.isnan(values)]
    if not known.size or ((known == known[0]).all() and known.size == values.size):
        return out("The same in every earlier row.")
    if alone > LIMIT:
        return out(f"Tells the label alone (AUC {alone:.3f}): known only after the decision, most likely.")
    if feature.kind == NUMBER and abs(_rank_correlation(values)) > CLOCK:
        return out("Counts on with time: later rows have values that training never saw.")
    cycle = cycle_of(feature, values)
    if cycle is not None and not comes_round(cycle, days_covered(times)):
        return out(f"Part of a {cycle}, of which training saw less than two: it stands for the moment, not the season.")
    return None


def _rank_correlation(values: Floats) -> float:
    """Of the known values with their place in time."""
    import numpy as np

    place = np.flatnonzero(~np.isnan(values))
    known = values[place]
    if len(known) < 3:
        return 0.0
    _, inverse, counts = np.unique(known, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2.0)[inverse]
    return float(np.corrcoef(ranks, place)[0, 1])


class _Blocks:
    """Earlier rows in blocks of time, and what columns are worth across them."""

    def __init__(self, definition: ModelDefinition, rows: LearningRows, threads: int) -> None:
        import numpy as np

        self.rows, self.threads = rows, threads
        # Trees choose for a logistic model too: they see what a line would not, and cost less.
        own = definition.parameters if definition.algorithm == LIGHTGBM else {}
        given = {**own, "num_iterations": TREES}
        self.parameters = lightgbm_parameters(given, seed=definition.seed, threads=threads)
        self.parameters.pop("early_stopping_round")
        self.seed = definition.seed
        self.count = min(BLOCKS, rows.fewest // POSITIVES_PER_BLOCK)
        self.block = np.arange(len(rows)) * max(self.count, 1) // max(len(rows), 1)

    def gains(self, left: Sequence[int]) -> tuple[dict[int, tuple[float, float]], float]:
        """For each column (gain, its standard error), and the loss with them all, per 1,000 rows."""
        import numpy as np

        rises = np.zeros((self.count, len(left)))
        losses = np.zeros(self.count)
        for block in range(self.count):
            for repeat in range(REPEATS):
                rise, loss = self._one(left, block, repeat)
                rises[block] += rise / REPEATS
                losses[block] += loss / REPEATS
        error = rises.std(axis=0, ddof=1) / np.sqrt(self.count)
        mean = rises.mean(axis=0)
        scaled = {at: (float(mean[n]) * PER_ROWS, float(error[n]) * PER_ROWS) for n, at in enumerate(left)}
        return scaled, float(losses.mean()) * PER_ROWS

    def _one(self, left: Sequence[int], block: int, repeat: int) -> tuple[Floats, float]:
        import numpy as np

        lgb, given = lightgbm(), self.rows
        other, mine = self.block != block, self.block == block
        kinds = [n for n, at in enumerate(left) if given.features[at].kind == CATEGORY]
        weight = None if given.weights is None else normal(given.weights[other])
        learn = lgb.Dataset(given.matrix[other][:, left], given.truth[other], weight=weight, categorical_feature=kinds)
        trees = lgb.train({**self.parameters, "seed": self.seed + repeat}, learn)
        rows, truth = given.matrix[mine][:, left], given.truth[mine]
        stands = None if given.weights is None else given.weights[mine]

        def lost(values: Floats) -> float:
            return loss(truth, trees.predict(values, num_threads=self.threads), stands)

        base = lost(rows)
        rng = np.random.default_rng((self.seed, block, repeat))
        used = trees.feature_importance("split") > 0
        rise = np.zeros(len(left))
        for n in range(len(left)):
            for _ in range(SHUFFLES):
                order = rng.permutation(len(rows))
                if used[n]:
                    shuffled = rows.copy()
                    shuffled[:, n] = rows[order, n]
                    rise[n] += (lost(shuffled) - base) / SHUFFLES
        return rise, base
