"""The spine's figures: how long the whole mesh takes, what its machinery costs, how publishing scales."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from benchmarks.freshness import automation, million, onboarding
from benchmarks.report import Figure, arguments, show
from benchmarks.running import ROOT, home, run, script, timed

CLAIMS = 100_000


KEY = "shop/orders"
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
schema:
  - name: orders
    logicalType: object
    properties:
      - {name: order_id, logicalType: integer, physicalType: INTEGER, required: true}
      - {name: amount, logicalType: integer, physicalType: INTEGER}
  - name: lines
    logicalType: object
    properties:
      - {name: order_id, logicalType: integer, physicalType: INTEGER, required: true}
"""
DOMAIN = """\
apiVersion: v1.0.0
kind: DataProduct
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
outputPorts:
  - {name: orders, version: 1.0.0, contractId: shop-orders}
"""


def main() -> None:
    options = arguments(__doc__ or "")
    claims = 10_000 if options.quick else CLAIMS
    parts = [lambda: spine(claims, repeats=1 if options.quick else 3), lambda: publishing(options.quick)]
    parts.append(lambda: onboarding(1 if options.quick else 3))
    if not options.quick:
        parts += [lambda: automation(claims, 3), million, lambda: [setup_minutes()], lambda: [test_minutes()]]
    figures: list[Figure] = []
    for part in parts:
        for figure in part():
            # The whole takes half an hour: what is known is told as it comes.
            print(f"{figure.name}: {figure.value:.3g} {figure.unit}", file=sys.stderr, flush=True)
            figures.append(figure)
    show(figures, as_json=options.as_json, title=f"The spine, {claims:,} claims")


def spine(claims: int, repeats: int) -> list[Figure]:
    """`mesh run` from nothing, again with nothing changed, and what is neither query nor training."""
    from simulator import simulate

    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        landing = Path(place) / "landing"
        simulate(landing, claims=claims, seed=7)
        first, again, overhead = [], [], []
        for number in range(repeats):
            with home(Path(place) / f"home{number}", landing) as environment:
                first.append(timed([script("mesh"), "run"], environment))
                again += [timed([script("mesh"), "run"], environment) for _ in range(3)]
                auc = _auc_on_truth(landing, Path(place) / "scores.parquet", environment)
            with home(Path(place) / f"profiled{number}", landing) as environment:
                command = [sys.executable, "-m", "benchmarks.profiled_run"]
                said = json.loads(run(command, environment).stdout.splitlines()[-1])
                overhead.append(said["seconds"] - said["duckdb"] - said["training"])
    return [
        Figure("run_seconds", statistics.median(first), "s", 100),
        Figure("run_overhead_seconds", statistics.median(overhead), "s", 40,
               peers={"of a profiled run of": said["seconds"], "DuckDB": said["duckdb"], "training": said["training"]}),
        Figure("rerun_seconds", statistics.median(again), "s", 12),
        Figure("auc_on_truth", auc, "", 0.80, "least"),
    ]  # fmt: skip


def _auc_on_truth(landing: Path, out: Path, environment: dict[str, str]) -> float:
    """How well the published scores rank the latest quarter of the claims, by the simulator's own truth."""
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    query = "select claim_id, submitted_at, probability from insight.claim_scores_v1"
    run([script("mesh"), "sql", query, "--format", "parquet", "--out", str(out)], environment)
    scores = pd.read_parquet(out).merge(pd.read_csv(landing / "_truth" / "claims.csv"), on="claim_id")
    later = scores.sort_values("submitted_at").tail(len(scores) // 4)
    return float(roc_auc_score(later["fraud"], later["probability"]))


def publishing(quick: bool) -> list[Figure]:
    """The commit of a release over ten thousand and ten million rows; sealing apart, in MB/s."""
    from mesh.audit import audit
    from mesh.lake import current_snapshot, seal
    from mesh.release import Build, publish, record_audit, record_build
    from mesh.session import open_mesh
    from mesh.settings import Settings

    module = importlib.import_module("mesh.release.publish")
    sizes = {"small": 10_000, "large": 1_000_000 if quick else 10_000_000}
    commits: dict[str, list[float]] = {name: [] for name in sizes}
    speed = []
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        project = Path(place) / "project"
        for name, text in (("contracts/shop/orders.yaml", CONTRACT), ("data_products/shop/domain.yaml", DOMAIN)):
            (project / name).parent.mkdir(parents=True)
            (project / name).write_text(text)
        mesh = open_mesh(Settings(project=project, home=Path(place) / "home"))
        contract = mesh.project.product(KEY).contract
        try:
            # In turn, so that a slow moment of the machine falls on both sizes.
            for _ in range(3 if quick else 7):
                for name, rows in sizes.items():
                    with mesh.writer() as connection:
                        connection.execute("create schema if not exists shop_build")
                        connection.execute(
                            "create or replace table shop_build.orders as "
                            f"select range::integer as order_id, (range % 1000)::integer as amount from range({rows})"
                        )
                        connection.execute("create or replace table shop_build.lines as select 1::integer as order_id")
                        build = Build(product=KEY, snapshot=current_snapshot(connection), inputs_snapshot=0,
                                      fingerprint="x", code_revision="x", run_id="x")  # fmt: skip
                        record_build(mesh.postgres, build)
                        found = audit(connection, contract, domain_schema="shop_build", snapshot=build.snapshot,
                                      now=datetime(2026, 1, 1))  # fmt: skip
                        record_audit(mesh.postgres, found)
                        started = time.perf_counter()
                        files = seal(connection, "shop_build", ["orders", "lines"], build.snapshot)
                        sealing = time.perf_counter() - started
                        if name == "large":
                            speed.append(sum(file.bytes for file in files) / 1e6 / sealing)
                        with _replaced(module, "seal", lambda *_args, sealed=files: sealed):
                            started = time.perf_counter()
                            publish(connection, mesh.postgres, mesh.project, contract, build, author="benchmark")
                            commits[name].append(time.perf_counter() - started)
        finally:
            from mesh import postgres

            postgres.stop(mesh.settings)
    small, large = (statistics.median(commits[name]) for name in ("small", "large"))
    peers = {"small_ms": small * 1000, "large_ms": large * 1000}
    return [
        Figure("publish_ratio", large / small, "x", 2, peers=peers),
        Figure("sealing_mb_per_second", statistics.median(speed), "MB/s", None, "least"),
    ]


def setup_minutes() -> Figure:
    """From a bare checkout to the summary, downloads included."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        clone = Path(place) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        bare = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
        seconds = timed(["make", "run"], bare, clone)
        subprocess.run(["make", "down"], cwd=clone, env=bare, check=False, capture_output=True)
    return Figure("setup_minutes", seconds / 60, "min", 6)


def test_minutes() -> Figure:
    """`make test` in this checkout."""
    return Figure("test_minutes", timed(["make", "test"], dict(os.environ), ROOT) / 60, "min", 10)


@contextlib.contextmanager
def _replaced(module: object, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


if __name__ == "__main__":
    main()
