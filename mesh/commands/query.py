"""`mesh sql`: read-only DuckDB over the published products."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import duckdb


class Format(StrEnum):
    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    app.command("sql")(sql)


def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one, an interactive prompt.")] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="RELEASE", help="The mesh as of DOMAIN/PRODUCT@N.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the result.")] = Format.table,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of the screen.")] = None,
    attach: Annotated[bool, typer.Option("--attach", help="Print the ATTACH statement for any DuckDB client.")] = False,
) -> None:
    """Query the published products, now or as of a release. Nothing can be written."""
    from mesh.errors import UsageError
    from mesh.lake import attach_statement
    from mesh.release import parse_reference
    from mesh.session import open_mesh

    mesh = open_mesh()
    if attach:
        commit = mesh.history().get(*parse_reference(at)).commit if at else None
        print(f"{attach_statement(mesh.postgres, mesh.settings, alias='mesh', at=commit)};")
        return
    if form is Format.parquet and out is None and (query is None or sys.stdout.isatty()):
        raise UsageError("--format parquet writes bytes: name a file with --out, or redirect the output.")
    connection = mesh.reader(at)
    try:
        if query is None:
            _prompt(connection)
        else:
            _write(_run(connection, query), form, out)
    finally:
        connection.close()


def _run(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation | None:
    """The result of one statement, or None where it has none.

    Raises:
        UsageError: DuckDB's own words; the query is the caller's, so they may quote it.
    """
    import duckdb

    from mesh.errors import UsageError

    try:
        return connection.sql(query)
    except duckdb.Error as error:
        raise UsageError(f"{str(error).strip()}\nProducts: `mesh products` lists their views.") from error


def _write(result: duckdb.DuckDBPyRelation | None, form: Format, out: Path | None) -> None:
    if result is None:
        return
    match form:
        case Format.parquet:
            _parquet(result, out)
            return
        case Format.csv:
            text = result.df().to_csv(index=False)
        case Format.json:
            text = result.df().to_json(orient="records", date_format="iso", indent=2) + "\n"
        case _:
            text = _table(result)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


def _parquet(result: duckdb.DuckDBPyRelation, out: Path | None) -> None:
    import pyarrow.parquet as pq

    pq.write_table(result.to_arrow_table(), sys.stdout.buffer if out is None else str(out))


def _table(result: duckdb.DuckDBPyRelation) -> str:
    import contextlib
    import io

    buffer = io.StringIO()
    with contextlib.redirect_stdout(buffer):
        result.show(max_width=200, max_rows=100)
    return buffer.getvalue()


def _prompt(connection: duckdb.DuckDBPyConnection) -> None:
    """Read statements until end of input; an error ends the statement, not the session."""
    from mesh.errors import UsageError

    read = _reader()
    statement = ""
    while True:
        try:
            line = read("mesh> " if not statement else "   -> ")
        except KeyboardInterrupt:
            statement = ""
            continue
        except EOFError:
            return
        if not statement and line.strip() in ("exit", "quit", "\\q", ".quit", ".exit"):
            return
        statement = f"{statement}\n{line}".strip()
        if not statement.endswith(";"):
            continue
        try:
            _write(_run(connection, statement), Format.table, None)
        except UsageError as error:
            print(error, file=sys.stderr)
        statement = ""


def _reader() -> Any:
    """Line editing with history at a terminal, plain lines from a pipe."""
    if not sys.stdin.isatty():
        return lambda _prompt: input()
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter

    words = ["select", "from", "where", "group by", "order by", "limit", "show all tables;", "describe", "summarize"]
    return PromptSession(completer=WordCompleter(words, ignore_case=True)).prompt
