"""`mesh failures` and `mesh accesses`: which rows fail, and who looked at values of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen

if TYPE_CHECKING:
    from mesh.failures import FailingRow, Failures

FEW = 6
"""Columns of a look that a person is told by name."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ProductKey = Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT", help="A product, such as claims/claims.")]


def register(app: typer.Typer) -> None:
    app.command("failures")(failures)
    app.command("accesses")(accesses)


def failures(
    key: ProductKey,
    rule: Annotated[str | None, typer.Option("--rule", help="Only this rule; `rejected`: unreadable records.")] = None,
    role: Annotated[str | None, typer.Option("--role", help="Show values, as a role that the contract names.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="TEXT", help="What the values are for.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows shown per rule.")] = 20,
    as_json: Json = False,
) -> None:
    """List the failing rows of a product's last audit: rule, key, source file and row.

    Values only with --role and --purpose, up to the role's clearance; the look is put on record (`mesh accesses`).
    """
    from mesh.failures import look
    from mesh.session import open_mesh

    found = look(open_mesh(), key, rule=rule, role=role, purpose=purpose, limit=limit)
    if as_json:
        print(json.dumps(_plain(found), indent=2, default=str))
        return
    _show(found, rule)


def accesses(
    services: Annotated[bool, typer.Option("--services", help="Looks at, and refusals of, the services.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="With --services: how many are shown.")] = 100,
    as_json: Json = False,
) -> None:
    """List who looked at values of rows, as which role and for what; newest first."""
    from mesh.access.log import read_accesses
    from mesh.session import open_mesh

    if services:
        _service_accesses(limit, as_json=as_json)
        return
    found = read_accesses(open_mesh().postgres)
    rows = [{"at": f"{access.at:%Y-%m-%d %H:%M:%S}", **asdict(access.look)} for access in found]
    if not as_json:
        rows = [row | {"columns": _few(row["columns"])} for row in rows]
    listing(rows, as_json=as_json, title="Looks at values", empty="Nobody has looked at values of rows yet.")


def _service_accesses(limit: int, *, as_json: bool) -> None:
    from mesh.access.shipping import read_service_accesses
    from mesh.session import open_mesh

    rows = [
        {
            "at": f"{datetime.fromtimestamp(entry.at / 1e6, UTC):%Y-%m-%d %H:%M:%S}",
            "outcome": entry.outcome,
            "status": entry.status,
            "times": entry.times,
            "route": entry.route,
            "token": entry.token,
            "bearer": entry.bearer,
            "role": entry.role,
            "purpose": entry.purpose,
            "subjects": list(entry.subjects) if as_json else _few(entry.subjects),
            "correlation": entry.correlation,
        }
        for entry in read_service_accesses(open_mesh().postgres, limit)
    ]
    listing(rows, as_json=as_json, title="Looks and refusals of the services", empty="Nobody has asked a service yet.")


def _few(columns: Sequence[str]) -> str:
    """The columns that fit beside the rest; all of them with --json."""
    more = f" and {len(columns) - FEW} more" if len(columns) > FEW else ""
    return ", ".join(columns[:FEW]) + more


def _plain(found: Failures) -> dict[str, Any]:
    facts = asdict(found)
    rules = facts.pop("findings")
    rows = [row for rule in rules for row in rule.pop("rows")]
    return {**facts, "rules": rules, "rows": rows}


def _show(found: Failures, rule: str | None) -> None:
    console = screen()
    if not found.findings:
        what = f"No row fails {rule}" if rule else f"{found.product}: no row fails a rule"
        console.print(f"{what} in the last audit (snapshot {found.snapshot}).", markup=False)
        return
    rules = [
        {
            "rule": finding.rule,
            "severity": finding.severity,
            "failing": finding.failing,
            "quarantined": finding.quarantined,
            "rejected": finding.rejected,
            "said": f"{finding.said} {finding.note}" if finding.note else finding.said,
        }
        for finding in found.findings
    ]
    title = f"{found.product}: {found.verdict} at snapshot {found.snapshot}, contract {found.contract_version}"
    listing(rules, as_json=False, title=title, empty="")
    rows = [row for finding in found.findings for row in finding.rows]
    if not rows:
        return
    console.print()
    listing([_told(row, values=found.role is not None) for row in rows], as_json=False, title="Rows", empty="")
    total = sum(finding.total for finding in found.findings)
    if total > len(rows):
        console.print(f"\n{len(rows):,} of {total:,} rows; --limit N shows up to N of each rule.", markup=False)
    if found.role is None:
        allowed = ", ".join(f"{role.name} (up to {role.clearance})" for role in found.roles) or "none yet"
        console.print(
            f"\nValues: --role ROLE --purpose TEXT. Roles of the contract: {allowed}. The look goes on record.",
            markup=False,
            soft_wrap=True,
        )


def _told(row: FailingRow, *, values: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "rule": row.rule,
        "state": row.state,
        "key": _pairs(row.key),
        "file": row.source_file,
        "row": row.source_row,
        "why": row.reason,
    }
    return shown | {"values": _pairs(row.values)} if values else shown


def _pairs(values: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name}={'-' if value is None else value}" for name, value in values.items()) or None
