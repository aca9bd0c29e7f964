"""Sample queries of a published product: what a newcomer asks first, written for its own columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.access.clearance import OPEN, classified, covers
from mesh.contract import Column, Contract, Table

if TYPE_CHECKING:
    import duckdb

    from mesh.release import Release

SHOWN = 6
"""Columns that the first query names."""
VALUES = 20
"""A column with at most so many allowed values is one to count by."""
TIMES = ("date", "timestamp")


@dataclass(frozen=True)
class Query:
    """A query and what it tells."""

    title: str
    sql: str


def sample_queries(connection: duckdb.DuckDBPyConnection, contract: Contract, release: Release) -> tuple[Query, ...]:
    """Queries over the views of a release; one that does not bind to them is left out.

    Only columns that are shown without a role are named: a sample must not invite to read personal data.
    """
    return tuple(query for query in _written(contract, release) if _binds(connection, query.sql))


def _written(contract: Contract, release: Release) -> Iterator[Query]:
    views = dict(zip(release.tables, release.views, strict=True))
    for table in contract.tables:
        name = table.name
        if name not in views:
            continue
        view = views[name]
        columns = [column for column in table.columns
                   if column.name in release.columns[name] and covers(OPEN, classified(column))]  # fmt: skip
        of = f" of {table.declared}" if len(release.tables) > 1 else ""
        key = [column for column in columns if column.primary_key_position]
        others = [column for column in columns if not column.primary_key_position]
        if columns:
            names = ",\n    ".join(_quoted(column.name) for column in [*key, *others][:SHOWN])
            yield Query(f"A few rows{of}", f"select\n    {names}\nfrom {view}\nlimit 10")
        if counted := next((column.name for column in columns if _few_values(table, column)), None):
            yield Query(f"Rows{of} by {counted}", _counting(view, _quoted(counted)))
        if moment := next((column.name for column in columns if column.logical_type in TIMES), None):
            yield Query(f"From when to when{of}", _reach(view, _quoted(moment)))
        if not columns:
            yield Query(f"How many rows{of}", f"select count(*) as row_count\nfrom {view}")


def _counting(view: str, column: str) -> str:
    what = f"select\n    {column},\n    count(*) as row_count\nfrom {view}"
    return f"{what}\ngroup by {column}\norder by row_count desc, {column}"


def _reach(view: str, column: str) -> str:
    return (
        f"select\n    min({column}) as earliest,\n    max({column}) as latest,\n    count(*) as row_count\nfrom {view}"
    )


def _few_values(table: Table, column: Column) -> bool:
    """True for a flag, and for a column whose contract lists a few allowed values."""
    if column.logical_type == "boolean":
        return True
    lists = (rule.arguments.get("validValues") for rule in table.rules
             if rule.kind == "invalidValues" and rule.columns == (column.name,))  # fmt: skip
    return any(0 < len(values) <= VALUES for values in lists if values)


def _binds(connection: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether the query fits the views: it is planned, and reads no row."""
    import duckdb

    try:
        connection.execute(f"explain {query}")
    except duckdb.Error:
        return False
    return True


def _quoted(name: str) -> str:
    plain = name.isidentifier() and name == name.lower()
    return name if plain and name not in RESERVED else '"' + name.replace('"', '""') + '"'


RESERVED = frozenset(
    ("all", "and", "any", "as", "asc", "both", "case", "cast", "check", "collate", "column", "constraint", "create",
     "default", "desc", "describe", "distinct", "do", "else", "end", "except", "false", "for", "foreign", "from",
     "grant", "group", "having", "in", "initially", "intersect", "into", "leading", "limit", "not", "null", "offset",
     "on", "only", "or", "order", "pivot", "primary", "qualify", "references", "returning", "select", "show", "some",
     "summarize", "symmetric", "table", "then", "to", "trailing", "true", "union", "unique", "unpivot", "using",
     "variadic", "when", "where", "window", "with")
)  # fmt: skip
"""Words that DuckDB reserves: as names of columns they need quotes."""
