"""Delivered column names in the mesh's own spelling: `PolicyNumber` and `Policy number` become `policy_number`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import cache

# Taken by what the mesh itself keeps with a row.
TAKEN = ("load_id", "source_file", "source_row", "loaded_seq", "row_id", "unreadable")


def snake(name: str) -> str:
    """A name of lower case letters, digits and _, beginning with a letter."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain)
    plain = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", plain)
    plain = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_").lower()
    return plain if plain[:1].isalpha() else f"c_{plain}" if plain else "column"


def column_names(delivered: Sequence[str], taken: Collection[str] = TAKEN) -> tuple[str, ...]:
    """A name for each delivered column, in their order; one that is taken already gets a number.

    A word that SQL keeps for itself gets an underscore, so that nobody has to quote it.
    """
    given: list[str] = []
    for name in delivered:
        wanted = snake(name)
        wanted = made = f"{wanted}_" if wanted in reserved_words() else wanted
        number = 2
        while made in given or made in taken:
            made, number = f"{wanted}_{number}", number + 1
        given.append(made)
    return tuple(given)


def words(name: str) -> str:
    """A column name as people say it: `policy_number` is `Policy number`."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


@cache
def reserved_words() -> frozenset[str]:
    """Words that cannot be a name in DuckDB's SQL without quotes."""
    import duckdb

    with duckdb.connect() as con:
        found = con.execute("select keyword_name from duckdb_keywords() where keyword_category = 'reserved'").fetchall()
    return frozenset(str(row[0]) for row in found)
