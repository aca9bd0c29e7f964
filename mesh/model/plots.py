"""The five pictures of a training that a model owner looks at first; from the later rows, no row is shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.model.metrics import calibration_points, curve_points

if TYPE_CHECKING:
    from mesh.model.training import TrainedModel

MOST_FEATURES = 20


def write_plots(folder: Path, trained: TrainedModel, capacity: float) -> None:
    """Write `precision_recall`, `roc`, `calibration`, `gain` and `importance` as PNG into a new folder."""
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
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=80, metadata={"Software": None})
