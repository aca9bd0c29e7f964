"""`mesh models`, `mesh model show`: what is registered, which version scores and why, which columns it sees."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mesh.commands import promoting
from mesh.commands.recording import record
from mesh.console import listing, screen, waiting

if TYPE_CHECKING:
    from mesh.model import ModelDefinition, Standing, Version
    from mesh.session import Mesh

FIGURES = ("auc", "average_precision", "recall_at_capacity")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        cls=ModelGroup,
        no_args_is_help=True,
        help="Show a model, and decide which of its versions scores. `mesh model DOMAIN/MODEL` shows it.",
    )
    group.command("show")(show)
    group.command("record")(record)
    promoting.register(app, group)
    app.command("models")(models)
    app.add_typer(group, name="model")


def models(as_json: Json = False) -> None:
    """List every model: what it learns from, its champion and how good that is on later rows."""
    from mesh.session import open_mesh

    mesh = open_mesh()
    rows = []
    with waiting("Asking MLflow"):
        for name, definition in promoting.definitions(mesh).items():
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


class ModelGroup(TyperGroup):
    """`mesh model insight/claim_fraud` is short for `mesh model show insight/claim_fraud`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else "--help"
        # What looks like a command but is none is a slip, which is told as such.
        if first not in self.commands and first != "--help" and not get_close_matches(first, self.commands, 1, 0.7):
            args = ["show", *args]
        return super().parse_args(ctx, args)


def show(
    key: Annotated[str, typer.Argument(metavar="DOMAIN/MODEL", help="A model, such as insight/claim_fraud.")],
    as_json: Json = False,
) -> None:
    """Show one model: its versions, the gates and what they said, every decision, and each column of its input."""
    from mesh.model import Registry, read_columns
    from mesh.session import open_mesh

    mesh = open_mesh()
    name, definition = promoting.find(mesh, key)
    registry = Registry.opened(mesh)
    with waiting("Asking MLflow"):
        found = _versions(mesh, name)
        shown = next((version for version in found if version.champion), found[0] if found else None)
        columns = read_columns(registry.tracking_uri, shown.run_id) if shown else ()
    standing = registry.standing(name)
    gates, judged = _gates(definition, standing)
    history = [
        {
            "at": event.at.strftime("%Y-%m-%d %H:%M:%S") if event.at else None,
            "version": event.version,
            "what": event.kind.replace("_", " "),
            "who": event.who,
            "why": event.why,
        }
        for event in reversed(standing.events)
    ]
    versions = [
        {
            "version": version.version,
            "standing": version.standing,
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
        facts |= {"champion": standing.champion, "versions": versions, "gates": gates, "history": history}
        print(json.dumps({**facts, "columns": rows}, indent=2, default=str))
        return
    screen().print(f"[bold]{key}[/bold]  {definition.description}\n", highlight=False)
    empty = f"Never trained: mesh run --select {definition.output}"
    listing(_told(versions), as_json=False, title="Versions", empty=empty)
    screen().print()
    listing(gates, as_json=False, title=f"Gates, as version {judged} met them" if judged else "Gates", empty="")
    if history:
        screen().print()
        listing(history, as_json=False, title="Decisions", empty="")
    if rows:
        screen().print()
        listing(_told(rows), as_json=False, title=f"Columns of {definition.input}, version {versions[0]['version']}",
                empty="")  # fmt: skip
        screen().print(
            "\ngain: loss it saves on rows of another time, nats per 1,000 rows; drift: population stability index, "
            "earlier to later rows",
            style="dim",
        )


def _gates(definition: ModelDefinition, standing: Standing) -> tuple[list[dict[str, Any]], int | None]:
    """The gates of the definition, with the verdicts of the version that was judged last."""
    judged = next((event for event in reversed(standing.events) if event.evidence.get("gates")), None)
    verdicts = {one["gate"]: one for one in judged.evidence["gates"]} if judged else {}
    rows = []
    for gate in definition.gates:
        said = verdicts.get(gate.name, {})
        bounds = f"{gate.low if gate.low is not None else ''} to {gate.high if gate.high is not None else ''}".strip()
        rows.append(
            {
                "gate": gate.name,
                "bound": bounds if (gate.low, gate.high) != (None, None) else "the champion",
                "named": "by the definition" if gate.named else "stands in",
                "verdict": said.get("verdict"),
                "told": said.get("told"),
            }
        )
    return rows, judged.version if judged else None


def _figures(version: Version | None) -> dict[str, float | None]:
    """What counts most on later rows."""
    return {name: round(version.metrics[name], 4) if version and name in version.metrics else None for name in FIGURES}


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures with the digits that say something."""
    digits = {**dict.fromkeys(FIGURES, 3), "auc_alone": 3, "gain": 2, "missing": 3, "drift": 3}
    return [
        {name: f"{value:.{digits[name]}f}" if name in digits and value is not None else value
         for name, value in row.items()}
        for row in rows
    ]  # fmt: skip


def _versions(mesh: Mesh, name: str) -> tuple[Version, ...]:
    from mesh.model import Registry, versions

    return versions(Registry.opened(mesh), name)
