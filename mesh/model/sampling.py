"""Rows chosen at random stand for all that nobody looked at.

Only reviewed rows have a label, and most were reviewed because an earlier flag pointed at them: a model of those alone
knows little of everybody else, and figures on them flatter or slander it. Where the label product says how a row came
to be looked at, each counts in figures for one over the probability with which it came there (Horvitz and Thompson,
1952), by part of time:

    drawn among the rest    a drawn row (rows that nothing else chose) / (rows drawn); a row chosen otherwise, which
                            was certain to be looked at, counts 1
    drawn among all         a drawn row (all rows) / (rows drawn). A row chosen otherwise counts 0: whether something
                            else would have chosen a drawn row is not known, so the drawn speak for these rows already

Training keeps every labelled row, those chosen otherwise with weight 1, since they hold most of the finds; and it caps
the weight of the drawn: one row that counts for hundreds would be learned by heart, and of what all rows tell at least
half is kept. Figures do neither, as it would bend them; how little such a sample tells is in their
interval, and in the effective sample size (sum of weights)^2 / (sum of squared weights) of Kish. A draw with next to
no finds says nothing of those that nobody chose; then all labelled rows count alike, and figures speak for them alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.model.definition import ALL, REST, ChosenBy, ModelDefinition
from mesh.model.frame import AT_RANDOM, CHOSEN, LABEL
from mesh.model.split import MIN_POSITIVES, TEST, VALIDATION, Rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

MOST_WEIGHT = 10.0
"""What a row may count for in training and calibration."""

LEAST_KEPT = 0.5
"""Effective share of the labelled rows that training keeps."""

REVIEWED = "reviewed rows"
EVERYBODY = {
    REST: "all rows: those drawn at random stand for those that nobody chose",
    ALL: "all rows: those drawn at random stand for them all",
}


@dataclass(frozen=True)
class Sample:
    """What the labelled rows of one part stand for.

    Attributes:
        population: rows of the input in that part of time.
        otherwise: those chosen otherwise than at random, whether or not their label is known.
        at_random: labelled rows drawn at random.
        weight: what each of them counts for in figures; in training at most `weight_training`.
        weight_otherwise: what a row chosen otherwise counts for in figures.
        effective: effective number of labelled rows in figures, and `effective_training` in training.
    """

    population: int
    otherwise: int
    at_random: int
    weight: float
    weight_otherwise: float
    weight_training: float
    effective: float
    effective_training: float


@dataclass(frozen=True)
class Weights:
    """Weights of the rows in their order, for training (capped) and for figures, and what they stand for by part."""

    training: Floats
    figures: Floats
    samples: Mapping[str, Sample]


def told_of(samples: Mapping[str, Sample]) -> str:
    """Of whom figures of all rows speak, in words."""
    return EVERYBODY[REST if any(sample.weight_otherwise for sample in samples.values()) else ALL]


def stands_for(chosen: ChosenBy, *, population: int, otherwise: int, drawn: int) -> tuple[float, float]:
    """What a row drawn at random, and one chosen otherwise, count for in figures of all rows.

    Args:
        population: all rows. otherwise: those that were chosen, and not at random.
        drawn: those drawn at random whose label is known; at least one.
    """
    if chosen.random_among == ALL:
        return max(population / drawn, 1.0), 0.0
    return max((population - otherwise) / drawn, 1.0), 1.0


def weigh(definition: ModelDefinition, rows: Rows, population: pa.Table | None) -> Weights | None:
    """Weights of all rows; None where the definition does not say how rows were chosen, or the draw found too little.

    Args:
        rows: labelled rows by part, with `_at_random`.
        population: everybody, with `_chosen` where it is known of rows without a label too.
    """
    import numpy as np

    chosen = definition.label.chosen_by
    if chosen is None or population is None or AT_RANDOM not in rows.table.column_names:
        return None
    drawn = np.asarray(rows.table.column(AT_RANDOM).to_numpy(), dtype=bool)
    counted = _by_part(definition, rows, population)
    truth = np.asarray(rows.table.column(LABEL).to_numpy(), dtype=np.float64)
    exact, learning, counts = np.ones(len(drawn)), np.ones(len(drawn)), {}
    for part in rows.parts:
        place = rows.place(part)
        everybody, otherwise = counted[part]
        at_random = int(drawn[place].sum())
        if truth[place][drawn[place]].sum() < MIN_POSITIVES[part]:
            return None
        if otherwise is None:
            otherwise = int((~drawn[place]).sum())
        weight, other = stands_for(chosen, population=everybody, otherwise=otherwise, drawn=at_random)
        exact[place] = np.where(drawn[place], weight, other)
        learning[place] = np.where(drawn[place], weight, 1.0)
        counts[part] = (everybody, otherwise, at_random, weight, other)
    capped = np.minimum(learning, _cap(learning))
    samples = {}
    for part, (everybody, otherwise, at_random, weight, other) in counts.items():
        place = rows.place(part)
        samples[part] = Sample(
            population=everybody,
            otherwise=otherwise,
            at_random=at_random,
            weight=weight,
            weight_otherwise=other,
            weight_training=float(capped[place].max()),
            effective=effective_size(exact[place]),
            effective_training=effective_size(capped[place]),
        )
    return Weights(capped, exact, samples)


def _cap(weights: Floats) -> float:
    """The greatest weight up to `MOST_WEIGHT` that keeps enough of what the rows tell."""
    import numpy as np

    for cap in np.arange(MOST_WEIGHT, 1.0, -0.5):
        if effective_size(np.minimum(weights, cap)) >= LEAST_KEPT * len(weights):
            return float(cap)
    return 1.0


def effective_size(weights: Floats) -> float:
    """How many equally weighted rows would tell as much (Kish)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _by_part(definition: ModelDefinition, rows: Rows, population: pa.Table) -> dict[str, tuple[int, int | None]]:
    """Rows of the population by part, and how many of them were chosen otherwise (None where it is not told)."""
    import pyarrow.compute as pc

    times, labelled = population.column(definition.time), rows.table.column(definition.time)
    border = labelled[rows.place(VALIDATION).start]
    last, first = labelled[rows.place(VALIDATION).stop - 1], labelled[rows.place(TEST).start]
    later = pc.greater_equal(times, border)
    inside = {
        "train": pc.less(times, border),
        "validation": pc.and_(later, pc.less_equal(times, last)),
        "test": pc.greater_equal(times, first),
    }
    if definition.split.test_share is not None:
        inside["validation"] = pc.and_(later, pc.less(times, first))
    found: dict[str, tuple[int, int | None]] = {}
    for part, mask in inside.items():
        otherwise = None
        if CHOSEN in population.column_names:
            otherwise = int(pc.sum(pc.and_(mask, population.column(CHOSEN))).as_py() or 0)
        found[part] = (int(pc.sum(mask).as_py() or 0), otherwise)
    return found
