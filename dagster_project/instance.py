"""Dagster's own home under MESH_HOME: storage in the mesh's Postgres, no telemetry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.session import Mesh

if TYPE_CHECKING:
    import dagster as dg

URL_VARIABLE = "MESH_DAGSTER_URL"

# The address stays in the environment: with your own Postgres it holds a password.
_CONFIG = f"""\
# Written by the mesh; edits are overwritten.
storage:
  postgres:
    postgres_url:
      env: {URL_VARIABLE}
telemetry:
  enabled: false
nux:
  enabled: false
run_monitoring:
  enabled: true
  start_timeout_seconds: 120
  poll_interval_seconds: 15
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 2
    dequeue_interval_seconds: 1
freshness:
  enabled: true
sensors:
  use_threads: true
  num_workers: 4
"""


def prepare(mesh: Mesh) -> dict[str, str]:
    """Write `dagster.yaml` and return the environment that every Dagster process needs."""
    home = mesh.settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    if not file.is_file() or file.read_text() != _CONFIG:
        file.write_text(_CONFIG)
    return {
        "DAGSTER_HOME": str(home),
        URL_VARIABLE: mesh.postgres.url(mesh.postgres.dagster_database),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
    }


def instance(mesh: Mesh) -> dg.DagsterInstance:
    """The instance that the UI shows too."""
    import dagster as dg

    environment = prepare(mesh)
    os.environ.update(environment)
    found = dg.DagsterInstance.from_config(str(Path(environment["DAGSTER_HOME"])))
    # By default every event is written through a connection of its own.
    found.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=4)
    return found
