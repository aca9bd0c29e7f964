"""Builds and audits: append-only facts about candidates, kept beside the catalog.

The publish transaction trusts only what is written here: a candidate is released at the snapshot its
build recorded, and only where an audit of exactly that snapshot and contract says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from mesh.audit import Audit, Quarantined
from mesh.lineage import ColumnLineage
from mesh.postgres import Postgres
from mesh.release.record import InputRelease


class Build(BaseModel):
    """What one candidate was made from.

    Attributes:
        snapshot: the lake snapshot that holds the finished candidate.
        inputs_snapshot: the snapshot at which `inputs` was pinned during the build.
        content: an order-independent digest per table.
        quarantined: what was put aside, per table.
        details: facts of the engine worth keeping with the release (a model's name and version).
        lineage: where the columns of each table come from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: str
    snapshot: int
    inputs_snapshot: int
    inputs: tuple[InputRelease, ...] = ()
    fingerprint: str
    code_revision: str
    run_id: str
    quarantined: dict[str, Quarantined] = {}
    accounting: dict[str, int] = {}
    content: dict[str, str] = {}
    seconds: float = 0.0
    details: dict[str, Any] = {}
    lineage: dict[str, tuple[ColumnLineage, ...]] = {}


@dataclass(frozen=True)
class RecordedAudit:
    """An audit as it stands on record.

    Attributes:
        number: 1, 2, 3, ... over all products.
        at: when it was recorded (UTC).
        before: the audit of the same product before it.
    """

    number: int
    at: datetime
    audit: Audit
    before: Audit | None


def record_build(postgres: Postgres, build: Build) -> None:
    """Append a finished candidate."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "insert into mesh.build (product, snapshot, body) values (%s, %s, %s)",
            (build.product, build.snapshot, build.model_dump_json()),
        )


def last_build(postgres: Postgres, product: str) -> Build | None:
    """The newest finished candidate of a product, or None."""
    with postgres.cursor() as cursor:
        cursor.execute("select body from mesh.build where product = %s order by id desc limit 1", (product,))
        row = cursor.fetchone()
    return Build.model_validate(row[0]) if row else None


def find_build(postgres: Postgres, product: str, snapshot: int) -> Build | None:
    """The newest candidate of a product that was finished at exactly this snapshot, or None."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "select body from mesh.build where product = %s and snapshot = %s order by id desc limit 1",
            (product, snapshot),
        )
        row = cursor.fetchone()
    return Build.model_validate(row[0]) if row else None


def record_audit(postgres: Postgres, audit: Audit) -> None:
    """Append what a contract found on a candidate's snapshot."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "insert into mesh.audit (product, snapshot, contract_hash, verdict, body) values (%s, %s, %s, %s, %s)",
            (audit.product, audit.snapshot, audit.contract_hash, audit.verdict, audit.to_json()),
        )


def find_audit(postgres: Postgres, product: str, snapshot: int, contract_hash: str) -> Audit | None:
    """The newest audit of exactly this snapshot under exactly this contract, or None."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "select body from mesh.audit where product = %s and snapshot = %s and contract_hash = %s "
            "order by id desc limit 1",
            (product, snapshot, contract_hash),
        )
        row = cursor.fetchone()
    return Audit.from_json(json.dumps(row[0])) if row else None


def last_audit(postgres: Postgres, product: str) -> Audit | None:
    """The newest audit of a product, whatever its snapshot, or None."""
    with postgres.cursor() as cursor:
        cursor.execute("select body from mesh.audit where product = %s order by id desc limit 1", (product,))
        row = cursor.fetchone()
    return Audit.from_json(json.dumps(row[0])) if row else None


def failed_audits(postgres: Postgres, since: datetime) -> tuple[RecordedAudit, ...]:
    """The audits that failed since then, of all products, oldest first."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "select id, audited_at, body, (select before.body from mesh.audit before "
            "  where before.product = audit.product and before.id < audit.id order by before.id desc limit 1) "
            "from mesh.audit where verdict = 'failed' and audited_at >= %s order by id",
            (since,),
        )
        rows = cursor.fetchall()
    return tuple(
        RecordedAudit(
            number=number,
            at=at.astimezone(UTC),
            audit=Audit.from_json(json.dumps(body)),
            before=Audit.from_json(json.dumps(before)) if before else None,
        )
        for number, at, body, before in rows
    )


def last_audits(postgres: Postgres) -> dict[str, Audit]:
    """The newest audit of every product that has one."""
    with postgres.cursor() as cursor:
        cursor.execute("select distinct on (product) product, body from mesh.audit order by product, id desc")
        return {product: Audit.from_json(json.dumps(body)) for product, body in cursor.fetchall()}
