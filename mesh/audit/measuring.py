"""The queries of an audit: one scan per table for all rules of single rows, one pass per key, one query per rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import duckdb

from mesh.audit.candidate import Candidate, RuleError, safe_message
from mesh.audit.custom import run_expectations
from mesh.audit.measured import Measured
from mesh.contract.model import Contract, Rule, Table
from mesh.contract.predicates import COMPARISONS, has_values, literal, quoted


def measure_table(
    candidate: Candidate, contract: Contract, table: Table, now: datetime
) -> tuple[int | None, dict[str, Measured]]:
    """The row count of a table (None: it does not exist) and what each of its rules saw, by rule id."""
    present = candidate.columns(table.name)
    if present is None:
        missing = Measured(error=f"the table {table.name} does not exist at this snapshot")
        return None, {rule.id: missing for rule in table.rules}
    measured: dict[str, Measured] = {}
    scanned: list[Rule] = []
    custom: list[Rule] = []
    for rule in table.rules:
        absent = [column for column in rule.columns if column not in present]
        if absent:
            measured[rule.id] = Measured(error=f"the column {absent[0]} is missing")
        elif rule.kind == "unmet":
            measured[rule.id] = Measured(error=str(rule.arguments["why"]))
        elif rule.kind == "schema":
            measured[rule.id] = _schema(table, present)
        elif rule.kind == "expectation":
            custom.append(rule)
        elif rule.row_predicate or rule.kind in ("rowCount", "freshness", "retention"):
            scanned.append(rule)
        else:
            measured[rule.id] = _alone(candidate, contract, rule)
    rows, seen = _scan(candidate, table.name, scanned, now)
    return rows, measured | seen | run_expectations(candidate, table.name, custom, tuple(present))


def _schema(table: Table, present: dict[str, str]) -> Measured:
    wrong = [f"{column.name} is missing" for column in table.columns if column.name not in present]
    wrong += [
        f"{column.name} is {present[column.name]} instead of {column.physical_type}"
        for column in table.columns
        if column.name in present and present[column.name] != column.physical_type
    ]
    declared = {column.name for column in table.columns}
    wrong += [f"{name} is not in the contract" for name in present if name not in declared]
    detail = f"wrong columns: {'; '.join(wrong)}" if wrong else f"all {len(table.columns)} columns are as declared"
    return Measured(number=len(wrong), detail=detail)


def _scan(candidate: Candidate, table: str, rules: Sequence[Rule], now: datetime) -> tuple[int, dict[str, Measured]]:
    """All rules that share one scan; if the engine refuses one of them, each is tried alone to find which."""
    try:
        return _scan_together(candidate, table, rules, now)
    except duckdb.Error as error:
        if not rules:
            raise
        if len(rules) == 1:
            rows, _ = _scan_together(candidate, table, (), now)
            return rows, {rules[0].id: Measured(error=safe_message(error))}
    rows = 0
    seen: dict[str, Measured] = {}
    for rule in rules:
        rows, one = _scan(candidate, table, [rule], now)
        seen |= one
    return rows, seen


def _scan_together(
    candidate: Candidate, table: str, rules: Sequence[Rule], now: datetime
) -> tuple[int, dict[str, Measured]]:
    """Numbers that the lake's statistics may hold, then one scan for the rules that these do not settle."""
    source = candidate.table(table)
    asked = _Terms()
    asked.place("count(*)")
    places = {rule.id: [asked.place(term) for term in _statistics(rule)] for rule in rules}
    known = asked.ask(candidate, source)
    seen: dict[str, Measured] = {}
    left: list[Rule] = []
    for rule in rules:
        found = [known[place] for place in places[rule.id]]
        if rule.kind == "rowCount":
            seen[rule.id] = Measured(number=found[0], rows=found[0])
        elif rule.kind in ("freshness", "retention"):
            seen[rule.id] = Measured(number=_age(found[1], rule, now), rows=found[0])
        elif rule.kind == "nullValues" and len(found) == 2:
            seen[rule.id] = Measured(failing=found[1] - found[0], rows=found[1])
        elif len(found) == 2 and not found[1]:
            seen[rule.id] = Measured(failing=0, rows=found[0])
        else:
            left.append(rule)
    if left:
        failing = _Terms()
        scanned = {rule.id: failing.place(f"count(*) filter (where {rule.row_predicate})") for rule in left}
        counts = failing.ask(candidate, source)
        for rule_id, place in scanned.items():
            seen[rule_id] = Measured(failing=counts[place], rows=known[places[rule_id][0]])
    return int(known[0]), seen


class _Terms:
    """The terms of one SELECT, each asked once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, term: str) -> int:
        return self._places.setdefault(term, len(self._places))

    def ask(self, candidate: Candidate, source: str) -> tuple[Any, ...]:
        row = candidate.con.execute(f"select {', '.join(self._places)} from {source}").fetchone()
        assert row is not None
        return row


def _statistics(rule: Rule) -> list[str]:
    """What is asked of a rule before any scan: judged rows, and what may settle it.

    DuckDB answers a query of nothing but counts, minima and maxima from the lake's statistics where these are exact,
    and reads the columns where they are not.
    """
    everything = "count(*)"
    if not rule.columns:
        return [everything]
    column = quoted(rule.columns[0])
    judged = everything if rule.judges_nulls else f"count({column})"
    if rule.kind in ("freshness", "retention"):
        return [everything, f"epoch({'max' if rule.kind == 'freshness' else 'min'}({column}))"]
    if rule.path:
        return [judged]
    if rule.kind == "nullValues":
        return [f"count({column})", everything]
    if rule.kind in COMPARISONS:
        end = "min" if rule.kind in ("minimum", "exclusiveMinimum") else "max"
        bound = literal(rule.arguments[rule.kind], str(rule.arguments.get("logicalType", "string")))
        return [judged, f"{end}({column}) {COMPARISONS[rule.kind]} {bound}"]
    return [judged]


def _age(newest: float | None, rule: Rule, now: datetime) -> float | None:
    """Seconds from the newest or oldest value to `now`; a date counts from its end, so that today is never late."""
    if newest is None:
        return None
    if rule.arguments["logicalType"] == "date":
        newest += 86399
    return max(now.replace(tzinfo=UTC).timestamp() - newest, 0.0)


def _alone(candidate: Candidate, contract: Contract, rule: Rule) -> Measured:
    try:
        if rule.kind == "sql":
            return _query(candidate, contract, rule)
        if rule.kind == "duplicateValues":
            return _duplicates(candidate, rule)
        judged, failing = failing_query(candidate, rule)
        row = candidate.con.execute(f"select ({judged}), ({failing})").fetchone()
    except duckdb.Error as error:
        return Measured(error=safe_message(error))
    except RuleError as error:
        return Measured(error=str(error))
    assert row is not None
    return Measured(rows=int(row[0]), failing=int(row[1]))


def _duplicates(candidate: Candidate, rule: Rule) -> Measured:
    """One grouped pass over hashes of eight bytes; only keys that share a hash are compared themselves."""
    source, given = candidate.table(rule.table), has_values(rule.columns)
    keys = ", ".join(quoted(column) for column in rule.columns)
    found = candidate.con.execute(
        f"select count(*), coalesce(sum(n), 0) from (select count(*) as n from {source} where {given} "
        f"group by hash({keys}))"
    ).fetchone()
    assert found is not None
    groups, rows = (int(number) for number in found)
    if groups == rows:
        return Measured(rows=rows, failing=0)
    _, failing = failing_query(candidate, rule)
    row = candidate.con.execute(failing).fetchone()
    assert row is not None
    return Measured(rows=rows, failing=int(row[0]))


def failing_query(candidate: Candidate, rule: Rule) -> tuple[str, str]:
    """Two scalar queries: judged rows and failing rows of a key or a relationship."""
    source, given = candidate.table(rule.table), has_values(rule.columns)
    judged = f"select count(*) from {source} where {given}"
    if rule.kind == "duplicateValues":
        keys = ", ".join(quoted(column) for column in rule.columns)
        groups = f"select count(*) as n from {source} where {given} group by {keys} having count(*) > 1"
        return judged, f"select coalesce(sum(n), 0) from ({groups})"
    return judged, f"select count(*) from {source} as judged where {given} and {unmatched(candidate, rule)}"


def unmatched(candidate: Candidate, rule: Rule) -> str:
    """The condition of rows, under the alias `judged`, whose key is not in the table a relationship points to."""
    pairs = zip(rule.columns, rule.arguments["to_columns"], strict=True)
    same = " and ".join(f"target.{quoted(there)} = judged.{quoted(here)}" for here, there in pairs)
    return f"not exists (select 1 from {candidate.target(rule)} as target where {same})"


def _query(candidate: Candidate, contract: Contract, rule: Rule) -> Measured:
    found = candidate.con.execute(candidate.scope(contract, rule.arguments["query"])).fetchmany(2)
    if len(found) != 1 or len(found[0]) != 1:
        raise RuleError("the query must give exactly one value")
    value = found[0][0]
    if isinstance(value, bool):
        value = int(value)
    if value is not None and not isinstance(value, int | float | Decimal):
        raise RuleError("the query must give a number or a truth value")
    return Measured(number=value, detail="" if value is not None else "the query gave no value")
