"""How commands show things: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 200


def listing(rows: Sequence[Mapping[str, Any]], *, as_json: bool, title: str, empty: str) -> None:
    """Print rows as a table, or as a JSON list with --json.

    Args:
        rows: equal keys in equal order; keys are the column heads.
        empty: what a person is told where there are no rows.
    """
    if as_json:
        print(json.dumps(list(rows), indent=2, default=str))
        return
    console = screen()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for key in rows[0]:
        numeric = all(isinstance(row[key], int | float) and not isinstance(row[key], bool) for row in rows)
        prose = any(isinstance(row[key], str) and " " in row[key] and len(row[key]) > 20 for row in rows)
        table.add_column(key, justify="right" if numeric else "left", overflow="fold", no_wrap=not prose)
    for row in rows:
        # As text, not as rich's own markup: what stands in brackets may come from a delivered file.
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    console.print(table)


def screen() -> Console:
    """The output stream as people read it; a pipe or file gets lines wide enough for any table."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def called_as() -> str:
    """How the user reaches this command: its bare name where the shell finds it, else the path it was called by."""
    path = sys.argv[0]
    found = shutil.which("mesh")
    return "mesh" if found and Path(found).resolve() == Path(path).resolve() else os.path.relpath(path)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner with what is being done, on the error stream, where somebody watches."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case list() | tuple():
            return ", ".join(str(item) for item in value)
        case _:
            return _printable(str(value))


def _printable(text: str) -> str:
    """Characters that would steer the terminal, written out."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)
