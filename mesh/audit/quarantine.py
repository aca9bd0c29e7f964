"""Putting failing rows aside, so that a few bad rows do not hold back all good ones.

Rows that fail a rule on their own go first; only then are duplicates looked for among the rest, so that a good row
is never put aside for the sake of a bad copy of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import duckdb

from mesh.audit.candidate import Candidate, RuleError, safe_message
from mesh.audit.results import Quarantined
from mesh.contract.model import Contract, Rule, Table
from mesh.contract.predicates import has_values, literal, quoted
from mesh.errors import BuildFailed

ORIGIN = ("load_id", "source_file", "source_row")


def quarantine(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    *,
    domain_schema: str,
    catalog: str = "lake",
    inputs: str = "inputs",
) -> dict[str, Quarantined]:
    """Move rows that fail a rule with `action: quarantine` into `TABLE_quarantine`, all tables in one transaction.

    The quarantine table has the candidate's columns and `_rule_ids` (comma separated), `_load_id`, `_source_file`,
    `_source_row` (null where the candidate does not carry them) and `_candidate` (the identity of the build table,
    by which rows of earlier builds are told apart and dropped). Nothing to move and nothing stale: nothing is
    written. Of rows with one key the first stays, by source file, source row and then all columns. Tables that others
    point to are cleaned first, so that rows which lose what they point to can follow it.

    Args:
        con: a writer of `catalog`; must not be inside a transaction.

    Raises:
        BuildFailed: the engine could not find or move the rows, for instance because somebody else wrote the table.

    Returns:
        An entry per table that has such a rule. Where more than `quarantineLimitPercent` of the rows fail, nothing
        moves, `refused` is set and `by_rule` tells the failing rows: give it to `audit`, which then fails.
    """
    candidate = Candidate(con, domain_schema, None, catalog, inputs)
    found: dict[str, Quarantined] = {}
    written = False
    con.execute("begin")
    try:
        for table in _targets_first(contract):
            rules = [rule for rule in table.rules if rule.action == "quarantine"]
            present = candidate.columns(table.name) if rules else None
            if present is not None:
                usable = [rule for rule in rules if _fits(table, rule, present)]
                limit = contract.quarantine_limit_percent
                found[table.name], wrote = _table(candidate, table.name, usable, tuple(present), limit)
                written = written or wrote
        con.execute("drop table if exists temp._failing")
        con.execute("commit" if written else "rollback")
    except duckdb.Error as error:
        _undo(con)
        raise BuildFailed(f"{contract.name}: failing rows could not be put aside: {safe_message(error)}.") from None
    except BaseException:
        _undo(con)
        raise
    return {table.name: found[table.name] for table in contract.tables if table.name in found}


def _fits(table: Table, rule: Rule, present: dict[str, str]) -> bool:
    """False where a column is missing or of another type: the audit says so, and the rule could only stumble."""
    return all(present.get(name) == table.column(name).physical_type for name in rule.columns)


def _undo(con: duckdb.DuckDBPyConnection) -> None:
    # A commit that failed has already ended the transaction.
    with contextlib.suppress(duckdb.TransactionException):
        con.execute("rollback")


def _targets_first(contract: Contract) -> list[Table]:
    """Tables in an order in which a relationship points backwards; a ring stays in the contract's order."""
    waiting, ordered = list(contract.tables), list[Table]()
    while waiting:
        names = {table.name for table in waiting}
        free = [
            table
            for table in waiting
            if not any(
                rule.kind == "relationship"
                and rule.arguments["domain"] is None
                and rule.arguments["to_table"] in names - {table.name}
                for rule in table.rules
            )
        ]
        ordered += free or waiting
        waiting = [table for table in waiting if free and table not in free]
    return ordered


def _table(
    candidate: Candidate, table: str, rules: Sequence[Rule], present: tuple[str, ...], limit: float
) -> tuple[Quarantined, bool]:
    """What was found and moved, and whether anything was written."""
    con = candidate.con
    con.execute("create or replace temp table _failing (_row bigint, _rule_ids varchar)")
    _find(candidate, table, rules, present)
    rows = _number(con, f"select count(*) from {candidate.table(table)}")
    failing = _number(con, "select count(*) from _failing")
    if failing * 100 > limit * rows:
        return Quarantined(table, rows, 0, 0, _by_rule(con, "_failing"), refused=True), False
    identity = candidate.identity(table)
    assert identity is not None
    aside = candidate.table(f"{table}_quarantine")
    mine = f"from {aside} where _candidate = {literal(identity)}"
    earlier = candidate.columns(f"{table}_quarantine")
    ours = earlier is not None and "_candidate" in earlier
    stale = earlier is not None and not (
        ours and _number(con, f"select count(*) from {aside}") == _number(con, f"select count(*) {mine}")
    )
    if failing or stale:
        _move(candidate, table, present, identity, f"select * {mine} union all by name " if ours else "")
    elif earlier is None:
        return Quarantined(table, rows, 0, 0, {}), False
    total = _number(con, f"select count(*) {mine}")
    by_rule = _by_rule(con, f"(select _rule_ids {mine})")
    return Quarantined(table, rows - failing, total, failing, by_rule), bool(failing or stale)


def _find(candidate: Candidate, table: str, rules: Sequence[Rule], present: tuple[str, ...]) -> None:
    """Fill `_failing` with the row ids and the rules they break."""
    con, source = candidate.con, candidate.table(table)
    single = [(rule.id, str(rule.row_predicate)) for rule in rules if rule.row_predicate]
    if single:
        broken = ", ".join(f"case when {condition} then {literal(rule_id)} end" for rule_id, condition in single)
        anything = " or ".join(condition for _, condition in single)
        con.execute(f"insert into _failing select rowid, concat_ws(',', {broken}) from {source} where {anything}")
    order = [name for name in ("source_file", "source_row") if name in present]
    order += [name for name in present if name not in order]
    ordered = ", ".join(f"{quoted(name)} nulls last" for name in order)
    for rule in rules:
        if rule.kind == "relationship":
            try:
                lost = candidate.unmatched(rule)
            except RuleError:
                continue  # The audit says that there is nothing to look in.
            con.execute(
                f"insert into _failing select rowid, {literal(rule.id)} from {source} as judged "
                f"where {has_values(rule.columns)} and {lost} and rowid not in (select _row from _failing)"
            )
    for rule in rules:
        if rule.kind != "duplicateValues":
            continue
        keys = ", ".join(quoted(column) for column in rule.columns)
        same = " and ".join(f"twice.{quoted(column)} = judged.{quoted(column)}" for column in rule.columns)
        con.execute(f"""
            insert into _failing
            with judged as (
                select rowid as _row, * from {source}
                where {has_values(rule.columns)} and rowid not in (select _row from _failing)
            ),
            twice as (select {keys} from judged group by {keys} having count(*) > 1),
            ranked as (
                select _row, row_number() over (partition by {keys} order by {ordered}, _row) as place
                from judged where exists (select 1 from twice where {same})
            )
            select _row, {literal(rule.id)} from ranked where place > 1
        """)


def _move(candidate: Candidate, table: str, present: tuple[str, ...], identity: str, before: str) -> None:
    """Rewrite the quarantine table and take the failing rows out of the candidate."""
    con, source = candidate.con, candidate.table(table)
    types = {"load_id": "varchar", "source_file": "varchar", "source_row": "bigint"}
    origin = ", ".join(
        f"cast({quoted(name) if name in present else 'null'} as {types[name]}) as _{name}" for name in ORIGIN
    )
    columns = ", ".join(quoted(name) for name in present)
    con.execute(
        f"create or replace table {candidate.table(f'{table}_quarantine')} as {before}"
        f"select {columns}, _failing._rule_ids, {origin}, {literal(identity)} as _candidate "
        f"from {source} as judged join _failing on judged.rowid = _failing._row"
    )
    con.execute(f"delete from {source} where rowid in (select _row from _failing)")


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _by_rule(con: duckdb.DuckDBPyConnection, source: str) -> dict[str, int]:
    rows = con.execute(
        f"select rule, count(*) from (select unnest(string_split(_rule_ids, ',')) as rule from {source}) "
        "group by rule order by rule"
    ).fetchall()
    return {str(rule): int(count) for rule, count in rows}
