"""`mesh models`, `mesh model`: what is registered, how good it is, which columns it sees and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen, waiting

if TYPE_CHECKING:
    from mesh.model import ModelDefinition, Version
    from mesh.session import Mesh

FIGURES = ("auc", "average_precision", "recall_at_capacity")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    app.command("models")(models)
    app.command("model")(model)


def models(as_json: Json = False) -> None:
    """List every model: what it learns from, its champion and how good that is on later rows."""
    from mesh.session import open_mesh

    mesh = open_mesh()
    rows = []
    with waiting("Asking MLflow"):
        for name, definition in _definitions(mesh).items():
            found = _versions(mesh, name)
            current = next((version for version in found if version.champion), None)
            rows.append(
                {
                    "model": name.replace(".", "/"),
                    "input": definition.input,
                    "scores": definition.output,
                    "versions": len(found),
                    "champion": current.version if current else None,
                    **_figures(current),
                }
            )
    listing(rows if as_json else _told(rows), as_json=as_json, title="Models", empty="No models: mesh new model --help")


def model(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/MODEL", help="A model, such as insight/claim_fraud.")],
    as_json: Json = False,
) -> None:
    """Show one model: its versions, and what became of each column of its input."""
    from mesh.errors import NotFound
    from mesh.model import read_columns
    from mesh.session import open_mesh

    mesh = open_mesh()
    name = key.replace("/", ".")
    definitions = _definitions(mesh)
    if name not in definitions:
        known = ", ".join(found.replace(".", "/") for found in definitions)
        raise NotFound(f"There is no model {key}. Models of this mesh: {known}.")
    definition = definitions[name]
    with waiting("Asking MLflow"):
        found = _versions(mesh, name)
        shown = next((version for version in found if version.champion), found[0] if found else None)
        uri = mesh.postgres.url(mesh.postgres.mlflow_database)
        columns = read_columns(uri, shown.run_id) if shown else ()
    versions = [
        {
            "version": version.version,
            "champion": version.champion,
            **_figures(version),
            "releases": list(version.releases),
            "decision": f"{version.decision}: {version.reason}",
            "made": version.made_at.strftime("%Y-%m-%d %H:%M:%S"),
        }
        for version in found
    ]
    rows = [
        {
            "column": report.column,
            "used": report.used,
            "why": report.why,
            "auc_alone": report.auc_alone,
            "gain": report.gain,
            "missing": report.missing,
            "drift": report.drift,
            "moved": report.drift_word,
        }
        for report in sorted(columns, key=lambda report: (not report.used, -(report.gain or 0.0)))
    ]
    if as_json:
        facts: dict[str, Any] = {"model": key, "description": definition.description, "input": definition.input}
        print(json.dumps({**facts, "versions": versions, "columns": rows}, indent=2, default=str))
        return
    screen().print(f"[bold]{key}[/bold]  {definition.description}\n", highlight=False)
    empty = f"Never trained: mesh run --select {definition.output}"
    listing(_told(versions), as_json=False, title="Versions", empty=empty)
    if rows:
        screen().print()
        listing(_told(rows), as_json=False, title=f"Columns of {definition.input}, version {versions[0]['version']}",
                empty="")  # fmt: skip
        screen().print(
            "\ngain: loss it saves on rows of another time, nats per 1,000 rows; drift: population stability index, "
            "earlier to later rows",
            style="dim",
        )


def _figures(version: Version | None) -> dict[str, float | None]:
    """What counts most on later rows."""
    return {name: round(version.metrics[name], 4) if version else None for name in FIGURES}


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures with the digits that say something."""
    digits = {**dict.fromkeys(FIGURES, 3), "auc_alone": 3, "gain": 2, "missing": 3, "drift": 3}
    return [
        {name: f"{value:.{digits[name]}f}" if name in digits and value is not None else value
         for name, value in row.items()}
        for row in rows
    ]  # fmt: skip


def _definitions(mesh: Mesh) -> dict[str, ModelDefinition]:
    from mesh.model import load_definition

    folder = mesh.settings.project / "data_products"
    found = ((path.parents[1].name, load_definition(path)) for path in sorted(folder.glob("*/models/*.yaml")))
    return {f"{domain}.{definition.model}": definition for domain, definition in found}


def _versions(mesh: Mesh, name: str) -> tuple[Version, ...]:
    from mesh.model import versions

    return versions(name, mesh.postgres.url(mesh.postgres.mlflow_database))
