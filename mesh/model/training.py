"""From labelled rows to a model with figures on later rows that training never saw.

Rows too young to be judged are put aside, the others are cut twice by time: the test part is later than everything
else, and the tail of what is left stops the learning and calibrates it. Then as much is learned on both. Nothing here
depends on a clock, a thread count or the order of rows in the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.boosting import Learned, grow
from mesh.model.bundle import LoadedModel, bundle_sha256
from mesh.model.calibration import best_share, fit_bands, fit_calibration
from mesh.model.card import ModelCard
from mesh.model.context import TrainingContext
from mesh.model.contradictions import Contradictions, count_contradictions
from mesh.model.definition import AUTOMATIC, LOGISTIC, ModelDefinition
from mesh.model.encoding import Feature, encode, learn_features
from mesh.model.frame import ABOUT, LABEL, VALUE
from mesh.model.lateness import Lateness, put_aside
from mesh.model.leakage import refuse_leaks, single_aucs
from mesh.model.logistic_fit import fit_logistic
from mesh.model.metrics import POPULATION, RESAMPLES, Metric, evaluate
from mesh.model.report import ColumnReport, column_reports
from mesh.model.sampling import REVIEWED, Sample, Weights, told_of, weigh
from mesh.model.search import SearchResult, parameters_with, search
from mesh.model.selection import Selection, all_used, select
from mesh.model.split import TEST, TRAIN, VALIDATION, Part, Rows, split_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from mesh.model.groups import Fairness

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainedModel:
    """A model and the evidence for it.

    `metrics` and `parts` are keyed by split (`train`, `validation`, `test`); those of `validation` are of a model that
    had not learned those rows. Figures are those of the reviewed rows; where some were drawn at random, `population_*`
    are those of all rows (see `mesh.model.sampling`) and `samples` tells by split what they rest on. `trees` is the
    number of trees, or of coefficients; `importance` is the share of each feature, summing to 1; `columns` tells of
    every column of the input; `test_truth` and `test_probability` are the later rows, for plots, and `test_rows` these
    rows themselves. `capacity` is the share that is flagged, `search` what was tried, `lateness` and `contradictions`
    what is known of the labels. `fairness` is there once groups were measured (see `mesh.model.groups`); `documents`
    are further texts to be kept with the run, by their place among its artefacts.
    """

    model: LoadedModel
    parameters: Mapping[str, object]
    trees: int
    parts: Mapping[str, Part]
    metrics: Mapping[str, Mapping[str, Metric]]
    importance: Mapping[str, float]
    columns: tuple[ColumnReport, ...]
    selection: Selection
    test_truth: Floats = field(repr=False, compare=False)
    test_probability: Floats = field(repr=False, compare=False)
    test_rows: pa.Table = field(repr=False, compare=False)
    capacity: float
    lateness: Lateness
    contradictions: Contradictions
    samples: Mapping[str, Sample] = field(default_factory=dict)
    search: SearchResult | None = None
    fairness: Fairness | None = field(repr=False, compare=False, default=None)
    documents: Mapping[str, str] = field(repr=False, compare=False, default_factory=dict)

    @property
    def speaks_for(self) -> Mapping[str, str]:
        """Which rows the figures without and with the prefix `population_` speak for."""
        return {"": REVIEWED, **({POPULATION: told_of(self.samples)} if self.samples else {})}


def train(
    definition: ModelDefinition, table: pa.Table, context: TrainingContext, *, population: pa.Table | None = None
) -> TrainedModel:
    """Train one model.

    Args:
        definition: what to train.
        table: a training frame (see `training_frame`): key, time, features, `_label` and what else it tells of rows.
        context: where the training stands; only `domain` and `threads` are used, and threads change no result.
        population: everybody (see `population_frame`), to fit score and bands on, to weigh rows drawn at random and to
            tell which labels are missing; default the validation and test rows.

    Raises:
        ModelError: too few rows or positives, a column that gives the label away, nothing to learn, or nothing that
            is worth its review.
    """
    import numpy as np

    names = _candidates(definition, table)
    mature, lateness = put_aside(definition, table, population)
    rows = split_rows(definition, mature)
    ordered, parts = rows.table, rows.parts
    weights = weigh(definition, rows, population)
    learning = None if weights is None else weights.training
    features, chosen, reports = _columns(definition, rows, names, learning, context.threads)
    matrix = encode(ordered, features)
    truth = np.asarray(ordered.column(LABEL).to_numpy(), dtype=np.float64)
    tail, test = rows.place(VALIDATION), rows.place(TEST)

    looked, given = None, dict(definition.parameters)
    if definition.search is not None:
        head = slice(0, tail.start)
        weight = None if learning is None else learning[head]
        looked = search(definition, features, matrix[head], truth[head], weight, threads=context.threads)
        given = parameters_with(definition, looked.parameters)
    learned = _learn(definition, given, features, matrix, truth, learning, tail, context.threads)
    tail_weights = None if learning is None else learning[tail]
    calibration = fit_calibration(learned.held_out, truth[tail], tail_weights)
    values = np.asarray(ordered.column(VALUE).to_numpy(), dtype=np.float64) if definition.value else None
    capacity = definition.capacity
    costs: dict[str, float | str] | None = None
    if definition.costs is not None:
        assert values is not None
        gain = truth[tail] * np.nan_to_num(values[tail])
        exact = None if weights is None else weights.figures[tail]
        capacity = best_share(learned.held_out, gain, definition.costs.review, definition.capacity, exact)
        costs = {"review": definition.costs.review, "value": definition.costs.value, "share": capacity}
    card = ModelCard(
        name=f"{context.domain}.{definition.model}",
        key=definition.key,
        features=features,
        calibration=calibration,
        bands=fit_bands(np.zeros(1), capacity),
        reasons=dict(definition.reasons),
        seed=definition.seed,
        definition=definition.digest,
        algorithm=definition.algorithm,
        costs=costs,
    )
    # What scores is what was stored: the text read back.
    margins = LoadedModel(card, learned.text, "").margins(matrix, threads=context.threads)
    reference = margins[tail.start :]
    if population is not None:
        everybody = encode(population, features)
        reference = LoadedModel(card, learned.text, "").margins(everybody, threads=context.threads)
    card = replace(card, bands=fit_bands(reference, capacity))
    margins[tail] = learned.held_out
    probability = calibration.probability(margins)
    late = slice(tail.start, test.stop)
    return TrainedModel(
        model=LoadedModel(card, learned.text, bundle_sha256(card, learned.text)),
        parameters=learned.parameters,
        trees=learned.size,
        parts=parts,
        metrics=_measure(definition, rows, truth, probability, capacity, weights, values),
        importance=dict(zip((feature.name for feature in features), learned.importance, strict=True)),
        columns=reports,
        selection=chosen,
        test_truth=truth[test],
        test_probability=probability[test],
        test_rows=ordered.slice(test.start),
        capacity=capacity,
        lateness=lateness,
        contradictions=count_contradictions(truth[late], probability[late]),
        samples={} if weights is None else weights.samples,
        search=looked,
    )


def _learn(
    definition: ModelDefinition,
    given: Mapping[str, float | int | bool],
    features: Sequence[Feature],
    matrix: Floats,
    truth: Floats,
    weights: Floats | None,
    tail: slice,
    threads: int,
) -> Learned:
    if definition.algorithm == LOGISTIC:
        return fit_logistic(given, features, matrix, truth, weights, tail)
    return grow(given, features, matrix, truth, weights, tail, seed=definition.seed, threads=threads)


def _measure(
    definition: ModelDefinition,
    rows: Rows,
    truth: Floats,
    probability: Floats,
    capacity: float,
    weights: Weights | None,
    values: Floats | None,
) -> dict[str, Mapping[str, Metric]]:
    """Figures by part, of the reviewed rows and, where they can be told, of everybody."""
    measured: dict[str, Mapping[str, Metric]] = {}
    for part in (TRAIN, VALIDATION, TEST):
        place = rows.place(part)
        worth = None if values is None else values[place]
        # An interval around a figure on the rows that were learned would say nothing.
        resamples = 0 if part == TRAIN else RESAMPLES
        figures = evaluate(truth[place], probability[place], capacity, definition.seed, resamples, values=worth)
        if weights is not None:
            exact = weights.figures[place]
            for name, metric in evaluate(
                truth[place], probability[place], capacity, definition.seed, resamples, weights=exact, values=worth
            ).items():
                if name not in ("n", "positives"):
                    figures[POPULATION + name] = metric
        measured[part] = figures
    return measured


def _candidates(definition: ModelDefinition, table: pa.Table) -> list[str]:
    names = [name for name in table.column_names if name not in definition.reserved | set(ABOUT)]
    if bad := [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]:
        raise ModelError(f"{definition.model}: {bad[0]} is no feature name. Allowed: letters, digits and _.")
    if not names:
        raise ModelError(f"{definition.model}: no column is left to be a feature.")
    return names


def _columns(
    definition: ModelDefinition, rows: Rows, names: Sequence[str], weights: Floats | None, threads: int
) -> tuple[tuple[Feature, ...], Selection, tuple[ColumnReport, ...]]:
    """The features that the trees see, how they were chosen among all candidates, and a report on each column."""
    import numpy as np

    table, early = rows.table, rows.place(VALIDATION).stop
    candidates = learn_features(table.slice(0, rows.parts[TRAIN].rows), names, definition.categorical)
    matrix = encode(table, candidates)
    truth = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)[:early]
    alone = single_aucs(candidates, matrix[:early], truth)
    if definition.feature_selection == AUTOMATIC:
        times = table.column(definition.time).slice(0, early)
        weight = None if weights is None else weights[:early]
        chosen = select(definition, candidates, matrix[:early], truth, times, alone, weights=weight, threads=threads)
    else:
        refuse_leaks(definition, alone)
        chosen = all_used(candidates)
    features = tuple(feature for feature in candidates if feature.name in chosen.used)
    if not features:
        told = "; ".join(f"{verdict.column}: {verdict.why}" for verdict in chosen.verdicts)
        raise ModelError(f"{definition.model}: no column is left to learn from. {told}")
    later = table.slice(early)
    given = [np.asarray(later.column(name).is_valid().to_numpy(), dtype=bool) for name in names]
    reports = column_reports(definition, candidates, chosen, alone, matrix[:early], matrix[early:], given)
    return features, chosen, reports


def describe(trained: TrainedModel) -> dict[str, Any]:
    """The short account of a training that a run's metadata carries: no row values, only counts and figures."""
    test = trained.metrics[TEST]
    return {
        "algorithm": trained.model.card.algorithm,
        "trees": trained.trees,
        "features": len(trained.model.card.features),
        **{f"{part}_rows": found.rows for part, found in trained.parts.items()},
        "open_rows": trained.lateness.open,
        "too_young_rows": trained.lateness.too_young,
        **{name: round(test[name].value, 4) for name in ("auc", "average_precision", "recall_at_capacity")},
    }
