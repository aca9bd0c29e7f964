"""Reading failing rows from the lake: only columns that the reader is cleared for ever leave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mesh.access.clearance import OPEN, Role, classified, covers
from mesh.audit import (
    PLACE,
    PLACE_ASIDE,
    Audit,
    Candidate,
    RuleError,
    RuleResult,
    failing_rows,
    judges_rows,
    put_aside,
    rows_aside,
)
from mesh.contract.model import Contract, Rule
from mesh.failures.shapes import MASK, FailingRow, Finding, State

WHOLE_TABLE = "It judges the table as a whole: no single row fails it."
CHANGED = "The contract has changed since this audit; `mesh run --select {}` audits anew."
NOT_RUN = "The rule could not be run, so no rows are known."
NAMELESS = "Its rows cannot be told apart here: no key that may be shown, and the table does not keep file and row."


@dataclass(frozen=True)
class Reader:
    """Reads the rows of one audit.

    Attributes:
        candidate: the build tables at the audit's snapshot.
        contract: the contract as it is now; its classifications decide what is shown.
        role: as what somebody looks, None where no values are asked for.
        limit: rows of one rule, at most.
    """

    candidate: Candidate
    contract: Contract
    audit: Audit
    role: Role | None
    limit: int

    def findings(self, rule: str | None) -> list[Finding]:
        """Every rule that did not pass or put rows aside, or only this one."""
        aside: dict[str, tuple[str, int]] = {}
        for table in self.contract.tables:
            for rule_id, number in put_aside(self.candidate, table.name).items():
                aside[rule_id] = (table.name, number)
        found = []
        for result in self.audit.results:
            _, quarantined = aside.pop(result.rule_id, ("", 0))
            if rule in (None, result.rule_id) and (quarantined or not result.passed):
                found.append(self._finding(result, quarantined))
        for rule_id, (table_name, quarantined) in aside.items():
            # An audit that was made again under a newer contract no longer knows what was put aside before.
            if rule in (None, rule_id):
                said = "Put aside under an earlier text of the contract."
                rows = self._aside(table_name, rule_id, self.limit)
                found.append(Finding(rule_id, table_name, "warning", "passed", None, quarantined, 0, said, rows))
        return found

    def _finding(self, result: RuleResult, quarantined: int) -> Finding:
        rows: tuple[FailingRow, ...] = ()
        note = None
        if not result.passed:
            rows, note = self._failing(result)
        if quarantined:
            rows += self._aside(result.table, result.rule_id, self.limit - len(rows))
        return Finding(
            rule=result.rule_id,
            table=result.table,
            severity=result.severity,
            status=result.status,
            failing=result.failing_rows,
            quarantined=quarantined,
            rejected=0,
            said=result.message,
            rows=rows,
            note=note,
        )

    def _failing(self, result: RuleResult) -> tuple[tuple[FailingRow, ...], str | None]:
        """Failing rows of the candidate, or why there are none to tell."""
        if result.status == "error":
            return (), NOT_RUN
        rule = self._rule(result.rule_id)
        if rule is None or not judges_rows(rule):
            return (), WHOLE_TABLE
        if self.audit.contract_hash != self.contract.hash:
            return (), CHANGED.format(self.contract.name)
        present = self.candidate.columns(result.table) or {}
        telling = self._telling(result.table, rule, present, [name for name in PLACE if name in present])
        if not telling.columns:
            return (), NAMELESS
        try:
            found = failing_rows(
                self.candidate.con,
                self.contract,
                rule,
                domain_schema=self.candidate.domain_schema,
                snapshot=self.audit.snapshot,
                catalog=self.candidate.catalog,
                inputs=self.candidate.inputs,
                limit=self.limit,
                columns=telling.columns,
            ).fetchall()
        except RuleError as error:
            return (), f"{str(error)[:1].upper()}{str(error)[1:]}."
        return tuple(telling.row(rule.id, "failing", record) for record in found), None

    def _aside(self, table: str, rule_id: str, limit: int) -> tuple[FailingRow, ...]:
        """Rows that the rule put aside."""
        if limit < 1:
            return ()
        present = self.candidate.columns(f"{table}_quarantine") or {}
        telling = self._telling(table, self._rule(rule_id), present, PLACE_ASIDE)
        found = rows_aside(self.candidate, table, rule_id, columns=telling.columns, limit=limit).fetchall()
        return tuple(telling.row(rule_id, "quarantined", record) for record in found)

    def _rule(self, rule_id: str) -> Rule | None:
        return next((rule for rule in self.contract.rules if rule.id == rule_id), None)

    def _telling(self, name: str, rule: Rule | None, present: Mapping[str, str], places: Sequence[str]) -> _Telling:
        """What is told of a row; file and row are always told, so they count neither as key nor as value."""
        table = self.contract.table(name)
        keys = [key for key in table.primary_key if key not in PLACE and key in present]
        judged = [column for column in (rule.columns if rule else ()) if column in present]
        values = [column for column in judged if column not in (*keys, *PLACE)] if self.role else []
        clearance = self.role.clearance if self.role else OPEN

        def cleared(columns: Sequence[str]) -> list[str]:
            return [column for column in columns if covers(clearance, classified(table.column(column)))]

        columns = (*cleared(keys), *places, *cleared(values))
        return _Telling(name, tuple(keys), tuple(values), tuple(places), columns)


@dataclass(frozen=True)
class _Telling:
    """What is told of the rows of one rule.

    Attributes:
        keys, values: columns that a row shows, in the clear or masked.
        places: where the table keeps file and row; none, one or both.
        columns: what is read: the places, and the keys and values that the reader is cleared for.
    """

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    places: tuple[str, ...]
    columns: tuple[str, ...]

    def row(self, rule: str, state: State, record: Sequence[Any]) -> FailingRow:
        given = dict(zip(self.columns, record, strict=True))
        origin = {name.removeprefix("_"): given[name] for name in self.places}
        return FailingRow(
            table=self.table,
            rule=rule,
            state=state,
            key={name: given.get(name, MASK) for name in self.keys},
            source_file=origin.get("source_file"),
            source_row=origin.get("source_row"),
            values={name: given.get(name, MASK) for name in self.values},
        )
