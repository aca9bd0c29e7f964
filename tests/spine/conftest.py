"""The whole mesh, run once from simulated files by the command line, for all tests of this folder to look at."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pydantic import SecretStr

from mesh.session import Mesh, open_mesh
from mesh.settings import Settings
from simulator import simulate
from tests.conftest import ROOT, create_database, database_name, execute

CLAIMS = 3000
SEED = 11
# What a mesh calls its databases, after the name of the first.
DATABASES = ("", "_dagster", "_mlflow")
# Where a database says in which folder the mesh is; everything else in them is relative.
PLACES = (
    ("", "ducklake_metadata", "value"),
    ("_mlflow", "experiments", "artifact_location"),
    ("_mlflow", "runs", "artifact_uri"),
    ("_mlflow", "logged_models", "artifact_location"),
    ("_mlflow", "model_versions", "storage_location"),
)


@dataclass(frozen=True)
class Done:
    """A finished command: exit status, what it printed, and what it said on the error stream."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Spine:
    """A mesh with its landing zone, and the command line that works on it."""

    home: Path
    landing: Path
    url: str
    project: Path = ROOT

    @property
    def mesh(self) -> Mesh:
        settings = Settings(
            project=self.project, home=self.home, postgres_url=SecretStr(self.url), landing=self.landing
        )
        return open_mesh(settings)

    @property
    def database(self) -> str:
        """The name of the catalog's database."""
        return self.url.partition("@/")[2].partition("?")[0]

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this mesh as environment variables."""
        return {
            "MESH_PROJECT": str(self.project),
            "MESH_HOME": str(self.home),
            "MESH_LANDING": str(self.landing),
            "MESH_POSTGRES_URL": self.url,
        }

    def command(self, *words: str, given: str = "", **extra: str) -> subprocess.CompletedProcess[str]:
        """Run `mesh WORDS` to its end; `given` is what it reads from its input."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
        environment |= self.environment | extra
        return subprocess.run(
            [str(Path(sys.executable).parent / "mesh"), *words],
            env=environment, cwd=self.project, input=given, capture_output=True, text=True, timeout=800, check=False,
        )  # fmt: skip

    def fork(self, *words: str, **extra: str) -> Done:
        """`mesh WORDS` in a new process that is forked from one with everything imported.

        A real process with a real end, at half the price of the command line.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.spine.preloaded"])
        folder = Path(tempfile.mkdtemp(dir=self.home.parent))
        out, err = folder / "out", folder / "err"
        process = context.Process(target=_forked, args=(words, self.environment | extra, str(out), str(err)))
        process.start()
        process.join()
        assert process.exitcode is not None
        return Done(process.exitcode, out.read_text(), err.read_text())

    def run(self, *words: str, **extra: str) -> dict[str, dict[str, Any]]:
        """`mesh run`: what it says of each product. The exit status must agree with it."""
        done = self.fork("run", "--json", *words, **extra)
        assert done.out, done.err
        products = {row["product"]: row for row in json.loads(done.out)["products"]}
        bad = any(row["status"] in ("failed", "blocked") for row in products.values())
        assert done.status == (1 if bad else 0), done.err
        return products


def _forked(words: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    from tests.spine.preloaded import main

    main(words, environment, out, err)


def new_spine(folder: Path, host: str, landing: Path, project: Path = ROOT) -> Spine:
    """An empty mesh in a folder, over a database of its own."""
    name = create_database(host)
    return Spine(folder / "home", landing, f"postgresql://postgres@/{name}?host={host}", project)


def keep(spine: Spine, host: str) -> None:
    """Put a mesh aside as it is now, for `copied_spine`; nobody may be connected to it."""
    shutil.copytree(spine.home, spine.home.with_name("kept"))
    for suffix in DATABASES:
        execute(host, "postgres", f"create database {spine.database}_kept{suffix} template {spine.database}{suffix}")


def copied_spine(of: Spine, folder: Path, host: str) -> Spine:
    """A mesh of one's own that has done its first run: the kept folder and databases once more, in a second.

    Nothing of it is shared with the other mesh, so that it may be changed.
    """
    copy = Spine(folder / "home", folder / "landing", "", of.project)
    shutil.copytree(of.landing, copy.landing)
    shutil.copytree(of.home.with_name("kept"), copy.home)
    name = database_name()
    for suffix in DATABASES:
        execute(host, "postgres", f"create database {name}{suffix} template {of.database}_kept{suffix}")
    for suffix, table, column in PLACES:
        moved = f"update {table} set {column} = replace({column}, %s, %s)"
        execute(host, name + suffix, moved, given=(f"{of.home}/", f"{copy.home}/"))
    return replace(copy, url=of.url.replace(f"/{of.database}?", f"/{name}?"))


@pytest.fixture(scope="session")
def simulated(shared: Path) -> Path:
    """A landing zone that no test changes."""
    landing = shared / "simulated" / "landing"
    with FileLock(shared / "simulated.lock"):
        if not landing.exists():
            simulate(landing, claims=CLAIMS, seed=SEED)
    return landing


@pytest.fixture(scope="session")
def spine(simulated: Path, postgres_host: str, shared: Path) -> Spine:
    """The mesh after its first run; tests may look, not change."""
    folder, done = shared / "spine", shared / "spine.url"
    with FileLock(shared / "spine.lock"):
        if done.exists():
            return Spine(folder / "home", folder / "landing", done.read_text())
        shutil.copytree(simulated, folder / "landing")
        spine = new_spine(folder, postgres_host, folder / "landing")
        products = spine.run()
        assert {row["status"] for row in products.values()} == {"released"}, products
        keep(spine, postgres_host)
        done.write_text(spine.url)
    return spine
