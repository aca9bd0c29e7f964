"""What is right by the letter and probably not meant: told by `mesh policy lint`, refused nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.decide.policy.definition import BLOCK, EVER, PolicyDefinition
from mesh.decide.policy.evaluation import Policy

if TYPE_CHECKING:
    from mesh.access.keys import KeyRing


@dataclass(frozen=True)
class Warned:
    """Something odd about a rule, list or part of a policy."""

    field: str
    what: str


def lint_policy(definition: PolicyDefinition, *, at: int, keyring: KeyRing | None = None) -> tuple[Warned, ...]:
    """Warnings about a policy that can be read.

    Args:
        at: now, microseconds since 1970, UTC.
        keyring: where given, tokens of lists are held against it.

    Raises:
        ProjectError: a list holds tokens of another key.
    """
    if keyring is not None:
        Policy(definition, keyring)
    return tuple(_warnings(definition, at))


def _warnings(definition: PolicyDefinition, at: int) -> Iterator[Warned]:
    if definition.random is None:
        what = "nothing is reviewed at random, so the model only ever learns about rows that it suspects already."
        yield Warned("random", what)
    used = {rule.listed.list for rule in definition.rules if rule.listed is not None}
    for name, one in definition.lists.items():
        if name not in used:
            yield Warned(f"lists.{name}", "no rule uses this list.")
        past = sum(period.end <= at for period in one.entries.values())
        if past:
            yield Warned(f"lists.{name}", f"{past} of {len(one.entries)} entries are past their end.")
    for rule in definition.rules:
        if rule.period.end <= at:
            yield Warned(rule.id, "its end is past, so it does nothing.")
        elif rule.action == BLOCK and rule.when is not None and rule.period.end == EVER[1]:
            yield Warned(rule.id, "it blocks by a condition and without an end (`until`).")
    read = {rule.when for rule in definition.rules if rule.when is not None}
    for name in definition.not_known:
        in_list = any(rule.listed is not None and rule.listed.column == name for rule in definition.rules)
        if not in_list and not any(name in when for when in read):
            yield Warned(f"not_known.{name}", "no rule reads this column.")
