"""The platform's own commands: products, contracts, catalogue, lineage, failing rows, probes, SQL, models, news."""

import typer

from mesh.commands import (
    catalogue,
    contracts,
    deciding,
    explaining,
    failing,
    lineage,
    making,
    modelling,
    notices,
    probing,
    products,
    query,
    replaying,
    retiring,
)

PARTS = (
    products,
    contracts,
    deciding,
    explaining,
    catalogue,
    lineage,
    failing,
    notices,
    probing,
    query,
    modelling,
    replaying,
    making,
    retiring,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the platform's commands (an entry point of the group `mesh.commands`)."""
    for part in PARTS:
        part.register(app)
