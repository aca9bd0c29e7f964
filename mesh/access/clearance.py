"""Who may see which column: the order of classifications, and the roles a contract names.

    public < internal < confidential < restricted

A column without a classification, or with a word of its own, counts as restricted: what nobody has looked at is not
shown by mistake. A column is shown or masked whole, so it is as confidential as the most confidential thing inside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import UsageError

if TYPE_CHECKING:
    from mesh.contract.model import Column, Contract

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
    return LEVELS.index(clearance) >= _level(classification)


def classified(column: Column) -> str | None:
    """The classification that a column is handled by: its own, or that of a part of it at any depth, if stricter.

    A part that says nothing is as confidential as what it stands in.
    """
    return max((column.classification, *_inside(column)), key=_level)


def _inside(column: Column) -> Iterator[str]:
    for part in column.parts:
        if part.classification and part.classification.strip():
            yield part.classification
        yield from _inside(part)


def _level(classification: str | None) -> int:
    word = (classification or "").strip().lower()
    return LEVELS.index(word) if word in LEVELS else len(LEVELS) - 1


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
