"""`mesh contract check`: hold contracts against the lake by hand; nothing is recorded or published."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mesh.commands.products import level_row, show_levels
from mesh.console import listing, screen

if TYPE_CHECKING:
    from mesh.checking import Checked
    from mesh.contract import Contract
    from mesh.session import Mesh


def register(contract: typer.Typer) -> None:
    contract.command("check")(check)


def check(
    products: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN/PRODUCT]...")] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SNAPSHOT|RELEASE", help="A lake snapshot or DOMAIN/PRODUCT@N; default: newest."),
    ] = None,
    engine: Annotated[
        Literal["compiled", "gx"], typer.Option("--engine", help="`gx`: also Great Expectations, and what differs.")
    ] = "compiled",
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="Only what this consumer's file relies on; for one product."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Audit the newest candidate (else the served release) by hand, judge the service, list what nothing checks.

    With --against, tries a consumer's file before it is filed beside the contract.

    Records and publishes nothing. Exits 1 where a rule with severity error fails or the engines differ; a missed
    service level only warns.
    """
    from mesh.checking import check_contract, source_of
    from mesh.session import open_mesh

    mesh = open_mesh()
    keys = products or sorted(mesh.project.products)
    terms = _terms(mesh, keys, against) if against else None
    found = [check_contract(mesh, source_of(mesh, key, at), terms, with_gx=engine == "gx") for key in keys]
    if as_json:
        print(json.dumps([_plain(each) for each in found], indent=2))
    else:
        for each in found:
            _show(each)
    if any(each.audit.failed or each.differing for each in found):
        raise typer.Exit(1)


def _terms(mesh: Mesh, keys: list[str], file: Path) -> Contract:
    """What a consumer that has not registered yet would add to the audit of the product, and nothing else."""
    from mesh.contract.consumers import only, read_consumer
    from mesh.errors import UsageError

    if len(keys) != 1:
        raise UsageError("A consumer relies on one product. Allowed: mesh contract check DOMAIN/PRODUCT --against FILE")
    contract = mesh.project.product(keys[0]).contract
    return only(contract, read_consumer(file, contract))


def _plain(found: Checked) -> dict[str, Any]:
    return {
        "product": found.audit.product,
        "snapshot": found.audit.snapshot,
        "verdict": found.audit.verdict,
        "rules": [asdict(result) for result in found.audit.results],
        "service_levels": [level_row(result) for result in found.levels],
        "not_executed": [{"place": place, "why": why} for place, why in found.not_executed],
        "differing": [asdict(difference) for difference in found.differing],
        "only_compiled": list(found.only_compiled),
    }


def _show(found: Checked) -> None:
    audit = found.audit
    rows = [
        {"rule": r.rule_id, "severity": r.severity, "status": r.status, "failing": r.failing_rows, "said": r.message}
        for r in audit.results
    ]
    title = f"{audit.product}: {audit.verdict} at snapshot {audit.snapshot}, {audit.seconds:.2f} s"
    listing(rows, as_json=False, title=title, empty="No rules.")
    console = screen()
    if found.levels:
        console.print()
        show_levels([level_row(result) for result in found.levels])
    if found.not_executed:
        console.print("\nNot executed:")
        for place, why in found.not_executed:
            console.print(f"  {place}: {why}", markup=False)
    if found.with_gx:
        console.print("\nGreat Expectations on pandas:")
        for difference in found.differing:
            console.print(f"  {difference}", markup=False)
        same = len(audit.results) - len(found.only_compiled) - len(found.differing)
        console.print(f"  {same} rules alike, {len(found.differing)} differ, "
                      f"{len(found.only_compiled)} are not in its words.")  # fmt: skip
