"""`mesh catalogue`: a static site of every product."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mesh.console import screen, waiting


def register(app: typer.Typer) -> None:
    app.command("catalogue")(catalogue)


def catalogue(
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default HOME/catalogue.")] = None,
) -> None:
    """Write the catalogue: every product with its contract, columns, releases, lineage and consumers, as static pages.

    The pages need no server: open index.html. Pages that did not change are left as they are.
    """
    from mesh.catalogue import Site, gather, write
    from mesh.session import open_mesh

    mesh = open_mesh()
    folder = out or mesh.settings.home / "catalogue"
    with waiting("Writing the catalogue"):
        done = write(Site(gather(mesh)), folder)
    removed = f", {len(done.removed)} removed" if done.removed else ""
    screen().print(
        f"{done.pages} pages, {len(done.written)} written{removed}: {folder / 'index.html'}",
        soft_wrap=True,
        markup=False,
    )
