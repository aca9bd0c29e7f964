"""The mesh's own scoring against LightGBM's, bit by bit, on models that were made to be awkward."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import TrainedModel, bundle, score
from mesh.model.bundle import LoadedModel
from mesh.model.compiled import Compiled, compile_trees
from mesh.model.contributions import Forest
from mesh.model.encoding import CATEGORY, NUMBER, Feature
from mesh.model.engine import lightgbm
from mesh.model.trees import UnknownTrees, read_trees

WIDTH = 9
CODES = 70


@dataclass(frozen=True)
class Case:
    """A model, LightGBM's own and ours, and rows to ask both."""

    deep: bool
    booster: Any
    compiled: Compiled
    rows: Any


CASES: dict[str, dict[str, object]] = {
    "small trees": {"num_leaves": 15, "max_depth": 5},
    "one split": {"num_leaves": 2},
    "17 leaves, no missing values": {"num_leaves": 17, "max_depth": 8, "use_missing": False},
    "40 leaves, nought is missing": {"num_leaves": 40, "max_depth": 8, "zero_as_missing": True},
    "64 leaves": {"num_leaves": 64, "max_depth": 8, "min_data_in_leaf": 3},
    "more thresholds than a byte counts": {"num_leaves": 60, "max_depth": 8, "max_bin": 2000, "min_data_in_leaf": 2},
    "one against all": {"num_leaves": 31, "max_depth": 7, "max_cat_to_onehot": 100},
    "nothing to learn": {"num_leaves": 4, "min_data_in_leaf": 2000},
}
DEEP: dict[str, dict[str, object]] = {"as deep as it goes": {"num_leaves": 64, "min_data_in_leaf": 2}}


def rows_of(seed: int, count: int) -> Any:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, WIDTH))
    rows[:, 0], rows[:, 1] = rng.integers(0, CODES, count), rng.integers(0, 4, count)
    rows[:, 2] = np.floor(rows[:, 2] * 2)
    rows[:, 3][rng.random(count) < 0.4] = 0.0
    for column in (0, 1, 4, 5, 6):
        rows[rng.random(count) < 0.15, column] = np.nan
    return rows


def awkward_rows(seed: int) -> Any:
    """Rows with values that the training never saw, in any column."""
    rows = rows_of(seed, 4000)
    rng = np.random.default_rng(seed)
    strange = [
        np.nan,
        0.0,
        -0.0,
        1e-36,
        -1e-36,
        1e-35,
        np.inf,
        -np.inf,
        1e300,
        -0.5,
        -1.0,
        3.7,
        31.0,
        32.0,
        1e10,
        2**31,
    ]
    for value in strange:
        rows[rng.random(rows.shape) < 0.01] = value
    return rows


@pytest.fixture(scope="module", params=[*CASES, *DEEP])
def case(request: pytest.FixtureRequest) -> Case:
    lgb = lightgbm()
    chosen = CASES | DEEP
    seed = 1 + list(chosen).index(request.param)
    rows = rows_of(seed, 3000)
    z = np.nan_to_num(rows)
    noise = np.random.default_rng(seed).normal(size=len(rows))
    truth = z[:, 4] * z[:, 5] + (z[:, 0] % 7 == 2) + (z[:, 1] == 3) + z[:, 7] + (z[:, 3] == 0) + noise > 1.5
    parameters = {"objective": "binary", "verbosity": -1, "seed": seed, "num_threads": 1, "min_data_per_group": 5}
    parameters |= chosen[request.param]
    data = lgb.Dataset(rows, truth.astype(float), categorical_feature=[0, 1])
    text = lgb.train(parameters, data, 40).model_to_string()
    return Case(
        request.param in DEEP, lgb.Booster(model_str=text), compile_trees(read_trees(text), WIDTH), awkward_rows(seed)
    )


def bits(values: Any) -> Any:
    return np.ascontiguousarray(values, np.float64).view(np.uint64)


def test_margins_are_those_of_lightgbm_to_the_last_bit(case: Case) -> None:
    expected = bits(case.booster.predict(case.rows, raw_score=True))
    for rows, threads in ((case.rows, 1), (np.asfortranarray(case.rows), 3)):
        np.testing.assert_array_equal(bits(case.compiled.margins(rows, threads=threads)), expected)
    cut = [case.compiled.margins(case.rows[at : at + 301], threads=2) for at in range(0, len(case.rows), 301)]
    np.testing.assert_array_equal(bits(np.concatenate(cut)), expected)


def test_one_row_has_the_margin_it_has_among_others(case: Case) -> None:
    expected = bits(case.booster.predict(case.rows[:1000], raw_score=True))
    np.testing.assert_array_equal(bits([case.compiled.margin(row) for row in case.rows[:1000]]), expected)


def test_contributions_are_the_same_bits_by_numpy_and_by_kernels_and_those_of_lightgbm(case: Case) -> None:
    if case.deep:
        with pytest.raises(UnknownTrees, match="a path of"):
            Forest(case.compiled)
        return
    forest = Forest(case.compiled)
    by_numpy = forest.contributions(case.rows)
    np.testing.assert_array_equal(bits(forest.contributions(case.rows, threads=3, kernels=True)), bits(by_numpy))
    expected = np.asarray(case.booster.predict(case.rows[:500], pred_contrib=True))[:, :-1]
    np.testing.assert_allclose(by_numpy[:500], expected, rtol=0, atol=1e-11)


OTHERS: dict[str, dict[str, object]] = {
    "too many leaves": {"num_leaves": 120, "min_data_in_leaf": 2},
    "linear leaves": {"linear_tree": True},
    "a forest": {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_only_lightgbm_can_score_is_left_to_it(
    trained: TrainedModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "WORTH", 0)
    lgb = lightgbm()
    rows = rows_of(3, 2000)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, **OTHERS[kind]}
    truth = (rows[:, 7] + rows[:, 8] ** 2 > 1).astype(float)
    booster = lgb.train(parameters, lgb.Dataset(rows, truth, params={"verbosity": -1}), 5)
    card = replace(trained.model.card, features=trained.model.card.features[:1] * WIDTH)
    model = LoadedModel(card, booster.model_to_string(), "")
    np.testing.assert_array_equal(model.margins(rows), booster.predict(rows, raw_score=True))
    with pytest.raises(ModelError, match="is no model of trees that can be compiled"):
        _ = model.compiled
    if kind != "linear leaves":  # which LightGBM cannot explain
        wanted = booster.predict(rows[:20], pred_contrib=True)
        np.testing.assert_array_equal(model.contributions(rows[:20]), wanted[:, :-1])


def test_scores_and_reasons_are_the_same_with_and_without_kernels(
    trained: TrainedModel, everybody: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small run is left to LightGBM and NumPy; nobody may tell from the scores."""
    told = dict.fromkeys(("amount", "hours"), "amount or hours")
    for reasons in ({}, told, dict.fromkeys(("amount", "kind", "hours", "team", "urgent"), "one text")):
        model = replace(trained.model, card=replace(trained.model.card, reasons=reasons))
        monkeypatch.setattr(LoadedModel, "worth_compiling", lambda *_: False)
        plain = score(model, everybody)
        monkeypatch.setattr(LoadedModel, "worth_compiling", lambda *_: True)
        assert score(model, everybody, threads=3).equals(plain)
        assert plain["reason_1"].null_count < plain.num_rows


def test_rows_of_another_width_are_refused(case: Case) -> None:
    """A kernel that reads beside a matrix would read whatever lies there."""
    for matrix in (np.zeros((3, WIDTH + 1)), np.zeros(WIDTH)):
        with pytest.raises(ValueError, match=f"takes rows of {WIDTH} numbers"):
            case.compiled.margins(matrix)
    with pytest.raises(ValueError, match=f"takes rows of {WIDTH} numbers, not 3"):
        case.compiled.margin([1.0, 2.0, 3.0])


@pytest.mark.torture
@pytest.mark.parametrize("kind", ["small trees", "64 leaves", "one against all"])
def test_100_000_scores_are_the_same_bits_whatever_threads_and_chunks(kind: str, trained: TrainedModel) -> None:
    """A replay recomputes a release on another machine, years later, and must find every bit."""
    count = 100_000
    names = [f"c{place}" for place in range(WIDTH)]
    texts = tuple(f"k{code:02}" for code in range(CODES))
    features = tuple(
        Feature(name, CATEGORY if place < 2 else NUMBER, texts[: (CODES, 4)[place]] if place < 2 else ())
        for place, name in enumerate(names)
    )
    rows = rows_of(11, count)
    lgb = lightgbm()
    truth = (np.nan_to_num(rows[:, 4] * rows[:, 5]) + rows[:, 7] > 1).astype(float)
    parameters = {"objective": "binary", "verbosity": -1, "seed": 1, "num_threads": 1, **CASES[kind]}
    text = lgb.train(parameters, lgb.Dataset(rows, truth, categorical_feature=[0, 1]), 200).model_to_string()
    model = LoadedModel(replace(trained.model.card, key="id", features=features, reasons={}), text, "")
    columns: dict[str, pa.Array] = {"id": pa.array(np.arange(count))}
    for place, name in enumerate(names):
        codes = pa.array(np.nan_to_num(rows[:, place]).astype(np.int32), mask=np.isnan(rows[:, place]))
        of_text = pa.array(texts).take(codes) if place < 2 else None
        columns[name] = pa.array(rows[:, place], from_pandas=True) if of_text is None else of_text
    table = pa.table(columns)
    first = score(model, table, threads=1).combine_chunks()
    for threads, chunk in ((2, count), (3, count), (1, 777), (2, 4096), (3, 33_333)):
        pieces = [score(model, table.slice(at, chunk), threads=threads) for at in range(0, count, chunk)]
        again = pa.concat_tables(pieces).combine_chunks()
        differing = np.flatnonzero(bits(again["probability"]) != bits(first["probability"]))
        assert (len(differing), again.equals(first)) == (0, True)
    assert (bits(model.margins(rows)) == bits(model.booster.predict(rows, raw_score=True))).all()


def test_after_warming_no_model_waits_for_a_compilation(trained: TrainedModel, everybody: pa.Table) -> None:
    """What is compiled before the first scoring must be what the scoring asks for, type by type."""
    from mesh.model import kernels
    from mesh.model.encoding import encode
    from mesh.model.reasons import explained
    from mesh.model.warming import warm

    warm()
    asked = (kernels.one_margin, kernels.margins, kernels.contributions, kernels.explained)
    ready = [set(kernel.signatures) for kernel in asked]
    model = trained.model
    assert model.compiled is not None
    rows = encode(everybody, model.card.features)
    assert model.worth_compiling(len(rows))
    model.margins(rows, threads=1)
    model.contributions(rows, threads=1)
    explained(model, rows, 1)
    model.compiled.margin(rows[0])
    assert [set(kernel.signatures) for kernel in asked] == ready
