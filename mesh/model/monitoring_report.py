"""What monitoring found, for people: a table for the Dagster UI, pictures for the run in MLflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mesh.model.watched_rows import LEARNED, NEW, STAGES, TESTED
from mesh.model.watching import BREACHED, WATCH

Record = Mapping[str, Any]

MOST = 30
LEAST_ROWS = 20
"""Of fewer rows a point on a chart would only hide the others."""

_COLOURS = {LEARNED: "tab:grey", TESTED: "tab:blue", NEW: "tab:orange"}
_HEADLINE = (
    ("score PSI", "psi", "score"), ("flagged", "flag_rate", "flagged"), ("precision", "precision", "flagged"),
    ("recall", "recall", "flagged"), ("found - expected", "calibration_gap", "probability"),
    ("outcomes", "label_coverage", "outcome"), ("days to outcome", "label_delay_days", "outcome"),
)  # fmt: skip


def to_markdown(records: Sequence[Record]) -> str:
    """The figures by period and stage, what is in breach in bold; below what is in breach or to be watched."""
    found = {(one["period"], one["stage"], one["measure"], one["subject"]): one for one in records}
    groups = dict.fromkeys((one["period"], one["stage"]) for one in records)
    head = ("period", "stage", "rows", *(title for title, _, _ in _HEADLINE))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for period, stage in sorted(groups, key=lambda group: (group[0], STAGES.index(group[1]))):
        rows = found.get((period, stage, "psi", "score"))
        cells = [period, stage, f"{rows['rows']:,}" if rows else ""]
        cells += [_cell(found.get((period, stage, measure, subject))) for _, measure, subject in _HEADLINE]
        lines.append("| " + " | ".join(cells) + " |")
    grave = [one for one in records if one["status"] in (BREACHED, WATCH)]
    grave.sort(key=lambda one: (one["status"] != BREACHED, one["measure"], one["subject"]))
    for one in grave[:MOST]:
        lines += (
            [] if one is not grave[0] else ["", "| status | figure | value | watch | breach | rows |", "|" + "---|" * 6]
        )
        what = f"{one['measure']} of {one['subject']}, {one['period']}, {one['stage']}"
        lines.append(
            f"| {one['status']} | {what} | {one['value']:.3f} | {one['watch']:.3f} | {one['breach']:.3f} | "
            f"{one['rows']:,} |"
        )
    lines += ["", f"{len(grave) - MOST} more in the product."] if len(grave) > MOST else []
    return "\n".join(lines) + "\n"


def write_charts(folder: Path, records: Sequence[Record], title: str) -> None:
    """Write `drift`, `flagged`, `found` and `calibration` as PNG into a new folder: each figure by period, its
    interval, and where it is to be watched or a breach; one colour per stage.
    """
    folder.mkdir(parents=True)
    _chart(folder / "drift.png", records, f"{title}: how far the scores moved (PSI)", [("psi", "score")])
    _chart(folder / "flagged.png", records, f"{title}: share of rows flagged", [("flag_rate", "flagged")])
    _chart(folder / "found.png", records, f"{title}: precision of flagged rows", [("precision", "flagged")])
    _chart(
        folder / "calibration.png", records, f"{title}: found rate minus mean probability",
        [("calibration_gap", "probability")],
    )  # fmt: skip


def charts(records: Sequence[Record], title: str) -> Callable[[Path], None]:
    """What writes the pictures once somebody has a folder for them."""

    def write(folder: Path) -> None:
        write_charts(folder, records, title)

    return write


def _chart(path: Path, records: Sequence[Record], title: str, wanted: Sequence[tuple[str, str]]) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [one for one in records if (one["measure"], one["subject"]) in wanted and one["rows"] >= LEAST_ROWS]
    periods = sorted({one["period"] for one in shown})
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(title=title)
    for stage in STAGES:
        mine = [one for one in shown if one["stage"] == stage]
        if not mine:
            continue
        places = [periods.index(one["period"]) for one in mine]
        values = [one["value"] for one in mine]
        reach = [
            [one["value"] - (one["value"] if one["low"] is None else one["low"]) for one in mine],
            [(one["value"] if one["high"] is None else one["high"]) - one["value"] for one in mine],
        ]
        axes.errorbar(places, values, yerr=reach, marker="o", capsize=3, color=_COLOURS[stage], label=stage)
    for name, style in (("watch", ":"), ("breach", "--")):
        marks = [one[name] for one in shown if one[name] is not None]
        if marks:
            axes.axhline(marks[-1], linestyle=style, color="grey", label=name)
            if any(one["value"] < 0 for one in shown):
                axes.axhline(-marks[-1], linestyle=style, color="grey")
    axes.set_xticks(range(len(periods)), periods, rotation=90 if len(periods) > 8 else 0)
    if shown:
        axes.legend()
    figure.savefig(path, dpi=80, metadata={"Software": None})


def _cell(record: Record | None) -> str:
    if record is None:
        return ""
    text = f"{record['value']:.3f}" if record["measure"] != "label_delay_days" else f"{record['value']:.0f}"
    return f"**{text}**" if record["status"] == BREACHED else text
