"""A contract as SQL DDL: tables with exactly its types, in DuckDB's words or, through sqlglot, in another dialect's."""

from __future__ import annotations

from mesh.contract.exchange.fields import holds_always
from mesh.contract.model import Contract, Table
from mesh.contract.predicates import literal, quoted
from mesh.errors import UsageError

DIALECT = "duckdb"


def to_sql(contract: Contract, dialect: str = DIALECT) -> tuple[str, set[str]]:
    """`create table` and comments of every table, and the ids of the rules that they say.

    Raises:
        UsageError: sqlglot does not know the dialect.
    """
    said: set[str] = set()
    statements = [statement for table in contract.tables for statement in _table(table, said)]
    head = f"-- {contract.name} {contract.version} ({contract.id})\n"
    if dialect != DIALECT:
        statements = [_translated(statement, dialect) for statement in statements]
    return head + "".join(f"{statement};\n" for statement in statements), said


def _table(table: Table, said: set[str]) -> list[str]:
    said.add(f"{table.name}.schema")
    lines = []
    for column in table.columns:
        line = f"{quoted(column.name)} {column.physical_type}"
        rules = [
            rule for rule in table.rules if rule.columns == (column.name,) and not rule.path and holds_always(rule)
        ]
        for kind, words in (("nullValues", " not null"), ("duplicateValues", " unique")):
            found = [rule for rule in rules if rule.kind == kind and rule.id != f"{table.name}.primary_key"]
            if found:
                line += words
                said |= {rule.id for rule in found}
        lines.append(line)
    if table.primary_key and any(r.id == f"{table.name}.primary_key" and holds_always(r) for r in table.rules):
        said.add(f"{table.name}.primary_key")
        lines.append(f"primary key ({', '.join(quoted(name) for name in table.primary_key)})")
    body = ",\n  ".join(lines)
    found_comments = [(f"table {quoted(table.name)}", table.description)]
    found_comments += [(f"column {quoted(table.name, column.name)}", column.description) for column in table.columns]
    comments = [f"comment on {what} is {literal(' '.join(text.split()))}" for what, text in found_comments if text]
    return [f"create table {quoted(table.name)} (\n  {body}\n)", *comments]


def _translated(statement: str, dialect: str) -> str:
    import sqlglot

    check_dialect(dialect)
    return sqlglot.transpile(statement, read=DIALECT, write=dialect, pretty=True)[0]


def check_dialect(dialect: str) -> None:
    """Raise UsageError unless sqlglot knows the dialect."""
    from sqlglot.dialects.dialect import Dialects

    known = sorted(entry.value for entry in Dialects if entry.value)
    if dialect not in known:
        raise UsageError(f"There is no SQL dialect `{dialect}`. Allowed: {', '.join(known)}.")
