"""Changes of who may read a product, and of what for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from open_data_contract_standard.model import CustomProperty, Role

from mesh.access.clearance import LEVELS
from mesh.contract.evolution.changes import Change
from mesh.contract.model import Contract

PURPOSES = "purposes"


def access_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Changes of the roles that a contract names."""
    before, after = ({str(role.role): role for role in contract.odcs.roles or ()} for contract in (old, new))
    for name in before.keys() - after.keys():
        yield Change(f"roles.{name}", "the role is gone", "removes", "major", "consumers")
    for name in after.keys() - before.keys():
        yield Change(f"roles.{name}", "a new role", "adds", "minor", "nobody")
    for name in before.keys() & after.keys():
        yield from _role(name, before[name], after[name])


def _role(name: str, old: Role, new: Role) -> Iterator[Change]:
    place = f"roles.{name}"
    if old.access != new.access:
        less = new.access != "write"
        what = f"access {old.access} -> {new.access}"
        yield Change(place, what, "loosens" if less else "tightens", "major" if less else "minor",
                     "consumers" if less else "nobody")  # fmt: skip
    before, after = (str(_custom(role.customProperties).get("clearance", "")).lower() for role in (old, new))
    if before != after:
        less = _rank(after) < _rank(before)
        what = f"clearance {before or 'none'} -> {after or 'none'}"
        yield Change(place, what, "loosens" if less else "tightens", "major" if less else "minor",
                     "consumers" if less else "nobody")  # fmt: skip


def _rank(clearance: str) -> int:
    return LEVELS.index(clearance) if clearance in LEVELS else -1


def purpose_changes(old: Contract, new: Contract) -> Iterator[Change]:
    """Changes of the purposes that the product, its tables or its columns may be used for."""
    before, after = dict(_purposes(old)), dict(_purposes(new))
    for place in sorted(before.keys() | after.keys()):
        gone = before.get(place, frozenset()) - after.get(place, frozenset())
        come = after.get(place, frozenset()) - before.get(place, frozenset())
        columns = (place,) if "." in place else ()
        tables = (place.partition(".")[0],) if place else ()
        where = f"{place}.{PURPOSES}" if place else PURPOSES
        # Where nothing was said, every purpose was open: a first list takes the others away.
        first = place not in before
        if gone:
            what = f"no longer for {', '.join(sorted(gone))}"
            yield Change(where, what, "loosens", "major", "consumers", columns, tables)
        if come and first:
            what = f"only for {', '.join(sorted(come))} now"
            yield Change(where, what, "loosens", "minor", "consumers", columns, tables)
        elif come:
            what = f"also for {', '.join(sorted(come))}"
            yield Change(where, what, "tightens", "minor", "nobody", columns, tables)


def _purposes(contract: Contract) -> Iterator[tuple[str, frozenset[str]]]:
    """Purposes by the place that names them: empty for the product, `table`, `table.column`."""
    found: list[tuple[str, Mapping[str, Any]]] = [("", contract.custom)]
    for table in contract.tables:
        found.append((table.declared, table.custom))
        found += [(f"{table.declared}.{column.name}", column.custom) for column in table.columns]
    for place, custom in found:
        given = custom.get(PURPOSES)
        if given:
            yield place, frozenset(str(one) for one in (given if isinstance(given, list) else [given]))


def _custom(entries: list[CustomProperty] | None) -> dict[str, Any]:
    return {str(entry.property): entry.value for entry in entries or ()}
