"""`mesh retire`: the end of an older major."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from mesh.console import screen


def register(app: typer.Typer) -> None:
    app.command("retire")(retire)


def retire(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT_vN", help="An older major, such as claims/claims_v1.")],
    why: Annotated[str, typer.Option("--why", help="The reason, for the record.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Although consumers are left or the day is ahead; needs --why.")
    ] = False,
) -> None:
    """Stop serving an older major, once its day has passed and nobody relies on it, and remove its files."""
    from mesh.release import retire as end
    from mesh.scaffold import drop_major
    from mesh.session import open_mesh

    mesh = open_mesh()
    contract = mesh.project.product(key).contract
    with mesh.run_lock(contract.domain), mesh.writer() as connection:
        done = end(connection, mesh.postgres, mesh.project, contract, author=getpass.getuser(), why=why, force=force)
    console = screen()
    if done is not None:
        console.print(f"{key} is served no more: {', '.join(done.views)}. Its releases stay in the lake.", markup=False)
    readers = mesh.project.downstream(key)
    if readers:
        console.print(f"Its files stay, because {', '.join(readers)} cannot be read without them.", markup=False)
        return
    for file in drop_major(mesh.project, key):
        console.print(f"removed  {file.relative_to(mesh.settings.project)}", soft_wrap=True, markup=False)
