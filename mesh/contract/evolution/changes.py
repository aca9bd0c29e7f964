"""A change between two texts of a contract, and how grave it is.

A contract is a promise about what is published. What makes the promise weaker (*loosens*) hurts consumers, who relied
on it; what makes it stronger (*tightens*) can only hurt the producer, whose data must now keep it. What cannot be put
in an order, such as another pattern, counts as both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Grade = Literal["patch", "minor", "major"]
GRADES: tuple[Grade, ...] = ("patch", "minor", "major")

Direction = Literal["tightens", "loosens", "replaces", "adds", "removes", "says"]
"""`replaces`: neither weaker nor stronger; `says`: words for people, no promise."""

Hurts = Literal["consumers", "producer", "nobody"]


@dataclass(frozen=True)
class Change:
    """One change of a contract.

    Attributes:
        place: where it stands: `claims.amount`, the id of a rule, `slaProperties.freshness`.
        what: the sentence a user sees.
        columns: the columns it is about, as `table.column`; empty where it is about a table or the whole product.
        tables: the tables it is about; empty where it is about the whole product.
        rule: the id of the rule in the older text, where it is about a rule.
    """

    place: str
    what: str
    direction: Direction
    grade: Grade
    hurts: Hurts
    columns: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    rule: str | None = None


def gravest(changes: Iterable[Change]) -> Grade | None:
    """The highest grade, or None where nothing changed."""
    grades = {change.grade for change in changes}
    return next((grade for grade in reversed(GRADES) if grade in grades), None)


def hurting(direction: Direction) -> Hurts:
    """Whom a change of a promise hurts."""
    if direction == "says":
        return "nobody"
    return "consumers" if direction in ("loosens", "replaces", "removes") else "producer"


def graded(direction: Direction) -> Grade:
    """The grade of a change of a promise: what can break a consumer is major."""
    if direction == "says":
        return "patch"
    return "major" if direction in ("loosens", "replaces", "removes") else "minor"


def together(directions: Iterable[Direction]) -> Direction | None:
    """Several changes of one promise as one; None where there is none."""
    found = set(directions)
    if not found:
        return None
    return found.pop() if len(found) == 1 else "replaces"
