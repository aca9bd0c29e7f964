"""`python -m simulator --claims 100000 --out DIR`."""

import typer

from simulator.cli import register

if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    register(app)
    app()
