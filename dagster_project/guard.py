"""What an engine says when it fails may quote a row, and Dagster keeps and shows what a step raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from mesh.errors import BuildFailed

# From the first to the last apostrophe: a value may hold one itself. Of double quotes only those around digits, since
# they stand around names of columns too.
_QUOTED = re.compile(r"'.*'|\"(?=[^\"]*\d)[^\"]*\"")


@contextmanager
def values_kept_out(what: str) -> Iterator[None]:
    """Turn an error of DuckDB into a BuildFailed without the values, and without the original behind it.

    Args:
        what: the product or table that was worked on, as the message names it.
    """
    try:
        yield
    except duckdb.Error as error:
        told = f"{what}: DuckDB refused ({type(error).__name__}): {without_values(str(error))}"
        raise BuildFailed(f"{told} The last good release stays served.") from None


def without_values(message: str) -> str:
    """The first lines of an engine's message with quoted text taken out."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("LINE ")]
    return _QUOTED.sub("'…'", " ".join(lines[:3])).rstrip(".") + "."
