"""What an audit saw: numbers and sentences, never a value of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from mesh.contract.model import Action, Severity

Status = Literal["passed", "failed", "error"]
Verdict = Literal["passed", "warned", "failed"]


@dataclass(frozen=True)
class RuleResult:
    """How one rule went on one snapshot.

    Attributes:
        status: `error` means that the rule itself could not be run; it counts as not passed.
        observed: the number the threshold was held against: failing rows, percent, row count, age in seconds, or what
            an sql rule gave; None where there was none.
        failing_rows: rows that fail, where the rule judges rows.
        rows: rows that the rule judged: those with a value, or all where missing values are what it is about.
    """

    rule_id: str
    table: str
    columns: tuple[str, ...]
    kind: str
    severity: Severity
    action: Action
    status: Status
    observed: int | float | None
    failing_rows: int | None
    rows: int | None
    description: str
    message: str
    dimension: str | None = None

    @property
    def passed(self) -> bool:
        return self.status == "passed"


@dataclass(frozen=True)
class Quarantined:
    """What `quarantine` did for one table.

    Attributes:
        rows: rows left in the candidate.
        quarantined: rows of this candidate that stand in the quarantine table, whichever call put them there.
        moved: rows that this call moved.
        by_rule: rule id to quarantined rows; a row that fails two rules counts for both, so the sum may exceed
            `quarantined`.
        refused: more rows fail than the contract lets be put aside, so none was moved.
    """

    table: str
    rows: int
    quarantined: int
    moved: int
    by_rule: Mapping[str, int] = field(hash=False)
    refused: bool = False


@dataclass(frozen=True)
class Audit:
    """A contract held against one snapshot of a candidate.

    Attributes:
        product: `domain/product`.
        rows: table to rows at the snapshot; a missing table is not in it.
        quarantined: table to rows put aside before.
        at: the reference time that freshness was judged against (UTC, naive).
    """

    id: str
    product: str
    contract_id: str
    contract_version: str
    contract_hash: str
    snapshot: int
    verdict: Verdict
    results: tuple[RuleResult, ...]
    rows: Mapping[str, int] = field(hash=False)
    quarantined: Mapping[str, int] = field(hash=False)
    at: datetime
    seconds: float

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The results that stop a release."""
        return tuple(result for result in self.results if not result.passed and result.severity == "error")

    @property
    def warned(self) -> tuple[RuleResult, ...]:
        """The results that are only told."""
        return tuple(result for result in self.results if not result.passed and result.severity == "warning")

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Audit:
        """The audit that `to_json` wrote.

        Raises:
            msgspec.ValidationError: the text is no audit.
        """
        return msgspec.json.decode(text, type=cls)


def verdict_of(results: tuple[RuleResult, ...]) -> Verdict:
    """One failed error rule fails the audit; failed warnings only warn."""
    broken = {result.severity for result in results if not result.passed}
    return "failed" if "error" in broken else "warned" if broken else "passed"
