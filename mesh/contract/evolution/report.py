"""A comparison told to people and to machines: text, Markdown for a review, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from mesh.contract.consumers import Consumer
from mesh.contract.evolution.changes import GRADES, Change, Grade, gravest
from mesh.contract.evolution.compare import compare
from mesh.contract.evolution.versions import Version, admitted
from mesh.contract.model import Contract

HEADINGS = {"major": "Breaking (major)", "minor": "Compatible (minor)", "patch": "Words (patch)"}


@dataclass(frozen=True)
class Affected:
    """A registered consumer, or a product made from this one, and the changes that hurt it."""

    name: str
    kind: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Difference:
    """Two texts of one contract compared.

    Attributes:
        product: `domain/product`.
        base: what the older text is: a release or a revision.
        needed: the gravest grade of all changes; None where only comments differ.
        admitted: whether the newer text's version admits them.
        least: the least version that does.
    """

    product: str
    base: str
    old_version: str
    new_version: str
    changes: tuple[Change, ...]
    affected: tuple[Affected, ...]
    needed: Grade | None
    admitted: bool
    least: str

    @property
    def verdict(self) -> str:
        """One sentence: what was found, and which version it needs."""
        step = "unchanged" if self.old_version == self.new_version else f"{self.old_version} -> {self.new_version}"
        if self.needed is None:
            return f"No change since {self.base} (version {step})."
        counts = ", ".join(
            f"{number} {grade}" for grade in reversed(GRADES) if (number := sum(c.grade == grade for c in self.changes))
        )
        found = f"Changes since {self.base}: {counts} (version {step})."
        if self.admitted:
            return found
        if Version.of(self.new_version) < Version.of(self.old_version):
            return f"{found} A version never goes back: at least {self.least}."
        return f"{found} The version must be at least {self.least}."

    def text(self) -> str:
        lines = [f"{self.product}: {self.verdict}"]
        for grade in reversed(GRADES):
            mine = [change for change in self.changes if change.grade == grade]
            lines += ["", HEADINGS[grade]] if mine else []
            lines += [f"  {change.place}: {change.what}" for change in mine]
        for one in self.affected:
            lines += ["", f"Hurts {one.kind} {one.name}"]
            lines += [f"  {change.place}: {change.what}" for change in one.changes]
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        lines = [f"### Contract of `{self.product}`", "", self.verdict]
        if self.changes:
            lines += ["", "| Grade | Where | What | Hurts |", "|---|---|---|---|"]
            lines += [
                f"| {change.grade} | {_cell(change.place, code=True)} | {_cell(change.what)} | {self._hurts(change)} |"
                for change in self.changes
            ]
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        return json.dumps({**asdict(self), "verdict": self.verdict}, indent=2)

    def _hurts(self, change: Change) -> str:
        named = [one.name for one in self.affected if change in one.changes]
        return _cell(", ".join(named) or ("" if change.hurts == "nobody" else change.hurts))


def difference(
    old: Contract, new: Contract, *, base: str, consumers: Iterable[Consumer] = (), products: Sequence[str] = ()
) -> Difference:
    """Compare two texts of a contract and name who is hurt.

    Args:
        base: what the older text is called, such as `release 3`.
        consumers: the registered consumers of the older text.
        products: products made from this one; they may rely on all of it.
    """
    changes = compare(old, new)
    needed = gravest(changes)
    hurtful = tuple(change for change in changes if change.hurts == "consumers")
    affected = [Affected(one.name, "consumer", tuple(c for c in hurtful if relies_on(one, c))) for one in consumers]
    affected += [Affected(name, "product", tuple(c for c in hurtful if c.grade == "major")) for name in products]
    before = Version.of(old.version)
    least = before if needed is None or needed == "patch" else before.next(needed)
    return Difference(
        product=new.name,
        base=base,
        old_version=old.version,
        new_version=new.version,
        changes=changes,
        affected=tuple(one for one in affected if one.changes),
        needed=needed,
        admitted=admitted(old.version, new.version, needed),
        least=str(least),
    )


def relies_on(consumer: Consumer, change: Change) -> bool:
    """Whether a change is about something the consumer relies on; one that names nothing relies on everything."""
    if not consumer.columns and not consumer.rules:
        return True
    if change.rule is not None and change.rule in consumer.rules:
        return True
    if change.columns:
        return bool(set(change.columns) & set(consumer.columns))
    if change.tables:
        return any(column.partition(".")[0] in change.tables for column in consumer.columns)
    return True


def _cell(text: str, *, code: bool = False) -> str:
    """Text in a Markdown table: no bar ends its cell, and no HTML is read."""
    safe = text.replace("|", "\\|").replace("\n", " ")
    return f"`{safe}`" if code else safe.replace("<", "&lt;")
