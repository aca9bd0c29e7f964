"""From labelled rows to a model with figures on later rows that training never saw.

The rows are cut twice by time: the test part is later than everything else, and the tail of what is left stops the
boosting and calibrates it. Then as many trees are grown on both. Nothing here depends on a clock, a thread count or the
order of rows in the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel, bundle_sha256
from mesh.model.calibration import fit_bands, fit_calibration
from mesh.model.card import ModelCard
from mesh.model.context import TrainingContext
from mesh.model.definition import AUTOMATIC, ModelDefinition
from mesh.model.encoding import CATEGORY, Feature, encode, learn_features
from mesh.model.engine import lightgbm
from mesh.model.frame import LABEL
from mesh.model.leakage import refuse_leaks, single_aucs
from mesh.model.metrics import RESAMPLES, Metric, evaluate
from mesh.model.parameters import lightgbm_parameters
from mesh.model.report import ColumnReport, column_reports
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

    `metrics` and `parts` are keyed by split (`train`, `validation`, `test`); those of `validation` are of trees that
    had not learned those rows. `importance` is the gain per feature, summing to 1; `columns` tells of every column of
    the input; `test_truth` and `test_probability` are the later rows, for plots, and `test_rows` these rows themselves;
    `fairness` is there once groups were measured (see `mesh.model.groups`); `documents` are further texts to be kept
    with the run, by their place among its artefacts.
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
    fairness: Fairness | None = field(repr=False, compare=False, default=None)
    documents: Mapping[str, str] = field(repr=False, compare=False, default_factory=dict)


def train(
    definition: ModelDefinition, table: pa.Table, context: TrainingContext, *, population: pa.Table | None = None
) -> TrainedModel:
    """Train one model.

    Args:
        definition: what to train.
        table: a training frame (see `training_frame`): key, time, features, `_label`.
        context: where the training stands; only `domain` and `threads` are used, and threads change no result.
        population: rows to fit score and bands on (see `scoring_frame`); default the validation and test rows.

    Raises:
        ModelError: too few rows or positives, a column that gives the label away, or nothing to learn.
    """
    import numpy as np

    names = _candidates(definition, table)
    rows = split_rows(definition, table)
    ordered, parts = rows.table, rows.parts
    features, chosen, reports = _columns(definition, rows, names, context.threads)
    matrix = encode(ordered, features)
    truth = np.asarray(ordered.column(LABEL).to_numpy(), dtype=np.float64)
    tail, test = rows.place(VALIDATION), rows.place(TEST)

    parameters = lightgbm_parameters(definition.parameters, seed=definition.seed, threads=context.threads)
    draft, final = _grow(parameters, features, matrix, truth, tail)
    tried = np.asarray(draft.predict(matrix[tail], raw_score=True, num_threads=context.threads), dtype=np.float64)
    calibration = fit_calibration(tried, truth[tail])
    text = _portable(final.model_to_string())
    booster = lightgbm().Booster(model_str=text)
    margins = np.asarray(booster.predict(matrix, raw_score=True, num_threads=context.threads), dtype=np.float64)
    reference = margins[tail.start :]
    if population is not None:
        everybody = encode(population, features)
        reference = np.asarray(booster.predict(everybody, raw_score=True, num_threads=context.threads))
    card = ModelCard(
        name=f"{context.domain}.{definition.model}",
        key=definition.key,
        features=features,
        calibration=calibration,
        bands=fit_bands(reference, definition.capacity),
        reasons=dict(definition.reasons),
        seed=definition.seed,
        definition=definition.digest,
    )
    margins[tail] = tried
    probability = calibration.probability(margins)
    measured = {}
    for part in (TRAIN, VALIDATION, TEST):
        place = rows.place(part)
        # An interval around a figure on the rows that were learned would say nothing.
        resamples = 0 if part == TRAIN else RESAMPLES
        measured[part] = evaluate(truth[place], probability[place], definition.capacity, definition.seed, resamples)
    gain = np.asarray(booster.feature_importance("gain"), dtype=np.float64)
    shares = (gain / max(gain.sum(), 1e-12)).tolist()
    return TrainedModel(
        model=LoadedModel(card, text, bundle_sha256(card, text)),
        parameters={name: value for name, value in parameters.items() if name != "num_threads"},
        trees=booster.num_trees(),
        parts=parts,
        metrics=measured,
        importance=dict(zip((feature.name for feature in features), shares, strict=True)),
        columns=reports,
        selection=chosen,
        test_truth=truth[test],
        test_probability=probability[test],
        test_rows=ordered.slice(test.start),
    )


def _candidates(definition: ModelDefinition, table: pa.Table) -> list[str]:
    names = [name for name in table.column_names if name not in definition.reserved | {LABEL}]
    if bad := [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]:
        raise ModelError(f"{definition.model}: {bad[0]} is no feature name. Allowed: letters, digits and _.")
    if not names:
        raise ModelError(f"{definition.model}: no column is left to be a feature.")
    return names


def _columns(
    definition: ModelDefinition, rows: Rows, names: Sequence[str], threads: int
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
        chosen = select(definition, candidates, matrix[:early], truth, times, alone, threads=threads)
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


def _grow(
    parameters: dict[str, object], features: Sequence[Feature], matrix: Floats, truth: Floats, tail: slice
) -> tuple[Any, Any]:
    """Trees without the tail of the earlier rows, which stops them, and then as many trees with it.

    What is newest is most like what comes next, so the trees that score have learned it too; how far to trust them is
    told by the first ones, which have not.
    """
    lgb = lightgbm()
    names = [feature.name for feature in features]
    kinds = [place for place, feature in enumerate(features) if feature.kind == CATEGORY]

    def data(place: slice, reference: Any = None) -> Any:
        return lgb.Dataset(
            matrix[place], truth[place], feature_name=names, categorical_feature=kinds, reference=reference
        )

    learn = data(slice(0, tail.start))
    draft = lgb.train(parameters, learn, valid_sets=[data(tail, learn)])
    whole = {name: value for name, value in parameters.items() if name != "early_stopping_round"}
    whole["num_iterations"] = max(int(draft.best_iteration), 1)
    return draft, lgb.train(whole, data(slice(0, tail.stop)))


def _portable(text: str) -> str:
    """The model's text without the thread count it was trained with, the only word that differs between machines."""
    return re.sub(r"\[num_threads: \d+\]", "[num_threads: 0]", text)


def describe(trained: TrainedModel) -> dict[str, Any]:
    """The short account of a training that a run's metadata carries: no row values, only counts and figures."""
    test = trained.metrics[TEST]
    return {
        "trees": trained.trees,
        "features": len(trained.model.card.features),
        **{f"{part}_rows": found.rows for part, found in trained.parts.items()},
        **{name: round(test[name].value, 4) for name in ("auc", "average_precision", "recall_at_capacity")},
    }
