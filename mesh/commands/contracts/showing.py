"""`mesh contract show`: the rules and service levels of a product's contract, as an audit holds them."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.console import listing, screen


def register(contract: typer.Typer) -> None:
    contract.command("show")(show)


def show(
    product: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List what a contract promises: every rule with its id, judged service levels, and what nothing checks."""
    from mesh.contract import not_executed
    from mesh.contract.service import JUDGED_BY, judged_in_service
    from mesh.project import load_project
    from mesh.settings import get_settings

    contract = load_project(get_settings().project).product(product).contract
    rows = [
        {
            "rule": rule.id,
            "severity": rule.severity,
            "action": rule.action,
            "dimension": rule.dimension,
            "says": rule.description,
        }
        for rule in contract.rules
    ]
    listing(rows, as_json=as_json, title=f"{contract.id} {contract.version} ({contract.status})", empty="No rules.")
    judged = [level for level in contract.sla if judged_in_service(level)]
    if judged and not as_json:
        screen().print("\nService levels, judged from releases and probes:")
        for level in judged:
            promised = f"{level.value}" + (f" {level.unit}" if level.unit else "")
            screen().print(f"  {level.name} {promised}: {JUDGED_BY[level.name]}", markup=False)
    left = not_executed(contract)
    if left and not as_json:
        screen().print("\nNot executed:")
        for place, why in left:
            screen().print(f"  {place}: {why}", markup=False)
