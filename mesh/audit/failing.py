"""Which rows fail a rule: their keys only, for those who may look."""

from __future__ import annotations

import duckdb

from mesh.audit.candidate import Candidate
from mesh.audit.measuring import unmatched
from mesh.contract.model import Contract, Rule
from mesh.contract.predicates import has_values, quoted
from mesh.errors import UsageError


def failing_rows(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    rule: Rule | str,
    *,
    domain_schema: str,
    snapshot: int,
    catalog: str = "lake",
    inputs: str = "inputs",
    limit: int = 100,
) -> duckdb.DuckDBPyRelation:
    """The keys of up to `limit` rows that fail a rule, in key order: primary key, else source file and row.

    Raises:
        UsageError: the rule judges the table as a whole, or the table has neither kind of key.
    """
    rule = contract.rule(rule) if isinstance(rule, str) else rule
    candidate = Candidate(con, domain_schema, snapshot, catalog, inputs)
    present = candidate.columns(rule.table) or {}
    keys = contract.table(rule.table).primary_key or ("source_file", "source_row")
    absent = [name for name in (*keys, *rule.columns) if name not in present]
    if absent:
        raise UsageError(f"{rule.table} has no column {absent[0]} at snapshot {snapshot}, so its rows have no name.")
    source = candidate.table(rule.table)
    if rule.row_predicate:
        condition = rule.row_predicate
    elif rule.kind == "duplicateValues":
        columns = ", ".join(quoted(column) for column in rule.columns)
        group = f"select {columns} from {source} where {has_values(rule.columns)} group by all having count(*) > 1"
        condition = f"({columns}) in ({group})"
    elif rule.kind == "relationship":
        condition = f"{has_values(rule.columns)} and {unmatched(candidate, rule)}"
    else:
        raise UsageError(f"{rule.id} judges the whole table; no single row fails it.")
    names = ", ".join(f"judged.{quoted(key)}" for key in keys)
    return con.sql(f"select {names} from {source} as judged where {condition} order by all limit {int(limit)}")
