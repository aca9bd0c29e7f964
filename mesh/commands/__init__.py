"""The platform's own commands, each module a part of the command line."""

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
    policies,
    probing,
    products,
    query,
    replaying,
    retiring,
    tokens,
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
    policies,
    probing,
    query,
    modelling,
    replaying,
    making,
    retiring,
    tokens,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the platform's commands (an entry point of the group `mesh.commands`)."""
    for part in PARTS:
        part.register(app)
