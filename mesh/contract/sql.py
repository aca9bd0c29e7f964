"""Queries of `sql` rules: placeholders filled, and held to one SELECT over the contract's own tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from mesh.contract.predicates import literal, quoted
from mesh.contract.reading import Document, Path_

# In quotes too, as other tools take it; the name that is filled in brings its own.
PLACEHOLDER = re.compile(r"""(?P<quote>["`]?)\$?\{\s*([A-Za-z_]+)\s*\}(?P=quote)""")
TABLE_WORDS = ("table", "object", "model", "schema")
COLUMN_WORDS = ("column", "property", "field")

# Table functions that make rows of their own; all others read files, catalogs or other servers.
HARMLESS = ("generate_series", "range", "unnest")


def check_query(
    document: Document, path: Path_, query: str, table: str, column: str | None, tables: frozenset[str]
) -> str:
    """The query with `${table}`, `${object}`, `${column}` and `${property}` (or `{...}`) filled in.

    Tables of the contract are named plainly; published tables of other products as `inputs.DOMAIN.TABLE_vN`.
    """

    def fill(match: re.Match[str]) -> str:
        word = match.group(2).lower()
        if word in TABLE_WORDS:
            return quoted(table)
        if word in COLUMN_WORDS and column is not None:
            return quoted(column)
        allowed = (*TABLE_WORDS, *(COLUMN_WORDS if column else ()))
        return document.fail(path, f"The placeholder `{match.group(0)}` has no meaning here.", ", ".join(allowed))

    filled = PLACEHOLDER.sub(fill, query).strip().rstrip(";").strip()
    import duckdb

    with duckdb.connect() as con:
        # Parsed, not bound: the tables do not exist here.
        try:
            row = con.execute(f"select json_serialize_sql({literal(filled)})").fetchone()
        except duckdb.Error as error:
            document.fail(path, f"The query is no SQL that DuckDB takes: {str(error).splitlines()[0]}")
    assert row is not None
    tree = json.loads(row[0])
    if tree["error"] and "SELECT" in tree["error_message"]:
        document.fail(path, "The query must only read.", "one SELECT")
    if tree["error"]:
        document.fail(path, f"The query is no SQL that DuckDB takes: {tree['error_message'].splitlines()[0]}")
    if len(tree["statements"]) != 1:
        document.fail(path, "The query must be one statement.", "one SELECT")
    # The engine does not tell `Orders` from `orders`.
    known = {name.lower() for name in (*tables, *(name for node in _nodes(tree) for name in _named(node)))}
    for node in _nodes(tree):
        read = _reads(node)
        if read is not None and read.lower() not in known and not read.startswith("inputs."):
            allowed_tables = ", ".join((*sorted(tables), "inputs.DOMAIN.TABLE_vN"))
            document.fail(path, f"The query reads `{read}`, which is not this contract's.", allowed_tables)
    return filled


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for branch in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(branch)


def _named(node: dict[str, Any]) -> list[str]:
    """The common table expressions that a query names itself."""
    named = node.get("cte_map")
    return [str(entry["key"]) for entry in named["map"]] if isinstance(named, dict) else []


def _reads(node: dict[str, Any]) -> str | None:
    """What a node reads: a table by its full name, or a table function."""
    if node.get("type") == "BASE_TABLE":
        parts = (node.get("catalog_name"), node.get("schema_name"), node.get("table_name"))
        return ".".join(str(part) for part in parts if part)
    if node.get("type") == "TABLE_FUNCTION":
        name = str(node.get("function", {}).get("function_name", "a function"))
        return None if name in HARMLESS else f"{name}(...)"
    return None
