"""`mesh probe`: whether published products can be read, as a consumer reads them."""

from __future__ import annotations

from typing import Annotated

import typer

from mesh.console import listing, waiting

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    app.command("probe")(probe)


def probe(
    products: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN/PRODUCT]...")] = None,
    as_json: Json = False,
) -> None:
    """Read a row of every published view as a consumer does, and put on record whether it could be read.

    The record is what a contract's `availability` is judged by; `mesh up` adds to it by itself. Exits 1 where a view
    could not be read.
    """
    from mesh.levels import probe as look
    from mesh.session import open_mesh

    mesh = open_mesh()
    keys = [mesh.project.product(key).key for key in products or sorted(mesh.project.products)]
    with waiting("Reading"):
        seen = look(mesh, keys)
    rows = [
        {
            "product": each.product,
            "release": each.release,
            "ok": each.ok,
            "ms": each.ms,
            "view": each.view,
            "error": each.error,
        }
        for each in seen
    ]
    listing(rows, as_json=as_json, title="Probes", empty="Nothing is published yet: `mesh run`.")
    if not all(each.ok for each in seen):
        raise typer.Exit(1)
