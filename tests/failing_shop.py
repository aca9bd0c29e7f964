"""A mesh with one product that fails in every way a product can: for the tests of failing rows and of the pages."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mesh.audit import Audit, audit, quarantine
from mesh.ingest import ingest, load_raw_tables, load_sources
from mesh.lake import INPUTS, LAKE, create_schema, current_snapshot
from mesh.release import Build, record_audit, record_build
from mesh.session import Mesh
from tests.spine.conftest import Spine, new_spine

KEY = "shop/mix"
AT = datetime(2026, 1, 10, 12, 0, 0)
SCRIPT = "shop/<script>alert(1)<b>.csv"
CLASSIFICATIONS = ("public", "internal", "confidential", "restricted", "unclassified", "own")


def _text(name: str) -> str:
    """A column that holds one wrong value, and says so as a warning."""
    word = {"unclassified": "", "own": "classification: top secret, "}.get(name, f"classification: {name}, ")
    return (
        f"      - {{name: {name}_text, logicalType: string, {word}quality: [{{id: known, metric: invalidValues, "
        "arguments: {validValues: [fine]}, mustBe: 0, severity: warning}]}\n"
    )


PLACE = """\
      - {name: source_file, logicalType: string, classification: internal}
      - {name: source_row, logicalType: integer, classification: internal}
"""
CONTRACT = f"""\
apiVersion: v3.1.0
kind: DataContract
id: shop-mix
name: mix
version: 1.2.0
status: active
domain: shop
dataProduct: mix
description: {{purpose: Whatever can fail.}}
team: {{name: shop-data-team, members: [{{username: shop-data-team, role: owner}}]}}
schema:
  - name: samples
    properties:
      - {{name: sample_id, logicalType: string, classification: internal, primaryKey: true}}
{"".join(_text(name) for name in CLASSIFICATIONS)}\
      - name: amount
        logicalType: integer
        classification: internal
        logicalTypeOptions: {{minimum: 0}}
        customProperties: [{{property: action, value: quarantine}}]
{PLACE}\
    quality:
      - {{id: enough, type: sql, query: 'select count(*) from ${{table}}', mustBeGreaterThan: 5}}
  - name: people
    properties:
      - {{name: person_token, logicalType: string, classification: confidential, primaryKey: true}}
      - name: email
        logicalType: string
        classification: restricted
        logicalTypeOptions: {{pattern: '@'}}
        customProperties: [{{property: severity, value: warning}}]
{PLACE}\
  - name: lines
    properties:
      - name: quantity
        logicalType: integer
        classification: public
        logicalTypeOptions: {{minimum: 0}}
        customProperties: [{{property: severity, value: warning}}]
      - name: parcel
        logicalType: object
        classification: public
        properties:
          - name: weight
            logicalType: integer
            logicalTypeOptions: {{minimum: 0}}
            customProperties: [{{property: severity, value: warning}}]
          - {{name: street, logicalType: string, classification: confidential}}
customProperties: [{{property: quarantineLimitPercent, value: 60}}]
roles:
  - {{role: visitor, access: read, customProperties: [{{property: clearance, value: public}}]}}
  - {{role: analyst, access: read, customProperties: [{{property: clearance, value: internal}}]}}
  - {{role: investigator, access: read, customProperties: [{{property: clearance, value: confidential}}]}}
  - {{role: shop-data-team, access: write, customProperties: [{{property: clearance, value: restricted}}]}}
  - {{role: auditor, access: read}}
  - {{role: printer, access: print, customProperties: [{{property: clearance, value: restricted}}]}}
"""
DOMAIN = """\
apiVersion: v1.0.0
kind: DataProduct
id: shop
name: Shop
version: 1.0.0
status: active
domain: shop
description: {purpose: A shop.}
inputPorts:
  - name: raw_samples
    version: 1.0.0
    contractId: source:raw_samples
    customProperties: [{property: columns, value: [sample_id, amount]}, {property: feeds, value: mix}]
outputPorts:
  - {name: mix, version: 1.2.0, contractId: shop-mix}
"""
SOURCE = """\
source: samples
into: raw_samples
files: shop/*.csv
format: csv
columns: {sample_id: id, amount: amount}
"""
DELIVERED = "id,amount\nS1,1\nS2\nS3,-3\n"

_FINE = ", ".join(["'fine'"] * len(CLASSIFICATIONS))
_BAD = ", ".join(f"'{name} value'" for name in CLASSIFICATIONS)
SAMPLES = f"('S1', {_FINE}, 1, 'shop/a.csv', 1), ('S2', {_BAD}, 2, '{SCRIPT}', 7), ('S3', {_FINE}, -3, '{SCRIPT}', 3)"
PEOPLE = "('token 1', 'no address', 'shop/a.csv', 4), ('token 2', 'a@b.example', 'shop/a.csv', 5)"
LINES = "(-1, {'weight': 3, 'street': 'B'}), (5, {'weight': -2, 'street': 'A'})"


@dataclass(frozen=True)
class FailingShop:
    """The mesh, and the way from a delivered file to an audit without an engine."""

    spine: Spine

    @property
    def mesh(self) -> Mesh:
        return self.spine.mesh

    def audit(self) -> Audit:
        """Deliver, build, put aside, audit: all on record."""
        mesh = self.mesh
        product = mesh.project.product(KEY)
        contract, schema = product.contract, product.build_schema
        file = mesh.settings.landing_dir / SCRIPT
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(DELIVERED)
        os.utime(file, (file.stat().st_mtime - 60,) * 2)  # nothing waits to see whether it still grows
        folder = mesh.settings.project / "data_products/shop"
        (table,) = load_raw_tables(folder / "domain.yaml")
        (source,) = load_sources(mesh.settings.project, "shop")
        with mesh.writer() as connection:
            create_schema(connection, schema)
            ingest(
                connection, source, table, mesh.settings.landing_dir, keyring=mesh.keyring, run_id="run", now=AT,
                catalog=LAKE,
            )  # fmt: skip
            inputs_at = current_snapshot(connection)
            for each, rows in zip(contract.tables, (SAMPLES, PEOPLE, LINES), strict=True):
                columns = ", ".join(f"{column.name} {column.physical_type}" for column in each.columns)
                connection.execute(f"create or replace table {schema}.{each.name} ({columns})")
                connection.execute(f"insert into {schema}.{each.name} values {rows}")
            aside = quarantine(connection, contract, domain_schema=schema)
            snapshot = current_snapshot(connection)
        build = Build(
            product=KEY, snapshot=snapshot, inputs_snapshot=inputs_at, fingerprint="f", code_revision="test",
            run_id="run", quarantined=aside,
        )  # fmt: skip
        record_build(mesh.postgres, build)
        with mesh.writer(inputs_at=inputs_at) as connection:
            found = audit(
                connection, contract, domain_schema=schema, snapshot=snapshot, catalog=LAKE, inputs=INPUTS, now=AT,
                quarantined=aside,
            )  # fmt: skip
        record_audit(mesh.postgres, found)
        return found


def failing_shop(folder: Path, host: str) -> FailingShop:
    """A mesh over files of its own in `folder`, nothing built yet."""
    project = folder / "project"
    for name, text in (
        ("workspace.yaml", "load_from: []\n"),
        (f"contracts/{KEY}.yaml", CONTRACT),
        ("data_products/shop/domain.yaml", DOMAIN),
        ("data_products/shop/sources/samples.yaml", SOURCE),
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    return FailingShop(new_spine(folder, host, folder / "landing", project))
