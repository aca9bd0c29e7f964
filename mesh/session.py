"""One opened mesh: settings, Postgres, project files, keys and the ways to connect.

Everything that works on a mesh (commands, orchestration, services, notebooks) starts here.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb

from mesh import lake
from mesh.access import KeyRing
from mesh.errors import ServiceError
from mesh.postgres import Postgres, start
from mesh.project import Project, load_project
from mesh.release import History, parse_reference, read_history
from mesh.settings import Settings, get_settings

LOCK_PATIENCE_SECONDS = 1800
LOCK_LOOK_SECONDS = 0.5
LOCK_SILENCE_SECONDS = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mesh:
    """An opened mesh. Cheap to hold; connections are made and closed per use."""

    settings: Settings
    cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def observing(cls, settings: Settings, postgres: Postgres) -> Mesh:
        """The mesh of a server that runs, seen by a role that can only SELECT: nothing can be written through it."""
        mesh = cls(settings)
        mesh.__dict__["postgres"] = postgres.as_observer()
        return mesh

    @cached_property
    def postgres(self) -> Postgres:
        """The mesh's Postgres, started on first use: reading the project's files needs none."""
        return start(self.settings)

    @cached_property
    def project(self) -> Project:
        """The mesh as its files describe it, read once per opening."""
        return load_project(self.settings.project)

    @cached_property
    def keyring(self) -> KeyRing:
        """The keys of the identifier tokens."""
        return KeyRing.load(self.settings)

    @cached_property
    def code_revision(self) -> str:
        """The git commit of the project, `+changes` where files differ from it, or `unversioned`."""
        git = ["git", "-C", str(self.settings.project)]
        try:
            commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
            changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return "unversioned"
        if commit.returncode != 0:
            return "unversioned"
        return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")

    def history(self) -> History:
        """Every release so far."""
        return read_history(self.postgres)

    @contextlib.contextmanager
    def writer(self, *, inputs_at: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that can write the lake, with `inputs` pinned where a snapshot is given."""
        with lake.writer(self.postgres, self.settings, inputs_at=inputs_at) as connection:
            yield connection

    def reader(self, at: str | None = None) -> duckdb.DuckDBPyConnection:
        """A read-only connection to the published products, at a release (`domain/product@n`) or now."""
        commit = None
        if at is not None:
            product, number = parse_reference(at)
            commit = self.history().get(product, number).commit
        return lake.reader(self.postgres, self.settings, at=commit)

    @contextlib.contextmanager
    def build_lock(self, domain: str) -> Iterator[None]:
        """One builder per domain over all processes; waits for another one to finish.

        Raises:
            ServiceError: the other builder did not finish within half an hour.
        """
        with self._lock(f"build:{domain}", domain):
            yield

    @contextlib.contextmanager
    def run_lock(self, domain: str) -> Iterator[None]:
        """One `mesh run` per domain over all processes, from its plan to its last release; waits for another one.

        Raises:
            ServiceError: the other run did not finish within half an hour.
        """
        with self._lock(f"run:{domain}", domain):
            yield

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """While a `mesh run` lasts: `running` tells others, who then leave the work to it."""
        with self.postgres.lock("run", shared=True):
            yield

    def running(self) -> bool:
        """Whether a `mesh run` of any process is at work."""
        with self.postgres.lock("run") as alone:
            return not alone

    @contextlib.contextmanager
    def _lock(self, name: str, domain: str) -> Iterator[None]:
        started = time.monotonic()
        told = False
        while time.monotonic() < started + LOCK_PATIENCE_SECONDS:
            with self.postgres.lock(name) as mine:
                if mine:
                    yield
                    return
            if not told and time.monotonic() > started + LOCK_SILENCE_SECONDS:
                _log.warning("Domain %s is being built by another process; waiting for it to finish.", domain)
                told = True
            time.sleep(LOCK_LOOK_SECONDS)
        raise ServiceError(
            f"Another process has been building domain {domain} for more than {LOCK_PATIENCE_SECONDS // 60} minutes. "
            "Look at its run in the Dagster UI; end it there, or wait and run again."
        )


def open_mesh(settings: Settings | None = None) -> Mesh:
    """Open the mesh of these settings, by default those of the environment."""
    return Mesh(settings or get_settings())


def connect(at: str | None = None) -> duckdb.DuckDBPyConnection:
    """A read-only DuckDB connection to every published product.

    Args:
        at: a release such as "claims/claims@3": the whole mesh as it was then. Default: now.

    >>> mesh.connect().sql("select scheme, count(*) from claims.claims_v1 group by all")  # doctest: +SKIP
    """
    return open_mesh().reader(at)


def read(product: str, at: str | None = None) -> duckdb.DuckDBPyRelation:
    """One published product as a DuckDB relation: `.df()`, `.arrow()`, `.filter(...)`.

    Args:
        product: "domain/product", its newest published major version.
    """
    opened = open_mesh()
    connection = opened.reader(at)
    history = opened.history()
    served = history.get(*parse_reference(at)) if at and at.startswith(f"{product}@") else history.served.get(product)
    if served is None:
        opened.project.product(product)  # a better message where the name itself is wrong
        raise ServiceError(f"{product} has no release yet. Build it: `mesh run --select {product}`.")
    return connection.sql(f"from {served.views[0]}")
