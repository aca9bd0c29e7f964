"""`mesh lineage`: what a product is made from and what is made from it, down to single columns."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mesh.console import listing, screen

if TYPE_CHECKING:
    from mesh.project import Product
    from mesh.release import Release
    from mesh.session import Mesh


class Format(StrEnum):
    text = "text"
    json = "json"
    openlineage = "openlineage"


def register(app: typer.Typer) -> None:
    app.command("lineage")(lineage)


def lineage(
    key: Annotated[
        str | None, typer.Argument(metavar="DOMAIN/PRODUCT", help="A product; with openlineage, default all.")
    ] = None,
    columns: Annotated[bool, typer.Option("--columns", help="Where each published column comes from.")] = False,
    form: Annotated[Format, typer.Option("--format", help="`openlineage`: run events, one a line.")] = Format.text,
    out: Annotated[Path | None, typer.Option("--out", help="Write OpenLineage events to this file.")] = None,
    send: Annotated[
        bool, typer.Option("--send", help="Send the events where OPENLINEAGE_URL or an openlineage.yml points.")
    ] = False,
) -> None:
    """Show what a product is made from and who uses it, from what is on record of its served release."""
    from mesh.errors import UsageError
    from mesh.session import open_mesh

    mesh = open_mesh()
    if form is Format.openlineage:
        _events(mesh, [mesh.project.product(key)] if key else list(mesh.project.products.values()), out, send)
        return
    if key is None:
        raise UsageError("Name a product: `mesh lineage DOMAIN/PRODUCT`. Only --format openlineage takes all at once.")
    if out is not None or send:
        raise UsageError("--out and --send belong to --format openlineage.")
    product = mesh.project.product(key)
    facts = _facts(mesh, product)
    if form is Format.json:
        print(json.dumps(facts, indent=2))
    elif columns:
        _show_columns(product, facts)
    else:
        _show(product, facts)


def _facts(mesh: Mesh, product: Product) -> dict[str, Any]:
    from mesh.contract import load_consumers
    from mesh.release.history import read_whole

    served = mesh.history().served.get(product.key)
    whole = read_whole(mesh.postgres, served) if served else None
    consumers = load_consumers(mesh.project.root, product.contract)
    return {
        "product": product.key,
        "release": served.release if served else None,
        "views": list(served.views) if served else [],
        "raw_tables": [f"{product.build_schema}.{table}" for table in product.raw_tables],
        "upstream": [str(upstream) for upstream in served.inputs] if served else list(product.inputs),
        "downstream": list(mesh.project.downstream(product.key)),
        "consumers": [consumer.name for consumer in consumers],
        "columns": _columns(whole),
    }


def _columns(release: Release | None) -> list[dict[str, Any]]:
    """Every published column with its sources; `untraced` says why some are not known."""
    if release is None:
        return []
    return [
        {
            "view": view,
            "column": column.column,
            "sources": [
                {"table": source.table, "column": source.column, "kind": source.kind} for source in column.sources
            ],
            "untraced": column.untraced or None,
        }
        for table, view in zip(release.tables, release.views, strict=True)
        for column in release.lineage.get(table, ())
    ]


def _show(product: Product, facts: dict[str, Any]) -> None:
    console = screen()
    number = f"@{facts['release']}" if facts["release"] else ", which has no release yet"
    console.print(f"[bold]{product.key}[/bold]{number}\n", highlight=False)
    for label in ("views", "raw_tables", "upstream", "downstream", "consumers"):
        console.print(f"{label.replace('_', ' '):>12}  {', '.join(facts[label]) or '-'}", highlight=False)
    traced = sum(1 for column in facts["columns"] if not column["untraced"])
    if facts["columns"]:
        console.print(f"{'columns':>12}  {traced} of {len(facts['columns'])} traced: add --columns", highlight=False)


def _show_columns(product: Product, facts: dict[str, Any]) -> None:
    several = len({column["view"] for column in facts["columns"]}) > 1
    rows = [
        {
            **({"view": column["view"]} if several else {}),
            "column": column["column"],
            "from": _told(column),
        }
        for column in facts["columns"]
    ]
    empty = (
        f"Where the columns of {product.key} come from is not on record"
        + (": its served release was published before that was kept. The next release has it."
           if facts["release"] else ": it has no release yet. Build it: `mesh run --select " + product.key + "`.")
    )  # fmt: skip
    listing(rows, as_json=False, title=f"Columns of {product.key}", empty=empty)


def _told(column: dict[str, Any]) -> str:
    sources = ", ".join(
        f"{source['table']}.{source['column']}" + ("" if source["kind"] == "identity" else f" ({source['kind']})")
        for source in column["sources"]
    )
    if column["untraced"]:
        return "; ".join(part for part in (sources, f"not traced: {column['untraced']}") if part)
    return sources or "computed"


def _events(mesh: Mesh, products: list[Product], out: Path | None, send: bool) -> None:
    from mesh.lineage.openlineage import events, to_json
    from mesh.lineage.sending import send_events, transport

    client = transport() if send else None
    found = [event for product in products for event in events(mesh, product)]
    if client is not None:
        send_events(client, found)
        screen().print(f"Sent {len(found)} events.")
        return
    text = "".join(f"{to_json(event)}\n" for event in found)
    if out is None:
        print(text, end="")
        return
    out.write_text(text, encoding="utf-8")
    screen().print(f"Wrote {len(found)} events to {out}", soft_wrap=True)
