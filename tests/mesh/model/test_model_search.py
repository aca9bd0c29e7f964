from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import Costs, ModelDefinition, Search, TrainingContext, register, train
from mesh.model.bundle import bundle_files
from mesh.model.evidence import SEARCH, write_evidence
from mesh.model.frame import VALUE
from mesh.model.search import search

SPACE = (("num_leaves", 2.0, 20.0), ("learning_rate", 0.01, 0.3), ("lambda_l2", 0.1, 30.0))


@pytest.fixture
def looked(definition: ModelDefinition) -> ModelDefinition:
    return replace(definition, search=Search(4, SPACE), parameters={"num_iterations": 40})


def test_a_search_keeps_its_budget_starts_from_the_usual_and_takes_the_best(
    looked: ModelDefinition, labelled: pa.Table, context: TrainingContext, tmp_path: Path
) -> None:
    trained = train(looked, labelled, context)
    found = trained.search
    assert found is not None
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    assert [dict(trial.parameters) for trial in found.trials[:3]] == [
        {"num_leaves": 15, "learning_rate": 0.05, "lambda_l2": 10.0},
        {"num_leaves": 20, "learning_rate": 0.06, "lambda_l2": 3.0},
        {"num_leaves": 20, "learning_rate": 0.1, "lambda_l2": 1.0},
    ]
    assert found.trials[found.best].value == min(trial.value for trial in found.trials)
    for trial in found.trials:
        assert all(low <= trial.parameters[name] <= high for name, low, high in SPACE)
    assert {name: trained.parameters[name] for name in found.parameters} == found.parameters
    assert trained.parameters["num_iterations"] == 40
    assert found.rows == trained.parts["train"].rows
    write_evidence(tmp_path, trained)
    told = json.loads((tmp_path / SEARCH).read_text())
    assert set(told) == {"objective", "blocks", "rows", "trials", "best"}
    assert told["trials"][0] == {"number": 0, "parameters": dict(found.trials[0].parameters),
                                 "value": found.trials[0].value}  # fmt: skip


def test_a_search_gives_the_same_bytes_whatever_order_or_threads(
    looked: ModelDefinition, labelled: pa.Table, context: TrainingContext
) -> None:
    shuffled = labelled.take(np.random.default_rng(3).permutation(labelled.num_rows))
    found = [
        train(looked, labelled, context),
        train(looked, shuffled, replace(context, threads=1)),
    ]
    files = [bundle_files(trained.model.card, trained.model.model_text) for trained in found]
    assert files[0] == files[1]
    assert found[0].search == found[1].search


def test_a_logistic_search_looks_for_its_penalty_by_average_precision(
    looked: ModelDefinition, labelled: pa.Table, context: TrainingContext
) -> None:
    linear = replace(looked, algorithm="logistic", parameters={},
                     search=Search(3, (("C", 1e-6, 10.0),), "average_precision"))  # fmt: skip
    found = [train(linear, labelled, replace(context, threads=threads)) for threads in (1, 2)]
    assert found[0].model.model_text == found[1].model.model_text
    looked_at = found[0].search
    assert looked_at is not None
    assert looked_at.trials[looked_at.best].value == max(trial.value for trial in looked_at.trials)
    assert found[0].parameters["C"] == looked_at.parameters["C"]


def test_too_few_rows_are_not_searched(looked: ModelDefinition) -> None:
    truth = np.array([1.0] * 9 + [0.0] * 200)
    with pytest.raises(ModelError, match="9 training rows of one kind are too few to search by"):
        search(looked, (), np.zeros((209, 0)), truth, None, threads=1)


def test_costs_decide_the_share_that_is_flagged_and_the_run_tells(
    looked: ModelDefinition, labelled: pa.Table, everybody: pa.Table, context: TrainingContext
) -> None:
    """Dear reviews leave few rows worth one, cheap ones many; figures at capacity are those of that share."""
    worth = labelled.append_column(VALUE, pa.array(np.full(labelled.num_rows, 100.0)))
    plain = replace(looked, value="amount", capacity=1.0)
    cheap, dear = (
        train(replace(plain, costs=Costs(cost, "amount")), worth, context, population=everybody) for cost in (5.0, 60.0)
    )
    assert 0 < dear.capacity < cheap.capacity < 1
    assert dear.model.card.costs == {"review": 60.0, "value": "amount", "share": dear.capacity}
    assert dear.model.card.bands.capacity == dear.capacity
    figures = dear.metrics["test"]
    precision = figures["precision_at_capacity"].value
    assert precision > 0.5
    assert figures["money_caught_per_1000_reviews"].value == pytest.approx(1000 * 100 * precision)
    most = train(replace(plain, costs=Costs(5.0, "amount"), capacity=0.1), worth, context, population=everybody)
    assert most.capacity <= 0.1
    with pytest.raises(ModelError, match="no share of the validation rows brings more than it costs"):
        train(replace(plain, costs=Costs(1000.0, "amount")), worth, context, population=everybody)

    from mesh.model import prepare_tracking

    told = replace(plain, costs=Costs(60.0, "amount"))
    found = register(train(told, worth, context, population=everybody), told, context)
    client = prepare_tracking(context.tracking_uri)
    run = client.get_run(found.run_id).data
    assert run.params["capacity"] == str(dear.capacity)
    assert run.params["search_trials"] == "4"
    assert run.metrics["test_money_caught_per_1000_reviews"] == figures["money_caught_per_1000_reviews"].value
    assert [point.step for point in client.get_metric_history(found.run_id, "search_loss")] == [0, 1, 2, 3]
    assert {item.path for item in client.list_artifacts(found.run_id, "evidence")} == {
        "evidence/labels.json", "evidence/search.json",
    }  # fmt: skip
