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
import mlflow.lightgbm

import dagster_project.factory
import dagster_project.instance
import dagster_project.runner
import mesh.cli

IMPORTED = (dagster_postgres, dbt.cli.main, dbt.adapters.duckdb.impl, lightgbm, mlflow, dagster_project)


def main(words: tuple[str, ...], environment: dict[str, str], log: str) -> None:
    """`mesh WORDS` in this process, all that it prints in a file."""
    for name in [name for name in os.environ if name.startswith(("MESH_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(environment)
    os.chdir(environment["MESH_PROJECT"])
    descriptor = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(descriptor, sys.stdout.fileno())
    os.dup2(descriptor, sys.stderr.fileno())
    sys.argv = ["mesh", *words]
    mesh.cli.main()
