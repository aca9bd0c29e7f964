"""Dagster's books after a kill: runs whose process is gone are ended, and what they released is shown.

A killed process cannot say that its run ended, so the run would stand as started for ever; and where the kill came
between the commit of a release and Dagster's own note of it, the UI would go on showing the release before.
"""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import psutil

from mesh.postgres import connect
from mesh.session import Mesh

if TYPE_CHECKING:
    import dagster as dg

# The prefix keeps them out of the run list, where they would say nothing to a person.
HOST, PID, BORN = ".dagster/mesh_host", ".dagster/mesh_pid", ".dagster/mesh_pid_born"

_TAGS_OF_STARTED = """
    select run_id, key, value from run_tags
    where run_id in (
        select runs.run_id from runs join run_tags as place using (run_id)
        where runs.status = 'STARTED' and place.key = '.dagster/repository' and place.value = %s
    )
"""


def process_tags() -> dict[str, str]:
    """What a run says of the process it runs in."""
    born = psutil.Process().create_time()
    return {HOST: socket.gethostname(), PID: str(os.getpid()), BORN: f"{born:.2f}"}


def any_open(mesh: Mesh) -> bool:
    """Whether some run stands as started. Asks the tables, because importing Dagster would cost seconds."""
    connection = connect(mesh.postgres.dsn(mesh.postgres.dagster_database))
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("select to_regclass('runs') is not null")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("select exists (select from runs where status in ('STARTED', 'STARTING'))")
        return bool(cursor.fetchone()[0])


def at_work(mesh: Mesh, domain: str) -> bool:
    """Whether another living process of this host runs something of a domain: from the UI, the sensor, a schedule."""
    connection = connect(mesh.postgres.dsn(mesh.postgres.dagster_database))
    with closing(connection), connection.cursor() as cursor:
        cursor.execute("select to_regclass('run_tags') is not null")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(_TAGS_OF_STARTED, (f"__repository__@{domain}",))
        tags: dict[str, dict[str, str]] = {}
        for run_id, key, value in cursor.fetchall():
            tags.setdefault(run_id, {})[key] = value
    host = socket.gethostname()
    return any(PID in found and found.get(HOST) == host and _alive(found) for found in tags.values())


def end(mesh: Mesh, instance: dg.DagsterInstance) -> None:
    """Mark the runs of dead processes of this host as failed, and materialise what they released without a note."""
    import dagster as dg

    started = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING], tags={HOST: socket.gethostname()}
    )
    for run in instance.get_runs(started):
        if not _alive(run.tags):
            _note_releases(mesh, instance, run.run_id)
            instance.report_run_failed(
                run, "The process of this run is gone; the sensor of its domain, or `mesh run`, continues its work."
            )


def _alive(tags: dict[str, str]) -> bool:
    """A number that was given to another process since does not count."""
    try:
        process = psutil.Process(int(tags[PID]))
        return process.pid != os.getpid() and f"{process.create_time():.2f}" == tags.get(BORN)
    except psutil.NoSuchProcess:
        return False


def _note_releases(mesh: Mesh, instance: dg.DagsterInstance, run_id: str) -> None:
    import dagster as dg

    from dagster_project.publishing import note
    from mesh.release.history import read_whole

    for release in mesh.history().releases:
        if release.kind != "release" or release.run_id != run_id:
            continue
        noted = instance.get_latest_materialization_event(dg.AssetKey(release.views[-1].split(".")))
        if noted is None or noted.run_id != run_id:
            note(instance, read_whole(mesh.postgres, release))
