from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import ModelError
from mesh.model import Metric, evaluate
from mesh.model.calibration import fit_bands, fit_calibration
from mesh.model.metrics import auc, calibration_points, curve_points

TRUTH = [1, 0, 1, 0, 0, 0, 0, 0, 0, 0]
SCORE = [0.9, 0.8, 0.7, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1]


def test_figures_of_ten_rows_by_hand() -> None:
    found = {name: metric.value for name, metric in evaluate(TRUTH, SCORE, 0.2, seed=1).items()}
    assert found == pytest.approx(
        {
            "auc": 15 / 16,
            "average_precision": 0.5 * 1 + 0.5 * 2 / 3,
            "precision_at_capacity": 0.5,
            "recall_at_capacity": 0.5,
            "brier": (0.01 + 0.64 + 0.09 + 3 * 0.04 + 4 * 0.01) / 10,
            "ece": (0.1 + 0.8 + 0.3 + 3 * 0.2 + 4 * 0.1) / 10,
            "n": 10,
            "positives": 2,
        }
    )


def test_ties_share_the_places_that_are_left() -> None:
    """Nobody is first among equals: five of ten equal rows catch half of the positives, whatever their order."""
    for truth in ([1, 1] + [0] * 8, [0] * 8 + [1, 1]):
        found = evaluate(truth, [0.5] * 10, 0.5, seed=1)
        assert (found["recall_at_capacity"].value, found["auc"].value) == (0.5, 0.5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_ranking_figures_agree_with_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

    truth, score = np.array([row[0] for row in rows]), np.array([row[1] / 8 for row in rows])
    if truth.all() or not truth.any():
        with pytest.raises(ModelError, match="Nothing can be measured"):
            evaluate(truth, score, 0.2, seed=1)
        return
    found = evaluate(truth, score, 0.2, seed=1, resamples=5)
    assert found["auc"].value == pytest.approx(roc_auc_score(truth, score))
    assert found["average_precision"].value == pytest.approx(average_precision_score(truth, score))
    assert found["brier"].value == pytest.approx(brier_score_loss(truth, score))
    assert all(metric.low <= metric.value <= metric.high for metric in found.values())


def test_intervals_are_repeatable_and_narrow_with_more_rows() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(4000)
    truth = rng.random(4000) < score
    small, large = evaluate(truth[:200], score[:200], 0.2, seed=3), evaluate(truth, score, 0.2, seed=3)
    assert evaluate(truth, score, 0.2, seed=3) == large
    assert evaluate(truth, score, 0.2, seed=4) != large
    assert large["auc"].high - large["auc"].low < (small["auc"].high - small["auc"].low) / 2
    assert large["n"] == Metric(4000.0, 4000.0, 4000.0)


def test_curves_end_where_everybody_is_reviewed() -> None:
    points = curve_points(TRUTH, SCORE)
    assert points["recall"].tolist() == [0.5, 0.5, 1, 1, 1]
    assert points["precision"].tolist() == pytest.approx([1, 0.5, 2 / 3, 2 / 6, 0.2])
    assert points["false_rate"].tolist() == pytest.approx([0, 1 / 8, 1 / 8, 4 / 8, 1])
    assert points["share"].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.6, 1])
    predicted, seen = calibration_points(TRUTH, SCORE)
    assert (predicted.tolist(), seen.tolist()) == (SCORE, [float(value) for value in TRUTH])
    assert auc(TRUTH, SCORE) == 15 / 16


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=300, unique=True),
    st.floats(0.01, 0.5),
)
def test_bands_flag_the_capacity_and_never_cross(margins: list[float], capacity: float) -> None:
    population = np.array(margins)
    bands = fit_bands(population, capacity)
    flagged, level, score = bands.flagged(population), bands.level(population), bands.score(population)
    assert abs(flagged.sum() - capacity * len(margins)) <= 1
    assert (level == 2).tolist() == flagged.tolist()
    order = np.argsort(population)
    assert (np.diff(score[order]) >= 0).all()
    assert (np.diff(level[order]) >= 0).all()
    assert (score.min() >= 0, score.max()) == (True, 100)


def test_a_score_is_the_percentage_of_the_population_below() -> None:
    population = np.arange(1000.0)
    bands = fit_bands(population, 0.22)
    assert bands.score(np.array([-1.0, 0.0, 9.0, 10.0, 500.0, 779.0, 780.0, 998.0, 999.0, 1e9])).tolist() == [
        0, 0, 0, 1, 50, 77, 78, 99, 100, 100,
    ]  # fmt: skip
    assert bands.flagged(np.array([779.0, 780.0])).tolist() == [False, True]
    assert bands.level(np.array([559.0, 560.0])).tolist() == [0, 1]


def test_a_threshold_among_equals_comes_nearest_to_the_capacity() -> None:
    """Ten rows wanted, and the tenth is one of five equals: nine flagged are nearer than fourteen."""
    population = np.concatenate((np.zeros(86), np.full(5, 1.0), np.arange(2.0, 11.0)))
    assert fit_bands(population, 0.10).flagged(population).sum() == 9
    assert fit_bands(population, 0.13).flagged(population).sum() == 14


def test_calibration_finds_the_curve_the_truth_was_drawn_from() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(-2, 1.5, 50_000)
    truth = (rng.random(50_000) < 1 / (1 + np.exp(-(0.7 * margins + 0.4)))).astype(float)
    found = fit_calibration(margins, truth)
    assert (found.slope, found.intercept) == (pytest.approx(0.7, abs=0.03), pytest.approx(0.4, abs=0.06))


@pytest.mark.parametrize("margins", [np.zeros(100), -np.arange(100.0)])
def test_margins_that_do_not_rank_are_refused(margins: np.ndarray) -> None:
    with pytest.raises(ModelError, match="no better than chance"):
        fit_calibration(margins, (np.arange(100) > 80).astype(float))
