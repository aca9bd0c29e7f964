"""`mesh contract export` and `mesh contract import`: contracts to and from other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FORMATS = "odcs, jsonschema, pydantic, sql, dbt, avro, html"
SOURCES = "odcs, jsonschema, sql, dbt (a manifest.json), avro"
OutOption = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this new file.")]


def register(contract: typer.Typer) -> None:
    contract.command("export")(export)
    contract.command("import")(import_)


def export(
    product: Annotated[str, typer.Argument(metavar="DOMAIN/PRODUCT")],
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"One of: {FORMATS}.")],
    out: OutOption = None,
    table: Annotated[str | None, typer.Option("--table", help="Only this table of the product.")] = None,
    dialect: Annotated[str | None, typer.Option("--dialect", help="SQL dialect of sql; default duckdb.")] = None,
) -> None:
    """Write a contract in another format. Rules that the format cannot say are told on the error stream."""
    from mesh.contract.exchange import export as exported
    from mesh.project import load_project
    from mesh.settings import get_settings

    found = exported(load_project(get_settings().project).product(product).contract, form, table=table, dialect=dialect)
    _write(found.text, out)
    _told([f"{rule.id}: {rule.description}" for rule in found.left_out], f"Not said in {form}")


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    form: Annotated[str, typer.Option("--format", metavar="FORMAT", help=f"One of: {SOURCES}.")],
    domain: Annotated[str, typer.Option("--domain", help="Domain of the new product.")],
    product: Annotated[str, typer.Option("--product", help="Name of the new product.")],
    out: OutOption = None,
    table: Annotated[str | None, typer.Option("--table", help="Only this table of the file.")] = None,
    dialect: Annotated[str, typer.Option("--dialect", help="SQL dialect of a DDL file.")] = "duckdb",
) -> None:
    """Draft a contract from a file in another format. What is not taken over is told on the error stream."""
    from mesh.contract.exchange import import_contract

    found = import_contract(file, form, domain=domain, product=product, table=table, dialect=dialect)
    _write(found.text, out)
    _told(list(found.left_out), f"Not taken over from {file.name}")


def _write(text: str, out: Path | None) -> None:
    """To the file or to the output, byte for byte."""
    import sys

    from mesh.errors import UsageError

    if out is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    try:
        with out.open("xb") as file:
            file.write(text.encode())
    except FileExistsError:
        raise UsageError(f"{out} exists already. Name a new file.") from None
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.") from error


def _told(left_out: list[str], head: str) -> None:
    if left_out:
        typer.echo(f"{head}:", err=True)
        for line in left_out:
            typer.echo(f"  {line}", err=True)
