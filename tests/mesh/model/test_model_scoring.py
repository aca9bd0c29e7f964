from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import TrainedModel, score
from mesh.model.bundle import LoadedModel
from mesh.model.compiled import compile_trees
from mesh.model.contributions import Forest
from mesh.model.encoding import encode
from mesh.model.engine import lightgbm
from mesh.model.trees import read_trees


@pytest.fixture(scope="module")
def scores(trained: TrainedModel, everybody: pa.Table) -> pa.Table:
    return score(trained.model, everybody)


def test_scores_have_one_row_per_row_in_order(scores: pa.Table, everybody: pa.Table) -> None:
    assert scores.schema == pa.schema(
        {
            "case_id": pa.string(), "probability": pa.float64(), "score": pa.int32(), "band": pa.string(),
            "flagged": pa.bool_(), "reason_1": pa.string(), "reason_2": pa.string(), "reason_3": pa.string(),
        }
    )  # fmt: skip
    assert scores["case_id"].equals(everybody["case_id"])
    assert scores.num_rows == 4000


def test_the_capacity_is_flagged_and_bands_follow_the_score(scores: pa.Table) -> None:
    flagged, band, points = (scores[name].to_numpy() for name in ("flagged", "band", "score"))
    assert abs(flagged.mean() - 0.22) < 0.005
    assert (flagged == (band == "high")).all()
    assert abs((band == "medium").mean() - 0.22) < 0.005
    assert points[band == "high"].min() >= points[band == "medium"].max() >= points[band == "low"].max()
    assert points[flagged].min() == 78


def test_score_and_band_rise_with_the_probability(scores: pa.Table) -> None:
    order = np.argsort(scores["probability"].to_numpy(), kind="stable")
    assert (np.diff(scores["score"].to_numpy()[order]) >= 0).all()
    assert (np.diff(scores["flagged"].to_numpy()[order].astype(int)) >= 0).all()


def test_scores_are_the_same_bits_whatever_threads_batches_or_process(
    trained: TrainedModel, everybody: pa.Table, scores: pa.Table
) -> None:
    reloaded = LoadedModel(trained.model.card, trained.model.model_text, trained.model.sha256)
    assert score(reloaded, everybody, threads=1).equals(scores)
    assert score(reloaded, everybody, threads=3).equals(scores)
    pieces = [score(reloaded, everybody.slice(at, 500)) for at in range(0, 4000, 500)]
    assert pa.concat_tables(pieces).combine_chunks().equals(scores.combine_chunks())


def test_an_unseen_category_counts_as_missing(trained: TrainedModel, everybody: pa.Table) -> None:
    rows = everybody.slice(0, 200)
    place = rows.column_names.index("kind")
    unseen = rows.set_column(place, "kind", pa.array(["new"] * 200))
    missing = rows.set_column(place, "kind", pa.nulls(200, pa.string()))
    assert score(trained.model, unseen).equals(score(trained.model, missing))


def test_a_number_that_was_never_missing_is_not_read_as_nought(trained: TrainedModel, everybody: pa.Table) -> None:
    """LightGBM would take 0, the lowest amount there is."""
    rows, place = everybody.slice(0, 1), everybody.column_names.index("amount")
    median = next(item.median for item in trained.model.card.features if item.name == "amount")

    def probability(amount: float | None) -> float:
        changed = rows.set_column(place, "amount", pa.array([amount], pa.float64()))
        return float(score(trained.model, changed)["probability"][0].as_py())

    assert probability(None) == probability(median) != probability(0.0)


def test_reasons_are_what_raises_the_score_strongest_first(trained: TrainedModel, everybody: pa.Table) -> None:
    names = [feature.name for feature in trained.model.card.features]
    matrix = encode(everybody, trained.model.card.features)
    told = score(trained.model, everybody)
    raised = np.asarray(trained.model.booster.predict(matrix, pred_contrib=True))[:, :-1].round(9)
    words = {
        "amount": lambda row: "the amount is unusual",
        "kind": lambda row: f"kind is {row['kind']}",
        "team": lambda row: f"team is {row['team']}",
        "hours": lambda row: f"hours is {'missing' if row['hours'] is None else 'high' if above(row) else 'low'}",
        "urgent": lambda row: f"urgent: {'yes' if row['urgent'] else 'no'}",
    }  # fmt: skip
    median = next(item.median for item in trained.model.card.features if item.name == "hours")

    def above(row: dict[str, float]) -> bool:
        return row["hours"] > median

    rows = everybody.slice(0, 300).to_pylist()
    expected = []
    for row, values in zip(rows, raised, strict=False):
        best = [place for place in np.argsort(-values, kind="stable") if values[place] >= 0.01][:3]
        texts = [words[names[place]](row) for place in best]
        expected.append(texts + [None] * (3 - len(texts)))
    found = [[row[f"reason_{place}"] for place in (1, 2, 3)] for row in told.slice(0, 300).to_pylist()]
    assert found == expected


def test_features_with_one_text_are_one_reason(trained: TrainedModel, everybody: pa.Table) -> None:
    same = dict.fromkeys(("amount", "kind", "hours", "team", "urgent"), "something is unusual")
    model = replace(trained.model, card=replace(trained.model.card, reasons=same))
    told = score(model, everybody)
    assert set(told["reason_1"].unique().to_pylist()) == {"something is unusual", None}
    assert told["reason_2"].null_count == told.num_rows


@pytest.mark.parametrize(("leaves", "depth"), [(4, 2), (15, 5), (40, 8)])
def test_contributions_are_those_of_lightgbm(leaves: int, depth: int) -> None:
    """The quick way must be exact: missing values, many categories, repeated features, up to 39 splits a tree."""
    lgb = lightgbm()
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(3000, 6))
    matrix[:, 0], matrix[:, 1] = rng.integers(0, 40, 3000), rng.integers(0, 3, 3000)
    matrix[:, 5] = np.where(rng.random(3000) < 0.5, 0.0, matrix[:, 5])
    matrix[rng.random(matrix.shape) < 0.1] = np.nan
    matrix[:, 4] = np.nan_to_num(matrix[:, 4])
    z = np.nan_to_num(matrix)
    truth = (z[:, 2] * z[:, 3] + (z[:, 0] % 7 == 2) + z[:, 4] + rng.normal(size=3000) > 1.5).astype(float)
    parameters = {
        "objective": "binary", "num_leaves": leaves, "max_depth": depth, "min_data_in_leaf": 5, "verbosity": -1,
        "seed": 1, "num_threads": 1, "min_data_per_group": 10,
    }  # fmt: skip
    booster = lgb.train(parameters, lgb.Dataset(matrix, truth, categorical_feature=[0, 1]), 30)
    matrix[:50, 4] = np.nan
    matrix[:50, 0] = 99
    expected = np.asarray(booster.predict(matrix, pred_contrib=True))[:, :-1]
    np.testing.assert_allclose(
        Forest(compile_trees(read_trees(booster.model_to_string()), 6)).contributions(matrix),
        expected,
        rtol=0,
        atol=1e-12,
    )


def test_no_rows_give_no_scores(trained: TrainedModel, everybody: pa.Table, scores: pa.Table) -> None:
    assert score(trained.model, everybody.slice(0, 0)).schema == scores.schema


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("amount", None, "needs the column amount"),
        ("case_id", None, "scores rows by case_id"),
        ("amount", pa.array(["1"] * 4000), "was a number at training and is string here"),
        ("urgent", pa.array([1] * 4000), "was a boolean at training and is int64 here"),
    ],
)
def test_rows_that_do_not_fit_are_refused(
    trained: TrainedModel, everybody: pa.Table, column: str, values: pa.Array | None, words: str
) -> None:
    table = everybody.drop_columns([column])
    if values is not None:
        table = table.append_column(column, values)
    with pytest.raises(ModelError) as caught:
        score(trained.model, table)
    assert words in str(caught.value)
