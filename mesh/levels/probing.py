"""Probing: read every published view as a consumer does, and put on record whether it could be read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from threading import Timer

import duckdb

from mesh.errors import MeshError
from mesh.levels.probes import Probe, record_probes
from mesh.release import Release
from mesh.session import Mesh

TIMEOUT_SECONDS = 30
"""A view that gives no row within this time counts as one that cannot be read."""

TIMEOUT, NO_ROWS = "Timeout", "NoRows"


def probe(mesh: Mesh, products: Iterable[str]) -> tuple[Probe, ...]:
    """Read one row of every view of these products through the role of readers, and record how it went.

    Products that are not served are left out: there is nothing that a consumer could read.

    Raises:
        ServiceError: Postgres does not answer, so nothing can be put on record.
    """
    served = mesh.history().served
    releases = [served[key] for key in products if key in served]
    seen = tuple(_looks(mesh, releases)) if releases else ()
    record_probes(mesh.postgres, seen)
    return seen


def _looks(mesh: Mesh, releases: list[Release]) -> Iterator[Probe]:
    started = time.perf_counter()
    try:
        connection = mesh.reader()
    except (MeshError, duckdb.Error) as error:
        kind, now, ms = type(error.__cause__ or error).__name__, datetime.now(UTC), _ms(started)
        yield from (Probe(each.product, each.release, now, ms, error=kind) for each in releases)
        return
    attached = _ms(started)
    with contextlib.closing(connection):
        for release in releases:
            yield _look(connection, release, attached)


def _look(connection: duckdb.DuckDBPyConnection, release: Release, attached: int) -> Probe:
    started, now = time.perf_counter(), datetime.now(UTC)
    for table, view in zip(release.tables, release.views, strict=True):
        error = _error(connection, view, bool(release.rows.get(table)))
        if error is not None:
            return Probe(release.product, release.release, now, attached + _ms(started), view, error)
    return Probe(release.product, release.release, now, attached + _ms(started))


def _error(connection: duckdb.DuckDBPyConnection, view: str, has_rows: bool) -> str | None:
    """The kind of error that a consumer would meet, or None."""
    limit = Timer(TIMEOUT_SECONDS, connection.interrupt)
    limit.start()
    try:
        row = connection.execute(f"select * from {view} limit 1").fetchone()
    except duckdb.InterruptException:
        return TIMEOUT
    except duckdb.Error as error:
        return type(error).__name__
    finally:
        limit.cancel()
    return NO_ROWS if row is None and has_rows else None


def _ms(started: float) -> int:
    return round(1000 * (time.perf_counter() - started))
