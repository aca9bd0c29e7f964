"""Audits: a contract's rules, run on one pinned snapshot of a candidate, and the rows put aside before."""

from mesh.audit.failing import failing_rows
from mesh.audit.quarantine import quarantine
from mesh.audit.results import Audit, Quarantined, RuleResult
from mesh.audit.running import audit, judge

__all__ = ["Audit", "Quarantined", "RuleResult", "audit", "failing_rows", "judge", "quarantine"]
