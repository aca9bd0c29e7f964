"""The pictures of a training that a model owner looks at first; from the later rows, and no row is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.model.drift import MOVED, STABLE
from mesh.model.metrics import calibration_points, curve_points

if TYPE_CHECKING:
    from mesh.model.training import TrainedModel

MOST_FEATURES = 20
MOST_ROWS = 5000
LEAST_ROWS = 10
"""Rows below which a mean is not drawn: it would tell of single ones."""


def write_plots(folder: Path, trained: TrainedModel, capacity: float) -> None:
    """Write `precision_recall`, `roc`, `calibration`, `gain`, `importance`, `shap`, `drift` as PNG in a new folder."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True)
    truth, probability = trained.test_truth, trained.test_probability
    curve = curve_points(truth, probability)
    base = float(truth.mean())

    def draw(name: str, x_label: str, y_label: str) -> Any:
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set(title=f"{trained.model.name}: {name.replace('_', ' ')}", xlabel=x_label, ylabel=y_label)
        figures[name] = figure
        return axes

    figures: dict[str, Any] = {}
    axes = draw("precision_recall", "recall", "precision")
    axes.plot(curve["recall"], curve["precision"])
    axes.axhline(base, linestyle=":", color="grey")
    axes = draw("roc", "share of negatives flagged", "share of positives flagged")
    axes.plot(curve["false_rate"], curve["recall"])
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes = draw("calibration", "mean probability", "share of positives")
    predicted, seen = calibration_points(truth, probability)
    axes.plot(predicted, seen, marker="o")
    top = float(max(predicted.max(), seen.max()))
    axes.plot([0, top], [0, top], linestyle=":", color="grey")
    axes = draw("gain", "share of rows reviewed", "share of positives found")
    axes.plot(curve["share"], curve["recall"])
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey")
    axes.axvline(capacity, linestyle="--", color="grey")
    axes = draw("importance", "share of gain", "")
    ranked = sorted(trained.importance.items(), key=lambda item: (-item[1], item[0]))[:MOST_FEATURES][::-1]
    axes.barh([name for name, _ in ranked], [value for _, value in ranked])
    _shap(draw("shap", "contribution to the score, log-odds", ""), trained)
    _drift(draw("drift", "population stability index, earlier to later rows", ""), trained)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=80, metadata={"Software": None})


def _shap(axes: Any, trained: TrainedModel) -> None:
    """What each feature adds to scores: the middle 90 % of rows as a bar, and the mean of the rows with a low, a high
    and without a value as marks. Quantiles, because a dot for every row would be a row.
    """
    import numpy as np

    from mesh.model.encoding import CATEGORY, encode

    rows = trained.test_rows
    chosen = np.unique(np.linspace(0, rows.num_rows - 1, min(rows.num_rows, MOST_ROWS)).astype(np.int64))
    matrix = encode(rows.take(chosen), trained.model.card.features)
    values = trained.model.contributions(matrix, threads=1)
    weight = np.abs(values).mean(axis=0)
    names = [feature.name for feature in trained.model.card.features]
    shown = sorted(range(len(names)), key=lambda place: (-weight[place], names[place]))[:MOST_FEATURES][::-1]
    low, high = np.quantile(values[:, shown], (0.05, 0.95), axis=0)
    axes.barh(range(len(shown)), high - low, left=low, color="lightgrey")
    for label, colour in (("low value", "tab:blue"), ("high value", "tab:red"), ("missing", "black")):
        # Categories are numbered by their names, so that none is low or high.
        means = [
            float("nan")
            if label != "missing" and trained.model.card.features[place].kind == CATEGORY
            else _mean_of(label, matrix[:, place], values[:, place])
            for place in shown
        ]
        axes.scatter(means, range(len(shown)), s=18, color=colour, label=label, zorder=2)
    axes.axvline(0, linestyle=":", color="grey")
    axes.set_yticks(range(len(shown)), [names[place] for place in shown])
    axes.legend(fontsize="small")


def _mean_of(label: str, values: Any, added: Any) -> float:
    """Mean contribution of the rows with a value below or above the middle, or without one; NaN for too few."""
    import numpy as np

    known = values[~np.isnan(values)]
    middle = float(np.median(known)) if known.size else 0.0
    # Of most counts the median is the least value; then everything above it is high.
    above = values > middle if (known > middle).any() else values >= middle
    mine = {"missing": np.isnan(values), "high value": above, "low value": ~np.isnan(values) & ~above}[label]
    return float(added[mine].mean()) if int(mine.sum()) >= LEAST_ROWS else float("nan")


def _drift(axes: Any, trained: TrainedModel) -> None:
    """How far the used columns moved; the usual bounds as lines."""
    moved = [(report.column, report.drift) for report in trained.columns if report.used and report.drift is not None]
    shown = sorted(moved, key=lambda item: (-item[1], item[0]))[:MOST_FEATURES][::-1]
    axes.barh([name for name, _ in shown], [value for _, value in shown])
    for bound in (STABLE, MOVED):
        axes.axvline(bound, linestyle="--", color="grey")
