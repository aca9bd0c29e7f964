"""The model engine's figures: scoring with and without reasons beside LightGBM's own, one row, and a large training.

Scoring: 1 million rows of 40 columns (30 numbers, some with gaps, six with few values; four categories), 200 trees with
the mesh's own parameters; both in one process, in turn, on the same threads, and the margins must be the same bits.
With reasons means from an Arrow table to an Arrow table: encoding, probability, score, band and three texts, against
LightGBM's plain margins of a matrix. Training: the project's model of claims on as many claims as the contract of its
features describes, 22 % of them with a known outcome, from a database file to the model with all its figures.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, arguments, show
from benchmarks.running import ROOT

ROWS, COLUMNS, TREES, THREADS = 1_000_000, 40, 200, 2
CATEGORIES = (5, 12, 30, 200)
LEARNED = 100_000
CALLS = 20_000
DEFINITION = "data_products/insight/models/claim_fraud.yaml"
CAPACITY = 0.22
LABELLED = 22
"""Percent of the claims whose outcome is known."""


def main() -> None:
    options = arguments(__doc__ or "")
    rows = ROWS // 10 if options.quick else ROWS
    figures = scoring(rows, repeats=3 if options.quick else 7)
    figures += training(rows)
    show(figures, as_json=options.as_json, title=f"Models: {rows:,} rows, {COLUMNS} columns, {TREES} trees")


def scoring(rows: int, repeats: int) -> list[Figure]:
    """LightGBM and the mesh in turn, so that a slow moment of the machine falls on both."""
    import numpy as np

    from mesh.model import score

    matrix = _matrix(rows)
    model = _model(matrix)
    table = _table(matrix, model)
    booster, compiled = model.booster, model.compiled
    work: dict[str, Callable[[], Any]] = {
        "lightgbm": lambda: booster.predict(matrix, raw_score=True, num_threads=THREADS),
        "ours": lambda: compiled.margins(matrix, threads=THREADS),
        "with reasons": lambda: score(model, table, threads=THREADS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in work}
    found = {}
    for number in range(repeats + 1):
        for name, do in work.items():
            started = time.perf_counter()
            found[name] = do()
            if number:  # The first of each only warms it up.
                seconds[name].append(time.perf_counter() - started)
    if (np.asarray(found["lightgbm"]).view(np.uint64) != found["ours"].view(np.uint64)).any():
        sys.exit("The margins are not those of LightGBM.")
    middle = {name: statistics.median(of) for name, of in seconds.items()}
    ratios = {name: _ratio(seconds["lightgbm"], seconds[name]) for name in ("ours", "with reasons")}
    one = list(matrix[:1000])
    alone = _microseconds(compiled.margin, one, CALLS)
    parameters = {"raw_score": True, "num_threads": 1}
    peer = _microseconds(lambda row: booster.predict(row.reshape(1, -1), **parameters), one, CALLS // 10)
    few = matrix[: rows // 100]
    started = time.perf_counter()
    booster.predict(few, pred_contrib=True, num_threads=THREADS)
    contributions = (time.perf_counter() - started) * rows / len(few)
    times = {f"{name} s": value for name, value in middle.items()}
    return [
        Figure("batch_vs_lightgbm", ratios["ours"], "x", 2.5, "least", times),
        Figure(
            "batch_reasons_vs_lightgbm", ratios["with reasons"], "x", 1, "least",
            {"lightgbm's contributions alone s": contributions},
        ),
        Figure("single_row_us", alone, "us", 40, peers={"lightgbm us": peer}),
    ]  # fmt: skip


def _ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """The median over the repetitions, each of which had the same moment of the machine for both."""
    return statistics.median(one / other for one, other in zip(theirs, ours, strict=True))


def _microseconds(ask: Callable[[Any], object], rows: Sequence[Any], calls: int) -> float:
    times = []
    for number in range(calls):
        row = rows[number % len(rows)]
        started = time.perf_counter()
        ask(row)
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


def _matrix(rows: int) -> Any:
    import numpy as np

    rng = np.random.default_rng(7)
    matrix = rng.normal(size=(rows, COLUMNS))
    for place, count in enumerate(CATEGORIES):
        matrix[:, place] = rng.integers(0, count, rows)
    matrix[:, 4:12][rng.random((rows, 8)) < 0.1] = np.nan
    matrix[:, 34:] = np.floor(3 * matrix[:, 34:])
    return matrix


def _model(matrix: Any) -> Any:
    """A model as the mesh keeps it, of trees that learned the first rows."""
    import numpy as np

    from mesh.model.bundle import LoadedModel
    from mesh.model.calibration import fit_bands, fit_calibration
    from mesh.model.card import ModelCard
    from mesh.model.encoding import CATEGORY, NUMBER, Feature
    from mesh.model.engine import lightgbm
    from mesh.model.parameters import lightgbm_parameters

    lgb, known = lightgbm(), np.nan_to_num(matrix[:LEARNED])
    worth = (
        known[:, 5] * known[:, 20] + (known[:, 1] % 3 == 1) + (known[:, 3] % 7 == 2) + known[:, 12] + known[:, 35] / 3
    )
    truth = (worth + np.random.default_rng(1).normal(size=len(known)) > 2.5).astype(np.float64)
    parameters = lightgbm_parameters({"num_iterations": TREES}, seed=7, threads=THREADS)
    del parameters["early_stopping_round"]
    data = lgb.Dataset(matrix[:LEARNED], truth, categorical_feature=list(range(len(CATEGORIES))))
    text = lgb.train(parameters, data).model_to_string()
    margins = np.asarray(lgb.Booster(model_str=text).predict(matrix[:LEARNED], raw_score=True))
    features = tuple(
        Feature(f"kind_{place}", CATEGORY, tuple(f"value {code:03}" for code in range(CATEGORIES[place])))
        if place < len(CATEGORIES)
        else Feature(f"number_{place}", NUMBER)
        for place in range(COLUMNS)
    )
    calibration, bands = fit_calibration(margins, truth), fit_bands(margins, CAPACITY)
    return LoadedModel(ModelCard("bench.risk", "id", features, calibration, bands, {}, 7, ""), text, "")


def _table(matrix: Any, model: Any) -> Any:
    import numpy as np
    import pyarrow as pa

    columns: dict[str, Any] = {"id": pa.array(np.arange(len(matrix)))}
    for place, feature in enumerate(model.card.features):
        values = matrix[:, place]
        if feature.categories:
            codes = pa.array(values.astype(np.int32))
            columns[feature.name] = pa.DictionaryArray.from_arrays(codes, pa.array(feature.categories)).cast(
                pa.string()
            )
        else:
            columns[feature.name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def training(rows: int) -> list[Figure]:
    """A training in a process of its own, whose time and peak of memory are all its own."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        file = Path(place) / "claims.duckdb"
        told = [_part("claims", str(file), str(rows)), _part("train", str(file))][-1]
    minutes = told["seconds"] / 60
    facts = {"labelled rows": told["labelled"], "columns": told["columns"], "trees": told["trees"]}
    return [
        Figure("train_minutes", minutes, f"min, {rows:,} claims", 3, peers=facts),
        Figure("train_gib", told["gib"], f"GiB, {rows:,} claims", 6),
    ]


def _part(*words: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.insight", *words]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def make_claims(file: str, rows: int) -> None:
    """Features as their contract describes them, and outcomes of some."""
    import duckdb

    from mesh.contract import load_contract

    texts = "['one', 'two', 'three', 'four', 'five', 'six'][1 + floor({} * 6)::integer]"
    values = {"claim_id": "'C' || lpad(range::varchar, 9, '0')", "breaches": texts.format("random()")}
    values["submitted_at"] = "timestamp '2020-04-01' + to_seconds(range * 40)"
    columns = []
    for number, column in enumerate(load_contract(ROOT / "contracts/insight/claim_features.yaml").tables[0].columns):
        # Half of the numbers go with the claim's hidden worth, and every fifth is missing at times.
        drawn = "random()" if number % 2 else "(random() + worth) / 2"
        value = texts.format(drawn) if column.physical_type == "VARCHAR" else f"{1000}.0 * {drawn} * {drawn}"
        if not column.required and number % 5 == 0:
            value = f"case when random() < 0.8 then {value} end"
        value = values.get(column.name, value)
        columns.append(f'cast({value} as {column.physical_type}) as "{column.name}"')
    with duckdb.connect(file) as con:
        con.execute("set threads = 1")
        con.execute("select setseed(0.7)")
        con.execute(f"create table hidden as select range, random() as worth from range({rows})")
        con.execute(f"create table features as select {', '.join(columns)} from hidden order by range")
        con.execute(
            f"""create table outcomes as
            select 'C' || lpad(range::varchar, 9, '0') as claim_id,
                case when random() < 0.02 + 0.2 * worth * worth then 'fraud' else 'correct' end as finding,
                timestamp '2020-06-01' + to_seconds(range * 40) as decided_at, 'risk' as selected_by
            from hidden where hash(range) % 100 < {LABELLED}"""
        )
    print(json.dumps({"rows": rows}))


def train_on(file: str) -> None:
    """The training of the project's model, from the rows to the model and all its figures."""
    import duckdb

    from mesh.model import TrainingContext, load_definition, population_frame, train, training_frame

    definition = load_definition(ROOT / DEFINITION)
    context = TrainingContext("insight", {}, {}, "", "", "", "f" * 64, Path("unused"), threads=THREADS)

    def relation(product: str) -> str:
        return "features" if product == definition.input else "outcomes"

    with duckdb.connect(file, read_only=True) as con:
        con.execute(f"set threads = {THREADS}")
        started = time.perf_counter()
        table = training_frame(con, definition, relation_for=relation)
        population = population_frame(con, definition, relation_for=relation)
        trained = train(definition, table, context, population=population)
        seconds = time.perf_counter() - started
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    told = {"labelled": table.num_rows, "columns": len(trained.columns), "trees": trained.trees}
    print(json.dumps({"seconds": seconds, "gib": gib, **told}))


# What the benchmark starts itself with, each in a process of its own.
PARTS: dict[str, Callable[[], None]] = {
    "claims": lambda: make_claims(sys.argv[2], int(sys.argv[3])),
    "train": lambda: train_on(sys.argv[2]),
}

if __name__ == "__main__":
    PARTS.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()
