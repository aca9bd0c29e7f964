"""A small desk to try the domains' SQL on: two plain DuckDB files stand in for the lake and its pinned view.

Rows are given as they lie in the raw tables; dbt runs in a process of its own, because it keeps global state.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from mesh.features.batch import batch_forms
from mesh.project import load_project

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = ("identity", "interactions", "claims", "insight")
Rows = Sequence[Mapping[str, Any]]

RUN = """
import json, sys
import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner
calls, options = json.loads(sys.argv[1]), json.loads(sys.argv[2])
manifest = None
for call in calls:
    if call[0] == "sql":
        with duckdb.connect() as con:
            for statement in call[1:]:
                con.execute(statement)
        continue
    result = dbtRunner(manifest=manifest).invoke(["--quiet", *options["global"], *call, *options["command"]])
    DuckDBConnectionManager.close_all_connections()
    if not result.success:
        sys.exit(f"{call}: {result.exception}")
    if call[0] == "parse":
        manifest = result.result
"""


def read(path: Path) -> Any:
    """A YAML file as plain data."""
    return YAML(typ="safe", pure=True).load(path)


def contract_files() -> list[Path]:
    """Every contract of the domains and of the example bundles."""
    return sorted((*(ROOT / "contracts").glob("*/*.yaml"), *(ROOT / "examples").glob("*/contracts/*/*.yaml")))


class Desk:
    """The domains built in a folder; tables of every step stay there to be looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        attach = [{"path": str(folder / f"{name}.duckdb"), "alias": name} for name in ("lake", "inputs")]
        target = {"type": "duckdb", "path": ":memory:", "database": "lake", "schema": "main", "threads": 1}
        profile = {"insight_mesh": {"target": "desk", "outputs": {"desk": {**target, "attach": attach}}}}
        (folder / "profiles.yml").write_text(json.dumps(profile))

    def connect(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect()
        con.execute("set timezone = 'UTC'")
        for name in ("lake", "inputs"):
            con.execute(f"attach '{self.folder}/{name}.duckdb' as {name}")
        con.execute("use lake")
        return con

    def deliver(self, raw: Mapping[str, Sequence[Rows]]) -> None:
        """Raw tables: for each its loads in order, each a list of rows. Columns that a row leaves out are null."""
        with self.connect() as con:
            for domain in DOMAINS[:3]:
                con.execute(f"create schema {domain}_build")
                con.execute(f"create table {domain}_build.current_loads (load_id varchar, loaded_seq bigint)")
                ports = read(ROOT / "data_products" / domain / "domain.yaml")["inputPorts"]
                for port in ports:
                    listed = next(item["value"] for item in port["customProperties"] if item["property"] == "columns")
                    columns = ", ".join(f'"{name}" varchar' for name in listed)
                    con.execute(
                        f"create table {domain}_build.{port['name']} ({columns}, _load_id varchar, _source varchar, "
                        "_source_file varchar, _source_row bigint)"
                    )
                    for number, rows in enumerate(raw.get(port["name"], ()), start=1):
                        load = f"{port['name']}-{number}"
                        con.execute(f"insert into {domain}_build.current_loads values (?, ?)", [load, number])
                        for place, row in enumerate(rows, start=1):
                            whole = {**row, "_load_id": load, "_source_file": f"{load}.csv", "_source_row": place}
                            names = ", ".join(f'"{name}"' for name in whole)
                            marks = ", ".join("?" for _ in whole)
                            con.execute(
                                f"insert into {domain}_build.{port['name']} ({names}) values ({marks})",
                                list(whole.values()),
                            )
            for domain in DOMAINS[:3]:
                con.execute(f"create schema inputs.{domain}")

    def build(self) -> None:
        """Build identity, interactions and claims, serve their products as `inputs`, then build insight."""
        serve = [f"attach '{self.folder}/{name}.duckdb' as {name}" for name in ("lake", "inputs")]
        for file in sorted(path for domain in DOMAINS[:3] for path in (ROOT / "contracts" / domain).glob("*.yaml")):
            [table] = read(file)["schema"]
            [key] = [column["name"] for column in table["properties"] if column.get("primaryKey")]
            product = f"{file.parent.name}_build.{file.stem}"
            # Rows without a key are what the audit moves aside before it publishes.
            serve.append(
                f"create table inputs.{file.parent.name}.{file.stem}_v1 as from lake.{product} where {key} is not null"
            )
        self._dbt(
            ["parse"],
            ["run", "--select", *(f"path:models/{domain}" for domain in DOMAINS[:3])],
            ["sql", *serve],
            ["run", "--select", "path:models/insight"],
            ["test", "--select", "test_type:unit"],
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as con:
            return con.execute(query).fetchall()

    def _dbt(self, *calls: list[str]) -> None:
        options = {
            "global": [
                "--no-send-anonymous-usage-stats", "--no-version-check", "--log-path", str(self.folder / "logs"),
            ],
            "command": [
                "--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(self.folder),
                "--target-path", str(self.folder / "target"), "--vars", json.dumps(batch_forms(load_project(ROOT))),
            ],
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps(calls), json.dumps(options)],
            capture_output=True,
            text=True,
            timeout=800,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
