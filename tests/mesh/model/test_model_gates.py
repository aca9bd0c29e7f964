"""Gates say yes, no or not judged, each with its numbers; what is not judged is never passed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mesh.model import LABEL, Gate, GroupFigure, ModelDefinition, TrainedModel, TrainingContext
from mesh.model.comparison import WEIGHT, Comparison, Opponent, compare
from mesh.model.frame import VALUE
from mesh.model.gates import judge, with_stand_ins
from mesh.model.metrics import Metric, evaluate, paired

TrainedFor = Callable[..., TrainedModel]
NAMED = Gate("most", "ece", high=0.1)
STANDS_IN = replace(NAMED, named=False)


def said(gate: Gate, found: Comparison) -> tuple[str, bool]:
    [verdict] = judge([gate], found)
    return verdict.verdict, verdict.holds


@pytest.mark.parametrize(
    ("gate", "champion", "ece", "expected"),
    [
        (NAMED, None, 0.1, ("passed", False)),
        (NAMED, None, 0.11, ("failed", True)),
        (STANDS_IN, None, 0.11, ("failed", False)),
        (STANDS_IN, 1, 0.11, ("failed", True)),
        (NAMED, None, None, ("not judged", True)),
        (STANDS_IN, None, None, ("not judged", False)),
        (STANDS_IN, 1, None, ("not judged", True)),
    ],
)
def test_a_bound_holds_where_it_is_named_or_where_a_champion_scores_anyway(
    gate: Gate, champion: int | None, ece: float | None, expected: tuple[str, bool]
) -> None:
    measured = {} if ece is None else {"ece": ece}
    assert said(gate, Comparison(champion, rows=100, positives=10, measured=measured)) == expected


@pytest.mark.parametrize(
    ("figure", "low", "high", "expected"),
    [
        ("auc", -0.02, 0.01, "passed"),
        ("auc", -0.02, -0.001, "failed"),
        ("auc", 0.001, 0.02, "passed"),
        ("brier", 0.001, 0.02, "failed"),
        ("brier", -0.02, -0.001, "passed"),
        ("brier", -0.001, 0.02, "passed"),
    ],
)
def test_worse_is_what_chance_does_not_account_for(figure: str, low: float, high: float, expected: str) -> None:
    change = {figure: Metric((low + high) / 2, low, high)}
    found = Comparison(1, 100, 10, 100, 0, {}, {figure: 0.5}, {figure: 0.5}, change)
    assert said(Gate("not_worse", figure), found) == (expected, expected == "failed")


def test_what_cannot_be_compared_holds_and_without_a_champion_nothing_is_compared() -> None:
    gate = Gate("not_worse", "auc", named=False)
    assert said(gate, Comparison(1, 100, 10, not_compared="too few")) == ("not judged", True)
    assert said(gate, Comparison(None, 100, 10)) == ("not judged", False)


def test_the_difference_of_two_models_is_measured_on_the_same_resamples() -> None:
    """So that its interval is narrower than those of the two figures, which rise and fall together."""
    rng = np.random.default_rng(5)
    truth = (rng.random(800) < 0.2).astype(float)
    mine = np.clip(0.2 + 0.3 * truth + rng.normal(0, 0.2, 800), 0, 1)
    theirs = np.clip(mine + rng.normal(0, 0.02, 800), 0, 1)
    one, other, change = paired(truth, mine, theirs, 0.22, 1)["auc"]
    _, _, apart = paired(truth, mine, np.full(800, 0.2), 0.22, 1)["auc"]
    assert change.value == pytest.approx(one - other)
    assert change.high - change.low < (apart.high - apart.low) / 3
    assert paired(truth, mine, mine, 0.22, 1)["auc"][2] == Metric(0.0, 0.0, 0.0)


def test_rows_that_the_champion_learned_from_are_left_out(
    definition: ModelDefinition, trained: TrainedModel, other: TrainedModel
) -> None:
    rows = other.test_rows
    middle = str(rows.column("at")[299].as_py())
    champion = replace(trained.model, version=4)
    found = compare(definition, other.model, rows, Opponent(champion, (str(rows.column("at")[9].as_py()), middle)))
    assert (found.champion, found.rows, found.left_out, found.compared_rows) == (4, 791, 300, 491)
    later = rows.slice(300)
    alone = compare(definition, trained.model, later, None)
    assert found.champion_figures == pytest.approx({name: alone.measured[name] for name in found.champion_figures})


def test_rows_drawn_at_random_speak_for_everybody_and_money_is_counted_where_rows_have_a_value(
    definition: ModelDefinition, trained: TrainedModel, other: TrainedModel
) -> None:
    rows = other.test_rows
    gates = [Gate("not_worse", "population_auc"), Gate("not_worse", "money_caught_per_1000_reviews")]
    plain = compare(definition, other.model, rows, Opponent(replace(trained.model, version=1), ()))
    assert [(one.verdict, one.told.partition(", as ")[2]) for one in judge(gates, plain)] == [
        ("not judged", "no row was drawn at random (`label.chosen_by`)"),
        ("not judged", "the definition names no `value`"),
    ]
    weights = np.where(np.arange(rows.num_rows) % 4 == 0, 9.0, 1.0)
    known = rows.append_column(WEIGHT, [weights]).append_column(VALUE, [np.full(rows.num_rows, 100.0)])
    found = compare(definition, other.model, known, Opponent(replace(trained.model, version=1), ()))
    assert {one.verdict for one in judge(gates, found)} == {"passed"}
    truth, flat = rows.column(LABEL).to_numpy(), other.test_probability
    assert found.challenger_figures["auc"] == plain.challenger_figures["auc"]
    assert found.challenger_figures["population_auc"] == pytest.approx(
        evaluate(truth, flat, 0.22, 1, 0, weights=weights)["auc"].value
    )


def test_a_champion_that_reads_a_column_that_is_gone_cannot_be_compared(
    definition: ModelDefinition, trained: TrainedModel, weak: TrainedModel
) -> None:
    rows = weak.test_rows.drop_columns(["amount"])
    found = compare(definition, weak.model, rows, Opponent(replace(trained.model, version=1), ()))
    assert (found.champion, found.differences) == (1, {})
    assert found.not_compared.startswith("the champion cannot score these rows: ")
    assert "amount" in found.not_compared


def test_a_planted_disparity_fails_and_an_even_treatment_passes(
    definition: ModelDefinition, trained: TrainedModel
) -> None:
    """The groups are drawn here: one by chance, one by what the model flags."""
    rows = trained.test_rows
    rng = np.random.default_rng(17)
    flagged = np.asarray(trained.model.card.bands.flagged(_margins(trained, rows)))
    planted = np.where(rng.random(rows.num_rows) < np.where(flagged, 0.9, 0.2), "x", "y")
    even = rng.choice(["p", "q"], rows.num_rows)
    gates = with_stand_ins([Gate("groups", "flag_rate_ratio", 0.5, 2.0), Gate("groups", "recall_gap", high=0.1)])
    found = compare(definition, trained.model, rows, None, groups={"planted": planted.tolist(), "even": even.tolist()})
    told = {one.gate: one for one in judge(gates, found)}
    ratio = told["groups.flag_rate_ratio"]
    assert (ratio.verdict, ratio.holds) == ("failed", True)
    assert ratio.told.startswith("planted x ")
    assert "even" not in ratio.told
    fair = compare(definition, trained.model, rows, None, groups={"even": even.tolist()})
    passed = {one.gate: (one.verdict, one.told) for one in judge(gates, fair)}
    assert passed["groups.flag_rate_ratio"] == ("passed", "2 groups, 0.5 to 2")


@pytest.mark.parametrize(
    ("verdict", "expected"), [("not told apart", "passed"), ("lower", "failed"), ("too few rows", "not judged")]
)
def test_a_group_out_of_bounds_counts_only_beyond_chance(verdict: str, expected: str) -> None:
    figure = GroupFigure(
        "sex", "x", "flag_rate", 60, 0.1, 60, value=0.05, low=0.0, high=0.2, rest=0.2, ratio=0.25, verdict=verdict
    )
    found = Comparison(1, 600, 60, groups=(figure,))
    assert said(Gate("groups", "flag_rate_ratio", 0.5, 2.0), found)[0] == expected
    assert said(Gate("groups", "flag_rate_gap", high=0.1), found)[0] == expected


def test_people_of_whom_nothing_is_known_hold_no_model_back(definition: ModelDefinition, trained: TrainedModel) -> None:
    """Whoever has no record is flagged for that; their figures are evidence, not a bound."""
    rows = trained.test_rows
    flagged = trained.model.card.bands.flagged(_margins(trained, rows))
    rng = np.random.default_rng(18)
    groups = [None if flag and rng.random() < 0.5 else str(rng.choice(["x", "y"])) for flag in flagged]
    found = compare(definition, trained.model, rows, None, groups={"sex": groups})
    assert [one.verdict for one in found.groups if (one.group, one.figure) == ("not known", "flag_rate")] == ["higher"]
    assert said(Gate("groups", "flag_rate_ratio", 0.5, 2.0), found) == ("passed", False)


def test_groups_that_are_not_there_or_too_small_are_not_judged(
    definition: ModelDefinition, trained: TrainedModel
) -> None:
    named, standing_in = Gate("groups", "recall_gap", high=0.1), Gate("groups", "recall_gap", high=0.1, named=False)
    rows = trained.test_rows
    none = compare(definition, trained.model, rows, None)
    small = compare(definition, trained.model, rows.slice(0, 60), None, groups={"sex": ["x", "y"] * 30})
    for found in (none, small):
        assert said(named, found) == ("not judged", True)
        assert said(standing_in, found) == ("not judged", False)
    assert [one.told for one in judge([named, named], none)] == ["the definition names no groups of people"] * 2


def _margins(trained: TrainedModel, rows: pa.Table) -> np.ndarray:
    from mesh.model.encoding import encode

    assert LABEL in rows.column_names
    return np.asarray(trained.model.booster.predict(encode(rows, trained.model.card.features), raw_score=True))


def test_the_evidence_of_a_comparison_holds_no_row(
    definition: ModelDefinition, context: TrainingContext, trained_for: TrainedFor, other: TrainedModel
) -> None:
    import json

    found = compare(definition, other.model, other.test_rows, Opponent(trained_for(context).model, ()))
    text = json.dumps(found.to_json())
    assert "c0" not in text
    assert set(found.to_json()) == {
        "champion", "rows", "positives", "compared_rows", "left_out", "measured", "figures", "differences",
        "not_compared", "groups", "no_groups",
    }  # fmt: skip
