"""Everything else a contract says: words for people, told as patches so that no change stays unnamed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from mesh.contract.evolution.changes import Change
from mesh.contract.model import Contract

NAMES = ("name", "id", "property", "role", "username", "url", "metric", "type")
"""What an entry of a list is called by, the first that it has."""

# Compared as promises elsewhere.
ELSEWHERE = re.compile(
    r"(apiVersion|version|status)"
    r"|schema\[[^]]*\]\.(name|physicalName|customProperties\[(action|severity|purposes)\].*)"
    r"|schema\[[^]]*\](\.properties\[[^]]*\]|\.items)*\.relationships\[[^]]*\]\.(type|to|from|customProperties\[(action|severity|majorVersion)\].*)"
    r"|schema\[[^]]*\](\.properties\[[^]]*\]|\.items)+\."
    r"(name|physicalName|logicalType|physicalType|required|unique|primaryKey|primaryKeyPosition|classification"
    r"|logicalTypeOptions\..*|enum.*|customProperties\[(action|severity|purposes)\].*)"
    r"|slaProperties\[[^]]*\]\.(property|value|valueExt|unit|element)"
    r"|roles\[[^]]*\]\.(role|access|customProperties\[clearance\].*)"
    r"|customProperties\[(quarantineLimitPercent|freshnessSeverity|retentionSeverity|availabilityWindowDays|purposes)\].*"
)
RULE_WORDS = ("description", "businessImpact", "tags", "authoritativeDefinitions", "schedule", "scheduler")


# Where such an entry came or went, that is the change; its words are no change of their own.
ENTRY = re.compile(r"(schema|properties|rules|relationships|slaProperties|roles)\[[^]]*\]")


def word_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Changes that no promise is made of, one per place."""
    before, after = (dict(_leaves(_plain(contract))) for contract in (old, new))
    entries = set(_entries(before)) & set(_entries(after))
    told = set()
    for place in [*before, *(place for place in after if place not in before)]:
        if before.get(place) == after.get(place) or ELSEWHERE.fullmatch(place):
            continue
        part = _part(place)
        if part in told or any(entry not in entries for entry in _entries([place])):
            continue
        told.add(part)
        what = "said newly" if place not in before else "no longer said" if place not in after else "said otherwise"
        yield Change(part, what, "says", "patch", "nobody")


def _entries(places: Iterable[str]) -> Iterator[str]:
    """The tables, columns, rules, levels and roles that places lie in, as far as their own name."""
    for place in places:
        for match in ENTRY.finditer(place):
            yield place[: match.end()]


def _plain(contract: Contract) -> dict[str, Any]:
    plain: dict[str, Any] = _without_rules(contract.odcs.model_dump(by_alias=True, exclude_none=True))
    return plain


def _without_rules(value: Any) -> Any:
    """The same without what a rule tests: the words of rules that are executed stand under `rules`."""
    if isinstance(value, list):
        return [_without_rules(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    found = {key: _without_rules(inner) for key, inner in value.items() if key != "quality"}
    entries = value.get("quality") or []
    return {
        **found,
        "quality": [entry for entry in entries if not _executed(entry)],
        "rules": [{key: entry[key] for key in (*NAMES, *RULE_WORDS) if key in entry}
                  for entry in entries if _executed(entry)],
    }  # fmt: skip


def _executed(entry: dict[str, Any]) -> bool:
    return entry.get("type", "library") in ("library", "sql") or entry.get("engine") == "greatExpectations"


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        seen: dict[str, int] = {}
        for entry in value:
            name = _name(entry)
            seen[name] = seen.get(name, 0) + 1
            yield from _leaves(entry, f"{place}[{name}{'' if seen[name] == 1 else ' ' + str(seen[name])}]")
    elif value not in ([], {}):
        yield place, value


def _name(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    return next((re.sub(r"[\[\].]", " ", str(entry[key])) for key in NAMES if entry.get(key)), "")


def _part(place: str) -> str:
    """The place as people read it: `schema[claims].properties[amount].description` is `claims.amount.description`."""
    match = re.fullmatch(r"schema\[([^]]*)\]((?:\.properties\[[^]]*\]|\.items)*)\.?(.*)", place)
    if match is None:
        return place
    columns = re.sub(r"\.properties\[([^]]*)\]", r".\1", match[2]).replace(".items", "[]")
    return match[1] + columns + (f".{match[3]}" if match[3] else "")
