"""`mesh explain`: one score taken apart, and how a person can have it looked at."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen, waiting

if TYPE_CHECKING:
    from mesh.model.explain import Contribution, Explanation
    from mesh.session import Mesh

SHOWN = 12
Json = Annotated[bool, typer.Option("--json", help="Print JSON, all features included.")]


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="What was scored, such as claim, or its product of scores.")
    ],
    key: Annotated[str, typer.Argument(metavar="KEY", help="Which one.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="RELEASE", help="A release; default the one served.")
    ] = None,
    role: Annotated[str | None, typer.Option("--role", help="Show values, as a role that the contract names.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", metavar="TEXT", help="What the values are for.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every feature, not only those that count.")] = False,
    as_json: Json = False,
) -> None:
    """Explain one score: what raised and lowered it, the data and model behind it, how to contest what it led to.

    Values of features only with --role and --purpose, up to the role's clearance; the look is put on record (`mesh
    accesses`).
    """
    from mesh.model.explain import explain as run
    from mesh.session import open_mesh

    mesh = open_mesh()
    with waiting("Asking MLflow"):
        whole = every or as_json
        found = run(mesh, _release(mesh, what, at), key, role=role, purpose=purpose, values_of=None if whole else SHOWN)
    if as_json:
        print(json.dumps(asdict(found), indent=2, default=str))
        return
    _show(found, every)


def _release(mesh: Mesh, what: str, at: str | None) -> str:
    """The release that is meant, `domain/product@number`."""
    from mesh.errors import NotFound, UsageError

    product = _product(mesh, what)
    if at is not None:
        reference = f"{product}@{at}" if at.isdecimal() else at
        if reference.partition("@")[0] != product:
            raise UsageError(f"{at} is no release of {product}. Allowed: a number, or {product}@NUMBER.")
        return reference
    served = mesh.history().served.get(product)
    if served is None:
        raise NotFound(f"{product} has no release yet. Build it: mesh run --select {product}")
    return served.reference


def _product(mesh: Mesh, what: str) -> str:
    """The product of scores that is named, or whose key is called so: `claim` of `claim_id`."""
    from mesh.commands.promoting import definitions
    from mesh.errors import UsageError

    scored = {definition.output: definition.key for definition in definitions(mesh).values()}
    if what in scored:
        return what
    named = [product for product, key in scored.items() if what in (key, re.sub(r"_(id|no|number|key|ref)$", "", key))]
    if len(named) == 1:
        return named[0]
    if named:
        raise UsageError(f"{what} is scored by more than one model. Name the product: {', '.join(sorted(named))}.")
    raise UsageError(
        f"No model scores {what}. Allowed: "
        + ", ".join(f"{product} or {key}" for product, key in sorted(scored.items()))
        + "."
    )


def _show(found: Explanation, every: bool) -> None:
    console = screen()
    console.print(f"[bold]{found.product}@{found.release}[/bold]  published {found.published_at:%Y-%m-%d %H:%M:%S} UTC")
    facts = [
        *((name, value) for name, value in found.row.items() if value is not None),
        ("policy", f"flagged: the {found.capacity:.0%} with the highest margins at training, from "
         f"{found.flagged_from:+.4f}; medium from {found.medium_from:+.4f}"),
        ("inputs", ", ".join(f"{name} (contract {version})" for name, version in found.inputs.items())),
        ("model", f"{found.model} version {found.version}, sha256 {found.sha256}"),
        ("trained on", ", ".join(found.trained_on)),
        ("contract", f"{found.contract_version}, sha256 {found.contract_hash}"),
        ("run", f"{found.run_id}, code {found.code_revision}"),
    ]  # fmt: skip
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        console.print(f"  {name:<{width}}  {value}", markup=False, soft_wrap=True)
    _show_contributions(found, every)
    _show_contest(found)


def _show_contributions(found: Explanation, every: bool) -> None:
    console = screen()
    shown = found.contributions if every else found.contributions[:SHOWN]
    rest = found.contributions[len(shown) :]
    rows = [_row(part, found) for part in shown]
    if rest:
        rows.append(_rest(len(rest), sum(part.log_odds for part in rest), found))
    console.print()
    listing(rows, as_json=False, title="What counted, strongest first", empty="The model has no features.")
    console.print(
        f"\nbase {found.base:+.4f} + contributions {found.margin - found.base:+.4f} = margin {found.margin:+.4f} "
        "log-odds (exact Shapley values; the base is what the model says of an average row of its training)\n"
        f"probability = 1 / (1 + exp(-({found.slope:.4f} x margin {found.intercept:+.4f})))",
        markup=False,
        soft_wrap=True,
    )
    if found.role is None:
        allowed = ", ".join(f"{role.name} (up to {role.clearance})" for role in found.roles) or "none yet"
        console.print(
            f"\nValues: --role ROLE --purpose TEXT. Roles of the contract: {allowed}. The look goes on record.",
            markup=False,
            soft_wrap=True,
        )


def _row(part: Contribution, found: Explanation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "feature": part.feature,
        "in words": part.words,
        "effect": f"{part.direction}, {part.strength}" if part.strength else part.direction,
        "log-odds": f"{part.log_odds:+.4f}",
        "odds x": f"{part.odds:.2f}",
    }
    return told if found.role is None else {**told, "value": part.value}


def _rest(number: int, log_odds: float, found: Explanation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "feature": f"{number} others", "in words": "together; --all shows them", "effect": "",
        "log-odds": f"{log_odds:+.4f}", "odds x": "",
    }  # fmt: skip
    return told if found.role is None else {**told, "value": ""}


def _show_contest(found: Explanation) -> None:
    console, contest = screen(), found.contest
    lines = ["", contest.person]
    lines += [contest.usage] if contest.usage else []
    lines += ["", "A person whom it concerns may ask (UK GDPR, Articles 22A to 22D):"]
    lines += [f"  {name}: {meaning}" for name, meaning in contest.rights]
    lines += ["Whom to ask:", *(f"  {contact}" for contact in contest.contacts)]
    lines += ["Not said yet:", *(f"  {gap}" for gap in contest.missing)] if contest.missing else []
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)
