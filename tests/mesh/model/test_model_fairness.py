"""Group figures held against fairlearn and scipy, on planted disparities and on none."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from mesh.errors import ModelError
from mesh.model.fairness import (
    ALIKE,
    FALSE_POSITIVE_RATE,
    FIGURES,
    FLAG_RATE,
    HIGHER,
    LOWER,
    MEDIAN_DAYS,
    NOT_KNOWN,
    PRECISION,
    RECALL,
    TOO_FEW,
    GroupFigure,
    evenness,
    group_figures,
    holm,
    most_unequal,
    wilson,
)

Known = dict[tuple[str, str, str], GroupFigure]


def keyed(figures: tuple[GroupFigure, ...]) -> Known:
    return {(found.column, found.group, found.figure): found for found in figures}


def people(rng: np.random.Generator, rows: int, lifted: float = 1.0) -> dict[str, Any]:
    """Rows of which group `b` of `team` is flagged `lifted` times as often; nothing else tells groups apart."""
    team = rng.choice(["a", "b", "c"], rows, p=(0.6, 0.25, 0.15))
    sex = rng.choice(["female", "male", None], rows, p=(0.5, 0.45, 0.05))
    bad = rng.random(rows) < 0.2
    flagged = rng.random(rows) < np.where(bad, 0.5, 0.15) * np.where(team == "b", lifted, 1.0)
    truth = np.where(rng.random(rows) < 0.4, bad.astype(float), np.nan)
    days = np.where(np.isnan(truth), np.nan, rng.gamma(2.0, 10.0, rows))
    groups = {"team": list(team), "sex": list(sex)}
    return {"flagged": flagged, "groups": groups, "truth": truth, "days": days}


def test_every_figure_of_a_group_is_told_with_its_size_and_rest() -> None:
    """120 of a (30 flagged, 40 reviewed), 80 of b (40 flagged, 40 reviewed), 5 without a group."""
    group = ["a"] * 120 + ["b"] * 80 + [None] * 5
    flagged = np.array([i < 30 for i in range(120)] + [i < 40 for i in range(80)] + [False] * 5)
    truth = np.full(205, np.nan)
    truth[:20], truth[20:30], truth[100:110] = 1.0, 0.0, 0.0
    truth[120:140], truth[140:150], truth[190:200] = 1.0, 0.0, 0.0
    days = np.where(np.isnan(truth), np.nan, np.arange(205) % 40)
    found = keyed(group_figures(flagged, {"team": group}, truth=truth, days=days, least_rows=20))
    told = {key[1:]: (one.rows, one.n, one.value, one.rest, one.verdict) for key, one in found.items()}
    assert told == {
        ("a", FLAG_RATE): (120, 120, 0.25, 0.5, LOWER),
        ("a", PRECISION): (120, 30, 20 / 30, 20 / 30, ALIKE),
        ("a", RECALL): (120, 20, 1.0, 1.0, ALIKE),
        ("a", FALSE_POSITIVE_RATE): (120, 20, 0.5, 0.5, ALIKE),
        ("a", MEDIAN_DAYS): (120, 40, 19.5, 19.5, ALIKE),
        ("b", FLAG_RATE): (80, 80, 0.5, 0.25, HIGHER),
        ("b", PRECISION): (80, 30, 20 / 30, 20 / 30, ALIKE),
        ("b", RECALL): (80, 20, 1.0, 1.0, ALIKE),
        ("b", FALSE_POSITIVE_RATE): (80, 20, 0.5, 0.5, ALIKE),
        ("b", MEDIAN_DAYS): (80, 40, 19.5, 19.5, ALIKE),
        **{(NOT_KNOWN, name): (5, 5 if name == FLAG_RATE else 0, None, None, TOO_FEW) for name in FIGURES},
    }  # fmt: skip
    assert found["team", "b", FLAG_RATE].ratio == 2.0
    assert [one.share for one in found.values()][::5] == [120 / 205, 80 / 205, 5 / 205]


def test_shares_agree_with_fairlearn() -> None:
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate
    from sklearn.metrics import precision_score, recall_score

    given = people(np.random.default_rng(4), 6000, lifted=1.4)
    weight = np.random.default_rng(5).choice([1.0, 8.0], 6000)
    found = keyed(group_figures(**given, weight=weight))
    seen = ~np.isnan(given["truth"])
    judges = {PRECISION: precision_score, RECALL: recall_score, FALSE_POSITIVE_RATE: false_positive_rate}
    for column, group in given["groups"].items():
        words = np.array([NOT_KNOWN if word is None else word for word in group])
        flags = MetricFrame(
            metrics=selection_rate, y_true=given["flagged"], y_pred=given["flagged"], sensitive_features=words
        )
        judged = MetricFrame(
            metrics=judges,
            y_true=given["truth"][seen].astype(int),
            y_pred=given["flagged"][seen].astype(int),
            sensitive_features=words[seen],
            sample_params={name: {"sample_weight": weight[seen]} for name in judges},
        )
        for word in np.unique(words):
            assert found[column, word, FLAG_RATE].value == pytest.approx(flags.by_group[word])
            for name in judges:
                mine = found[column, word, name].value
                assert mine is None or mine == pytest.approx(judged.by_group.loc[word, name])
        assert sum(found[column, word, PRECISION].judged for word in np.unique(words)) >= 2


def test_intervals_and_tests_agree_with_scipy() -> None:
    for hits, rows in ((0, 50), (3, 60), (50, 50), (300, 9000)):
        ends = stats.binomtest(hits, rows).proportion_ci(method="wilson")
        assert wilson(hits / rows, rows) == pytest.approx((ends.low, ends.high), abs=1e-12)
    given = people(np.random.default_rng(6), 800, lifted=1.5)
    inside = np.array(given["groups"]["team"]) == "b"
    found = keyed(group_figures(**given))
    a, b = (int(given["flagged"][place].sum()) for place in (inside, ~inside))
    exact = stats.fisher_exact([[a, inside.sum() - a], [b, (~inside).sum() - b]]).pvalue
    assert found["team", "b", FLAG_RATE].p == pytest.approx(exact)
    large = people(np.random.default_rng(7), 60_000, lifted=1.05)
    inside = np.array(large["groups"]["team"]) == "b"
    a, b = (int(large["flagged"][place].sum()) for place in (inside, ~inside))
    table = [[a, inside.sum() - a], [b, (~inside).sum() - b]]
    pearson = stats.chi2_contingency(table, correction=False).pvalue
    assert keyed(group_figures(**large))["team", "b", FLAG_RATE].p == pytest.approx(pearson)


def test_a_rate_that_was_lifted_for_one_group_is_found_and_named() -> None:
    """The seed is drawn here, so that nothing can have been tuned to it."""
    seed = secrets.randbits(64)
    given = people(np.random.default_rng(seed), 8000, lifted=1.6)
    found = group_figures(**given)
    different = {(one.column, one.group, one.verdict) for one in found if one.figure == FLAG_RATE and one.differs}
    assert ("team", "b", HIGHER) in different, seed
    assert not any(column == "sex" for column, _, _ in different), seed
    worst = most_unequal(found, FLAG_RATE)
    assert worst is not None
    assert (worst.column, worst.group) == ("team", "b"), seed
    assert worst.low is not None
    assert worst.rest is not None
    assert worst.low > worst.rest, seed


@pytest.mark.parametrize("weighted", [False, True])
def test_where_nothing_was_planted_at_most_one_run_in_twenty_raises_an_alarm(weighted: bool) -> None:
    """All groups and figures of a run count as one: a single alarm among them is a false one."""
    alarms, runs = 0, 80
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        weight = rng.choice([1.0, 10.0], 1500, p=(0.8, 0.2)) if weighted else None
        alarms += any(one.differs for one in group_figures(**people(rng, 1500), weight=weight))
    assert alarms <= runs * 0.05


def test_unreviewed_rows_count_in_the_flag_rate_and_nowhere_else() -> None:
    given = people(np.random.default_rng(8), 4000)
    seen = ~np.isnan(given["truth"])
    whole = keyed(group_figures(**given))
    groups = {name: list(np.array(words)[seen]) for name, words in given["groups"].items()}
    reviewed = keyed(
        group_figures(given["flagged"][seen], groups, truth=given["truth"][seen], days=given["days"][seen])
    )
    for key, one in whole.items():
        if key[2] != FLAG_RATE:
            assert (one.n, one.value, one.low, one.p) == (
                reviewed[key].n, reviewed[key].value, reviewed[key].low, reviewed[key].p,
            )  # fmt: skip
        else:
            assert one.n == one.rows > reviewed[key].rows


def test_a_weight_makes_a_row_count_as_many_and_an_interval_no_narrower() -> None:
    """A random review that stands for ten others tells no more than it is."""
    flagged, truth = np.array([True, False] * 100), np.ones(200)
    group = {"team": ["a"] * 100 + ["b"] * 100}
    weight = np.where(flagged, 1.0, 3.0)
    even, tilted = (
        keyed(group_figures(flagged, group, truth=truth, weight=given))["team", "a", RECALL] for given in (None, weight)
    )
    assert (even.value, tilted.value) == (0.5, 0.25)
    assert wilson(0.25, 80.0) == (tilted.low, tilted.high), "100 rows of weights 1 and 3 are as sure as 80"


def test_those_of_whom_nothing_is_known_are_held_against_all_others_and_blur_no_comparison() -> None:
    """Whoever uses a false identity is in no group and flagged; men and women must not look spared by that."""
    flagged = [True] * 30 + [False] * 70 + [True] * 30 + [False] * 70 + [True] * 100
    found = keyed(group_figures(flagged, {"sex": ["x"] * 100 + ["y"] * 100 + [None] * 100}))
    told = {group: (one.value, one.rest, one.verdict) for (_, group, _), one in found.items()}
    assert told == {"x": (0.3, 0.3, ALIKE), "y": (0.3, 0.3, ALIKE), NOT_KNOWN: (1.0, 0.3, HIGHER)}


def test_without_a_truth_only_the_flag_rate_is_told() -> None:
    found = group_figures([True] * 60 + [False] * 60, pa.table({"sex": ["x", "y"] * 60}))
    assert [(one.group, one.figure) for one in found] == [("x", FLAG_RATE), ("y", FLAG_RATE)]


def test_equal_medians_are_not_called_higher_or_lower() -> None:
    days = np.concatenate((np.linspace(5, 15, 101), np.concatenate((np.full(50, 9.9), [10.0], np.full(50, 90.0)))))
    found = keyed(group_figures([False] * 202, {"team": ["a"] * 101 + ["b"] * 101}, days=days))
    one = found["team", "a", MEDIAN_DAYS]
    assert one.p_adjusted is not None
    assert (one.p_adjusted < 0.05, one.value, one.rest, one.verdict) == (True, 10.0, 10.0, ALIKE)


def test_holm_multiplies_the_smallest_by_all_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_most_unequal_group_may_be_far_above_or_far_below() -> None:
    def one(group: str, value: float, rest: float, verdict: str = ALIKE) -> GroupFigure:
        return GroupFigure("team", group, RECALL, 100, 0.1, 100, value, 0.0, 1.0, rest, verdict=verdict)

    figures = [one("a", 0.4, 0.5), one("b", 0.9, 0.3), one("c", 0.0, 0.0), GroupFigure("team", "d", RECALL, 3, 0.0, 3)]
    assert most_unequal(figures, RECALL) == figures[1]
    assert [evenness(figure) for figure in figures[:3]] == pytest.approx([0.8, 1 / 3, 1.0])
    assert evenness(one("e", 0.2, 0.0)) == 0.0
    assert most_unequal(figures, PRECISION) is None


def test_a_reviewed_row_that_stands_for_none_counts_as_not_looked_at() -> None:
    rng = np.random.default_rng(2)
    truth, flagged = rng.integers(0, 2, 600).astype(float), rng.random(600) < 0.4
    groups, drawn = {"sex": ["x", "y"] * 300}, np.arange(600) % 5 < 2
    of_drawn = group_figures(flagged, groups, truth=np.where(drawn, truth, np.nan), weight=np.full(600, 3.0))
    assert group_figures(flagged, groups, truth=truth, weight=np.where(drawn, 3.0, 0.0)) == of_drawn


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"truth": [1.0]}, "100 rows were scored, truth has 1"),
        ({"groups": {"sex": ["x"]}}, "100 rows were scored, sex has 1"),
        ({"weight": np.full(100, -1.0)}, "a weight is below 0"),
    ],
)
def test_rows_that_do_not_fit_are_refused(change: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {"flagged": [True] * 100, "groups": {"sex": ["x"] * 100}, "truth": np.ones(100)}
    call: Callable[..., Any] = group_figures
    with pytest.raises(ModelError, match=told):
        call(**{**given, **change})
