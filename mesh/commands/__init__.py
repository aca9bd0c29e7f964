"""The platform's own commands: products, contracts, catalogue, lineage, failing rows, SQL, models, news, retiring."""

import typer

from mesh.commands import catalogue, contracts, failing, lineage, making, modelling, notices, products, query, retiring

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the platform's commands (an entry point of the group `mesh.commands`)."""
    for part in (products, contracts, catalogue, lineage, failing, notices, query, modelling, making, retiring):
        part.register(app)
