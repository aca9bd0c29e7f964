"""The columns that SQL reads from a table nobody described, as far as the text tells."""

from __future__ import annotations

from collections.abc import Iterable


def columns_read(queries: Iterable[str], table: tuple[str, str, str]) -> tuple[str, ...]:
    """Columns that these queries take from a table (database, schema, name), in the order they are met.

    Followed through `select *` of common table expressions and subqueries; a column that could come from several tables
    is left out.
    """
    import sqlglot
    from sqlglot import errors, exp
    from sqlglot.optimizer.scope import Scope, traverse_scope

    def is_table(source: object) -> bool:
        if isinstance(source, exp.Table):
            return (source.catalog, source.db, source.name) == table
        # A query that hands on all columns of the table stands for it.
        if isinstance(source, Scope) and isinstance(source.expression, exp.Select) and source.expression.is_star:
            return len(source.sources) == 1 and is_table(next(iter(source.sources.values())))
        return False

    found: dict[str, None] = {}
    for query in queries:
        try:
            scopes = traverse_scope(sqlglot.parse_one(query, dialect="duckdb"))
        except errors.SqlglotError:
            continue
        for scope in scopes:
            mine = {name for name, source in scope.sources.items() if is_table(source)}
            for column in scope.columns:
                if column.table in mine or (not column.table and mine and len(scope.sources) == 1):
                    found.setdefault(column.name)
    return tuple(found)
