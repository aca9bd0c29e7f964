"""Who may see which column: the order of classifications, and the roles a contract names.

    public < internal < confidential < restricted

A column without a classification, or with a word of its own, counts as restricted: what nobody has looked at is not
shown by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import UsageError

if TYPE_CHECKING:
    from mesh.contract.model import Contract

LEVELS = ("public", "internal", "confidential", "restricted")
OPEN = "internal"
"""What is shown without a role."""

READING = ("read", "write")


@dataclass(frozen=True)
class Role:
    """A role of a contract that may read values: up to its clearance, which is one of LEVELS."""

    name: str
    clearance: str


def covers(clearance: str, classification: str | None) -> bool:
    """True where a clearance (one of LEVELS) is enough for a column of this classification."""
    wanted = (classification or "").strip().lower()
    level = LEVELS.index(wanted) if wanted in LEVELS else len(LEVELS) - 1
    return LEVELS.index(clearance) >= level


def roles(contract: Contract) -> tuple[Role, ...]:
    """The roles of a contract that may read values: `access: read` or `write`, and a `clearance` that is in order."""
    found = []
    for given in contract.odcs.roles or ():
        custom = {entry.property: entry.value for entry in given.customProperties or ()}
        clearance = str(custom.get("clearance", "")).strip().lower()
        if given.role and given.access in READING and clearance in LEVELS:
            found.append(Role(given.role, clearance))
    return tuple(found)


def find_role(contract: Contract, name: str) -> Role:
    """The role of this name.

    Raises:
        UsageError: the contract names no such role; the message lists what it names.
    """
    named = roles(contract)
    for role in named:
        if role.name == name:
            return role
    allowed = ", ".join(f"{role.name} (up to {role.clearance})" for role in named)
    if not allowed:
        raise UsageError(
            f"The contract of {contract.name} names no role that may read values: one with `access: read` or `write` "
            f"and a custom property `clearance`, which is one of {', '.join(LEVELS)}."
        )
    raise UsageError(f"The contract of {contract.name} names no role {name!r} that may read values. Allowed: {allowed}")
