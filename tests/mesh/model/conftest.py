"""A small world with a known signal: a positive row has a high amount and kind `b`; everything else is noise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from pydantic import SecretStr

from mesh.model import (
    ContractRef,
    Label,
    Ledger,
    ModelDefinition,
    ReleaseRef,
    Split,
    TrainedModel,
    TrainingContext,
    scoring_frame,
    train,
    training_frame,
)
from mesh.postgres import start
from mesh.settings import Settings
from tests.conftest import create_database

ROWS = 4000
SHARED_KEY = "the key that all machines of the tests share"
RELATIONS = {"insight/features": "features", "cases/outcomes": "outcomes"}

DEFINITION = ModelDefinition(
    model="risk",
    description="Which cases to look at first.",
    input="insight/features",
    key="case_id",
    label=Label(column="finding", positive=("bad",), key="case", product="cases/outcomes", known_at="decided_at"),
    time="at",
    split=Split(test_share=0.25),
    capacity=0.22,
    output="insight/scores",
    seed=7,
    exclude={"note": "free text", "answer": "known only after the decision"},
    protected=("sex",),
    categorical=("team",),
    reasons={"amount": "the amount is unusual"},
)


def world() -> duckdb.DuckDBPyConnection:
    rng = np.random.default_rng(1)
    amount, kind, team = rng.gamma(2.0, 100.0, ROWS), rng.choice(["a", "b", "c"], ROWS), rng.integers(1, 5, ROWS)
    bad = rng.random(ROWS) < 1 / (1 + np.exp(-(-5.0 + amount / 90.0 + 1.5 * (kind == "b"))))
    hours = np.where(rng.random(ROWS) < 0.1, np.nan, rng.normal(37, 5, ROWS))
    table = pa.table(
        {
            "case_id": [f"c{number:05}" for number in range(ROWS)],
            "at": pa.array(1_600_000_000_000_000 + np.arange(ROWS) * 60_000_000, pa.timestamp("us")),
            "amount": amount,
            "kind": kind,
            "team": team,
            "hours": pa.array(hours, from_pandas=True),
            "urgent": rng.random(ROWS) < 0.3,
            "sex": np.where(bad, "x", "y"),
            "note": [f"note {number}" for number in range(ROWS)],
            "answer": bad.astype(int),
        }
    )
    seen = rng.random(ROWS) < 0.8
    outcomes = pa.table(
        {
            "case": table["case_id"].filter(pa.array(seen)),
            "finding": np.where(bad, "bad", "fine")[seen],
            "decided_at": pa.array(1_700_000_000_000_000 + np.flatnonzero(seen), pa.timestamp("us")),
        }
    )
    con = duckdb.connect()
    con.register("_features", table)
    con.register("_outcomes", outcomes)
    con.execute("create table features as select * replace (amount::decimal(14,2) as amount) from _features")
    con.execute("create table outcomes as select * from _outcomes")
    return con


@pytest.fixture(scope="session")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = world()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def definition() -> ModelDefinition:
    return DEFINITION


@pytest.fixture(scope="session")
def relation_for() -> Callable[[str], str]:
    return RELATIONS.__getitem__


@pytest.fixture(scope="session")
def labelled(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return training_frame(con, DEFINITION, relation_for=RELATIONS.__getitem__)


@pytest.fixture(scope="session")
def everybody(con: duckdb.DuckDBPyConnection) -> pa.Table:
    return scoring_frame(con, DEFINITION, relation_for=RELATIONS.__getitem__)


MAKE_STORE = """
import json, sys
import mesh.model
heavy = sorted({"mlflow", "lightgbm", "pandas", "sklearn", "matplotlib", "pyarrow", "numpy"} & set(sys.modules))
mesh.model.prepare_tracking(sys.argv[1])
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from mlflow.telemetry.utils import is_telemetry_disabled
pickle, telemetry = MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get(), not is_telemetry_disabled()
print(json.dumps({"heavy": heavy, "pickle": pickle, "telemetry": telemetry}))
"""


@dataclass(frozen=True)
class MadeStore:
    """An MLflow store and what the fresh process that made it wrote."""

    uri: str
    output: str
    errors: str


@pytest.fixture(scope="session")
def made_store(tmp_path_factory: pytest.TempPathFactory) -> MadeStore:
    """One MLflow store for all tests: making its tables takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DO_NOT_TRACK"))}
    program = [sys.executable, "-c", MAKE_STORE, uri]
    done = subprocess.run(program, env=clean, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return MadeStore(uri, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def store(made_store: MadeStore) -> str:
    return made_store.uri


@pytest.fixture(scope="session")
def ledger(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """One real ledger for all tests; each has a model name of its own."""
    settings = Settings(
        home=tmp_path_factory.mktemp("ledger"),
        postgres_url=SecretStr(f"postgresql://postgres@/{create_database(postgres_host)}?host={postgres_host}"),
    )
    return Ledger(start(settings))


@pytest.fixture
def context(
    tmp_path: Path, store: str, ledger: Ledger, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> TrainingContext:
    """A context with a home and a domain of its own; the machines of its mesh share one key."""
    monkeypatch.setenv("MESH_TOKEN_KEY", SHARED_KEY)
    name = "".join(letter for letter in request.node.name if letter.isalnum())[:60]
    return TrainingContext(
        domain=name,
        releases={"insight/features": ReleaseRef(4, 17), "cases/outcomes": ReleaseRef(2, 15)},
        contracts={"insight/features": ContractRef("1.2.0", "ab" * 32)},
        code_revision="0123abc",
        run_id="run-1",
        tracking_uri=store,
        fingerprint="f" * 64,
        home=tmp_path / "home",
        artifact_dir=tmp_path / "artefacts",
        threads=2,
        ledger=ledger,
    )


@pytest.fixture(scope="session")
def trained(labelled: pa.Table, everybody: pa.Table) -> TrainedModel:
    place = TrainingContext("insight", {}, {}, "0123abc", "run-1", "", "f" * 64, Path("unused"))
    return train(DEFINITION, labelled, place, population=everybody)


@pytest.fixture(scope="session")
def trained_for(trained: TrainedModel) -> Callable[[TrainingContext], TrainedModel]:
    """The session's model under another domain's name."""
    from mesh.model.bundle import LoadedModel, bundle_sha256

    def build(context: TrainingContext, of: TrainedModel = trained, **changes: Any) -> TrainedModel:
        card = replace(of.model.card, name=f"{context.domain}.risk", **changes)
        text = of.model.model_text
        return replace(of, model=LoadedModel(card, text, bundle_sha256(card, text)))

    return build


@pytest.fixture(scope="session")
def weak(labelled: pa.Table, everybody: pa.Table) -> TrainedModel:
    """A model that was given neither of the two columns that tell anything."""
    blind = replace(DEFINITION, exclude={**DEFINITION.exclude, "amount": "kept from it", "kind": "kept from it"})
    place = TrainingContext("insight", {}, {}, "0123abc", "run-1", "", "f" * 64, Path("unused"))
    return train(blind, labelled, place, population=everybody)


@pytest.fixture(scope="session")
def other(labelled: pa.Table, everybody: pa.Table) -> TrainedModel:
    """A model about as good as the session's."""
    place = TrainingContext("insight", {}, {}, "0123abc", "run-1", "", "f" * 64, Path("unused"))
    return train(replace(DEFINITION, seed=8), labelled, place, population=everybody)
