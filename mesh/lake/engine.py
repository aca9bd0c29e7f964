"""DuckDB with the lake's extensions, loaded by path: nothing is fetched at run time."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb

from mesh.errors import ServiceError
from mesh.settings import Settings

EXTENSIONS = ("ducklake", "postgres_scanner")

IDLE_AT_MOST = 2

_THREADS = "select current_setting('threads')"
# Those made from Python count as internal, so a new connection's number is the only measure.
_FUNCTIONS = "select count(*) from duckdb_functions()"
# Tables, views and databases of somebody's own, temporary ones included.
_LEFT_BEHIND = """
    select (select count(*) from duckdb_tables()) + (select count(*) from duckdb_views() where not internal)
         + (select count(*) - 1 from duckdb_databases() where not internal)
"""


@dataclass(frozen=True)
class _Idle:
    """A connection that nobody uses, of which process and with how many threads."""

    connection: duckdb.DuckDBPyConnection
    process: int
    threads: int


_lock = threading.Lock()
_idle: list[_Idle] = []
_functions: list[int] = []


@lru_cache(maxsize=1)
def _extension_files() -> tuple[Path, ...]:
    """The signed extension files that came as Python packages."""
    files = []
    for name in EXTENSIONS:
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        folders = list(spec.submodule_search_locations or ()) if spec else []
        found = [file for folder in folders for file in Path(folder).glob(f"extensions/*/{name}.duckdb_extension")]
        wanted = [file for file in found if file.parent.name == f"v{duckdb.__version__}"]
        if not wanted:
            raise ServiceError(
                f"DuckDB {duckdb.__version__} needs its extension {name} in the same version: "
                f"pip install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__} in {sys.prefix}."
            )
        files.append(wanted[0])
    return tuple(files)


def load_extensions(connection: duckdb.DuckDBPyConnection) -> None:
    """Load DuckLake and the Postgres scanner by path; automatic installation is switched off."""
    connection.execute("set autoinstall_known_extensions = false")
    # Where there is no script, as in a forked process, DuckDB would draw it on the output, between a command's JSON. In
    # a notebook without its widgets package it refuses even to switch it off, and draws nothing.
    with contextlib.suppress(duckdb.InvalidInputException):
        connection.execute("set enable_progress_bar = false")
    for file in _extension_files():
        name = str(file).replace("'", "''")
        connection.execute(f"load '{name}'")


def connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A new in-memory DuckDB that can attach the lake."""
    connection = duckdb.connect(config={"threads": settings.threads})
    load_extensions(connection)
    # UTC everywhere: a session's own time zone must not move a timestamp.
    connection.execute("set timezone = 'UTC'")
    if not _functions:
        _functions.append(_value(connection, _FUNCTIONS))
    return connection


def take(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection like a new one, from those given back where there is one.

    Most of the price of a new one is the check of the extensions' signatures.
    """
    with _lock:
        for place, idle in enumerate(_idle):
            # A forked child must not touch what its parent has opened.
            if (idle.process, idle.threads) == (os.getpid(), settings.threads):
                return _idle.pop(place).connection
    return connect(settings)


def give_back(connection: duckdb.DuckDBPyConnection, *, detach: Iterable[str]) -> None:
    """Keep a connection for the next `take`, detached from these databases; close it where anything is left behind."""
    try:
        with contextlib.suppress(duckdb.TransactionException):
            connection.execute("rollback")
        connection.execute("use memory")
        for alias in detach:
            connection.execute(f"detach database if exists {alias}")
        clean = _value(connection, _LEFT_BEHIND) == 0 and _value(connection, _FUNCTIONS) == _functions[0]
        idle = _Idle(connection, os.getpid(), _value(connection, _THREADS))
    except duckdb.Error:
        clean = False
    with _lock:
        if clean and len(_idle) < IDLE_AT_MOST:
            _idle.append(idle)
            return
    connection.close()


def _value(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
