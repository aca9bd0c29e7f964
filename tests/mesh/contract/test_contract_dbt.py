"""The dbt properties of contracts under dbt itself: parsed, built, and their tests seen to fail on damaged rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mesh.contract import load_contract, parse_contract
from mesh.contract.exchange import export, import_contract
from tests.domains.desk import contract_files, read
from tests.gates import clean
from tests.gates.damage import damages
from tests.gates.standard import tables

# dbt keeps global state, so it runs in a process of its own; prints which tests did not pass in each build.
RUN = """
import json, sys
from dbt.cli.main import dbtRunner
folder, builds = sys.argv[1], json.loads(sys.argv[2])
options = ["--project-dir", folder, "--profiles-dir", folder]
chosen = ["--select", "outcomes", "lines"]
before = ["--quiet", "--no-send-anonymous-usage-stats", "--no-version-check", "--log-path", folder + "/logs"]
parsed = dbtRunner().invoke([*before, "parse", *options])
assert parsed.success, parsed.exception
found = []
for build in builds:
    variables = ["--vars", json.dumps({"from": build})]
    done = dbtRunner(manifest=parsed.result).invoke([*before, "build", *chosen, *options, *variables])
    assert done.result is not None, done.exception
    found.append(sorted(r.node.name + ": " + r.status for r in done.result if r.status not in ("pass", "success")))
print(json.dumps(found))
"""

KEYED = b"""\
apiVersion: v3.1.0
kind: DataContract
id: shop-lines
version: 1.0.0
status: active
domain: shop
dataProduct: lines
schema:
  - name: lines
    properties:
      - {name: day, logicalType: date, primaryKey: true, primaryKeyPosition: 1}
      - name: size
        logicalType: integer
        physicalType: INTEGER
        primaryKey: true
        primaryKeyPosition: 2
        quality: [{metric: invalidValues, arguments: {validValues: [1, 2]}, mustBe: 0, severity: warning}]
      - {name: up, logicalType: integer, physicalType: INTEGER, relationships: [{to: lines.size}]}
"""
OUTCOMES = "claims/outcomes"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project with the exported properties of every shipped contract and of `KEYED`."""
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "models").mkdir()
    paths = {"path": str(folder / "out.duckdb"), "threads": 1, "type": "duckdb"}
    attach = [{"path": str(folder / "rows.duckdb"), "alias": "rows", "read_only": True}]
    profile = {"x": {"target": "t", "outputs": {"t": {**paths, "attach": attach}}}}
    (folder / "profiles.yml").write_text(json.dumps(profile))
    (folder / "dbt_project.yml").write_text(
        json.dumps({"name": "x", "profile": "x", "version": "1.0", "config-version": 2})
    )
    with duckdb.connect(str(folder / "rows.duckdb")) as con:
        con.execute("create schema good; create schema bad")
        for file in contract_files():
            contract = load_contract(file)
            (folder / f"models/{contract.product}.yml").write_text(export(contract, "dbt").text)
            if contract.name != OUTCOMES:
                columns = ", ".join(
                    f'cast(null as {c.physical_type}) as "{c.name}"' for c in contract.tables[0].columns
                )
                (folder / f"models/{contract.product}.sql").write_text(f"select {columns} limit 0")
                continue
            [table] = tables(read(file))
            rows = clean.rows(contract.name, table)
            named = {promise.rule: promise for promise in table.promises}
            wrong = rows
            for rule in ("outcomes.primary_key", "outcomes.finding.finding_known", "outcomes.source_file.required"):
                [damage] = damages(table, rows, named[rule])
                wrong = damage.on(wrong)
            kinds = ", ".join(f"{c.name} {c.physical_type}" for c in contract.tables[0].columns)
            for schema, filled in (("good", rows), ("bad", wrong)):
                con.execute(f"create table {schema}.outcomes ({kinds})")
                marks = ", ".join("?" for _ in table.columns)
                con.executemany(f"insert into {schema}.outcomes values ({marks})", [list(r.values()) for r in filled])
            (folder / "models/outcomes.sql").write_text("select * from rows.{{ var('from', 'good') }}.outcomes")
        (folder / "models/lines.yml").write_text(export(parse_contract(KEYED, Path("lines.yaml")), "dbt").text)
        (folder / "models/lines.sql").write_text(
            "select date '2026-01-01' as day, 1 as size, 2 as up "
            "union all select date '2026-01-01', {{ 2 if var('from', 'good') == 'good' else 1 }}, 1 "
            "union all select date '2026-01-02', {{ 2 if var('from', 'good') == 'good' else 3 }}, null"
        )
    return folder


def run(folder: Path, *builds: str) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder), json.dumps(builds)], capture_output=True, text=True, timeout=800
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_dbt_parses_and_builds_what_is_exported_and_its_tests_bite(project: Path) -> None:
    good, bad = run(project, "good", "bad")
    assert good == []
    assert bad == [
        "lines_primary_key: fail",
        "lines_size_invalidValues: warn",
        "lines_up_in_lines: fail",
        "outcomes_finding_finding_known: fail",
        "outcomes_primary_key: fail",
        "outcomes_source_file_required: fail",
    ]
    _import(project / "target/manifest.json")


def _import(manifest: Path) -> None:
    """The manifest of that project, read back: types, keys and what is required."""
    pytest.importorskip("datacontract", reason="EXTRA MISSING: pip install -e '.[exchange]' to run this test")
    found = import_contract(manifest, "dbt", domain="claims", product="outcomes", table="outcomes")
    contract = load_contract(next(file for file in contract_files() if file.stem == "outcomes"))

    def shape(columns: Any) -> list[tuple[Any, ...]]:
        return [(c.name, c.physical_type, c.required, c.classification, c.primary_key_position) for c in columns]

    assert shape(found.contract.tables[0].columns) == shape(contract.tables[0].columns)
