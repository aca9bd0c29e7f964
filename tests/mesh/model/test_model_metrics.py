from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import ModelError
from mesh.model import Metric, evaluate
from mesh.model.calibration import best_share, fit_bands, fit_calibration
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
            "recall_at_5_percent_false_positives": 0.5,
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


def test_money_is_what_the_reviewed_positives_are_worth() -> None:
    """Two of ten are reviewed: one is worth 300, the other is no find; the find that is missed is worth 9,000."""
    worth = [300, 500, 9000, 1, 1, 1, 1, 1, 1, float("nan")]
    found = evaluate(TRUTH, SCORE, 0.2, seed=1, values=worth)
    assert found["money_caught_per_1000_reviews"].value == pytest.approx(300 / 2 * 1000)
    assert evaluate(TRUTH, SCORE, 0.3, seed=1, values=worth)["money_caught_per_1000_reviews"].value == pytest.approx(
        9300 / 3 * 1000
    )


ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(1, 5)), min_size=2, max_size=60)


@settings(max_examples=50, deadline=None)
@given(ROWS, st.sampled_from([0.05, 0.22, 0.5]))
def test_weighted_figures_agree_with_scikit_learn_and_with_repeated_rows(
    rows: list[tuple[bool, int, int]], capacity: float
) -> None:
    """A row that stands for three is the same as three rows."""
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve

    truth, score = np.array([row[0] for row in rows]), np.array([row[1] / 8 for row in rows])
    weights = np.array([row[2] for row in rows])
    if truth.all() or not truth.any():
        return
    worth = np.arange(len(rows)) * 10.0
    found = evaluate(truth, score, capacity, seed=1, resamples=3, weights=weights, values=worth)
    assert found["auc"].value == pytest.approx(roc_auc_score(truth, score, sample_weight=weights))
    assert found["average_precision"].value == pytest.approx(
        average_precision_score(truth, score, sample_weight=weights)
    )
    assert found["brier"].value == pytest.approx(brier_score_loss(truth, score, sample_weight=weights))
    false, true, _ = roc_curve(truth, score, sample_weight=weights, drop_intermediate=False)
    assert found["recall_at_5_percent_false_positives"].value == pytest.approx(np.interp(0.05, false, true))
    again = np.repeat(np.arange(len(rows)), weights)
    repeated = evaluate(truth[again], score[again], capacity, seed=1, resamples=0, values=worth[again])
    for name in ("precision_at_capacity", "recall_at_capacity", "money_caught_per_1000_reviews", "auc"):
        assert found[name].value == pytest.approx(repeated[name].value), name


def test_the_calibration_error_of_weighted_rows_is_that_of_whom_they_stand_for() -> None:
    """Ten bins of equal size; in each |mean probability - share of positives|, weighted by what the bin stands for."""
    rng = np.random.default_rng(2)
    score, weights = rng.permutation(1000) / 1000, rng.integers(1, 20, 1000).astype(float)
    truth = (rng.random(1000) < score**2).astype(float)
    order, expected = np.argsort(-score), 0.0
    for rows in np.split(order, 10):
        mean, share = np.average(score[rows], weights=weights[rows]), np.average(truth[rows], weights=weights[rows])
        expected += abs(mean - share) * weights[rows].sum() / weights.sum()
    assert evaluate(truth, score, 0.2, 1, 0, weights=weights)["ece"].value == pytest.approx(expected)


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


def test_calibration_of_weighted_rows_finds_the_curve_of_whom_they_stand_for() -> None:
    """Positives were looked at four times as often; weighted back, the curve is that of everybody."""
    rng = np.random.default_rng(0)
    margins = rng.normal(-2, 1.5, 100_000)
    truth = (rng.random(100_000) < 1 / (1 + np.exp(-(0.7 * margins + 0.4)))).astype(float)
    seen = (truth == 1) | (rng.random(100_000) < 0.25)
    weights = np.where(truth[seen] == 1, 1.0, 4.0)
    found = fit_calibration(margins[seen], truth[seen], weights)
    assert (found.slope, found.intercept) == (pytest.approx(0.7, abs=0.03), pytest.approx(0.4, abs=0.06))
    assert fit_calibration(margins[seen], truth[seen]).intercept > 1


def test_the_share_that_is_reviewed_is_the_one_that_pays_best() -> None:
    """By hand: reviews cost 10; the first two bring 50 and 0, the third 30, the fourth nothing, the fifth 12."""
    margins, gain = np.array([5.0, 4, 3, 2, 1]), np.array([50.0, 0, 30, 0, 12])
    assert best_share(margins, gain, 10.0, 1.0) == 0.6
    assert best_share(margins, gain, 25.0, 1.0) == 0.2
    assert best_share(margins, gain, 5.0, 1.0) == 1.0
    assert best_share(margins, gain, 10.0, 0.5) == 0.2
    # Where the third row stands for four, its finds outweigh the vain review before it.
    assert best_share(margins, gain, 20.0, 1.0) == 0.2
    assert best_share(margins, gain, 20.0, 1.0, np.array([1.0, 1, 4, 1, 1])) == pytest.approx(6 / 8)
    with pytest.raises(ModelError, match="no share of the validation rows brings more than it costs"):
        best_share(margins, gain, 60.0, 1.0)


@pytest.mark.parametrize("margins", [np.zeros(100), -np.arange(100.0)])
def test_margins_that_do_not_rank_are_refused(margins: np.ndarray) -> None:
    with pytest.raises(ModelError, match="no better than chance"):
        fit_calibration(margins, (np.arange(100) > 80).astype(float))
