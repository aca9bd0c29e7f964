"""The orchestration's commands: `mesh run`, `up`, `down`, `status`, `rollback`, `adopt`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from mesh.console import called_as, listing, screen, waiting

if TYPE_CHECKING:
    from dagster_project.runner import Outcome, Report, Watch
    from mesh.session import Mesh

ProductKey = Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT", help="A product, such as claims/claims.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


NOTIFY_SECONDS = 10
"""A command begins no message after this time; the next dispatch goes on."""


def register(app: typer.Typer) -> None:
    """Add the commands (an entry point of the group `mesh.commands`)."""
    app.command("run")(run)
    app.command("up")(up)
    app.command("down")(down)
    app.command("status")(status)
    app.command("rollback")(rollback)
    app.command("adopt")(adopt)


def run(
    select: Annotated[str | None, typer.Option("--select", metavar="DOMAIN[/PRODUCT]", help="Only these.")] = None,
    landing: Annotated[Path | None, typer.Option("--landing", metavar="DIR", help="Where source files are.")] = None,
    as_json: Json = False,
) -> None:
    """Build, audit and publish what is out of date; leave the rest alone."""
    if landing is not None:
        # Settings come from the environment alone, so that every process of a run sees the same ones.
        os.environ["MESH_LANDING"] = str(landing.resolve())
    from dagster_project import runner
    from mesh.session import open_mesh

    mesh = open_mesh()
    with _progress(quiet=as_json) as watch:
        report = runner.run(mesh, select, watch=watch)
    rows = [_row(outcome) for outcome in report.outcomes]
    if as_json:
        print(json.dumps({"seconds": round(report.seconds, 2), "products": rows}, indent=2, default=str))
    else:
        _summary(report, rows, str(mesh.settings.dagster_port))
    _notify(mesh)
    if report.failed:
        raise typer.Exit(1)


def up() -> None:
    """Serve the Dagster UI with its daemon, MLflow and the mesh's pages on loopback, until Ctrl-C or `mesh down`."""
    from dagster_project.services import serve
    from mesh.session import open_mesh

    serve(open_mesh())


def down(
    force: Annotated[bool, typer.Option("--force", help="Stop Postgres even while others are connected.")] = False,
) -> None:
    """Stop what `mesh up` serves, and the embedded Postgres where nobody else uses it."""
    from dagster_project.services import still_used, stop
    from mesh import postgres
    from mesh.session import open_mesh

    settings = open_mesh().settings
    stopped = stop(settings, force=force)
    clients = postgres.clients(settings)
    if stopped or not clients:
        screen().print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing was running.")
    if clients:
        screen().print(still_used(clients))


def status(as_json: Json = False) -> None:
    """Show which services run, where, and as which process."""
    from dagster_project.services import states
    from mesh.session import open_mesh

    listing(states(open_mesh().settings), as_json=as_json, title="Services", empty="No services.")


def rollback(
    key: ProductKey,
    to: Annotated[int, typer.Option("--to", help="The release to go back to.")],
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the record.")],
) -> None:
    """Repoint a product to one of its earlier releases. Nothing is rebuilt or deleted."""
    import getpass

    from mesh.errors import UsageError
    from mesh.release import rollback as go_back
    from mesh.session import open_mesh

    if not why.strip():
        raise UsageError("--why is empty: a rollback needs a reason that others can read later.")
    mesh = open_mesh()
    _refuse_a_model(mesh, key)
    mesh.project.product(key)
    with mesh.writer() as connection:
        done = go_back(connection, mesh.postgres, key, to, why=why, author=getpass.getuser())
    console = screen()
    console.print(f"{done.reference} is served again: {', '.join(done.views)} at snapshot {done.snapshot}.")
    with waiting("Telling Dagster"):
        from dagster_project.instance import instance
        from dagster_project.publishing import note
        from mesh.release.history import read_whole

        note(instance(mesh), read_whole(mesh.postgres, done))
    _notify(mesh)
    users = mesh.project.downstream(key)
    if users:
        console.print(f"Made from it: {', '.join(users)}. `mesh run` builds them anew from this release.")


def _refuse_a_model(mesh: Mesh, key: str) -> None:
    from dagster_project.plan import definitions
    from mesh.errors import UsageError

    domain, _, name = key.partition("/")
    if key not in mesh.project.products and name in {found.model for found in definitions(mesh, domain)}:
        raise UsageError(f"{key} is a model. Its versions are rolled back by: mesh model rollback {key} --why REASON")


def _notify(mesh: Mesh) -> None:
    """Tell owners and consumers; what cannot be told now is one line, and never the fault of the command."""
    from mesh.errors import MeshError
    from mesh.notify import dispatch

    try:
        with waiting("Telling owners and consumers"):
            done = dispatch(mesh, seconds=NOTIFY_SECONDS)
    except MeshError as error:
        told = str(error)
    except Exception as error:
        told = f"unexpected {type(error).__name__}"
    else:
        if not done.unsent and not done.problems:
            return
        told = f"{len(done.unsent)} not sent, see `{called_as()} notifications`." if done.unsent else ""
        told = " ".join([told, *done.problems]).strip()
    Console(stderr=True).print(f"Notifications: {told}", markup=False, highlight=False, soft_wrap=True)


def adopt(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder of a dbt project.")],
    domain: Annotated[str, typer.Option("--domain", help="Who takes it over: a domain, new or there already.")],
    owner: Annotated[
        str | None, typer.Option("--owner", help="Who owns models that name no owner; default the domain's team.")
    ] = None,
    landing: Annotated[Path | None, typer.Option("--landing", metavar="DIR", help="Where source files are.")] = None,
    leave: Annotated[bool, typer.Option("--leave", help="Do not put its seeds into the landing zone.")] = False,
    as_json: Json = False,
) -> None:
    """Make a dbt project's models, descriptions and tests contracts and products of a domain."""
    from dagster_project.adopt import adopt as take_over
    from mesh.project import load_project
    from mesh.scaffold import deliver
    from mesh.settings import get_settings

    settings = get_settings()
    place = (landing or settings.landing_dir).resolve()
    with waiting(f"Reading {path}"):
        done = take_over(load_project(settings.project), path, domain, landing=place, owner=owner)
    delivered = [] if leave else [deliver(sample, place, files) for sample, files in done.deliveries]
    notes = [asdict(note) for note in done.notes]
    if as_json:
        files = [str(change.path.relative_to(settings.project)) for change in done.changes]
        print(json.dumps({"products": done.products, "files": files, "notes": notes}, indent=2))
        return
    console = screen()
    listing(notes, as_json=False, title=f"What became of {path.resolve().name}", empty="Nothing.")
    console.print()
    for change in done.changes:
        shown = change.path.relative_to(settings.project)
        console.print(f"{'changed' if change.before else 'added  '}  {shown}", soft_wrap=True)
    for file in delivered:
        if file is not None:
            console.print(f"delivered  {file}", soft_wrap=True)
    console.print(f"The list above is kept in data_products/{domain}/adopted.md. The contracts are drafts: read them.")
    console.print(f"Build it: {called_as()} run --select {domain}")


def _row(outcome: Outcome) -> dict[str, Any]:
    release = outcome.release
    return {
        "product": outcome.product.key,
        "owner": outcome.product.contract.owner,
        "contract": outcome.product.contract.version,
        "status": outcome.status,
        "release": release.release if release else None,
        "rows": sum(release.rows.values()) if release else None,
        "quarantined": sum(release.quarantined.values()) if release else None,
        "verdict": release.audit["verdict"] if release else None,
        "seconds": outcome.seconds,
        "why": outcome.why,
        "run": outcome.run_id,
        "model": release.details.get("test") if release else None,
    }


def _summary(report: Report, rows: Sequence[dict[str, Any]], port: str) -> None:
    console = screen()
    console.print()
    shown = ("product", "owner", "contract", "release", "rows", "quarantined", "verdict", "status", "seconds")
    listing([{name: row[name] for name in shown} for row in rows], as_json=False, title="Products", empty="None.")
    for outcome in report.outcomes:
        if outcome.status in ("failed", "blocked"):
            console.print(f"\n[bold red]{outcome.status}[/bold red] ", end="")
            why = outcome.why.removeprefix(outcome.product.key + ": ")
            console.print(f"{outcome.product.key}: {why}", markup=False, soft_wrap=True)
    for outcome in report.outcomes:
        _model_line(console, outcome)
    console.print(f"\n{report.seconds:.1f} s in all.", end=" ")
    if report.failed:
        console.print("What failed holds up only what is made from it; every last good release stays served.")
        return
    released = next((outcome for outcome in report.outcomes if outcome.release), None)
    if released is not None and released.release is not None:
        mesh = called_as()
        console.print("Try next:")
        console.print(f'  {mesh} sql "from {released.release.views[0]} limit 5"', markup=False)
        console.print(f"  {mesh} product {report.outcomes[-1].product.key}")
        console.print(f"  {mesh} up      the Dagster UI on http://127.0.0.1:{port}, MLflow and pages beside it")
        console.print(f"  {mesh} down    stops the embedded Postgres, which stays up for DuckDB clients")


def _model_line(console: Console, outcome: Outcome) -> None:
    release = outcome.release
    test = release.details.get("test") if release else None
    if not release or not test:
        return
    figures = [
        f"{label} {test[f'test_{name}']:.3f} ({test[f'test_{name}_low']:.3f} to {test[f'test_{name}_high']:.3f})"
        for name, label in (
            ("auc", "AUC"),
            ("average_precision", "average precision"),
            ("recall_at_capacity", "recall at capacity"),
        )
        if f"test_{name}" in test
    ]
    details = release.details
    console.print(
        f"\n[bold]{details['model_name']}[/bold] version {details['model_version']}, on later rows it never saw: "
        f"{', '.join(figures)}"
    )


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Watch | None]:
    """What is being built, with the time it takes, on the error stream."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:

        def tell(domain: str, run_id: str, products: Sequence[str]) -> None:
            if not quiet:
                console.print(f"{domain}: {', '.join(products)} (run {run_id})", markup=False, highlight=False)

        yield tell
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        current: list[Any] = []

        def show(domain: str, run_id: str, products: Sequence[str]) -> None:
            if current:
                progress.update(current.pop(), total=1, completed=1)
            current.append(progress.add_task(f"{domain}: {', '.join(products)}", total=None))

        yield show
        if current:
            progress.update(current.pop(), total=1, completed=1)
