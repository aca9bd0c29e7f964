"""What `datacontract-cli` does not read of SQL DDL: comments are taken over here, the rest is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def with_comments(data: dict[str, Any], file: Path, dialect: str) -> Iterator[str]:
    """Put `comment on` statements into the descriptions of `data`; yields what of the file is in no contract."""
    import sqlglot
    from sqlglot import exp

    tables = {str(entry["name"]).lower(): entry for entry in data.get("schema") or ()}
    for statement in sqlglot.parse(file.read_text(encoding="utf-8"), read=dialect):
        if isinstance(statement, exp.Comment):
            _comment(statement, tables)
        elif isinstance(statement, exp.Create) and str(statement.kind).upper() == "TABLE":
            table = statement.find(exp.Table)
            yield from _constraints(table.name if table else "", statement)
        elif statement is not None:
            yield f"a statement `{statement.key}`: only tables and comments are read"


def _comment(statement: Any, tables: dict[str, Any]) -> None:
    from sqlglot import exp

    target, text = statement.this, statement.expression.name
    if isinstance(target, exp.Table):
        if target.name.lower() in tables:
            tables[target.name.lower()]["description"] = text
        return
    owner = tables.get(str(target.table).lower(), {})
    for column in owner.get("properties", ()):
        if str(column["name"]).lower() == target.name.lower():
            column["description"] = text


def _constraints(table: str, statement: Any) -> Iterator[str]:
    from sqlglot import exp

    kinds = {
        exp.CheckColumnConstraint: "a CHECK; write it as a rule",
        exp.DefaultColumnConstraint: "a DEFAULT; a contract promises values and sets none",
        exp.GeneratedAsIdentityColumnConstraint: "a generated column; a contract promises values and sets none",
        exp.ComputedColumnConstraint: "a computed column; a contract promises values and sets none",
    }
    for kind, why in kinds.items():
        for found in statement.find_all(kind):
            column = found.find_ancestor(exp.ColumnDef)
            yield f"{table}.{column.name if column else '(table)'}: {why}"
