"""`look`: the failing rows of a product, and the record of who saw values of them."""

from __future__ import annotations

import contextlib

import duckdb

from mesh.access.clearance import Role, find_role, roles
from mesh.access.log import Look, os_user, record_looks
from mesh.audit import Audit, Candidate, safe_message
from mesh.contract.model import Contract
from mesh.contract.reading import did_you_mean
from mesh.errors import MeshError, NotFound, UsageError
from mesh.failures.reading import Reader
from mesh.failures.shapes import MASK, FailingRow, Failures, Finding
from mesh.ingest import rejected_records, source_rows
from mesh.lake import INPUTS, attach_inputs, reader
from mesh.project import Product
from mesh.release import find_build, last_audit
from mesh.session import Mesh

LIMIT = 20
REJECTED = "rejected"
"""What stands for a rule where a record could not be read at all."""

CATALOG = "mesh"


def look(
    mesh: Mesh,
    key: str,
    *,
    rule: str | None = None,
    role: str | None = None,
    purpose: str | None = None,
    limit: int = LIMIT,
) -> Failures:
    """Every rule that failed in a product's last audit or put rows aside, with keys and places of the rows.

    Without a role there are no values, and keys only where they are public or internal. With one, the look is put on
    record first: if that fails, nothing is given.

    Args:
        rule: only this one; `rejected` for records that could not be read.
        role: one that the contract names; needs `purpose`, a text for those who read the access log.
        limit: rows told per rule; the totals are always told.

    Raises:
        NotFound: no such product, or it was never audited.
        UsageError: no such rule or role, a role without a purpose, or a purpose without a role.
        ServiceError: the look could not be put on record, or the lake cannot be read.
    """
    product = mesh.project.product(key)
    contract = product.contract
    viewer = _viewer(contract, role, purpose)
    audit = last_audit(mesh.postgres, key)
    if audit is None:
        raise NotFound(f"{key} was never audited. Build it: mesh run --select {key}")
    if rule is not None:
        _check_rule(contract, audit, rule)
    findings = _findings(mesh, product, audit, viewer, rule, limit)
    if viewer is not None:
        _put_on_record(mesh, audit, viewer, str(purpose).strip(), findings)
    return Failures(
        product=key,
        snapshot=audit.snapshot,
        contract_version=audit.contract_version,
        verdict=audit.verdict,
        at=audit.at,
        role=viewer,
        roles=roles(contract),
        findings=findings,
    )


def _viewer(contract: Contract, role: str | None, purpose: str | None) -> Role | None:
    if role is None and purpose is None:
        return None
    if role is None or not (purpose or "").strip():
        raise UsageError("Values need a role and a purpose: --role ROLE --purpose TEXT. Both go into the access log.")
    return find_role(contract, role)


def _check_rule(contract: Contract, audit: Audit, rule: str) -> None:
    known = [*(each.id for each in contract.rules), *(result.rule_id for result in audit.results), REJECTED]
    if rule not in known:
        failed = [result.rule_id for result in audit.results if not result.passed]
        told = f"Failed in its last audit: {', '.join(failed)}. " if failed else ""
        raise UsageError(
            f"{contract.name} has no rule {rule!r}{did_you_mean(rule, known)}. {told}All of them: `mesh audit "
            f"{contract.name}`, and `{REJECTED}` for records that could not be read."
        )


def _findings(
    mesh: Mesh, product: Product, audit: Audit, viewer: Role | None, rule: str | None, limit: int
) -> tuple[Finding, ...]:
    build = find_build(mesh.postgres, product.key, audit.snapshot)
    # The whole mesh as the audit saw it, through the role that can only read.
    with contextlib.closing(reader(mesh.postgres, mesh.settings, at=audit.snapshot)) as connection:
        try:
            if build is not None:
                attach_inputs(connection, mesh.postgres, mesh.settings, build.inputs_snapshot)
            candidate = Candidate(connection, product.build_schema, audit.snapshot, CATALOG, INPUTS)
            found = Reader(candidate, product.contract, audit, viewer, limit).findings(rule)
            if rule in (None, REJECTED):
                found += _rejected(connection, product, limit)
        except duckdb.Error as error:
            # from None: the engine's own text may repeat a value
            raise MeshError(f"{product.key}: its failing rows cannot be read: {safe_message(error)}.") from None
    return tuple(found)


def _rejected(connection: duckdb.DuckDBPyConnection, product: Product, limit: int) -> list[Finding]:
    """Records that could not be read from the files of the product's raw tables, a finding per raw table."""
    found = []
    for table in product.raw_tables:
        total = source_rows(connection, product.domain, table, catalog=CATALOG).rejected
        if not total:
            continue
        rows = tuple(
            FailingRow(table, REJECTED, "rejected", {}, file, number, reason)
            for _, file, number, reason in rejected_records(
                connection, product.domain, [table], catalog=CATALOG, limit=limit
            )
        )
        said = "Records of the files delivered last that could not be read."
        found.append(Finding(REJECTED, table, "warning", "failed", None, 0, total, said, rows))
    return found


def _put_on_record(mesh: Mesh, audit: Audit, viewer: Role, purpose: str, findings: tuple[Finding, ...]) -> None:
    looks = [
        Look(
            who=os_user(),
            role=viewer.name,
            purpose=purpose,
            product=audit.product,
            rule=found.rule,
            snapshot=audit.snapshot,
            rows=len(found.rows),
            columns=_seen(found.rows),
        )
        for found in findings
        if any(row.state != "rejected" for row in found.rows)
    ]
    record_looks(mesh.postgres, looks)


def _seen(rows: tuple[FailingRow, ...]) -> tuple[str, ...]:
    """The columns whose values are shown in the clear."""
    shown = (pair for row in rows for pair in (*row.key.items(), *row.values.items()))
    return tuple(dict.fromkeys(name for name, value in shown if value is not MASK))
