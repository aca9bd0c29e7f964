"""`mesh contract diff`: what changed in a contract, how grave it is, and whom it hurts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mesh.contract import Contract
    from mesh.release import Base
    from mesh.session import Mesh


def register(contract: typer.Typer) -> None:
    contract.command("diff")(diff)


def diff(
    product: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT")],
    base: Annotated[
        str | None,
        typer.Option("--base", metavar="RELEASE|GIT_REV", help="Compare with it; default the newest release."),
    ] = None,
    shape: Annotated[Literal["text", "markdown", "json"], typer.Option("--format", help="How to print it.")] = "text",
) -> None:
    """Grade every change of a contract: patch, minor or major. Fails where the version does not admit them."""
    from mesh.release import compared
    from mesh.session import open_mesh

    mesh = open_mesh()
    contract = mesh.project.product(product).contract
    found = compared(mesh.project, _base(mesh, contract, base), contract)
    told = {"text": found.text, "markdown": found.markdown, "json": found.json}[shape]()
    typer.echo(told.rstrip("\n"))
    if not found.admitted:
        raise typer.Exit(1)


def _base(mesh: Mesh, contract: Contract, given: str | None) -> Base:
    """A number or `DOMAIN/PRODUCT@NUMBER` is a release, anything else a revision of git."""
    from mesh.errors import NotFound, UsageError
    from mesh.release import at_revision, base_of, base_release, parse_reference

    if given is None:
        last = base_release(mesh.history(), contract)
        if last is None:
            raise NotFound(f"{contract.name} has no release yet to compare with. `--base REVISION` compares with git.")
        return base_of(mesh.postgres, last, contract)
    if (given.isdecimal() and len(given) < 7) or ("@" in given and "{" not in given):
        product, number = parse_reference(given if "@" in given else f"{contract.name}@{given}")
        if product != contract.name:
            raise UsageError(f"{given} is no release of {contract.name}.")
        return base_of(mesh.postgres, mesh.history().get(product, number), contract)
    return at_revision(mesh.settings.project, contract, given)
