"""What is known of every column of a model: used or not and why, what it tells alone, how it moved over time."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.model.definition import ModelDefinition
from mesh.model.drift import MOVED, STABLE, stability_index
from mesh.model.encoding import CATEGORY, Feature
from mesh.model.selection import Selection

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FORMAT = 1
REPORT = "columns/columns.json"
"""Where a run keeps it among its artefacts."""


@dataclass(frozen=True)
class ColumnReport:
    """One column of the input, or one that the definition leaves out.

    Attributes:
        used: whether the trees see it.
        why: the reason, in words.
        auc_alone: how well it ranks the earlier rows by itself, 0.5 to 1.
        gain, gain_error: loss it saves on rows of another time, in nats per 1,000 rows (see `mesh.model.selection`).
        missing: share of the earlier rows without a value.
        drift: population stability index from the earlier to the later rows, and `drift_within` from the first to the
            second half of the earlier ones.
        unseen: share of the later rows whose category training did not know.
    """

    column: str
    used: bool
    why: str
    kind: str | None = None
    auc_alone: float | None = None
    gain: float | None = None
    gain_error: float | None = None
    missing: float | None = None
    drift: float | None = None
    drift_within: float | None = None
    unseen: float | None = None

    @property
    def drift_word(self) -> str | None:
        """`stable`, `moving` or `moved`, by the usual bounds of the index."""
        if self.drift is None:
            return None
        return "stable" if self.drift < STABLE else "moving" if self.drift < MOVED else "moved"


def column_reports(
    definition: ModelDefinition,
    features: Sequence[Feature],
    selection: Selection,
    alone: dict[str, float],
    earlier: Floats,
    later: Floats,
    given_later: Sequence[npt.NDArray[np.bool_]],
) -> tuple[ColumnReport, ...]:
    """A report per column: candidates in their order, then what the definition leaves out.

    Args:
        features: the candidates; `selection` has a verdict on each.
        earlier, later: their encoded values before and in the test part.
        given_later: per candidate, whether a later row had a value as delivered.
    """
    import numpy as np

    verdicts = {verdict.column: verdict for verdict in selection.verdicts}
    half = len(earlier) // 2
    reports = []
    for at, feature in enumerate(features):
        verdict, values, after = verdicts[feature.name], earlier[:, at], later[:, at]
        unseen = float((np.isnan(after) & given_later[at]).mean()) if feature.kind == CATEGORY and len(after) else None
        reports.append(
            ColumnReport(
                column=feature.name,
                used=verdict.used,
                why=verdict.why,
                kind=feature.kind,
                auc_alone=round(alone[feature.name], 4),
                gain=_rounded(verdict.gain),
                gain_error=_rounded(verdict.error),
                missing=round(float(np.isnan(values).mean()), 4),
                drift=round(stability_index(feature, values, after), 4),
                drift_within=round(stability_index(feature, values[:half], values[half:]), 4),
                unseen=_rounded(unseen),
            )
        )
    reports += [ColumnReport(name, False, why) for name, why in definition.exclude.items()]
    protected = "Protected: used to compare groups, never to decide."
    return (*reports, *(ColumnReport(name, False, protected) for name in definition.protected))


def to_json(reports: Sequence[ColumnReport], selection: Selection) -> str:
    """The reports as a file that `from_json` reads."""
    body = {
        "format": FORMAT,
        "loss_per_1000_rows": {"all": _rounded(selection.loss_all), "chosen": _rounded(selection.loss_chosen)},
        "columns": [asdict(report) for report in reports],
    }
    return json.dumps(body, indent=1) + "\n"


def from_json(text: str) -> tuple[ColumnReport, ...]:
    """Read what `to_json` wrote."""
    body: dict[str, Any] = json.loads(text)
    return tuple(ColumnReport(**column) for column in body["columns"])


def read_columns(tracking_uri: str, run_id: str) -> tuple[ColumnReport, ...]:
    """The reports that a training logged; nothing for a run from before there were any."""
    from mlflow.exceptions import MlflowException

    from mesh.model.tracking import prepare_tracking

    client = prepare_tracking(tracking_uri)
    with tempfile.TemporaryDirectory(prefix="mesh-columns-") as folder:
        try:
            path = client.download_artifacts(run_id, REPORT, folder)
        except (MlflowException, OSError):
            return ()
        return from_json(Path(path).read_text(encoding="utf-8"))


def to_markdown(reports: Sequence[ColumnReport]) -> str:
    """The reports as a table for people, what is used first."""
    head = ("column", "used", "why", "alone (AUC)", "gain per 1,000 rows", "drift (PSI)", "missing")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for report in sorted(reports, key=lambda one: (not one.used, -(one.gain or 0.0))):
        gain = "" if report.gain is None else f"{report.gain:.2f} ± {report.gain_error:.2f}"
        drift = "" if report.drift is None else f"{report.drift:.3f} {report.drift_word}"
        cells = (
            report.column, "yes" if report.used else "no", report.why,
            "" if report.auc_alone is None else f"{report.auc_alone:.3f}", gain, drift,
            "" if report.missing is None else f"{report.missing:.1%}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
