"""How a model fares after it was trained: the maker of a product in the role `monitoring`.

One row per period of the time column, stage and measure. The reference is what the model that scored learned from,
read again from the releases that the ledger names: the rows of its training release before the test part. The stage
tells how far a row is from it:

    learned   it was there at training, before the test part; its figures flatter
    tested    it was there, in the test part: measured on, not learned from
    new       it came later; of an outcome: it became known later, whenever the row itself came

Figures of `learned` rows are a baseline and are never judged; nor is how far features moved among `tested` rows, which
was known when the version was accepted (its run tells it per column).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel
from mesh.model.column_sources import monitoring_sources
from mesh.model.derived import Made, Making
from mesh.model.drift import Reference
from mesh.model.encoding import NUMBER, Feature, encode
from mesh.model.metrics import evaluate
from mesh.model.monitoring_report import charts, to_markdown
from mesh.model.watched_rows import LEARNED, NEW, STAGES, TESTED, Trained, WatchedRows, watched_rows
from mesh.model.watching import BASELINE, BOUNDS, BREACHED, DRIFT, FEW, Figure, judge

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

MOST_MOVED = 10
"""Features told per period and stage, those that moved most."""

RESAMPLES = 100
LEAST_LABELS, LEAST_ROWS = 30, 100
"""Fewer outcomes than this give no curve, and a smaller period is no measure of what is usual."""

SCORE = "score"

HEADLINES = {
    "score_psi": ("psi", SCORE),
    "flag_rate": ("flag_rate", "flagged"),
    "precision": ("precision", "flagged"),
    "calibration_gap": ("calibration_gap", "probability"),
}
"""What is plotted over the releases, by the name it has there."""

COLUMNS = (
    "model_name", "model_version", "period", "stage", "measure", "subject", "value", "low", "high", "rows",
    "watch", "breach", "status",
)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """A figure, and of which period and stage it is."""

    period: str
    stage: str
    figure: Figure


def make_monitoring(making: Making) -> Made:
    """Measure what the served scores' model does on every row of now, against what it learned from.

    Raises:
        ModelError: the scores do not say which model made them, or its training releases cannot be read.
    """
    import pyarrow as pa

    definition = making.definition
    model, trained = _model(making)
    rows = watched_rows(making, model, trained)
    measured = list(_measure(model, rows, making.context.threads))
    natural = _natural(measured)
    baselines = _baselines(model, rows, definition.seed)
    records: list[dict[str, Any]] = []
    for one in _told(measured, natural):
        figure = one.figure
        baseline = None if one.stage == TESTED else baselines.get(figure.measure)
        if figure.measure in DRIFT:
            baseline = natural.get((figure.measure, figure.subject))
        judged = judge(figure, definition.monitoring, capacity=model.card.bands.capacity, baseline=baseline)
        records.append(
            {
                "model_name": model.name,
                "model_version": str(model.version),
                "period": one.period,
                "stage": one.stage,
                "measure": figure.measure,
                "subject": figure.subject,
                "value": figure.value,
                "low": figure.low,
                "high": figure.high,
                "rows": figure.rows,
                "watch": judged.watch,
                "breach": judged.breach,
                "status": BASELINE if _is_baseline(one) else judged.status,
            }
        )
    table = pa.Table.from_pylist(records, schema=_schema())
    return Made(
        table,
        _details(model, records),
        lineage=monitoring_sources(making.definition, [feature.name for feature in model.card.features]),
        told=to_markdown(records),
        charts=charts(records, f"{model.name} version {model.version}"),
        run_id=trained.run_id,
    )


def _is_baseline(one: Measured) -> bool:
    of_feature = one.figure.measure in DRIFT and one.figure.subject != SCORE
    return one.stage == LEARNED or (one.stage == TESTED and of_feature)


def breaches(records: Sequence[Mapping[str, Any]], stage: str = NEW) -> list[str]:
    """What is in breach, in words: `psi of score in 2020-07`; latest period first."""
    found = [one for one in records if one["status"] == BREACHED and one["stage"] == stage]
    found.sort(key=lambda one: (one["measure"], one["subject"]))
    found.sort(key=lambda one: str(one["period"]), reverse=True)
    return [f"{one['measure']} of {one['subject']} in {one['period']}" for one in found]


def _details(model: LoadedModel, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = breaches(records)
    counts: dict[str, int] = {}
    for one in records:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    named = json.dumps([model.name, model.version, sorted(told)])
    return {
        "model_name": model.name,
        "model_version": str(model.version),
        "statuses": dict(sorted(counts.items())),
        "breaches": told[:20],
        "breach": hashlib.sha256(named.encode()).hexdigest()[:16] if told else "",
        **newest(records),
    }


def newest(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The headline figures of the newest period that has rows enough to judge: Dagster plots them over the releases.

    An outcome comes later than its row, so that each figure has a newest period of its own.
    """
    found: dict[str, float] = {}
    for name, (measure, subject) in HEADLINES.items():
        told = [one for one in records if (one["measure"], one["subject"]) == (measure, subject)]
        told = [one for one in told if one["stage"] != LEARNED and one["status"] != FEW]
        if told:
            last = max(told, key=lambda one: (one["period"], STAGES.index(one["stage"])))
            found[name] = float(last["value"])
    return found


def _model(making: Making) -> tuple[LoadedModel, Trained]:
    """The model that made the served scores, and what the ledger says of its training."""
    from mesh.model.registry import Registry

    definition = making.definition
    details = making.details.get(definition.output, {})
    name, number = details.get("model_name"), details.get("model_version")
    if not name or not number:
        raise ModelError(
            f"{definition.output} does not say which model made it. Name it among the inputContracts of the product "
            f"that watches {definition.model}, and build it: mesh run --select {definition.output}"
        )
    registry = Registry.of(making.context)
    model = registry.load(str(name), int(number))
    evidence = registry.standing(str(name)).registration(int(number)).evidence
    releases, learned_to = evidence.get("releases", {}), evidence.get("learned_to")
    if not learned_to or set(definition.products) - set(releases):
        raise ModelError(f"The ledger does not say what {name} version {number} learned from. Train it again.")
    return model, Trained(
        {key: int(releases[key]) for key in definition.products}, str(learned_to[-1]), str(evidence.get("run", ""))
    )


def _measure(model: LoadedModel, rows: WatchedRows, threads: int) -> Iterator[Measured]:
    """Every figure of rows and outcomes; fills the margins of the rows."""
    import numpy as np

    features = model.card.features
    reference = encode(rows.reference, features)
    references = {
        SCORE: Reference(Feature(SCORE, NUMBER), model.margins(reference, threads=threads)),
        **{feature.name: Reference(feature, reference[:, place]) for place, feature in enumerate(features)},
    }
    rows.margins = np.empty(rows.number)
    for (period, stage), place in rows.groups():
        matrix = encode(rows.part(place), features)
        margins = model.margins(matrix, threads=threads)
        rows.margins[place] = margins
        number = len(margins)
        moved = {SCORE: margins, **{feature.name: matrix[:, at] for at, feature in enumerate(features)}}
        found = []
        for subject, values in moved.items():
            found.append(Figure("psi", subject, references[subject].psi(values), number))
            distance = references[subject].ks(values)
            found += [Figure("ks", subject, distance, number)] if distance is not None else []
        flagged = int(model.card.bands.flagged(margins).sum())
        found.append(share_figure("flag_rate", "flagged", flagged, number))
        found += rows.labelling(place)
        yield from (Measured(period, stage, figure) for figure in found)
    for (period, stage), place in rows.outcome_groups():
        for figure in _outcomes(model, rows.truth[place], rows.margins[place], rows.seed):
            yield Measured(period, stage, figure)


def _natural(measured: Sequence[Measured]) -> dict[tuple[str, str], float]:
    """How far the score moved between periods while the model learned, and each feature until it was accepted; the
    farthest of them.

    What grows by itself, such as how long an account is known, moves all the time; it is news where it moves farther.
    """
    found: dict[tuple[str, str], float] = {}
    for one in measured:
        figure = one.figure
        known = (LEARNED,) if figure.subject == SCORE else (LEARNED, TESTED)
        if one.stage in known and figure.measure in DRIFT and figure.rows >= LEAST_ROWS:
            name = (figure.measure, figure.subject)
            found[name] = max(found.get(name, 0.0), figure.value)
    return found


def _told(measured: Sequence[Measured], natural: Mapping[tuple[str, str], float]) -> list[Measured]:
    """All but the features that moved least for what they are: per period and stage `MOST_MOVED` are told."""
    kept: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for one in measured:
        if one.figure.measure == "psi" and one.figure.subject != SCORE:
            usual = max(natural.get(("psi", one.figure.subject), 0.0), BOUNDS["psi"].breach)
            kept.setdefault((one.period, one.stage), []).append((-one.figure.value / usual, one.figure.subject))
    most = {group: {SCORE, *(name for _, name in sorted(moved)[:MOST_MOVED])} for group, moved in kept.items()}
    return [
        one
        for one in measured
        if one.figure.measure not in DRIFT or one.figure.subject in most.get((one.period, one.stage), {SCORE})
    ]


def _outcomes(model: LoadedModel, truth: Floats, margins: Floats, seed: int) -> list[Figure]:
    """How good the scores were, by the outcomes that are known."""
    flagged = model.card.bands.flagged(margins)
    positives, hits = int(truth.sum()), int(truth[flagged].sum())
    found = []
    if flagged.any():
        found.append(share_figure("precision", "flagged", hits, int(flagged.sum())))
    if positives:
        found.append(share_figure("recall", "flagged", hits, positives))
    probability = model.card.calibration.probability(margins)
    expected = float(probability.mean())
    rate = share_figure("calibration_gap", "probability", positives, len(truth))
    found.append(
        Figure("calibration_gap", "probability", rate.value - expected, len(truth),
               float(rate.low or 0.0) - expected, float(rate.high or 0.0) - expected)
    )  # fmt: skip
    if len(truth) >= LEAST_LABELS and 0 < positives < len(truth):
        figures = evaluate(truth, probability, model.card.bands.capacity, seed, RESAMPLES)
        for name in ("auc", "ece"):
            one = figures[name]
            found.append(Figure(name, "probability", one.value, len(truth), one.low, one.high))
    return found


def _baselines(model: LoadedModel, rows: WatchedRows, seed: int) -> dict[str, float]:
    """Each outcome figure on all rows of the test part, whose outcomes were known at training."""
    place = rows.outcomes_of(TESTED)
    if not place.any():
        return {}
    figures = _outcomes(model, rows.truth[place], rows.margins[place], seed)
    return {figure.measure: figure.value for figure in figures}


def share_figure(measure: str, subject: str, part: int, whole: int) -> Figure:
    """A share with its 95 % interval by Wilson (1927), which holds for few rows and for shares near nought."""
    z = 1.959963984540054
    share = part / whole
    centre = (share + z * z / (2 * whole)) / (1 + z * z / whole)
    reach = z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    # At nought and at one the sums miss the share itself by a rounding.
    return Figure(
        measure, subject, share, whole, min(max(centre - reach, 0.0), share), max(min(centre + reach, 1.0), share)
    )


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(COLUMNS, pa.string()),
        **dict.fromkeys(("value", "low", "high", "watch", "breach"), pa.float64()),
        "rows": pa.int64(),
    }
    return pa.schema([(name, kinds[name]) for name in COLUMNS])
