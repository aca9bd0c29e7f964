"""Changes of the rules of one table: which promises are new, gone, weaker or stronger."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mesh.contract.evolution.changes import Change, Direction, graded, hurting, together
from mesh.contract.evolution.ranges import threshold_direction
from mesh.contract.model import Rule
from mesh.contract.nested import spelled

LOWER = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
UPPER = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
TYPES = ("logicalType", "physicalType", "readAs")
# Told elsewhere: columns and types one by one, ages with the service levels.
ELSEWHERE = ("schema", "freshness", "retention")
SAYS: Mapping[Direction, str] = {
    "tightens": "is stricter", "loosens": "is weaker", "replaces": "asks for something else",
}  # fmt: skip


def rule_changes(old: Sequence[Rule], new: Sequence[Rule], kept: Collection[str]) -> Iterator[Change]:
    """Changes of rules, where the columns of both still exist.

    Args:
        kept: columns and their inside that both texts have; rules of what came or went are told by that.
    """
    before = {rule.id: rule for rule in old if _told(rule, kept)}
    after = {rule.id: rule for rule in new if _told(rule, kept)}
    renamed = dict(_renamed(before, after))
    for name, rule in before.items():
        other = after.get(renamed.get(name, name))
        if other is None:
            yield _change(rule, "removes", f"the rule is gone: {_bare(rule)}")
            continue
        if name in renamed:
            yield _words(rule, f"the rule is now called {other.id}")
        yield from _moved(rule, other)
    known = before.keys() | renamed.values()
    for name, rule in after.items():
        if name not in known:
            yield _change(rule, "adds", f"a new rule: {_bare(rule)}")


def _told(rule: Rule, kept: Collection[str]) -> bool:
    if rule.kind in ELSEWHERE:
        return False
    if rule.path:
        return spelled(rule.columns[0], rule.path) in kept
    return all(column in kept for column in rule.columns)


def _renamed(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> Iterator[tuple[str, str]]:
    """Rules that only have another name."""
    left = {name: rule for name, rule in after.items() if name not in before}
    for name, rule in before.items():
        if name in after:
            continue
        for other, candidate in left.items():
            if replace(candidate, id=rule.id, description=rule.description) == rule and _same(rule, candidate):
                yield name, other
                del left[other]
                break


def _same(old: Rule, new: Rule) -> bool:
    return dict(old.arguments) == dict(new.arguments)


def _moved(old: Rule, new: Rule) -> Iterator[Change]:
    if old.severity != new.severity:
        weaker = new.severity == "warning"
        what = "only warns now" if weaker else "stops a release now"
        direction: Direction = "loosens" if weaker else "tightens"
        yield Change(old.id, f"the rule {what}: {_bare(old)}", direction, graded(direction), hurting(direction),
                     _columns(old), (_table(old),), old.id)  # fmt: skip
    if old.action != new.action:
        # Rows that fail are not published either way, but quarantined rows are missing.
        aside = new.action == "quarantine"
        what = "puts failing rows aside now, so they are missing" if aside else "stops a release now"
        yield Change(old.id, f"the rule {what}: {_bare(old)}", "loosens" if aside else "tightens", "minor",
                     "consumers" if aside else "producer", _columns(old), (_table(old),), old.id)  # fmt: skip
    moved = together(_directions(old, new))
    if moved is not None:
        yield _change(old, moved, f"the rule {SAYS[moved]}: {_said(old, new)}", both=new)
    elif old.dimension != new.dimension:
        yield _words(old, f"the rule counts for {new.dimension or 'no dimension'} now")


def _said(old: Rule, new: Rule) -> str:
    """Both sentences; where a rule's own words stayed, its numbers."""
    if old.description != new.description:
        return f"{_bare(old)} -> {_bare(new)}"
    if old.threshold != new.threshold:
        return f"{_bare(old)} ({old.threshold} -> {new.threshold})"
    return _bare(old)


def _bare(rule: Rule) -> str:
    return rule.description.rstrip(".")


def _directions(old: Rule, new: Rule) -> Iterator[Direction]:
    if old.kind != new.kind or old.columns != new.columns:
        yield "replaces"
        return
    threshold = threshold_direction(old, new)
    if threshold is not None:
        yield threshold
    before = {name: value for name, value in old.arguments.items() if name not in TYPES}
    after = {name: value for name, value in new.arguments.items() if name not in TYPES}
    for name in before.keys() | after.keys():
        direction = _argument(name, before.get(name), after.get(name))
        if direction is not None:
            yield direction


def _argument(name: str, old: Any, new: Any) -> Direction | None:
    if old == new:
        return None
    if name == "query":
        return None if _flat(old) == _flat(new) else "replaces"
    if old is None or new is None:
        # Of two tests in one rule, such as a list and a pattern, one came or went.
        return "tightens" if old is None else "loosens"
    if name in LOWER or name in UPPER:
        return _bound(old, new, upper=name in UPPER)
    if name in ("validValues", "missingValues"):
        return _listed(old, new, valid=name == "validValues")
    if name == "multipleOf":
        return "tightens" if _divides(old, new) else "loosens" if _divides(new, old) else "replaces"
    return "replaces"


def _bound(old: Any, new: Any, *, upper: bool) -> Direction:
    # Dates and times are ISO text, which sorts as they do.
    higher = new > old if isinstance(old, int | float) == isinstance(new, int | float) else None
    if higher is None:
        return "replaces"
    return "loosens" if higher == upper else "tightens"


def _listed(old: Sequence[Any], new: Sequence[Any], *, valid: bool) -> Direction | None:
    before, after = {repr(value) for value in old}, {repr(value) for value in new}
    if before == after:
        return None
    if after < before:
        return "tightens" if valid else "loosens"
    if after > before:
        return "loosens" if valid else "tightens"
    return "replaces"


def _divides(step: float, other: float) -> bool:
    from fractions import Fraction

    return (Fraction(str(other)) / Fraction(str(step))).denominator == 1


def _flat(query: Any) -> str:
    return " ".join(str(query).split())


def _columns(rule: Rule) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{_table(rule)}.{column}" for column in rule.columns))


def _table(rule: Rule) -> str:
    """The table as the contract calls it; that of an older major is built under another name."""
    return rule.id.partition(".")[0]


def _change(rule: Rule, direction: Direction, what: str, *, both: Rule | None = None) -> Change:
    """A rule that only warns promises nothing: whatever becomes of it is told, and breaks nobody."""
    promised = rule.severity == "error" and (both is None or both.severity == "error" or direction == "loosens")
    grade = graded(direction) if promised else "minor"
    hurts = hurting(direction) if promised else "nobody"
    return Change(rule.id, what, direction, grade, hurts, _columns(rule), (_table(rule),), rule.id)


def _words(rule: Rule, what: str) -> Change:
    return Change(rule.id, what, "says", "patch", "nobody", _columns(rule), (_table(rule),), rule.id)
