"""The platform's own commands: products, releases, SQL, bundles."""

import typer

from mesh.commands import bundles, products, query

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the platform's commands (an entry point of the group `mesh.commands`)."""
    for part in (products, query, bundles):
        part.register(app)
