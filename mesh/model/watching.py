"""What a model's monitoring judges: measures, bounds and how a figure becomes a status.

The section `monitoring` of a definition:

    monitoring:
      period: week              # of the time column; default month
      retrain: breach           # default release: every new release of what the model learns from trains it
      bounds:
        psi: [0.15, 0.3]        # [watch, breach] instead of the ones here

A figure with an interval is judged by its nearer end, so that chance in few rows is no breach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.model.reading import Reader

MONTH, WEEK = "month", "week"
PERIODS = (MONTH, WEEK)
RELEASE, BREACH = "release", "breach"
RETRAIN = (RELEASE, BREACH)

OK, WATCH, BREACHED, TOLD, FEW, BASELINE = "ok", "watch", "breach", "told", "few", "baseline"
STATUSES = (OK, WATCH, BREACHED, TOLD, FEW, BASELINE)
"""`told` has no bounds, `few` too few rows to judge, `baseline` is of rows that the model learned from."""

ABSOLUTE, OF_CAPACITY, OF_BASELINE, BEYOND_USUAL = "absolute", "of capacity", "of baseline", "beyond what is usual"

DRIFT = ("psi", "ks")

BEYOND = 1.25
"""Farther than ever between the periods that the model learned from is to be watched, so much farther is a breach."""


@dataclass(frozen=True)
class Bound:
    """Where a measure begins to count: `watch` and `breach`, as they stand or as factors of capacity or baseline.

    Beyond what is usual: as they stand, and where the periods that the model learned from moved farther, beyond these.
    `below` is a measure of which less is worse. `rows` is the least number of rows that is judged.
    """

    watch: float
    breach: float
    scale: str = ABSOLUTE
    below: bool = False
    rows: int = 200


BOUNDS: Mapping[str, Bound] = {
    "psi": Bound(0.1, 0.25, BEYOND_USUAL),
    "ks": Bound(0.1, 0.2, BEYOND_USUAL),
    "flag_rate": Bound(1.25, 1.5, OF_CAPACITY),
    "precision": Bound(0.9, 0.75, OF_BASELINE, below=True, rows=50),
    "recall": Bound(0.9, 0.75, OF_BASELINE, below=True, rows=50),
    "auc": Bound(0.95, 0.9, OF_BASELINE, below=True, rows=100),
    "ece": Bound(0.05, 0.1),
    "calibration_gap": Bound(0.03, 0.08, rows=100),
}
"""PSI as in credit scoring; the others are where a model owner would look, and where a reviewer's work changes."""


@dataclass(frozen=True)
class Monitoring:
    """How a model is watched: the period, what starts a training, bounds of its own as (measure, watch, breach)."""

    period: str = MONTH
    retrain: str = RELEASE
    bounds: tuple[tuple[str, float, float], ...] = ()

    def bound(self, measure: str) -> Bound | None:
        """The bound of a measure, or None where it is only told."""
        found = BOUNDS.get(measure)
        for name, watch, breach in self.bounds:
            if found is not None and name == measure:
                return Bound(watch, breach, found.scale, found.below, found.rows)
        return found


def read_monitoring(reader: Reader) -> Monitoring:
    """The section `monitoring` of a definition.

    Raises:
        ProjectError: an unknown key, or a value that does not fit.
    """
    root = reader.root
    if "monitoring" not in root:
        return Monitoring()
    node = reader.mapping(root, "monitoring", ["period", "retrain", "bounds"])
    within = "monitoring."
    retrain = reader.choice(node, "retrain", RETRAIN, within) if "retrain" in node else RELEASE
    if retrain == BREACH and "monitoring" not in (root.get("outputs") or {}):
        told = "waits for a breach that no product would tell"
        raise reader.error(node, "retrain", within, told, "release, or `outputs.monitoring` names a product")
    return Monitoring(
        period=reader.choice(node, "period", PERIODS, within) if "period" in node else MONTH,
        retrain=retrain,
        bounds=_bounds(reader, node) if "bounds" in node else (),
    )


def _bounds(reader: Reader, node: Any) -> tuple[tuple[str, float, float], ...]:
    given = reader.mapping(node, "bounds", list(BOUNDS), "monitoring.")
    found = []
    for name, pair in given.items():
        kind = BOUNDS[name]
        words = "[watch, breach], two numbers above 0, the graver one " + ("lower" if kind.below else "higher")
        fits = isinstance(pair, list) and len(pair) == 2
        fits = fits and all(isinstance(one, int | float) and not isinstance(one, bool) and one > 0 for one in pair)
        if not fits or (pair[1] >= pair[0] if kind.below else pair[1] <= pair[0]):
            raise reader.error(given, name, "monitoring.bounds.", "does not fit", words)
        found.append((str(name), float(pair[0]), float(pair[1])))
    return tuple(found)


@dataclass(frozen=True)
class Figure:
    """One measured figure with its 95 % interval; without one, `low` and `high` are None."""

    measure: str
    subject: str
    value: float
    rows: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Judged:
    """A figure's bounds on its own scale, and its status."""

    watch: float | None
    breach: float | None
    status: str


def judge(figure: Figure, monitoring: Monitoring, *, capacity: float, baseline: float | None) -> Judged:
    """Hold a figure against its bounds.

    Args:
        baseline: the same measure on the rows that the model was tested on, or of drift the farthest among the periods
            that it learned from; None where there is none.
    """
    bound = monitoring.bound(figure.measure)
    factor = {OF_CAPACITY: capacity, OF_BASELINE: baseline}.get(bound.scale, 1.0) if bound else None
    if bound is None or factor is None:
        return Judged(None, None, TOLD)
    watch, breach = bound.watch * factor, bound.breach * factor
    if bound.scale == BEYOND_USUAL and baseline is not None:
        watch, breach = max(watch, baseline), max(breach, baseline * BEYOND)
    if figure.rows < bound.rows:
        return Judged(watch, breach, FEW)
    value = figure.value
    if bound.below:
        near = value if figure.high is None else figure.high
        status = BREACHED if near < breach else WATCH if near < watch else OK
    else:
        # A gap is as grave on either side of nought; the interval's end that is nearer to it counts.
        near = abs(value)
        if figure.low is not None and figure.high is not None:
            near = max(figure.low, -figure.high, 0.0)
        status = BREACHED if near >= breach else WATCH if near >= watch else OK
    return Judged(watch, breach, status)
