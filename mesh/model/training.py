"""From labelled rows to a model with figures on later rows that training never saw.

The rows are cut twice by time: the test part is later than everything else, and the tail of what is left stops the
boosting and calibrates it. Nothing here depends on a clock, a thread count or the order of rows in the input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel, bundle_sha256
from mesh.model.calibration import fit_bands, fit_calibration
from mesh.model.card import ModelCard
from mesh.model.context import TrainingContext
from mesh.model.definition import ModelDefinition
from mesh.model.encoding import encode, learn_features
from mesh.model.engine import lightgbm
from mesh.model.frame import LABEL
from mesh.model.leakage import refuse_leaks
from mesh.model.metrics import RESAMPLES, Metric, evaluate
from mesh.model.parameters import lightgbm_parameters
from mesh.model.split import TEST, TRAIN, VALIDATION, Part, split_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrainedModel:
    """A model and the evidence for it.

    `metrics` and `parts` are keyed by split (`train`, `validation`, `test`); `importance` is the gain per feature,
    summing to 1; `test_truth` and `test_probability` are the later rows, for plots.
    """

    model: LoadedModel
    parameters: Mapping[str, object]
    trees: int
    parts: Mapping[str, Part]
    metrics: Mapping[str, Mapping[str, Metric]]
    importance: Mapping[str, float]
    test_truth: Floats = field(repr=False, compare=False)
    test_probability: Floats = field(repr=False, compare=False)


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

    lgb = lightgbm()
    names = [name for name in table.column_names if name not in definition.reserved | {LABEL}]
    if bad := [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]:
        raise ModelError(f"{definition.model}: {bad[0]} is no feature name. Allowed: letters, digits and _.")
    if not names:
        raise ModelError(f"{definition.model}: no column is left to be a feature.")
    rows = split_rows(definition, table)
    ordered, parts = rows.table, rows.parts
    features = learn_features(ordered.slice(0, parts[TRAIN].rows), names, definition.categorical)
    matrix = encode(ordered, features)
    truth = np.asarray(ordered.column(LABEL).to_numpy(), dtype=np.float64)
    fit, tail, test = (rows.place(part) for part in (TRAIN, VALIDATION, TEST))
    refuse_leaks(definition, features, matrix[: tail.stop], truth[: tail.stop])

    parameters = lightgbm_parameters(definition.parameters, seed=definition.seed, threads=context.threads)
    kinds = [place for place, feature in enumerate(features) if feature.kind == "category"]
    learn = lgb.Dataset(matrix[fit], truth[fit], feature_name=names, categorical_feature=kinds, free_raw_data=True)
    check = lgb.Dataset(matrix[tail], truth[tail], reference=learn, free_raw_data=True)
    booster = lgb.train(parameters, learn, valid_sets=[check])
    text = _portable(booster.model_to_string(num_iteration=booster.best_iteration))

    draft = lgb.Booster(model_str=text)
    margins = np.asarray(draft.predict(matrix, raw_score=True, num_threads=context.threads), dtype=np.float64)
    calibration = fit_calibration(margins[tail], truth[tail])
    reference = margins[tail.start :]
    if population is not None:
        everybody = encode(population, features)
        reference = np.asarray(draft.predict(everybody, raw_score=True, num_threads=context.threads))
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
    probability = calibration.probability(margins)
    measured = {}
    for part in (TRAIN, VALIDATION, TEST):
        place = rows.place(part)
        # An interval around a figure on the rows that were learned would say nothing.
        resamples = 0 if part == TRAIN else RESAMPLES
        measured[part] = evaluate(truth[place], probability[place], definition.capacity, definition.seed, resamples)
    gain = np.asarray(draft.feature_importance("gain"), dtype=np.float64)
    return TrainedModel(
        model=LoadedModel(card, text, bundle_sha256(card, text)),
        parameters={name: value for name, value in parameters.items() if name != "num_threads"},
        trees=draft.num_trees(),
        parts=parts,
        metrics=measured,
        importance=dict(zip(names, (gain / max(gain.sum(), 1e-12)).tolist(), strict=True)),
        test_truth=truth[test],
        test_probability=probability[test],
    )


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
