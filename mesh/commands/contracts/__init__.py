"""`mesh contract ...`: read, lint, check, compare and exchange data contracts. One module a command."""

import typer

from mesh.commands.contracts import checking, comparing, exchanging, linting, showing

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    contract = typer.Typer(no_args_is_help=True, help="Read, lint, check and compare data contracts.")
    for part in (showing, linting, checking, comparing, exchanging):
        part.register(contract)
    app.add_typer(contract, name="contract")
