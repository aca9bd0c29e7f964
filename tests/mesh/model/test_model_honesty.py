"""What labels do not say: who was chosen by an earlier flag, what is still on its way, what is wrong."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mesh.model import ChosenBy, Label, ModelDefinition, TrainedModel, TrainingContext, train
from mesh.model.contradictions import count_contradictions
from mesh.model.evidence import label_facts
from mesh.model.frame import AT_RANDOM, CHOSEN, KNOWN_AT, LABEL, OPEN
from mesh.model.lateness import Lateness, put_aside
from mesh.model.sampling import MOST_WEIGHT, effective_size, told_of, weigh
from mesh.model.split import split_rows

DAY = 86_400_000_000


def rows(days: list[int], **more: object) -> pa.Table:
    at = pa.array([day * DAY for day in days], pa.timestamp("us"))
    return pa.table({"case_id": [f"c{number:06}" for number in range(len(days))], "at": at, **more})


@pytest.fixture
def chosen(definition: ModelDefinition) -> ModelDefinition:
    label = replace(definition.label, chosen_by=ChosenBy("selected_by", ("random",)))
    return replace(definition, label=label, exclude={}, protected=(), categorical=(), reasons={})


def flagged_world(seed: int = 5, size: int = 40_000) -> tuple[pa.Table, pa.Table]:
    """Everybody, and the labelled rows: those an old flag points at (a fifth), and one in 20 of the others.

    The flag knows what no feature tells, and `z` tells of the label where it is not up and misleads where it is, so
    that the flagged alone teach the wrong.
    """
    rng = np.random.default_rng(seed)
    hidden, x, z = rng.normal(size=size), rng.normal(size=size), rng.normal(size=size)
    flag = hidden > 0.84
    bad = rng.random(size) < 1 / (1 + np.exp(-(-3.0 + hidden + x + np.where(flag, -1.0, 1.0) * z)))
    drawn = ~flag & (rng.random(size) < 0.05)
    everybody = rows(list(range(size)), x=x, z=z, **{CHOSEN: flag, OPEN: np.zeros(size, dtype=bool)})
    labelled = everybody.drop_columns([CHOSEN, OPEN]).append_column(LABEL, pa.array(bad.astype(np.int8)))
    labelled = labelled.append_column(AT_RANDOM, pa.array(drawn)).append_column("_bad", pa.array(bad))
    return everybody.append_column("_bad", pa.array(bad)), labelled.filter(pa.array(flag | drawn))


def test_a_row_drawn_at_random_stands_for_those_that_nobody_chose(chosen: ModelDefinition) -> None:
    """By hand, part by part: 900 in the test part, 150 of them flagged, 30 drawn: each drawn row stands for 25."""
    everybody, labelled = [], []
    for day in range(3000):
        flag, drawn = day % 6 == 0, day % 30 == 1
        everybody.append((day, flag))
        if flag or drawn:
            labelled.append((day, drawn, day % 4 < 2))
    table = rows(
        [row[0] for row in labelled],
        **{AT_RANDOM: [row[1] for row in labelled], LABEL: pa.array([row[2] for row in labelled]).cast("int8")},
    )
    population = rows([row[0] for row in everybody], **{CHOSEN: [row[1] for row in everybody]})
    found = split_rows(replace(chosen, split=replace(chosen.split, test_share=0.3)), table)
    weights = weigh(chosen, found, population)
    assert weights is not None
    assert sum(sample.population for sample in weights.samples.values()) == 3000
    for part, sample in weights.samples.items():
        place = found.place(part)
        drawn = np.asarray(found.table[AT_RANDOM].to_numpy()[place], dtype=bool)
        assert sample.weight == (sample.population - sample.otherwise) / drawn.sum()
        assert weights.figures[place].sum() == pytest.approx(sample.population, rel=0.01)
        assert set(weights.training[place]) == {1.0, sample.weight_training}
        assert sample.effective == pytest.approx(effective_size(weights.figures[place]))
        assert sample.effective < sample.effective_training < found.parts[part].rows
    assert 1 < sample.weight_training < MOST_WEIGHT
    assert found.table.num_rows / 2 <= effective_size(weights.training) < 0.55 * found.table.num_rows
    assert weights.samples["test"].weight == pytest.approx(25, abs=0.5)


@pytest.mark.parametrize("among", ["rest", "all"])
def test_figures_of_all_rows_are_right_however_the_draw_was_made(chosen: ModelDefinition, among: str) -> None:
    """Over 60 draws the share of bad rows and the mean of what no feature tells are those of everybody, part by part;
    told that the draw was made the other way, both are off by many standard errors."""
    rng = np.random.default_rng(11)
    size = 12_000
    hidden = rng.normal(size=size)
    flag = hidden > 0.84
    bad = rng.random(size) < 1 / (1 + np.exp(-(-2.0 + 1.5 * hidden)))
    errors: dict[str, list[list[float]]] = {"rest": [], "all": []}
    for draw in range(60):
        at_random = (rng.random(size) < 0.08) & (~flag if among == "rest" else True)
        looked_at = flag | at_random
        everybody = rows(list(range(size)), **{CHOSEN: flag & ~at_random})
        table = rows(list(range(size)), **{AT_RANDOM: at_random, LABEL: pa.array(bad.astype(np.int8))})
        for told, found in errors.items():
            label = replace(chosen.label, chosen_by=ChosenBy("selected_by", ("random",), told))
            definition = replace(chosen, label=label)
            split = split_rows(definition, table.filter(pa.array(looked_at)))
            weights = weigh(definition, split, everybody)
            assert weights is not None, draw
            later = split.place("test")
            first = np.flatnonzero(looked_at)[later.start]
            counted, seen = weights.figures[later], np.flatnonzero(looked_at)[later]
            found.append(
                [float(np.average(each[seen], weights=counted) - each[first:].mean()) for each in (bad, hidden)]
            )

    def far(found: list[list[float]]) -> list[float]:
        values = np.abs(np.mean(found, axis=0)) / (np.std(found, axis=0, ddof=1) / np.sqrt(len(found)))
        return [float(value) for value in values]

    other = "all" if among == "rest" else "rest"
    assert max(far(errors[among])) < 3
    assert min(far(errors[other])) > 8


def test_a_draw_among_all_speaks_for_all_alone_and_the_others_still_teach(chosen: ModelDefinition) -> None:
    """By hand: of 3000 rows every 6th is flagged, every 10th drawn, flagged or not; each drawn one stands for 10."""
    label = replace(chosen.label, chosen_by=ChosenBy("selected_by", ("random",), "all"))
    definition = replace(chosen, label=label)
    day = np.arange(3000)
    drawn, flag = day % 10 == 0, day % 6 == 0
    table = rows(day.tolist(), **{AT_RANDOM: drawn, LABEL: pa.array((day % 4 < 2).astype(np.int8))})
    population = rows(day.tolist(), **{CHOSEN: flag & ~drawn})
    split = split_rows(definition, table.filter(pa.array(flag | drawn)))
    weights = weigh(definition, split, population)
    assert weights is not None
    taken = np.asarray(split.table[AT_RANDOM].to_numpy(), dtype=bool)
    assert set(weights.figures[~taken]) == {0.0}
    assert weights.figures[taken] == pytest.approx(10, rel=0.05)
    assert set(weights.training[~taken]) == {1.0}
    assert (weights.training[taken] > 1).all()
    assert {(sample.weight_otherwise, sample.at_random) for sample in weights.samples.values()} == {
        (0.0, int(taken[split.place(part)].sum())) for part in weights.samples
    }
    assert told_of(weights.samples) == "all rows: those drawn at random stand for them all"


def test_a_draw_with_next_to_no_finds_weighs_nothing(chosen: ModelDefinition) -> None:
    """Four finds among the drawn of the validation part are chance; five are the least to go by."""
    for finds, weighed in ((4, False), (5, True)):
        drawn = np.arange(1000) % 2 == 0
        bad = ~drawn & (np.arange(1000) % 10 == 1)
        for first, last, most in ((0, 600, 30), (600, 750, finds), (750, 1000, 5)):
            bad[np.flatnonzero(drawn[first:last])[:most] + first] = True
        table = rows(list(range(1000)), **{AT_RANDOM: drawn, LABEL: pa.array(bad.astype(np.int8))})
        population = rows(list(range(1000)), **{CHOSEN: ~drawn})
        assert (weigh(chosen, split_rows(chosen, table), population) is not None) == weighed


def test_without_a_draw_nothing_is_weighed_and_figures_speak_for_the_reviewed(
    chosen: ModelDefinition, context: TrainingContext
) -> None:
    everybody, labelled = flagged_world(size=8000)
    none = labelled.filter(pa.array(~np.asarray(labelled[AT_RANDOM].to_numpy(), dtype=bool))).drop_columns(["_bad"])
    trained = train(chosen, none, context, population=everybody.drop_columns(["_bad"]))
    assert trained.samples == {}
    assert dict(trained.speaks_for) == {"": "reviewed rows"}
    assert not any(name.startswith("population_") for name in trained.metrics["test"])


def test_what_the_flagged_hide_is_learned_from_the_drawn(chosen: ModelDefinition, context: TrainingContext) -> None:
    """Against the truth about everybody, which training does not see: weighted trees rank better, their
    probabilities are truer, and the interval of their population figure holds it."""
    everybody, labelled = flagged_world()
    truth = np.asarray(everybody["_bad"].to_numpy(), dtype=float)
    everybody, labelled = everybody.drop_columns(["_bad"]), labelled.drop_columns(["_bad"])
    weighted = train(chosen, labelled, context, population=everybody)
    plain = replace(chosen, label=replace(chosen.label, chosen_by=None))
    unweighted = train(plain, labelled, context, population=everybody)

    later = slice(int(0.75 * len(truth)), None)

    def actual(trained: TrainedModel) -> tuple[float, float]:
        from sklearn.metrics import brier_score_loss, roc_auc_score

        from mesh.model import score

        chance = score(trained.model, everybody)["probability"].to_numpy()[later]
        return roc_auc_score(truth[later], chance), brier_score_loss(truth[later], chance)

    ours, theirs = actual(weighted), actual(unweighted)
    assert ours[0] > theirs[0] + 0.01
    assert ours[1] < theirs[1]
    figures = weighted.metrics["test"]
    assert figures["population_auc"].low < ours[0] < figures["population_auc"].high
    assert dict(weighted.speaks_for)["population_"].startswith("all rows")
    assert label_facts(weighted)["test_random_rows"] == weighted.samples["test"].at_random


def delayed(definition: ModelDefinition, now: int) -> tuple[pa.Table, pa.Table, ModelDefinition]:
    """A row a quarter of a day, 5 % bad; innocent ones are closed after 2 days, bad ones after 40; what is not
    closed by day `now` has no label."""
    rng = np.random.default_rng(3)
    size = 4000
    day, bad = np.arange(size) / 4, rng.random(size) < 0.05
    at = pa.array((day * DAY).astype(np.int64), pa.timestamp("us"))
    known = day + np.where(bad, 40.0, 2.0)
    table = pa.table(
        {"case_id": [f"c{number:06}" for number in range(size)], "at": at, "x": bad + rng.normal(size=size)}
    )
    closed = known <= now
    labelled = table.append_column(LABEL, pa.array(bad.astype(np.int8))).append_column(
        KNOWN_AT, pa.array((known * DAY).astype(np.int64), pa.timestamp("us"))
    )
    happened = day <= now
    population = table.append_column(OPEN, pa.array(~closed)).filter(pa.array(happened))
    moment = datetime.fromtimestamp(now * 86_400).strftime("%Y-%m-%dT%H:%M:%S")
    told = replace(definition, as_of=moment, exclude={}, protected=(), categorical=(), reasons={})
    return labelled.filter(pa.array(closed & happened)), population, told


def test_rows_too_young_for_their_labels_do_not_make_the_newest_part_look_innocent(
    definition: ModelDefinition, context: TrainingContext
) -> None:
    """Of the last 40 days every labelled row is innocent; they are put aside, counted and told."""
    labelled, population, told = delayed(definition, now=900)
    at, truth = labelled["at"].cast(pa.int64()).to_numpy() / DAY, labelled[LABEL].to_numpy()
    assert truth[at > 860].sum() == 0
    kept, late = put_aside(told, labelled, population)
    assert kept["at"].cast(pa.int64()).to_numpy().max() / DAY == 860
    open_days = 900 - population.filter(population[OPEN])["at"].cast(pa.int64()).to_numpy() / DAY
    assert asdict(late) == {
        "population": 3601,
        "labelled": labelled.num_rows,
        "open": 3601 - labelled.num_rows,
        "open_median_days": round(float(np.median(open_days)), 2),
        "open_oldest_days": open_days.max(),
        "delay_days": 40.0,
        "too_young": int((at > 860).sum()),
    }
    trained = train(told, labelled, context, population=population)
    share = trained.parts["test"].positives / trained.parts["test"].rows
    assert share == pytest.approx(0.05, abs=0.02)
    assert trained.lateness == late


def test_rows_are_not_too_young_where_no_label_is_missing(definition: ModelDefinition) -> None:
    """After a delivery that closed everything on the last day the newest rows are as good as the others."""
    labelled, population, told = delayed(definition, now=1100)
    known = pc.min_element_wise(labelled[KNOWN_AT], pa.scalar(1000 * DAY, pa.int64()).cast(pa.timestamp("us")))
    labelled = labelled.set_column(labelled.column_names.index(KNOWN_AT), KNOWN_AT, known)
    told = replace(told, as_of="1972-09-27")
    at = labelled["at"].cast(pa.int64()).to_numpy() / DAY
    assert (at > 1000 - 40).sum() > 100, "there are rows younger than their labels usually take"
    kept, late = put_aside(told, labelled, population)
    assert (kept.num_rows, late.open, late.too_young, late.delay_days) == (4000, 0, 0, 40.0)


def test_delays_as_long_as_the_record_say_nothing(definition: ModelDefinition) -> None:
    """One delivery of all labels: the oldest had the longest delay, and nothing is put aside, though the later rows
    have fewer labels."""
    labelled, population, told = delayed(definition, now=900)
    number = np.arange(labelled.num_rows)
    labelled = labelled.filter(pa.array((number < 200) | (number % 2 == 0)))
    at_once = pa.array([950 * DAY] * labelled.num_rows, pa.timestamp("us"))
    labelled = labelled.set_column(labelled.column_names.index(KNOWN_AT), KNOWN_AT, at_once)
    kept, late = put_aside(replace(told, as_of=None), labelled, population)
    assert (kept.num_rows, late.too_young) == (labelled.num_rows, 0)


def test_times_that_are_no_moments_have_no_ages(definition: ModelDefinition) -> None:
    """Years are numbers: a row of 2018 that waits for its label is so many days old that nobody can say."""
    known = pa.array([2019 * DAY, 2020 * DAY], pa.timestamp("us"))
    table = pa.table({"case_id": ["a", "b"], "at": [2019, 2020], LABEL: [0, 1], KNOWN_AT: known})
    everybody = pa.table({"case_id": ["a", "b", "c"], "at": [2019, 2020, 2018], OPEN: [False, False, True]})
    label = Label("finding", ("bad",), "case_id")
    kept, late = put_aside(replace(definition, label=label), table, everybody)
    assert kept == table
    assert late == Lateness(population=3, labelled=2, open=1)


def test_contradicted_labels_are_counted_by_hand() -> None:
    """Positives get 0.7 on average, negatives 0.16: the positive at 0.1 and the negative at 0.9 are contradicted."""
    truth = np.array([1.0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    chance = np.array([1.0, 1.0, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05])
    assert asdict(count_contradictions(truth, chance)) == {
        "positives": 3,
        "negatives": 8,
        "contradicted_positives": 1,
        "contradicted_negatives": 1,
    }


def test_five_percent_of_wrong_labels_are_noticed_and_cost_little(
    definition: ModelDefinition, context: TrainingContext
) -> None:
    rng = np.random.default_rng(8)
    size = 8000
    x, z = rng.normal(size=size), rng.normal(size=size)
    bad = rng.random(size) < 1 / (1 + np.exp(-(-2.0 + 4.0 * x + 2.0 * z)))
    wrong = np.where(rng.random(size) < 0.05, ~bad, bad)
    told = replace(definition, exclude={}, protected=(), categorical=(), reasons={})
    frames = [rows(list(range(size)), x=x, z=z, **{LABEL: pa.array(label.astype(np.int8))}) for label in (bad, wrong)]
    clean, noisy = (train(told, frame, context) for frame in frames)
    from mesh.model import score
    from mesh.model.metrics import auc

    later = slice(6000, None)
    clean_auc, noisy_auc = (
        auc(bad[later].astype(float), score(one.model, frames[0])["probability"].to_numpy()[later])
        for one in (clean, noisy)
    )
    assert noisy_auc > clean_auc - 0.02
    # Those near the border cannot be told from hard cases, so that fewer are noticed than are wrong.
    found, usual = noisy.contradictions, clean.contradictions
    assert found.contradicted_positives > usual.contradicted_positives + 30
    assert found.contradicted_negatives > usual.contradicted_negatives + 5
    assert 0.02 < noisy.contradictions.share - clean.contradictions.share < 0.06
    assert "labels_contradicted" in label_facts(noisy)
