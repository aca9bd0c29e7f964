"""A domain team's day in figures: a product from a file, a release that follows another, a million claims."""

from __future__ import annotations

import csv
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from benchmarks.report import Figure
from benchmarks.running import ROOT, copy_project, home, run, script, timed

CLAIMS_FILE = "carclaims/carclaims_1994_95.csv"
DELIVERY = "claims/cjrs/cjrs_{number:04d}.csv"
PATIENCE_SECONDS = 300
LOOK_SECONDS = 0.5


def onboarding(repeats: int) -> list[Figure]:
    """`mesh new product` and the first release, in a mesh that has run before; nothing where the real file is not."""
    file = Path(os.environ.get("MESH_DATA", ROOT.parent / "shared" / "data")) / CLAIMS_FILE
    if not file.is_file():
        print(f"onboard_seconds: skipped, {file} is not there; set MESH_DATA.", file=sys.stderr)
        return []
    from simulator import simulate

    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        project, landing = copy_project(Path(place) / "project"), Path(place) / "landing"
        simulate(landing, claims=1000, seed=7)
        with home(Path(place) / "home", landing, project) as environment:
            run([script("mesh"), "run", "--select", "claims"], environment, project)
            seconds = []
            for number in range(repeats):
                product = f"claims/motor_{number}"
                made = timed([script("mesh"), "new", "product", product, "--from", str(file)], environment, project)
                seconds.append(made + timed([script("mesh"), "run", "--select", product], environment, project))
    return [Figure("onboard_seconds", statistics.median(seconds), "s", 30)]


def automation(claims: int, repeats: int) -> list[Figure]:
    """From a claims release to the score release that follows it, under `mesh up`; started by a delivered file."""
    from simulator import simulate

    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        landing = Path(place) / "landing"
        simulate(landing, claims=claims, seed=7)
        with home(Path(place) / "home", landing) as environment:
            ports = zip(("DAGSTER", "MLFLOW", "PAGES"), _free_ports(3), strict=True)
            environment |= {f"MESH_{name}_PORT": str(port) for name, port in ports}
            run([script("mesh"), "run"], environment)
            with open(Path(place) / "up.log", "wb") as log:
                up = subprocess.Popen([script("mesh"), "up"], env=environment, cwd=ROOT, stdout=log, stderr=log)
            try:
                seconds = [_followed(landing, environment, number) for number in range(2, 2 + repeats)]
            finally:
                run([script("mesh"), "down"], environment)
                up.wait(60)
    return [Figure("automation_seconds", statistics.median(seconds), "s", 60)]


def million(claims: int = 1_000_000) -> list[Figure]:
    """A million claims from nothing: simulated, then built, audited, published and scored; and the memory of that."""
    with tempfile.TemporaryDirectory(prefix="mesh-bench-") as place:
        landing = Path(place) / "landing"
        words = [script("mesh"), "simulate", "--claims", str(claims), "--seed", "7", "--out", str(landing)]
        with home(Path(place) / "home", landing) as environment:
            simulated = timed(words, environment)
            seconds, peak = _watched([script("mesh"), "run"], environment)
    return [
        Figure("simulate_million_seconds", simulated, "s", 60),
        Figure("million_minutes", seconds / 60, "min", 5),
        Figure("million_gib", peak / 2**30, "GiB", 6),
    ]


def _followed(landing: Path, environment: Mapping[str, str], number: int) -> float:
    """Deliver one more claim; seconds between the two releases that it brings, by their own records."""
    before = _releases(environment)
    first = landing / DELIVERY.format(number=1)
    with first.open(newline="") as file:
        rows = csv.reader(file)
        head, row = next(rows), next(rows)
    target = landing / DELIVERY.format(number=number)
    with target.with_name(target.name + ".part").open("w", newline="") as file:
        csv.writer(file).writerows([head, [f"BENCH-{number}", *row[1:]]])
    target.with_name(target.name + ".part").rename(target)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        now = _releases(environment)
        if all(now[key][0] > before[key][0] for key in before):
            return float((now["insight/claim_scores"][1] - now["claims/claims"][1]).total_seconds())
        time.sleep(LOOK_SECONDS)
    sys.exit(f"automation_seconds: no score release within {PATIENCE_SECONDS} s of the delivery {target.name}.")


def _releases(environment: Mapping[str, str]) -> dict[str, tuple[int, Any]]:
    from mesh.session import open_mesh
    from mesh.settings import Settings

    settings = Settings(project=ROOT, home=Path(environment["MESH_HOME"]), landing=Path(environment["MESH_LANDING"]))
    newest = open_mesh(settings).history().newest
    return {key: (newest[key].release, newest[key].published_at) for key in ("claims/claims", "insight/claim_scores")}


def _watched(command: list[str], environment: Mapping[str, str]) -> tuple[float, int]:
    """Seconds of a command, and the most bytes that it and its children held at once."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=dict(environment), cwd=ROOT, stdout=said, stderr=said)
        peak = 0
        while process.poll() is None:
            peak = max(peak, _held(process.pid))
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - started
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{said.read().decode()[-3000:]}")
    return seconds, peak


def _held(pid: int) -> int:
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    held = 0
    for process in family:
        try:
            held += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return held


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
