"""Which rows fail a rule or were put aside: their keys and where they came from, for those who may look."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from mesh.audit.candidate import Candidate
from mesh.contract.model import Contract, Rule
from mesh.contract.predicates import has_values, literal, quoted
from mesh.errors import UsageError

# Where a row was delivered, under the names that published tables and quarantine tables give it.
PLACE = ("source_file", "source_row")
PLACE_ASIDE = ("_source_file", "_source_row")


def judges_rows(rule: Rule) -> bool:
    """True where single rows fail the rule, False where it judges the table as a whole."""
    return rule.row_predicate is not None or rule.kind in ("duplicateValues", "relationship")


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
    columns: Sequence[str] = (),
) -> duckdb.DuckDBPyRelation:
    """Up to `limit` rows that fail a rule, in the order of the columns that are given.

    Args:
        columns: what is told of a row. Default: primary key, then source file and row where the table has them.

    Raises:
        UsageError: the rule judges the table as a whole, or the table has neither kind of key.
        RuleError: the table that a relationship points to cannot be found.
    """
    rule = contract.rule(rule) if isinstance(rule, str) else rule
    candidate = Candidate(con, domain_schema, snapshot, catalog, inputs)
    present = candidate.columns(rule.table) or {}
    keys = contract.table(rule.table).primary_key
    places = [name for name in PLACE if name in present and name not in keys] if keys else PLACE
    told = tuple(columns) or (*keys, *places)
    absent = [name for name in (*told, *rule.columns) if name not in present]
    if absent:
        raise UsageError(f"{rule.table} has no column {absent[0]} at snapshot {snapshot}, so its rows have no name.")
    source = candidate.table(rule.table)
    if not judges_rows(rule):
        raise UsageError(f"{rule.id} judges the whole table; no single row fails it.")
    if rule.row_predicate:
        condition = rule.row_predicate
    elif rule.kind == "duplicateValues":
        group_by = ", ".join(quoted(column) for column in rule.columns)
        group = f"select {group_by} from {source} where {has_values(rule.columns)} group by all having count(*) > 1"
        condition = f"({group_by}) in ({group})"
    else:
        condition = f"{has_values(rule.columns)} and {candidate.unmatched(rule)}"
    names = ", ".join(f"judged.{quoted(name)}" for name in told)
    return con.sql(f"select {names} from {source} as judged where {condition} order by all limit {int(limit)}")


def put_aside(candidate: Candidate, table: str) -> dict[str, int]:
    """Rule id to rows of this candidate in quarantine; a row that fails two rules counts for both."""
    mine = _mine(candidate, table)
    if mine is None:
        return {}
    rows = candidate.con.execute(
        f"select rule, count(*) from (select unnest(string_split(_rule_ids, ',')) as rule {mine}) "
        "group by rule order by rule"
    ).fetchall()
    return {str(rule): int(count) for rule, count in rows}


def rows_aside(
    candidate: Candidate, table: str, rule_id: str, *, columns: Sequence[str], limit: int
) -> duckdb.DuckDBPyRelation:
    """Up to `limit` rows of this candidate that a rule put aside, in the order of the columns that are given.

    Args:
        columns: columns of the quarantine table, such as those of `PLACE_ASIDE`.

    Raises:
        UsageError: nothing of this candidate was put aside.
    """
    mine = _mine(candidate, table)
    if mine is None:
        raise UsageError(f"No row of {table} was put aside.")
    names = ", ".join(quoted(name) for name in columns)
    return candidate.con.sql(
        f"select {names} {mine} and list_contains(string_split(_rule_ids, ','), {literal(rule_id)}) "
        f"order by all limit {int(limit)}"
    )


def _mine(candidate: Candidate, table: str) -> str | None:
    """FROM and WHERE of the rows in quarantine that belong to this candidate: rows of an earlier one may still stand
    there, because a build that puts nothing aside leaves the table alone."""
    aside = f"{table}_quarantine"
    identity = candidate.identity(table)
    if identity is None or "_candidate" not in (candidate.columns(aside) or {}):
        return None
    return f"from {candidate.table(aside)} where _candidate = {literal(identity)}"
