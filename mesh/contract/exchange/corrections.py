"""What `datacontract-cli` does not read, taken over here or told: comments of DDL, types of optional Avro fields."""

from __future__ import annotations

import json
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


AVRO = {
    "int": "INTEGER", "long": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "boolean": "BOOLEAN", "string": "VARCHAR",
    "date": "DATE", "time-millis": "TIME", "time-micros": "TIME", "uuid": "UUID",
    "timestamp-millis": "TIMESTAMP WITH TIME ZONE", "timestamp-micros": "TIMESTAMP WITH TIME ZONE",
    "local-timestamp-millis": "TIMESTAMP", "local-timestamp-micros": "TIMESTAMP",
    "local-timestamp-nanos": "TIMESTAMP_NS",
}  # fmt: skip
LOGICAL = {"date": "date", "time": "time", "timestamp": "timestamp", "local": "timestamp", "decimal": "number"}


def with_avro_types(data: dict[str, Any], file: Path) -> None:
    """Give the columns of `data` the DuckDB types of the record's fields, whether they may be null or not."""
    record = json.loads(file.read_text(encoding="utf-8"))
    kinds = {field["name"]: field["type"] for field in record.get("fields", ())}
    for table in data.get("schema") or ():
        for column in table.get("properties", ()):
            _avro_type(column, kinds.get(column["name"]))


def _avro_type(column: dict[str, Any], kind: Any) -> None:
    if isinstance(kind, list):
        branches = [branch for branch in kind if branch != "null"]
        kind = branches[0] if len(branches) == 1 else None
    column.pop("physicalType", None)
    if not isinstance(kind, dict):
        kind = {"type": kind}
    logical = kind.get("logicalType")
    word = str(logical or kind.get("type"))
    known = LOGICAL.get(word.partition("-")[0]) if logical else None
    if known:
        column["logicalType"] = known
    if word == "decimal":
        column["physicalType"] = f"DECIMAL({kind.get('precision')},{kind.get('scale', 0)})"
    elif word in AVRO:
        column["physicalType"] = AVRO[word]
