"""Audits: a contract's rules, run on one pinned snapshot of a candidate, and the rows put aside before."""

from mesh.audit.candidate import Candidate, RuleError, safe_message
from mesh.audit.custom import check_expectations, refused_expectations
from mesh.audit.failing import PLACE, PLACE_ASIDE, failing_rows, judges_rows, put_aside, rows_aside
from mesh.audit.quarantine import quarantine
from mesh.audit.results import Audit, Quarantined, RuleResult
from mesh.audit.running import audit, judge

__all__ = [
    "PLACE",
    "PLACE_ASIDE",
    "Audit",
    "Candidate",
    "Quarantined",
    "RuleError",
    "RuleResult",
    "audit",
    "check_expectations",
    "failing_rows",
    "judge",
    "judges_rows",
    "put_aside",
    "quarantine",
    "refused_expectations",
    "rows_aside",
    "safe_message",
]
