"""The one scan of a table: every rule that can share it, after what the lake knows without reading.

First a query of ends (minima, maxima, rows), which DuckDB answers from the lake's statistics where they are exact, and
missing values from the catalog. Then one scan for all that these do not settle: failing rows, judged rows, keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from mesh.audit.candidate import Candidate, safe_message
from mesh.audit.keys import distinct, hashes_term, values
from mesh.audit.measured import Measured
from mesh.audit.statistics import missing_values
from mesh.contract.model import Rule
from mesh.contract.predicates import COMPARISONS, has_values, literal, quoted


def scan(candidate: Candidate, table: str, rules: Sequence[Rule], now: datetime) -> tuple[int, dict[str, Measured]]:
    """The rows of a table and what each rule saw; if the engine refuses one rule, each is tried alone to find which."""
    try:
        return _together(candidate, table, rules, now)
    except duckdb.Error as error:
        if not rules:
            raise
        if len(rules) == 1:
            rows, _ = _together(candidate, table, (), now)
            return rows, {rules[0].id: Measured(error=safe_message(error))}
    rows = 0
    seen: dict[str, Measured] = {}
    for rule in rules:
        rows, one = scan(candidate, table, [rule], now)
        seen |= one
    return rows, seen


def _together(
    candidate: Candidate, table: str, rules: Sequence[Rule], now: datetime
) -> tuple[int, dict[str, Measured]]:
    source = candidate.table(table)
    ends = _Terms()
    ends.add("count(*)")
    asked = {rule.id: ends.add(term) for rule in rules if (term := _end(rule)) is not None}
    known = ends.ask(candidate, source)
    rows = int(known[0])
    at_end = {rule_id: known[place] for rule_id, place in asked.items()}
    missing = missing_values(candidate, table, rows) if any(rule.columns for rule in rules) else {}

    hashes = rows * len({rule.columns for rule in rules if rule.kind == "duplicateValues"})
    terms = _Terms()
    places = {
        rule.id: (
            terms.add(_judged(rule, rows, missing)),
            terms.add(_failing(candidate, rule, missing, at_end, hashes)),
        )
        for rule in rules
    }
    numbers = terms.ask(candidate, source)
    seen: dict[str, Measured] = {}
    for rule in rules:
        judged, failing = (numbers[place] for place in places[rule.id])
        seen[rule.id] = _measured(candidate, rule, int(judged), failing, at_end.get(rule.id), now)
    return rows, seen


def _end(rule: Rule) -> str | None:
    """What may settle a rule without a scan: an end of its column, or whether one is beyond the rule's bound."""
    if rule.kind in ("freshness", "retention"):
        return f"epoch({'max' if rule.kind == 'freshness' else 'min'}({quoted(rule.columns[0])}))"
    if rule.kind in COMPARISONS and not rule.path:
        end = "min" if rule.kind in ("minimum", "exclusiveMinimum") else "max"
        bound = literal(rule.arguments[rule.kind], str(rule.arguments.get("logicalType", "string")))
        return f"{end}({quoted(rule.columns[0])}) {COMPARISONS[rule.kind]} {bound}"
    return None


def _judged(rule: Rule, rows: int, missing: Mapping[str, int]) -> str:
    """The number of rows that a rule judges, as a literal where it is known."""
    if rule.judges_nulls or not rule.columns or rule.kind in ("freshness", "retention"):
        return str(rows)
    gaps = [missing.get(column) for column in rule.columns]
    if len(gaps) == 1 and gaps[0] is not None:
        return str(rows - gaps[0])
    return str(rows) if not any(gap is None or gap for gap in gaps) else f"count(*) filter (where {_given(rule)})"


def _failing(
    candidate: Candidate, rule: Rule, missing: Mapping[str, int], at_end: Mapping[str, Any], hashes: int
) -> str:
    """The number of rows that fail a rule, as a literal where it is known; of a key, what tells whether any do."""
    if rule.kind == "duplicateValues":
        return hashes_term(rule.columns, hashes)
    if rule.kind == "relationship":
        # A query inside the scan: both run at once, and the faster one leaves no core idle.
        lost = f"{_given(rule)} and {candidate.unmatched(rule)}"
        return f"(select count(*) from {candidate.table(rule.table)} as judged where {lost})"
    if rule.kind == "nullValues" and not rule.path and rule.columns[0] in missing:
        return str(missing[rule.columns[0]])
    # An end that is not beyond the bound, or the end of no values at all, leaves no row that could be.
    settled = rule.id in at_end and not at_end[rule.id]
    predicate = None if settled or rule.kind in ("freshness", "retention") else rule.row_predicate
    return f"count(*) filter (where {predicate})" if predicate else "0"


def _measured(
    candidate: Candidate, rule: Rule, judged: int, failing: Any, end: float | None, now: datetime
) -> Measured:
    match rule.kind:
        case "rowCount":
            return Measured(number=judged, rows=judged)
        case "freshness" | "retention":
            return Measured(number=_age(end, rule, now), rows=judged)
        case "duplicateValues":
            twins = distinct(failing) != judged
            return Measured(failing=count(candidate, duplicates_query(candidate, rule)) if twins else 0, rows=judged)
        case _:
            return Measured(failing=int(failing), rows=judged)


def duplicates_query(candidate: Candidate, rule: Rule) -> str:
    """The number of rows whose key is not theirs alone; the keys themselves are compared."""
    keys = ", ".join(quoted(column) for column in rule.columns)
    groups = f"select count(*) as n from {candidate.table(rule.table)} where {_given(rule)} group by {keys}"
    return f"select coalesce(sum(n), 0) from ({groups} having count(*) > 1)"


def count(candidate: Candidate, query: str) -> int:
    """The one number that a query gives."""
    row = candidate.con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _given(rule: Rule) -> str:
    return has_values(rule.columns)


def _age(end: float | None, rule: Rule, now: datetime) -> float | None:
    """Seconds from the newest or oldest value to `now`; a date counts from its end, so that today is never late."""
    if end is None:
        return None
    if rule.arguments["logicalType"] == "date":
        end += 86399
    return max(now.replace(tzinfo=UTC).timestamp() - end, 0.0)


class _Terms:
    """The terms of one SELECT, each asked once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def add(self, term: str) -> int:
        return self._places.setdefault(term, len(self._places))

    def ask(self, candidate: Candidate, source: str) -> tuple[Any, ...]:
        """A value per term, in one row; the table is read only where a term is an aggregate of it."""
        if not self._places:
            return ()
        apart = all(term.isdigit() or term.startswith("(select") for term in self._places)
        names = ", ".join(f"{term} as t{place}" for term, place in self._places.items())
        asked = candidate.con.execute(f"select {names}" + ("" if apart else f" from {source}"))
        if any(term.startswith("list(") for term in self._places):
            return values(asked.to_arrow_table())
        row: tuple[Any, ...] | None = asked.fetchone()
        assert row is not None
        return row
