"""A mesh whose domain `desk` has a model and nothing else: its inputs are published by hand, in a second.

Whether a case is bad is drawn from its amount and kind; what comes later can be moved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mesh.audit import audit
from mesh.lake import INPUTS, LAKE, create_schema, current_snapshot
from mesh.release import Build, Release, publish, record_audit, record_build
from mesh.session import Mesh
from tests.spine.bench import command
from tests.spine.conftest import Spine, new_spine

SCORES, WATCHED = "desk/scores", "desk/watch"
NOW = datetime(2026, 1, 10, 12, 0, 0)
START = np.datetime64("2020-01-01T00:00:00", "us")

_HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: {domain}-{name}
name: {name}
version: 1.0.0
status: active
domain: {domain}
dataProduct: {name}
description: {{purpose: Cases., usage: A score orders work; a person decides.}}
team: {{name: {domain}-team, members: [{{username: {domain}-team, role: owner}}]}}
support: [{{channel: {domain} desk, url: 'https://desk.example/contact', description: Who answers.}}]
roles:
  - {{role: analyst, access: read, customProperties: [{{property: clearance, value: internal}}]}}
  - {{role: investigator, access: read, customProperties: [{{property: clearance, value: confidential}}]}}
schema:
  - name: {name}
    properties:
"""
_COLUMNS = {
    "cases/features": [
        ("case_id", "VARCHAR", "internal, primaryKey: true"),
        ("at", "TIMESTAMP", "internal"),
        ("amount", "DOUBLE", "confidential"),
        ("kind", "VARCHAR", "internal"),
        ("hours", "DOUBLE", "restricted"),
        ("urgent", "BOOLEAN", "internal"),
    ],
    "cases/findings": [
        ("case", "VARCHAR", "internal, primaryKey: true"),
        ("finding", "VARCHAR", "internal"),
        ("decided_at", "TIMESTAMP", "internal"),
    ],
    SCORES: [
        ("case_id", "VARCHAR", "internal, primaryKey: true"),
        ("at", "TIMESTAMP", "internal"),
        ("probability", "DOUBLE", "internal"),
        ("score", "INTEGER", "internal"),
        ("band", "VARCHAR", "internal"),
        ("flagged", "BOOLEAN", "internal"),
        ("reason_1", "VARCHAR", "internal"),
        ("model_version", "VARCHAR", "internal"),
        ("input_release", "INTEGER", "internal"),
    ],
}
_LOGICAL = {
    "VARCHAR": "string", "TIMESTAMP": "timestamp", "DOUBLE": "number", "INTEGER": "integer", "BOOLEAN": "boolean",
    "BIGINT": "integer", "DATE": "date",
}  # fmt: skip
_DOMAINS = {
    "cases": """\
inputPorts: []
outputPorts:
  - {name: features, version: 1.0.0, contractId: cases-features}
  - {name: findings, version: 1.0.0, contractId: cases-findings}
""",
    "desk": """\
inputPorts:
  - {name: features, version: 1.0.0, contractId: cases-features}
  - {name: findings, version: 1.0.0, contractId: cases-findings}
outputPorts:
  - name: scores
    version: 1.0.0
    contractId: desk-scores
    inputContracts: [{id: cases-features, version: 1.0.0}, {id: cases-findings, version: 1.0.0}]
""",
}
MODEL = """\
model: risk
description: Which cases to look at first.
input: cases/features
key: case_id
label: {product: cases/findings, key: case, column: finding, positive: [bad], known_at: decided_at}
time: at
split: {test_share: 0.25}
capacity: 0.22
parameters: {num_iterations: 30, num_leaves: 7, min_data_in_leaf: 20}
output: desk/scores
seed: 3
"""


@dataclass(frozen=True)
class Desk:
    """The mesh and the ways to feed and run it."""

    spine: Spine

    @property
    def mesh(self) -> Mesh:
        return self.spine.mesh

    def publish(self, key: str, table: pa.Table) -> Release:
        """A release of a product whose rows are these."""
        mesh = self.mesh
        product = mesh.project.product(key)
        contract, schema = product.contract, product.build_schema
        columns = ", ".join(
            f'cast("{column.name}" as {column.physical_type}) as "{column.name}"'
            for column in contract.tables[0].columns
        )
        with mesh.writer() as connection:
            create_schema(connection, schema)
            connection.register("given", table)
            connection.execute(f"create or replace table {schema}.{product.name} as select {columns} from given")
            connection.unregister("given")
            snapshot = current_snapshot(connection)
        build = Build(
            product=key, snapshot=snapshot, inputs_snapshot=snapshot, fingerprint=str(snapshot), code_revision="test",
            run_id="run",
        )  # fmt: skip
        record_build(mesh.postgres, build)
        with mesh.writer(inputs_at=snapshot) as connection:
            found = audit(
                connection, contract, domain_schema=schema, snapshot=snapshot, catalog=LAKE, inputs=INPUTS, now=NOW
            )
            record_audit(mesh.postgres, found)
            return publish(connection, mesh.postgres, mesh.project, contract, build, author="test")

    def run(self) -> dict[str, tuple[str, int, str]]:
        """`mesh run --select desk`: status, release and reason of each product."""
        done = command(self.spine, "run", "--select", "desk", "--json")
        assert done.out, done.err
        rows = json.loads(done.out)["products"]
        return {row["product"]: (row["status"], row["release"], row["why"]) for row in rows}

    def say(self, *words: str, status: int = 0) -> str:
        """What a command prints; on the error stream where it is meant to fail without an answer."""
        done = command(self.spine, *words)
        assert done.status == status, done.err or done.out
        return done.out or done.err


def cases(rows: int, *, first: int = 0, moved: float = 1.0, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Cases, six an hour, and the findings of four in five of them; `moved` multiplies the amounts."""
    rng = np.random.default_rng([seed, first])
    number = np.arange(first, first + rows)
    amount, kind = rng.gamma(2.0, 100.0, rows), rng.choice(["a", "b", "c"], rows)
    bad = rng.random(rows) < 1 / (1 + np.exp(-(-5.0 + amount / 80.0 + 2.0 * (kind == "b"))))
    at = START + number * np.timedelta64(600, "s")
    keys = np.array([f"C{one:05d}" for one in number])
    features = pa.table(
        {
            "case_id": keys, "at": at, "amount": amount * moved, "kind": kind, "hours": rng.normal(37, 5, rows),
            "urgent": rng.random(rows) < 0.3,
        }
    )  # fmt: skip
    seen = rng.random(rows) < 0.8
    findings = pa.table(
        {
            "case": keys[seen], "finding": np.where(bad, "bad", "fine")[seen],
            "decided_at": (at + np.timedelta64(3, "D"))[seen],
        }
    )  # fmt: skip
    return features, findings


def contract_text(key: str, columns: list[tuple[str, str, str]], quality: str = "") -> str:
    """A contract of one table."""
    domain, name = key.split("/")
    lines = [
        f"      - {{name: {column}, logicalType: {_LOGICAL[kind]}, physicalType: {kind}, classification: {rest}}}\n"
        for column, kind, rest in columns
    ]
    return _HEAD.format(domain=domain, name=name) + "".join(lines) + quality


def desk(folder: Path, host: str, *, model: str = MODEL, more: Mapping[str, Any] | None = None) -> Desk:
    """The mesh over files of its own in `folder`, nothing published yet.

    Args:
        more: further files of the project by path; of `desk/domain.yaml` what is to be added to it.
    """
    project = folder / "project"
    files = {f"contracts/{key}.yaml": contract_text(key, columns) for key, columns in _COLUMNS.items()}
    for name, ports in _DOMAINS.items():
        head = (
            f"apiVersion: v1.0.0\nkind: DataProduct\nid: {name}\nname: {name.title()}\nversion: 1.0.0\n"
            f"status: active\ndomain: {name}\ndescription: {{purpose: Cases.}}\n"
        )
        files[f"data_products/{name}/domain.yaml"] = head + ports
    files |= {"workspace.yaml": "load_from: []\n", "data_products/desk/models/risk.yaml": model}
    for path, text in (more or {}).items():
        files[path] = files.get(path, "") + text
    for path, text in files.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return Desk(new_spine(folder, host, folder / "landing", project))
