"""What a listing of failing rows says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from mesh.access.clearance import Role
from mesh.audit.results import Status, Verdict
from mesh.contract.model import Severity

State = Literal["failing", "quarantined", "rejected"]

MASK = "***"
"""Stands for a value that the reader is not cleared for."""


@dataclass(frozen=True)
class FailingRow:
    """One row that fails one rule.

    Attributes:
        state: `failing` rows are in the candidate, `quarantined` ones were put aside, `rejected` records could not be
            read from their file.
        key: primary key columns, MASK where the reader is not cleared.
        source_file, source_row: where it was delivered, None where the table does not say.
        reason: why a record was rejected.
        values: the columns the rule judges, MASK where the reader is not cleared; empty without a role.
    """

    table: str
    rule: str
    state: State
    key: Mapping[str, Any] = field(hash=False)
    source_file: str | None
    source_row: int | None
    reason: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Finding:
    """One rule that did not pass or put rows aside, with some of its rows.

    Attributes:
        status: how the audit judged it; `passed` where only quarantined rows are told.
        failing: failing rows that the audit counted, None where the rule judges no rows.
        quarantined, rejected: rows put aside, and records that could not be read.
        said: the sentence of the audit.
        rows: at most as many as were asked for, failing ones first.
        note: why there are no rows, or None.
    """

    rule: str
    table: str
    severity: Severity
    status: Status
    failing: int | None
    quarantined: int
    rejected: int
    said: str
    rows: tuple[FailingRow, ...]
    note: str | None = None

    @property
    def total(self) -> int:
        """All its rows, told or not; none where the rule judges the whole table."""
        return (self.failing or 0 if self.note is None else 0) + self.quarantined + self.rejected


@dataclass(frozen=True)
class Failures:
    """The failing rows of a product's last audit.

    Attributes:
        at: when the audit was made (UTC, naive).
        role: as what the reader looked, None where no values were asked for.
        roles: who could see values.
    """

    product: str
    snapshot: int
    contract_version: str
    verdict: Verdict
    at: datetime
    role: Role | None
    roles: tuple[Role, ...]
    findings: tuple[Finding, ...]
