"""A small domain with a landing zone and a lake of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import settings
from ingest_desk import Desk, attach, connect

# how fast a shared machine answers is no property of the code
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """One DuckDB for all tests: checking the signature of an extension takes longer than most of them."""
    con = connect()
    yield con
    con.close()


@pytest.fixture
def desk(tmp_path: Path, engine: duckdb.DuckDBPyConnection) -> Iterator[Desk]:
    attach(engine, tmp_path)
    yield Desk(tmp_path, engine)
    engine.execute("detach database if exists lake")
