"""What a process that is forked for one command has imported already; it must read no setting of the environment."""

from __future__ import annotations

import os
import sys

from mesh.model.tracking import SWITCHES

os.environ.update(SWITCHES)  # MLflow reads them when it is imported

import dagster_postgres
import dbt.adapters.duckdb.impl
import dbt.cli.main
import lightgbm
import matplotlib.backends.backend_agg
import mlflow.lightgbm
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store

import dagster_project.factory
import dagster_project.instance
import dagster_project.runner
import mesh.cli
import mesh.commands
import mesh.model.fairness_table
import mesh.model.monitoring
import mesh.model.monitoring_report
from mesh.contract import load_contracts
from tests.conftest import ROOT

# Contracts are read once per process and text; every forked run finds the project's own as read.
load_contracts(ROOT)

IMPORTED = (
    dagster_postgres,
    dbt.cli.main,
    dbt.adapters.duckdb.impl,
    lightgbm,
    matplotlib,
    mlflow,
    dagster_project,
    mesh,
)


def main(words: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    """`mesh WORDS` in this process, all that it prints in two files."""
    for name in [name for name in os.environ if name.startswith(("MESH_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(environment["MESH_PROJECT"])
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
    sys.argv = ["mesh", *words]
    mesh.cli.main()
