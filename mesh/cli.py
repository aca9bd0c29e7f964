"""The `mesh` command: assembled from entry points, so a domain brings its own without touching the platform.

Exit status 0 done, 1 failed, 2 the call was wrong. An error is one paragraph with the way out; a traceback
comes only with --debug.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated

import typer
from rich.console import Console

from mesh.errors import MeshError

GROUP = "mesh.commands"
"""Entry points of this group are functions that take the Typer application and add commands to it."""


def build_app() -> typer.Typer:
    """The whole application: the commands of every installed package that registers some."""
    app = typer.Typer(
        name="mesh",
        help="Insight Mesh: data products with contracts and releases.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def _options(
        debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    ) -> None:
        """Insight Mesh: data products with contracts and releases."""

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    return app


def main() -> None:
    """Run the command line; every way out is an exit status."""
    # Taken out here, so that it may stand anywhere in the call.
    debug = "--debug" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        build_app()()
    except MeshError as error:
        _tell(str(error))
        if debug:
            raise
        sys.exit(error.exit_code)
    except Exception as error:
        # The text of a foreign error may quote a row, so only its kind is shown.
        _tell(f"Unexpected {type(error).__name__}. This is a fault of the mesh: run again with --debug and report it.")
        if debug:
            raise
        sys.exit(1)


def _tell(message: str) -> None:
    console = Console(stderr=True)
    console.print("[bold red]Error[/bold red]", end=" ")
    console.print(message, markup=False, highlight=False, soft_wrap=True)
