"""Releases: what was published, from what, checked by which audit, and how to go back.

A release is a view repointed to one lake snapshot, with its record in the same lake transaction.
"""

from mesh.release.admission import Base, at_revision, base_of, base_release, compared, refusal
from mesh.release.bookkeeping import (
    Build,
    RecordedAudit,
    failed_audits,
    find_audit,
    find_build,
    last_audit,
    last_audits,
    last_build,
    record_audit,
    record_build,
)
from mesh.release.history import History, read_history
from mesh.release.publish import audit_failed, publish, rollback
from mesh.release.record import InputRelease, Release, parse_reference
from mesh.release.retiring import hindrances, retire

__all__ = [
    "Base",
    "Build",
    "History",
    "InputRelease",
    "RecordedAudit",
    "Release",
    "at_revision",
    "audit_failed",
    "base_of",
    "base_release",
    "compared",
    "failed_audits",
    "find_audit",
    "find_build",
    "hindrances",
    "last_audit",
    "last_audits",
    "last_build",
    "parse_reference",
    "publish",
    "read_history",
    "record_audit",
    "record_build",
    "refusal",
    "retire",
    "rollback",
]
