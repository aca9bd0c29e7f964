"""What the fault tests share: a mesh to harm, its state in words, and an analyst who never stops reading."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from mesh.errors import ServiceError
from mesh.session import Mesh
from tests.spine.conftest import Done, Spine, new_spine

LOOK_SECONDS = 2.0  # each look is a new connection, which costs as much work as a step of the run it watches
NEW_CLAIMS = 5


def twin_spine(of: Spine, folder: Path, host: str) -> Spine:
    """An empty mesh with the same delivered files and token key, so that its releases must be equal to the last row."""
    twin = new_spine(folder, host, folder / "landing", of.project)
    shutil.copytree(of.landing, twin.landing)
    twin.home.mkdir(parents=True)
    shutil.copy2(of.home / "keys.json", twin.home / "keys.json")
    shutil.copytree(of.home / "dbt", twin.home / "dbt")  # parsed from the same files; spares every run the parsing
    return twin


def command(spine: Spine, *words: str) -> Done:
    """`mesh WORDS` in this process, as a new process would see the files and settings; saves seconds of imports."""
    from mesh.cli import main

    out, err = io.StringIO(), io.StringIO()
    with as_new_process(spine), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        argv, sys.argv = sys.argv, ["mesh", *words]
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            sys.argv = argv
    return Done(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def as_new_process(spine: Spine) -> Iterator[None]:
    """The environment of this mesh, and nothing remembered of another one or of older files."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("MESH_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(spine.environment)
    _forget()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()


def _forget() -> None:
    from dagster_project import dbt, factory, plan, resources
    from mesh.settings import get_settings

    get_settings.cache_clear()
    resources.process_mesh.cache_clear()
    plan.sources.cache_clear()
    factory.domain_job.cache_clear()
    dbt._parsed.clear()
    for name in [name for name in sys.modules if name.startswith("dagster_project.locations.")]:
        del sys.modules[name]


def served(mesh: Mesh) -> dict[str, dict[str, Any]]:
    """All of every served release that does not depend on when and how often somebody tried."""
    history = mesh.history()
    return {
        key: {
            "records": [(record.kind, record.release) for record in history.of(key)],
            "rows": release.rows,
            "quarantined": release.quarantined,
            "accounting": release.accounting,
            "content": release.content,
            "contract": release.contract_hash,
            "made from": [str(upstream) for upstream in release.inputs],
            "verdict": release.audit["verdict"],
            "details": release.details,
        }
        for key, release in history.served.items()
    }


def digest(connection: duckdb.DuckDBPyConnection, mesh: Mesh, key: str) -> str:
    """The content digest of a product, worked out by a consumer from the public view."""
    contract = mesh.project.product(key).contract
    table = contract.tables[0]
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    row = connection.execute(
        f"select count(*), sum(hash({columns})::hugeint) from {contract.domain}.{table.name}_v{contract.major}"
    ).fetchone()
    assert row is not None
    return hashlib.sha256(f"{row[0]}:{row[1]}".encode()).hexdigest()[:32]


@dataclass
class Analyst:
    """Reads published products all the time: by a new connection each time, and by an old one pinned to a release."""

    mesh: Mesh
    keys: tuple[str, ...]
    pin: str
    seen: dict[str, list[str]] = field(default_factory=dict)
    pinned: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Analyst:
        self._thread = threading.Thread(target=self._work)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        old: duckdb.DuckDBPyConnection | None = None
        try:
            ended = False
            while not ended:
                # One look more after the end: what was released last must be seen, too.
                ended = self._stop.wait(LOOK_SECONDS)
                self._look()
                product = self.pin.split("@")[0]
                if product in self.seen:
                    old = old or self.mesh.reader(self.pin)
                    self.pinned.append(digest(old, self.mesh, product))
        except Exception as error:
            self.failures.append(f"pinned reader: {error}")
        finally:
            if old is not None:
                old.close()

    def _look(self) -> None:
        """All products through one new connection: that is what a look costs."""
        try:
            reader = self.mesh.reader()
        except ServiceError as error:
            if self.seen:  # before anything is built there is no catalog
                self.failures.append(str(error))
            return
        try:
            for key in self.keys:
                self._read(reader, key)
        finally:
            reader.close()

    def _read(self, reader: duckdb.DuckDBPyConnection, key: str) -> None:
        try:
            found = digest(reader, self.mesh, key)
        except duckdb.CatalogException as error:
            if key in self.seen:  # before the first release there is no view
                self.failures.append(f"{key}: {error}")
        except Exception as error:
            self.failures.append(f"{key}: {error}")
        else:
            contents = [release.content for release in self.mesh.history().of(key)]
            if not any(found in content.values() for content in contents):
                self.failures.append(f"{key}: read what was never released, or no whole release")
            changes = self.seen.setdefault(key, [])
            if not changes or changes[-1] != found:
                changes.append(found)


def deliver_claims(landing: Path, number: int) -> None:
    """Another file: a few claims of the first one under new references."""
    with (landing / "claims/ssp/ssp_0001.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:NEW_CLAIMS]
    with (landing / f"claims/ssp/ssp_{number:04}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "reference": f"NEW-{number}-{place}"} for place, row in enumerate(rows))
