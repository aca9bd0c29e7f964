"""`mesh products`, `product`, `releases`, `audit`, `verify`: what is published, since when, and what it was held to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen, waiting
from mesh.errors import UsageError

if TYPE_CHECKING:
    from mesh.levels import LevelResult

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DECISIONS = "decisions"
ProductKey = Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT", help="A product, such as claims/claims.")]


def register(app: typer.Typer) -> None:
    app.command("products")(products)
    app.command("product")(product)
    app.command("releases")(releases)
    app.command("audit")(audit)
    app.command("verify")(verify)


def products(as_json: Json = False) -> None:
    """List every product: owner, contract, release, rows."""
    from mesh.session import open_mesh

    mesh = open_mesh()
    history = mesh.history()
    rows = []
    for key, item in mesh.project.products.items():
        served = history.served.get(key)
        rows.append(
            {
                "product": key,
                "owner": item.contract.owner,
                "contract": item.contract.version,
                "release": served.release if served else None,
                "rows": sum(served.rows.values()) if served else None,
                "quarantined": sum(served.quarantined.values()) if served else None,
                "verdict": served.audit["verdict"] if served else None,
                "published": _moment(served.published_at) if served else None,
                "view": served.views[0] if served else None,
            }
        )
    listing(rows, as_json=as_json, title="Products", empty="No products: data_products/ holds no domain.")


def product(key: ProductKey, as_json: Json = False) -> None:
    """Show one product: owner, contract, columns, releases, what it is made from and what is made from it."""
    from datetime import UTC, datetime

    from mesh.access.clearance import classified
    from mesh.levels import judge_levels
    from mesh.session import open_mesh

    mesh = open_mesh()
    item = mesh.project.product(key)
    history = mesh.history()
    served = history.served.get(key)
    contract = item.contract
    facts: dict[str, Any] = {
        "product": key,
        "description": item.description.strip(),
        "owner": contract.owner,
        "contract": {
            "id": contract.id,
            "version": contract.version,
            "status": contract.status,
            "rules": sum(len(table.rules) for table in contract.tables),
            "file": f"contracts/{key}.yaml",
        },
        "views": list(served.views) if served else [],
        "release": served.release if served else None,
        "published": _moment(served.published_at) if served else None,
        "rows": served.rows if served else {},
        "upstream_releases": [str(upstream) for upstream in served.inputs] if served else [],
        "made_from": list(item.inputs) or list(item.raw_tables),
        "used_by": list(mesh.project.downstream(key)),
        "columns": [
            {
                "table": table.name,
                "column": column.name,
                "type": column.physical_type,
                "required": column.required,
                "classification": classified(column),
                "description": column.description.strip(),
            }
            for table in contract.tables
            for column in table.columns
        ],
        "service_levels": [
            level_row(result) for result in judge_levels(mesh.postgres, history, contract, datetime.now(UTC))
        ],
        "releases": _releases(mesh, key),
    }
    if as_json:
        print(json.dumps(facts, indent=2, default=str))
        return
    console = screen()
    console.print(f"[bold]{key}[/bold]  {facts['description']}\n", highlight=False)
    for label in ("owner", "views", "release", "published", "upstream_releases", "made_from", "used_by"):
        value = facts[label]
        shown = ", ".join(value) if isinstance(value, list) else value
        console.print(f"{label.replace('_', ' '):>18}  {shown if shown not in (None, '') else '-'}", highlight=False)
    console.print(
        f"{'contract':>18}  {contract.id} {contract.version} ({contract.status}), {facts['contract']['rules']} rules, "
        f"contracts/{key}.yaml\n",
        highlight=False,
    )
    columns = [{name: value for name, value in row.items() if name != "table"} for row in facts["columns"]]
    listing(columns if len(contract.tables) == 1 else facts["columns"], as_json=False, title="Columns", empty="")
    console.print()
    if facts["service_levels"]:
        show_levels(facts["service_levels"])
        console.print()
    listing(facts["releases"], as_json=False, title="Releases", empty="No release yet: `mesh run`.")


def releases(key: ProductKey, as_json: Json = False) -> None:
    """List every release and rollback of a product, newest first."""
    from mesh.session import open_mesh

    mesh = open_mesh()
    mesh.project.product(key)
    empty = f"{key} has no release yet. Build it: mesh run --select {key}"
    listing(_releases(mesh, key), as_json=as_json, title=f"Releases of {key}", empty=empty)


def audit(
    key: ProductKey,
    as_json: Json = False,
    html: Annotated[str | None, typer.Option("--html", help="Write a Great Expectations page to this file.")] = None,
) -> None:
    """Show the last audit of a product's candidate: every rule, what it saw and what it wants."""
    from pathlib import Path

    from mesh.errors import NotFound
    from mesh.release import last_audit
    from mesh.session import open_mesh

    mesh = open_mesh()
    item = mesh.project.product(key)
    found = last_audit(mesh.postgres, key)
    if found is None:
        raise NotFound(f"{key} was never audited. Build it: mesh run --select {key}")
    if html:
        from mesh.audit.page import render

        with waiting("Rendering with Great Expectations"):
            pages = [render(found, item.contract, table) for table in item.contract.tables]
        Path(html).write_text("\n".join(pages), encoding="utf-8")
        screen().print(f"Wrote {html}")
        return
    rows = [
        {
            "rule": result.rule_id,
            "passed": result.passed,
            "severity": result.severity,
            "failing": result.failing_rows,
            "rows": result.rows,
            "said": result.message,
        }
        for result in found.results
    ]
    title = f"{key}: {found.verdict} at snapshot {found.snapshot}, contract {found.contract_version}"
    listing(rows, as_json=as_json, title=title, empty="The contract has no rules.")


def verify(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT|decisions", help="A product, or the decision log.")],
    root: Annotated[
        list[Path] | None,
        typer.Option("--root", metavar="FILE", help="decisions: a root exported earlier; again for more."),
    ] = None,
    public_key: Annotated[
        list[Path] | None, typer.Option("--public-key", metavar="FILE", help="decisions: instead of this mesh's keys.")
    ] = None,
    log: Annotated[Path | None, typer.Option("--log", metavar="DIR", help="decisions: a log elsewhere.")] = None,
    as_json: Json = False,
) -> None:
    """Check every data file of the served release against its checksums; or every byte of the decision log."""
    if key == DECISIONS:
        from mesh.commands.deciding import verify_decisions

        verify_decisions(log, root or [], public_key or [], as_json)
        return
    if root or public_key or log or as_json:
        raise UsageError(f"--root, --public-key, --log and --json go with `mesh verify {DECISIONS}` only.")
    from mesh.errors import MeshError, NotFound
    from mesh.lake import SealedFile
    from mesh.lake import verify as check
    from mesh.release.history import read_whole
    from mesh.session import open_mesh

    mesh = open_mesh()
    mesh.project.product(key)
    served = mesh.history().served.get(key)
    if served is None:
        raise NotFound(f"{key} has no release yet. Build it: mesh run --select {key}")
    files = read_whole(mesh.postgres, served).files
    with waiting(f"Reading {len(files)} files"):
        faults = check(SealedFile(**file.model_dump()) for file in files)
    if faults:
        raise MeshError(f"{served.reference} is damaged: {'; '.join(faults)}. Build it anew, or roll back.")
    screen().print(f"{served.reference}: {len(files)} files are as they were sealed.")


def level_row(result: LevelResult) -> dict[str, Any]:
    """A service level and how it is kept, as commands list it."""
    return {
        "level": result.level.name,
        "promised": result.promised,
        "status": result.status,
        "observed": result.observed,
        "said": result.message,
    }


def show_levels(rows: Sequence[Mapping[str, Any]]) -> None:
    """Service levels for people: the bare number that was observed stands in the sentence."""
    shown = [{name: value for name, value in row.items() if name != "observed"} for row in rows]
    listing(shown, as_json=False, title="Service levels", empty="")


def _releases(mesh: Any, key: str) -> list[dict[str, Any]]:
    return [
        {
            "release": record.release,
            "kind": record.kind,
            "contract": record.contract_version,
            "rows": sum(record.rows.values()),
            "quarantined": sum(record.quarantined.values()),
            "verdict": record.audit["verdict"],
            "made_from": [str(upstream) for upstream in record.inputs],
            "published": _moment(record.published_at),
            "by": record.author,
            "run": record.run_id,
            "why": record.why,
        }
        for record in reversed(mesh.history().of(key))
    ]


def _moment(moment: Any) -> str | None:
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else None
