"""What each rule of a table saw: from one scan where it can share that, else from a query of its own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import duckdb

from mesh.audit.candidate import Candidate, RuleError, safe_message
from mesh.audit.custom import run_expectations
from mesh.audit.measured import Measured
from mesh.audit.scan import scan
from mesh.contract.model import Contract, Rule, Table


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
        elif rule.kind == "sql":
            measured[rule.id] = _alone(candidate, contract, rule)
        elif rule.kind == "relationship" and (lost := _points_nowhere(candidate, rule)) is not None:
            measured[rule.id] = lost
        else:
            scanned.append(rule)
    rows, seen = scan(candidate, table.name, scanned, now)
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


def _alone(candidate: Candidate, contract: Contract, rule: Rule) -> Measured:
    """A rule that has a query of its own."""
    try:
        return _query(candidate, contract, rule)
    except duckdb.Error as error:
        return Measured(error=safe_message(error))
    except RuleError as error:
        return Measured(error=str(error))


def _points_nowhere(candidate: Candidate, rule: Rule) -> Measured | None:
    """What is told of a relationship whose other table is not there."""
    try:
        candidate.target(rule)
    except RuleError as error:
        return Measured(error=str(error))
    return None


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
