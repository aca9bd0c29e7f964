"""Groups of a training: read beside the features, measured on later rows, and what stands in for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from mesh.errors import ModelError
from mesh.model import Groups, ModelDefinition, TrainedModel, groups_of, measure, read_groups
from mesh.model.encoding import learn_features
from mesh.model.fairness import FLAG_RATE, HIGHER, RECALL, TOO_FEW
from mesh.model.fairness_report import fairness_files, fairness_metrics
from mesh.model.leakage import single_auc
from mesh.model.proxies import SCORE, Proxy, proxies, strongest

RelationFor = Callable[[str], str]


@pytest.fixture(scope="module")
def grouped(definition: ModelDefinition) -> ModelDefinition:
    return replace(definition, groups=Groups("people/groups", "case", ("sex", "town"), 50))


@pytest.fixture(scope="module")
def groups(con: duckdb.DuckDBPyConnection, grouped: ModelDefinition) -> pa.Table:
    """Women have the high amounts; towns say nothing; three people live nowhere."""
    con.execute("""
        create or replace table people as select case_id as case,
            case when amount > 300 then 'female' when hash(case_id) % 10 > 0 then 'male' end as sex,
            case when case_id < 'c00003' then 'nowhere'
                when hash('town' || case_id) % 2 = 0 then 'a' else 'b' end as town
        from features where case_id <> 'c00005'
    """)
    found = read_groups(con, grouped, relation_for={"people/groups": "people"}.__getitem__)
    assert found is not None
    return found


def test_groups_are_laid_beside_rows_by_key_and_missing_where_nobody_knows_it(groups: pa.Table) -> None:
    told = groups_of(groups, pa.chunked_array([["c00001"], ["c00005", "c00000"]]))
    assert told.column_names == ["sex", "town"]
    assert told.column("town").to_pylist() == ["nowhere", None, "nowhere"]


def test_a_training_is_measured_by_groups_that_it_never_saw(
    trained: TrainedModel, grouped: ModelDefinition, everybody: pa.Table, groups: pa.Table
) -> None:
    found = measure(trained, grouped, everybody, groups, 1)
    figures = {(one.column, one.group, one.figure): one for one in found.figures}
    flags = figures["sex", "female", FLAG_RATE]
    assert flags.verdict == HIGHER
    assert sum(figures["sex", word, FLAG_RATE].rows for word in ("female", "male", "not known")) == everybody.num_rows
    recalled = sum(figures["sex", word, RECALL].n for word in ("female", "male", "not known"))
    assert recalled == trained.parts["test"].positives, "a truth is known of later rows only"
    assert figures["town", "nowhere", FLAG_RATE].verdict == TOO_FEW
    assert not any(one.differs for one in found.figures if one.column == "town")
    best = strongest(found.proxies)
    assert (best["sex"].feature, best["sex"].auc) == ("amount", 1.0)
    assert best["town"].auc < 0.6
    assert {one.feature for one in found.proxies} == {SCORE, *(one.name for one in trained.model.card.features)}


def test_what_a_run_keeps_of_groups_tells_no_small_one(
    trained: TrainedModel, grouped: ModelDefinition, everybody: pa.Table, groups: pa.Table
) -> None:
    found = measure(trained, grouped, everybody, groups, 1)
    files = fairness_files(found, 50)
    body = json.loads(files["fairness/fairness.json"])
    [small] = [row for row in body["figures"] if (row["group_name"], row["figure"]) == ("nowhere", FLAG_RATE)]
    told = {name: value for name, value in small.items() if value is not None}
    assert told == {"attribute": "town", "group_name": "nowhere", "figure": FLAG_RATE, "verdict": TOO_FEW}
    assert all(
        row[name] is None or row[name] % 5 == 0 for row in body["figures"] for name in ("group_rows", "sample_rows")
    )
    assert "| town | nowhere | flag rate | too few |" in files["fairness/fairness.md"]
    assert "| amount | sex | female | 1.000 | proxy |" in files["fairness/fairness.md"]
    metrics = fairness_metrics(found)
    women = next(one for one in found.figures if (one.group, one.figure) == ("female", FLAG_RATE))
    assert women.rest is not None
    assert women.value is not None
    assert metrics["fairness_sex_flag_rate"] == pytest.approx(women.rest / women.value)
    assert metrics["fairness_differing"] == sum(one.differs for one in found.figures) > 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"columns": ("sex", "hair")},
            "`groups` names hair, which is no column of people/groups. Allowed: case, sex, town",
        ),
        ({"key": "who"}, "`groups` names who"),
        ({"key": "town", "columns": ("sex",)}, "rows of people/groups repeat a town"),
    ],
)
def test_groups_that_cannot_be_laid_beside_rows_are_refused(
    con: duckdb.DuckDBPyConnection, grouped: ModelDefinition, groups: pa.Table, change: dict[str, Any], told: str
) -> None:
    assert grouped.groups is not None
    wrong = replace(grouped, groups=replace(grouped.groups, **change))
    with pytest.raises(ModelError, match=told):
        read_groups(con, wrong, relation_for={"people/groups": "people"}.__getitem__)


def test_a_proxy_is_judged_like_a_leak_but_for_every_group_at_once() -> None:
    """Ranks once for all groups must give the AUC that one group alone gets, ties and missing values included."""
    rng = np.random.default_rng(3)
    table = pa.table(
        {
            "count": rng.integers(0, 5, 3000),
            "gap": pa.array(np.where(rng.random(3000) < 0.3, np.nan, rng.normal(0, 1, 3000)), from_pandas=True),
            "kind": rng.choice(["x", "y", "z"], 3000),
        }
    )
    groups = pa.table({"team": [None if n % 7 == 0 else str(n % 3) for n in range(3000)], "one": ["same"] * 3000})
    features = learn_features(table, table.column_names, ())
    from mesh.model.encoding import encode

    matrix = encode(table, features)
    found = proxies(features, matrix, rng.normal(0, 1, 3000), groups, 50)
    assert {(one.feature, one.column) for one in found} == {(name, "team") for name in ("count", "gap", "kind", SCORE)}
    known = np.array([word is not None for word in groups.column("team").to_pylist()])
    words = np.array(groups.column("team").to_pylist(), dtype=object)[known]
    for place, feature in enumerate(features):
        each = {
            word: single_auc(feature, matrix[known, place], (words == word).astype(float)) for word in ("0", "1", "2")
        }
        best = max(each, key=lambda word: each[word])
        assert Proxy(feature.name, "team", best, round(each[best], 4)) in found
