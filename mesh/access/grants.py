"""Who may ask a service for what: permissions, the roles that hold them, and the bearer of a role.

One table for all services. A route names the permission it needs, a token names a role; nothing else joins the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mesh.errors import UsageError

PERMISSIONS: Mapping[str, str] = MappingProxyType(
    {
        "decide": "hand in a case and get its decision",
        "read_decision": "read an earlier decision and what it was made from",
        "insights": "ask what is known of an identifier",
        "outcomes": "return what a review found",
        "metrics": "read figures about the service itself",
    }
)
LOOKS = frozenset({"read_decision", "insights"})
"""Permissions whose every use is put on record before the answer leaves: they show what is known of somebody."""

OPEN = "open"
"""The permission of a route that needs no bearer: whether the service lives."""

ROLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "submitter": frozenset({"decide"}),
        "enquirer": frozenset({"insights"}),
        "reviewer": frozenset({"read_decision", "insights", "outcomes"}),
        "auditor": frozenset({"read_decision", "metrics"}),
        "operator": frozenset({"metrics"}),
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a bearer token stands for.

    Attributes:
        token: id of the token; no part of its secret.
        bearer: who holds it, by whoever issued it; None where that was not told.
        budget: callers of the same budget share one rate.
        expires: seconds since 1970 (UTC).
    """

    token: str
    role: str
    purpose: str
    bearer: str | None
    permissions: frozenset[str]
    budget: str
    expires: float


def permissions_of(role: str) -> frozenset[str]:
    """What a role may do.

    Raises:
        UsageError: no such role; the message lists all.
    """
    if role not in ROLES:
        allowed = "; ".join(f"{name} ({', '.join(sorted(held))})" for name, held in ROLES.items())
        raise UsageError(f"There is no role {role!r} at the services. Allowed: {allowed}.")
    return ROLES[role]
