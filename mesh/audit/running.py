"""The audit itself: measure every rule of a contract on one snapshot and judge what was seen."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import duckdb

from mesh.audit.candidate import Candidate
from mesh.audit.measured import Measured
from mesh.audit.measuring import measure_table
from mesh.audit.results import Audit, Quarantined, RuleResult, Status, verdict_of
from mesh.contract.model import Contract, Rule


def audit(
    con: duckdb.DuckDBPyConnection,
    contract: Contract,
    *,
    domain_schema: str,
    snapshot: int,
    catalog: str = "lake",
    inputs: str = "inputs",
    now: datetime,
    quarantined: Mapping[str, Quarantined] | None = None,
    extra_results: Iterable[RuleResult] = (),
) -> Audit:
    """Hold a contract against its candidate at one snapshot. Reads only; writes nothing.

    Args:
        con: a connection to which `catalog` is attached, and `inputs` where a relationship leaves the product.
        domain_schema: the schema of the build tables, such as `claims_build`.
        snapshot: the lake snapshot that is read, and nothing newer.
        now: the time freshness is judged against (UTC, naive).
        quarantined: what `quarantine` returned for this candidate.
        extra_results: results of rules from elsewhere, such as consumers'; they count for the verdict.
    """
    started = time.perf_counter()
    # An own cursor, so that a rule the engine refuses does not spoil a transaction of the caller.
    candidate = Candidate(con.cursor(), domain_schema, snapshot, catalog, inputs)
    aside = quarantined or {}
    rows: dict[str, int] = {}
    results: list[RuleResult] = []
    for table in contract.tables:
        count, measured = measure_table(candidate, contract, table, now)
        if count is not None:
            rows[table.name] = count
        results += [judge(rule, measured[rule.id], aside.get(table.name)) for rule in table.rules]
    results += extra_results
    return Audit(
        id=uuid.uuid4().hex,
        product=contract.name,
        contract_id=contract.id,
        contract_version=contract.version,
        contract_hash=contract.hash,
        snapshot=snapshot,
        verdict=verdict_of(tuple(results)),
        results=tuple(results),
        rows=rows,
        quarantined={name: entry.quarantined for name, entry in aside.items() if entry.quarantined},
        at=now,
        seconds=round(time.perf_counter() - started, 4),
    )


def judge(rule: Rule, seen: Measured, aside: Quarantined | None = None) -> RuleResult:
    """Hold what a rule saw against its threshold and say so in a sentence."""
    observed: int | float | None = None
    failing = seen.failing
    if seen.error is not None:
        status: Status = "error"
        message = f"The rule could not be run: {seen.error}."
    elif seen.passed is not None:
        observed = failing
        status, message = _status(seen.passed), f"{seen.detail}."
    elif failing is not None:
        rows = seen.rows or 0
        share = Fraction(100 * failing, rows) if rows else Fraction(0)
        percent = rule.threshold.unit == "percent"
        observed = float(share) if percent else failing
        status = _status(rule.threshold.accepts(share if percent else failing))
        message = f"{counted(failing)} of {rows:,} failed ({float(share):.3g} %); the number {rule.threshold}."
    elif rule.kind in ("freshness", "retention"):
        observed = _plain(seen.number)
        # Of no rows none is too old; but nothing fresh came either.
        none_held = observed is None and rule.kind == "retention"
        status = _status(none_held or (observed is not None and observed <= rule.arguments["seconds"]))
        allowed = timedelta(seconds=rule.arguments["seconds"])
        end = "newest" if rule.kind == "freshness" else "oldest"
        age = "there is no value" if observed is None else f"the {end} is {timedelta(seconds=round(observed))} old"
        message = f"Of {counted(seen.rows or 0)} {age}; allowed is {allowed}."
    else:
        observed = _plain(seen.number)
        status = _status(observed is not None and rule.threshold.accepts(_exact(seen.number)))
        value = "no value" if observed is None else f"{observed:,}"
        message = (
            f"{seen.detail[:1].upper()}{seen.detail[1:]}."
            if seen.detail
            else f"Seen: {value}; the number {rule.threshold}."
        )
    if aside is not None and rule.action == "quarantine":
        status, message = _with_quarantine(rule, status, message, aside)
    return RuleResult(
        rule_id=rule.id,
        table=rule.table,
        columns=rule.columns,
        kind=rule.kind,
        severity="error" if aside is not None and aside.refused and rule.action == "quarantine" else rule.severity,
        action=rule.action,
        status=status,
        observed=observed,
        failing_rows=failing,
        rows=seen.rows,
        description=rule.description,
        message=message,
        dimension=rule.dimension,
    )


def _status(passed: bool) -> Status:
    return "passed" if passed else "failed"


def _with_quarantine(rule: Rule, status: Status, message: str, aside: Quarantined) -> tuple[Status, str]:
    moved = aside.by_rule.get(rule.id, 0)
    if aside.refused and moved:
        return "failed", f"{message} Too many rows fail to put them aside, so none was quarantined."
    return status, f"{message} Quarantined before: {counted(moved)}." if moved else message


def counted(rows: int) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{rows:,} row" + ("" if rows == 1 else "s")


def _plain(number: int | float | Decimal | None) -> int | float | None:
    if number is None or (isinstance(number, float) and not math.isfinite(number)):
        return None
    return float(number) if isinstance(number, Decimal) else number


def _exact(number: int | float | Decimal | None) -> Fraction:
    return Fraction(str(number))
