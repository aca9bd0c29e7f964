from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import (
    ModelDefinition,
    TrainedModel,
    TrainingContext,
    champion,
    load_bundle,
    register,
    score,
    train,
    write_bundle,
)
from mesh.model.encoding import encode
from mesh.model.logistic import read_logistic


@pytest.fixture(scope="module")
def linear(definition: ModelDefinition) -> ModelDefinition:
    return replace(definition, algorithm="logistic")


@pytest.fixture(scope="module")
def fitted(linear: ModelDefinition, labelled: pa.Table, everybody: pa.Table) -> TrainedModel:
    place = TrainingContext("insight", {}, {}, "0123abc", "run-1", "", "f" * 64, Path("unused"))
    return train(linear, labelled, place, population=everybody)


def test_a_logistic_model_finds_what_is_linear(fitted: TrainedModel, trained: TrainedModel) -> None:
    """The world of the tests is one: the line must do at least as well as trees."""
    line, trees = fitted.metrics["test"], trained.metrics["test"]
    assert line["auc"].value > trees["auc"].value - 0.01
    assert line["ece"].value < 0.06
    assert max(fitted.importance, key=lambda name: fitted.importance[name]) == "amount"


def test_its_text_is_plain_json_of_the_terms(fitted: TrainedModel) -> None:
    body = json.loads(fitted.model.model_text)
    terms = {term["name"]: term for term in body["terms"]}
    assert list(terms) == [feature.name for feature in fitted.model.card.features]
    assert terms["amount"]["coefficient"] > 0.5
    kinds = dict(zip(("a", "b", "c", "missing or new"), terms["kind"]["levels"], strict=True))
    assert max(kinds, key=lambda name: kinds[name]) == "b"


def test_it_is_scikit_learns_regression_on_the_same_terms(
    linear: ModelDefinition, labelled: pa.Table, context: TrainingContext
) -> None:
    """Newton's method on terms built here agrees with the stored model to six digits."""
    from sklearn.linear_model import LogisticRegression

    from mesh.model.split import split_rows

    definition = replace(linear, parameters={"C": 0.5}, exclude={**linear.exclude, "kind": "-", "team": "-"})
    plain = labelled.drop_columns(["kind", "team"])
    model = train(definition, plain, context).model
    rows = split_rows(definition, plain)
    matrix = encode(rows.table, model.card.features)
    early = matrix[: rows.place("test").start]
    columns = []
    for place in range(matrix.shape[1]):
        values, absent = early[:, place], np.isnan(early[:, place])
        low, high = np.quantile(values[~absent], (0.001, 0.999))
        bounded = np.clip(values, low, high)
        z = (bounded - bounded[~absent].mean()) / bounded[~absent].std()
        columns += [np.where(absent, 0.0, z), absent - absent.mean()]
    design = np.column_stack(columns)
    truth = rows.table["_label"].to_numpy()[: len(early)]
    oracle = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-10).fit(design, truth)
    assert model.margins(early) == pytest.approx(oracle.decision_function(design), abs=1e-4)


def test_reasons_are_coefficients_times_distance_from_the_mean_and_add_up(
    fitted: TrainedModel, everybody: pa.Table
) -> None:
    model = fitted.model
    matrix = encode(everybody, model.card.features)
    parts = model.contributions(matrix)
    assert parts.sum(axis=1) + model.linear.base == pytest.approx(model.margins(matrix), abs=1e-9)
    names = [feature.name for feature in model.card.features]
    term = model.linear.terms[names.index("amount")]
    amount = matrix[:, names.index("amount")]
    usual = (amount > term.low) & (amount < term.high)
    expected = term.coefficient * (amount - term.mean) / term.scale
    assert parts[usual, names.index("amount")] == pytest.approx(expected[usual])
    scored = score(model, everybody)
    assert scored["flagged"].to_numpy().mean() == pytest.approx(0.22, abs=0.005)
    assert "the amount is unusual" in scored["reason_1"].to_pylist()


def test_the_same_rows_give_the_same_line_whatever_order_or_threads(
    linear: ModelDefinition, labelled: pa.Table, everybody: pa.Table, context: TrainingContext, fitted: TrainedModel
) -> None:
    shuffled = labelled.take(np.random.default_rng(3).permutation(labelled.num_rows))
    for table, threads in ((shuffled, 1), (labelled, 2)):
        other = train(linear, table, replace(context, threads=threads), population=everybody).model
        assert other.model_text == fitted.model.model_text
        assert replace(other.card, name="") == replace(fitted.model.card, name="")


def test_it_is_registered_kept_and_scores_as_champion(
    linear: ModelDefinition,
    labelled: pa.Table,
    everybody: pa.Table,
    context: TrainingContext,
    fitted: TrainedModel,
    trained_for: Callable[..., TrainedModel],
) -> None:
    import mlflow.pyfunc
    import pandas as pd

    trained = train(linear, labelled, context, population=everybody)
    found = register(trained, linear, context)
    kept = champion(linear, context)
    assert (found.decision, kept.card.algorithm) == ("promoted", "logistic")
    assert score(kept, everybody).equals(score(trained.model, everybody))
    native = mlflow.pyfunc.load_model(f"models:/{found.name}/{found.version}")
    matrix = encode(everybody.slice(0, 5), kept.card.features)
    rows = pd.DataFrame(matrix, columns=[feature.name for feature in kept.card.features])
    assert native.predict(rows) == pytest.approx(1 / (1 + np.exp(-kept.margins(matrix))))


def test_a_bundle_of_a_line_is_written_and_read(fitted: TrainedModel, everybody: pa.Table, tmp_path: Path) -> None:
    write_bundle(tmp_path / "b", fitted.model, home=tmp_path)
    again = load_bundle(tmp_path / "b", sha256=fitted.model.sha256, home=tmp_path)
    assert score(again, everybody).equals(score(fitted.model, everybody))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-40],
        lambda text: text.replace("mesh-logistic-1", "mesh-logistic-9"),
        lambda text: text.replace('"amount"', '"amounts"'),
        lambda text: text.replace('"scale":', '"scales":', 1),
        lambda text: text.replace('"base": ', '"base": NaN, "old": '),
        lambda text: "[]",
        lambda text: "tree\nversion=v4\n",
    ],
)
def test_a_text_that_is_no_such_model_is_refused(fitted: TrainedModel, change: Callable[[str], str]) -> None:
    with pytest.raises(ModelError):
        read_logistic(change(fitted.model.model_text), fitted.model.card.features)


def test_a_number_beyond_what_training_saw_counts_as_its_end(fitted: TrainedModel) -> None:
    """A line goes on for ever, the data do not."""
    matrix = np.tile(np.zeros(len(fitted.model.card.features)), (2, 1))
    place = [feature.name for feature in fitted.model.card.features].index("amount")
    matrix[:, place] = (fitted.model.linear.terms[place].high, 1e12)
    first, second = fitted.model.margins(matrix)
    assert first == second
