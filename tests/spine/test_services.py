"""`mesh up` as people start and stop it: what it serves, where, and that nothing of it stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest

from tests.conftest import copy_project

MESH = str(Path(sys.executable).parent / "mesh")
PATIENCE_SECONDS = 200
ALL = {"dagster": True, "mlflow": True, "pages": True, "postgres": True}
NOTHING = dict.fromkeys(ALL, False)
ONLY = "identity"
LOADED = "RepositoryLocation"
ENTRIES = """{ workspaceOrError { ... on Workspace {
    locationEntries { name loadStatus locationOrLoadError { __typename } }
} } }"""

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Served:
    """A mesh of its own, its embedded Postgres included, with ports of its own."""

    home: Path
    dagster_port: int
    mlflow_port: int
    pages_port: int
    project: Path

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(("MESH_", "DAGSTER_"))} | {
            "MESH_PROJECT": str(self.project),
            "MESH_HOME": str(self.home),
            "MESH_DAGSTER_PORT": str(self.dagster_port),
            "MESH_MLFLOW_PORT": str(self.mlflow_port),
            "MESH_PAGES_PORT": str(self.pages_port),
        }

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [MESH, *words],
            env=self.environment, cwd=self.project, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    def in_background(self) -> None:
        """As a shell does it: the job ignores SIGINT and outlives the shell."""
        subprocess.run(
            ["sh", "-c", f"{MESH} up > {self.home.parent}/up.log 2>&1 &"],
            env=self.environment, cwd=self.project, stdin=subprocess.DEVNULL, check=True, timeout=60,
        )  # fmt: skip
        self.wait_until_up()

    def wait_until_up(self) -> None:
        ports = (self.dagster_port, self.mlflow_port, self.pages_port)
        wait_for(lambda: all(answers(port) for port in ports), "the servers answer")

    def owner(self) -> psutil.Process:
        """The `mesh up` process."""
        (found,) = [p for p in self.processes() if p.cmdline()[-1:] == ["up"]]
        return found

    def processes(self) -> list[psutil.Process]:
        """Every process that was started for this mesh, however it got away from its parents."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("MESH_HOME") == str(self.home):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def running(self) -> dict[str, bool]:
        """What `mesh status` says."""
        return {row["service"]: row["running"] for row in json.loads(self.command("status", "--json").stdout)}

    def get(self, port: int, path: str, body: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}",
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def ask(self, query: str) -> Any:
        """What Dagster answers to a GraphQL query."""
        return json.loads(self.get(self.dagster_port, "/graphql", {"query": query}))["data"]

    def locations(self) -> dict[str, str]:
        """Per code location what became of it: `LOADED` where it is loaded."""
        entries = self.ask(ENTRIES)["workspaceOrError"]["locationEntries"]
        return {
            entry["name"]: entry["locationOrLoadError"]["__typename"] if entry["loadStatus"] == "LOADED" else "loading"
            for entry in entries
        }

    def said(self) -> str:
        """What a `mesh up` in the background has printed, its lines joined."""
        return " ".join((self.home.parent / "up.log").read_text().split())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "home", small_project(tmp_path / "project", ONLY)) as mesh:
        yield mesh


def small_project(folder: Path, location: str) -> Path:
    """A copy of the project with one code location, which starts in a third of the time."""
    project = copy_project(folder)
    workspace = project / "workspace.yaml"
    lines = workspace.read_text().splitlines(keepends=True)
    workspace.write_text("".join(line for line in lines if "location_name" not in line or f"{location}}}" in line))
    return project


@contextmanager
def serving(home: Path, project: Path) -> Iterator[Served]:
    """A mesh that is not up yet, and is down for certain afterwards."""
    mesh = Served(home, free_port(), free_port(), free_port(), project)
    try:
        yield mesh
    finally:
        mesh.command("down")
        for process in mesh.processes():
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_owner(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-1:] == ["up"]
    except psutil.Error:  # it ended since it was listed
        return False


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        time.sleep(0.2)


def test_a_background_job_serves_on_loopback_until_mesh_down(served: Served) -> None:
    """A shell's background job inherits an ignored SIGINT, which once made Dagster deaf to every way of stopping."""
    assert served.running() == NOTHING
    served.in_background()

    assert "dagster_version" in json.loads(served.get(served.dagster_port, "/server_info"))
    assert served.get(served.mlflow_port, "/health") == "OK"
    assert served.get(served.pages_port, "/health") == "OK"
    assert "<h1>Products</h1>" in served.get(served.pages_port, "/")
    wait_for(lambda: "loading" not in served.locations().values(), "every location is loaded")
    assert served.locations() == {ONLY: LOADED}

    listening = [c for process in served.processes() for c in process.net_connections("inet") if c.status == "LISTEN"]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert {c.laddr.port for c in listening} >= {served.dagster_port, served.mlflow_port, served.pages_port}

    assert served.running() == ALL
    second = served.command("up")
    assert second.returncode == 1
    assert f"Already up (process {served.owner().pid}): dagster http://127.0.0.1:{served.dagster_port}" in second.stderr

    down = served.command("down")
    assert (down.returncode, down.stdout) == (0, "Stopped: dagster, mlflow, pages, postgres.\n")
    assert served.processes() == []
    assert served.running() == NOTHING


def test_ctrl_c_in_the_foreground_stops_it_all(served: Served) -> None:
    process = subprocess.Popen(
        [MESH, "up"],
        env=served.environment,
        cwd=served.project,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "Ctrl-C stops them all" in line:
            break
    os.killpg(process.pid, signal.SIGINT)
    assert "Stopping." in process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert served.processes() == []


def test_what_a_killed_mesh_up_left_behind_is_shown_and_stopped(served: Served) -> None:
    """Its servers live in sessions of their own, so nobody else would ever end them and free their ports."""
    served.in_background()
    served.owner().kill()
    wait_for(lambda: not any(is_owner(process) for process in served.processes()), "the owner is gone")
    assert served.running() == ALL
    again = served.command("up")
    assert again.returncode == 1
    assert "`mesh down`" in again.stderr
    assert served.command("down").stdout == "Stopped: dagster, mlflow, pages, postgres.\n"
    assert served.processes() == []


def clients(connection: Any) -> int:
    """How many are connected to the server."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")
        return int(cursor.fetchone()[0])


def test_postgres_stays_up_for_those_who_use_it(served: Served) -> None:
    """`mesh down` in one shell must not end the run, or the analyst, of another."""
    assert served.command("products").returncode == 0  # starts the server
    attach = served.command("sql", "--attach").stdout
    folder = re.search(r"host=(\S+)", attach)
    assert folder is not None
    analyst = psycopg2.connect(host=folder[1], user="postgres", dbname="mesh")
    analyst.autocommit = True
    try:
        # A command has ended before the server has let go of its connection.
        wait_for(lambda: clients(analyst) == 1, "nobody else is connected")
        assert served.command("down").stdout == (
            "Postgres stays up: 1 connection uses it (a run, a DuckDB client). `mesh down` once they are done, or "
            "`mesh down --force`.\n"
        )
        assert served.running()["postgres"]
        assert served.command("down", "--force").stdout == "Stopped: postgres.\n"
    finally:
        analyst.close()
    assert served.processes() == []
