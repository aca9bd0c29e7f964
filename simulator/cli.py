"""The command line: `simulate`, to be added to any Typer application."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

# Every command of the application registers this one: what only it needs is imported where it runs.
if TYPE_CHECKING:
    from simulator.run import Summary

PATIENCE = 2.0
"""Seconds before a progress bar is worth showing."""


def _run(out: Path, claims: int, seed: int, *, quiet: bool) -> Summary:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from simulator.run import simulate

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return simulate(out, claims=claims, seed=seed)
    started = time.perf_counter()
    columns = (TextColumn("{task.description:<22}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("starting", total=1.0)

    def show(what: str, share: float) -> None:
        bar.update(task, description=what, completed=share)
        if time.perf_counter() - started > PATIENCE and not bar.live.is_started:
            bar.start()

    try:
        return simulate(out, claims=claims, seed=seed, progress=show)
    finally:
        bar.stop()


def register(app: typer.Typer) -> None:
    """Add the command `simulate` to `app`."""

    @app.command("simulate")
    def simulate_command(
        out: Annotated[Path, typer.Option(help="Landing directory; new, empty or an earlier simulation's.")],
        claims: Annotated[int, typer.Option(help="Number of claims over all schemes.")] = 100_000,
        seed: Annotated[int, typer.Option(help="Same seed and claims, same bytes.")] = 7,
        as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, no progress.")] = False,
    ) -> None:
        """Write the landing files of a fictitious year of claims, with the truth beside them in _truth/."""
        from simulator.writer import SimulationError

        try:
            summary = _run(out, claims, seed, quiet=as_json)
        except SimulationError as error:
            typer.echo(f"Error: {error}", err=True)
            raise typer.Exit(2) from error
        except OSError as error:
            typer.echo(f"Error: cannot write under {out}: {error.strerror or error}", err=True)
            raise typer.Exit(1) from error
        if as_json:
            typer.echo(json.dumps(asdict(summary)))
            return
        typer.echo(f"{claims:,} claims (seed {seed}, {summary.fraud_rate:.1%} fraud) in {summary.seconds:.1f} s: {out}")
        for source, rows in summary.rows.items():
            typer.echo(f"  {source:<16}{rows:>12,} rows")
        typer.echo(f"  {len(summary.files)} files; the truth for tests is in {out / '_truth'}")
