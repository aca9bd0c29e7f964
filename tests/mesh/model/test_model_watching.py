"""What a model's monitoring judges, on figures and distributions that can be worked out by hand or by SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mesh.errors import ProjectError
from mesh.model import load_definition
from mesh.model.drift import Reference, stability_index
from mesh.model.encoding import CATEGORY, NUMBER, Feature
from mesh.model.monitoring import newest, share_figure
from mesh.model.monitoring_report import to_markdown, write_charts
from mesh.model.watching import BREACH, WEEK, Figure, Judged, Monitoring, judge

AMOUNT, KIND = Feature("amount", NUMBER), Feature("kind", CATEGORY, categories=("a", "b"))


@pytest.mark.parametrize("digits", [0, 3])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_distance_is_that_of_scipy_with_ties_or_without(digits: int, shift: float) -> None:
    rng = np.random.default_rng(4)
    earlier, later = rng.normal(size=700).round(digits), (rng.normal(size=300) + shift).round(digits)
    found = Reference(AMOUNT, earlier).ks(later)
    assert found == pytest.approx(stats.ks_2samp(earlier, later).statistic, abs=1e-12)


def test_missing_values_move_a_column_too() -> None:
    earlier, later = np.array([1.0, 2.0, 3.0, 4.0]), np.array([np.nan, np.nan, 3.0, 4.0])
    reference = Reference(AMOUNT, earlier)
    assert reference.ks(later) == 0.5
    assert reference.psi(later) > 1
    assert reference.psi(earlier) == 0.0
    assert stability_index(AMOUNT, earlier, later) == reference.psi(later)
    kinds = Reference(KIND, np.array([0.0, 0.0, 1.0, 1.0]))
    assert kinds.ks(np.array([1.0])) is None
    assert kinds.psi(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.25 * np.log(1.5) - 0.25 * np.log(0.5))


JUDGED: dict[str, tuple[Figure, float | None, Judged]] = {
    "a still score": (Figure("psi", "score", 0.09, 500), None, Judged(0.1, 0.25, "ok")),
    "a score that moves": (Figure("psi", "score", 0.1, 500), None, Judged(0.1, 0.25, "watch")),
    "a score that moved": (Figure("psi", "score", 0.25, 500), None, Judged(0.1, 0.25, "breach")),
    "a column that always moves": (Figure("psi", "days", 1.9, 500), 2.0, Judged(2.0, 2.5, "ok")),
    "a column that moves farther": (Figure("psi", "days", 2.6, 500), 2.0, Judged(2.0, 2.5, "breach")),
    "few rows": (Figure("psi", "score", 0.9, 199), None, Judged(0.1, 0.25, "few")),
    "flags by chance": (Figure("flag_rate", "flagged", 0.4, 300, 0.24, 0.5), None, Judged(0.25, 0.3, "ok")),
    "too many flags": (Figure("flag_rate", "flagged", 0.4, 300, 0.31, 0.5), None, Judged(0.25, 0.3, "breach")),
    "worse, maybe": (Figure("precision", "flagged", 0.3, 60, 0.2, 0.38), 0.4, Judged(0.36, 0.3, "ok")),
    "worse": (Figure("precision", "flagged", 0.2, 60, 0.1, 0.29), 0.4, Judged(0.36, 0.3, "breach")),
    "nothing to compare with": (Figure("precision", "flagged", 0.2, 60, 0.1, 0.3), None, Judged(None, None, "told")),
    "too low a probability": (
        Figure("calibration_gap", "probability", 0.1, 200, 0.09, 0.11), None, Judged(0.03, 0.08, "breach"),
    ),
    "too high a probability": (
        Figure("calibration_gap", "probability", -0.05, 200, -0.06, -0.04), None, Judged(0.03, 0.08, "watch"),
    ),
    "a gap around nought": (
        Figure("calibration_gap", "probability", 0.04, 200, -0.02, 0.1), None, Judged(0.03, 0.08, "ok"),
    ),
    "no bounds": (Figure("label_coverage", "outcome", 0.1, 900), None, Judged(None, None, "told")),
}  # fmt: skip


@pytest.mark.parametrize("name", JUDGED)
def test_a_figure_is_judged_by_the_end_of_its_interval_that_is_nearer_to_the_bound(name: str) -> None:
    figure, baseline, wanted = JUDGED[name]
    found = judge(figure, Monitoring(), capacity=0.2, baseline=baseline)
    assert found.status == wanted.status
    assert (found.watch, found.breach) == pytest.approx((wanted.watch, wanted.breach))


BASE = """\
model: risk
description: Which cases.
input: cases/features
key: case_id
label: {product: cases/findings, column: finding, positive: [bad]}
time: at
split: {test_share: 0.25}
capacity: 0.22
output: desk/scores
"""


def _read(folder: Path, more: str) -> Any:
    path = folder / "risk.yaml"
    path.write_text(BASE + more)
    return load_definition(path)


def test_a_definition_says_how_its_model_is_watched_and_stays_the_same_model(tmp_path: Path) -> None:
    watched = _read(
        tmp_path,
        "outputs: {monitoring: desk/watch}\n"
        "monitoring: {period: week, retrain: breach, bounds: {psi: [0.2, 0.4], precision: [0.8, 0.6]}}\n",
    )
    assert watched.monitoring == Monitoring(WEEK, BREACH, (("psi", 0.2, 0.4), ("precision", 0.8, 0.6)))
    found = judge(Figure("psi", "score", 0.3, 500), watched.monitoring, capacity=0.2, baseline=None)
    assert found == Judged(0.2, 0.4, "watch")
    assert watched.digest == _read(tmp_path, "").digest
    assert _read(tmp_path, "").monitoring == Monitoring()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("monitoring: {periods: week}\n", "risk.yaml:10: monitoring.periods: is no field here; did you mean period?"),
        ("monitoring: {period: day}\n", "risk.yaml:10: monitoring.period: does not fit Allowed: month, week"),
        ("monitoring: {retrain: never}\n", "risk.yaml:10: monitoring.retrain: does not fit Allowed: release, breach"),
        ("monitoring:\n  retrain: breach\n", "risk.yaml:11: monitoring.retrain: waits for a breach that no product"),
        ("monitoring:\n  bounds:\n    psy: [1, 2]\n", "risk.yaml:12: monitoring.bounds.psy: is no field here"),
        ("monitoring: {bounds: {psi: [0.3, 0.1]}}\n", "monitoring.bounds.psi: does not fit Allowed: [watch, breach]"),
        ("monitoring: {bounds: {auc: [0.8, 0.9]}}\n", "the graver one lower"),
        ("monitoring: {bounds: {psi: 0.3}}\n", "monitoring.bounds.psi: does not fit"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_its_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ProjectError) as error:
        _read(tmp_path, more)
    assert said in str(error.value)


@pytest.mark.parametrize("whole", range(1, 400, 7))
def test_the_interval_of_a_share_holds_it_even_at_nought_and_at_one(whole: int) -> None:
    """A bar of a chart cannot end before it begins."""
    none, all_of_them = (share_figure("flag_rate", "flagged", part, whole) for part in (0, whole))
    assert (none.low, none.value, all_of_them.value, all_of_them.high) == (0.0, 0.0, 1.0, 1.0)
    assert 0 < (none.high or 0) < 1
    assert none.high == pytest.approx(1 - (all_of_them.low or 0))


def _record(measure: str, subject: str, value: float, **more: Any) -> dict[str, Any]:
    base = {"period": "2020-05", "stage": "new", "low": None, "high": None, "rows": 1200, "watch": 0.1, "breach": 0.25}
    return {**base, "measure": measure, "subject": subject, "value": value, "status": "ok", **more}


def test_people_read_periods_first_and_then_what_is_in_breach(tmp_path: Path) -> None:
    records = [
        _record("psi", "score", 0.3, status="breach"),
        _record("psi", "amount", 0.12, status="watch"),
        _record("flag_rate", "flagged", 0.21, low=0.2, high=0.22),
        _record("label_delay_days", "outcome", 31.2, watch=None, breach=None, status="told"),
        _record("psi", "score", 0.0, period="2020-04", stage="learned", status="baseline"),
    ]
    assert to_markdown(records).splitlines() == [
        "| period | stage | rows | score PSI | flagged | precision | recall | found - expected | outcomes | "
        "days to outcome |",
        "|---|---|---|---|---|---|---|---|---|---|",
        "| 2020-04 | learned | 1,200 | 0.000 |  |  |  |  |  |  |",
        "| 2020-05 | new | 1,200 | **0.300** | 0.210 |  |  |  |  | 31 |",
        "",
        "| status | figure | value | watch | breach | rows |",
        "|---|---|---|---|---|---|",
        "| breach | psi of score, 2020-05, new | 0.300 | 0.100 | 0.250 | 1,200 |",
        "| watch | psi of amount, 2020-05, new | 0.120 | 0.100 | 0.250 | 1,200 |",
    ]
    write_charts(tmp_path / "charts", records, "desk.risk version 1")
    drawn = {path.name: path.read_bytes()[:4] for path in (tmp_path / "charts").iterdir()}
    assert drawn == dict.fromkeys(("drift.png", "flagged.png", "found.png", "calibration.png"), b"\x89PNG")


def test_the_newest_figures_that_can_be_judged_are_plotted() -> None:
    records = [
        _record("psi", "score", 0.1, period="2020-06", stage="tested"),
        _record("psi", "score", 0.2, period="2020-06"),
        _record("psi", "score", 0.9, period="2020-07", status="few"),
        _record("psi", "amount", 0.8, period="2020-07"),
        _record("flag_rate", "flagged", 0.21),
        _record("precision", "flagged", 0.7, period="2020-03", stage="tested"),
        _record("calibration_gap", "probability", 0.01, stage="learned", status="baseline"),
    ]
    assert newest(records) == {"score_psi": 0.2, "flag_rate": 0.21, "precision": 0.7}
    assert newest([]) == {}
