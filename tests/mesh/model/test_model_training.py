from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from mesh.errors import ModelError
from mesh.model import Label, ModelDefinition, Split, TrainedModel, TrainingContext, describe, train, training_frame
from mesh.model.bundle import bundle_files
from mesh.model.split import split_rows


def test_a_known_signal_is_found_on_later_rows(trained: TrainedModel) -> None:
    test = trained.metrics["test"]
    assert test["auc"].low > 0.75
    assert test["recall_at_capacity"].value > 2 * 0.22
    assert test["ece"].value < 0.06
    assert list(trained.importance)[int(np.argmax(list(trained.importance.values())))] == "amount"
    assert sum(trained.importance.values()) == pytest.approx(1.0)
    assert set(describe(trained)) >= {"trees", "features", "test_rows", "auc"}


def test_excluded_protected_label_key_and_time_are_never_features(trained: TrainedModel) -> None:
    """`sex` and `answer` equal the label in this world: had they got in, the test AUC would be 1."""
    names = {feature.name for feature in trained.model.card.features}
    assert names == {"amount", "kind", "team", "hours", "urgent"}
    assert trained.model.booster.feature_name() == [feature.name for feature in trained.model.card.features]


def test_test_rows_are_strictly_later(definition: ModelDefinition, labelled: pa.Table) -> None:
    rows = split_rows(definition, labelled)
    at = rows.table["at"]
    before = pa.concat_arrays(at.slice(0, rows.place("test").start).chunks)
    after = pa.concat_arrays(at.slice(rows.place("test").start).chunks)
    assert pc.max(before).as_py() < pc.min(after).as_py()
    assert sum(part.rows for part in rows.parts.values()) == labelled.num_rows
    assert abs(rows.parts["test"].rows / labelled.num_rows - 0.25) < 0.01


def test_rows_of_one_instant_are_on_one_side(definition: ModelDefinition) -> None:
    table = pa.table(
        {
            "case_id": [f"{number:03}" for number in range(300)],
            "at": [2000 + number // 100 for number in range(300)],
            "_label": pa.array([number % 3 == 0 for number in range(300)]).cast(pa.int8()),
        }
    )
    share = split_rows(replace(definition, split=Split(test_share=0.2)), table)
    bounds = split_rows(replace(definition, split=Split(train_to=2000, test_from=2002)), table)
    assert [(part.rows, part.first, part.last) for part in share.parts.values()] == [
        (160, "2000", "2001"), (40, "2001", "2001"), (100, "2002", "2002"),
    ]  # fmt: skip
    assert [(part.rows, part.first, part.last) for part in bounds.parts.values()] == [
        (80, "2000", "2000"), (20, "2000", "2000"), (100, "2002", "2002"),
    ]  # fmt: skip
    with pytest.raises(ModelError, match="does not fit the column at, which is int64"):
        split_rows(replace(definition, split=Split(train_to="2020-01-01", test_from="2020-02-01")), table)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_a_day_as_the_end_of_training_means_all_of_it(definition: ModelDefinition, kind: pa.DataType) -> None:
    days = [date(2020, 1, 1 + number // 100) for number in range(200)]
    at = pa.array(days).cast(kind)
    if pa.types.is_timestamp(kind):
        at = pc.add(at, pa.scalar(3600 * 10**6, pa.duration("us")))
    table = pa.table(
        {"case_id": range(200), "at": at, "_label": pa.array([n % 3 == 0 for n in range(200)]).cast("int8")}
    )
    rows = split_rows(replace(definition, split=Split(train_to="2020-01-01", test_from="2020-01-02")), table)
    assert [part.rows for part in rows.parts.values()] == [80, 20, 100]


def test_the_same_rows_give_the_same_bytes_whatever_order_or_threads(
    definition: ModelDefinition, labelled: pa.Table, everybody: pa.Table, context: TrainingContext
) -> None:
    shuffled = labelled.take(np.random.default_rng(3).permutation(labelled.num_rows))
    found = [
        bundle_files(trained.model.card, trained.model.model_text)
        for trained in (
            train(definition, labelled, context, population=everybody),
            train(definition, shuffled, replace(context, threads=1), population=everybody),
            train(definition, labelled, replace(context, threads=3), population=everybody),
        )
    ]
    assert found[0] == found[1] == found[2]
    other = train(replace(definition, seed=8), labelled, context)
    assert other.model.model_text.encode() != found[0]["model.txt"]


def test_unlabelled_rows_teach_nothing(
    con: duckdb.DuckDBPyConnection, definition: ModelDefinition, context: TrainingContext, trained: TrainedModel
) -> None:
    """Were they read as innocent, changing their features would change the trees."""
    con.execute("create or replace temp view spoilt as select * replace (case when case_id in (select \"case\" from "
                "outcomes) then amount else 99999 end as amount) from features")  # fmt: skip
    relations = {"insight/features": "spoilt", "cases/outcomes": "outcomes"}
    table = training_frame(con, definition, relation_for=relations.__getitem__)
    assert train(definition, table, context).model.model_text == trained.model.model_text


@pytest.mark.parametrize(
    ("name", "leak"),
    [
        ("code", lambda y: pa.array(np.where(y, "guilty", "free"))),
        ("flag", lambda y: pa.array(y)),
        ("number", lambda y: pa.array(1.0 - y + np.arange(len(y)) * 1e-6)),
        ("gap", lambda y: pa.array(np.arange(len(y)) * 1.0, mask=y)),
    ],
)
def test_a_column_that_tells_the_label_is_refused(
    definition: ModelDefinition,
    labelled: pa.Table,
    context: TrainingContext,
    name: str,
    leak: Callable[[Any], pa.Array],
) -> None:
    truth = labelled["_label"].to_numpy() == 1
    with pytest.raises(ModelError, match=rf"{name} \(AUC (0\.99|1\.0)"):
        train(definition, labelled.append_column(name, leak(truth)), context)


def test_an_identifier_is_no_category(
    definition: ModelDefinition, labelled: pa.Table, context: TrainingContext
) -> None:
    table = labelled.append_column("reference", labelled["case_id"])
    with pytest.raises(ModelError, match=r"reference has 1\d\d\d categories .* identifier"):
        train(definition, table, context)


def test_categories_of_few_rows_are_not_kept(
    definition: ModelDefinition, labelled: pa.Table, context: TrainingContext
) -> None:
    """The name of a rare category could point at a person, and the bundle travels."""
    rare = pa.array(["J Smith" if number < 9 else "plain" for number in range(labelled.num_rows)])
    model = train(definition, labelled.append_column("title", rare), context).model
    assert model.card.features[-1].categories == ("plain",)
    assert b"J Smith" not in b"".join(bundle_files(model.card, model.model_text).values())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": Label("finding", ("never",), "case", "cases/outcomes")}, "the train part has"),
        ({"split": Split(train_to="2001-01-01", test_from="2002-01-01")}, "the train part has 0 labelled rows"),
        ({"parameters": {"num_leaves": 500}}, "num_leaves does not fit. Allowed: 2 to 64"),
        ({"parameters": {"max_depth": -1}}, "max_depth does not fit"),
    ],
)
def test_what_cannot_be_trained_is_told(con, definition, context, relation_for, change, words) -> None:  # type: ignore[no-untyped-def]
    changed = replace(definition, **change)
    with pytest.raises(ModelError) as caught:
        train(changed, training_frame(con, changed, relation_for=relation_for), context)
    assert words in str(caught.value)


def test_no_labels_at_all_are_told(definition: ModelDefinition, labelled: pa.Table, context: TrainingContext) -> None:
    with pytest.raises(ModelError, match="no labelled rows"):
        train(definition, labelled.slice(0, 0), context)
