"""A contract of the standard that was not written for a mesh, as a draft of one that was.

Names are written as the mesh writes them, here and wherever the file refers to them; what the mesh cannot publish is
left out and told.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from mesh.contract.exchange.importing import mesh_name
from mesh.contract.loading import SEMVER
from mesh.contract.older import OLDER_VERSIONS
from mesh.contract.types import logical_type_of

NO_COLUMNS = "left out. A table without columns cannot be published."


def draft_of(data: dict[str, Any], domain: str, product: str, table: str | None, told: list[str]) -> dict[str, Any]:
    """A draft for `domain/product` of a contract that is valid by the standard.

    Args:
        table: take only the table of this name.
        told: takes what of the file is otherwise in the draft, or not in it.
    """
    draft = copy.deepcopy(data)
    if draft["apiVersion"] in OLDER_VERSIONS:
        draft["apiVersion"] = "v3.1.0"
    if not SEMVER.fullmatch(str(draft["version"])):
        told.append(f"version: {draft['version']} is no semantic version; 0.1.0 is taken")
        draft["version"] = "0.1.0"
    draft |= {"status": "draft", "domain": domain, "dataProduct": product}
    draft["schema"] = list(_tables(draft.get("schema") or [], table, told))
    for level in draft.get("slaProperties") or ():
        if isinstance(level.get("element"), str):
            level["element"] = ", ".join(_reference(part.strip()) for part in level["element"].split(","))
    return draft


def _tables(given: list[dict[str, Any]], wanted: str | None, told: list[str]) -> Iterator[dict[str, Any]]:
    for table in given:
        if wanted not in (None, table["name"]):
            continue
        if not table.get("properties"):
            told.append(f"{table['name']}: {NO_COLUMNS}")
            continue
        table["name"] = mesh_name(table["name"], told)
        _refer(table)
        for column in table["properties"]:
            _column(column, table["name"], told)
        yield table


def _column(given: dict[str, Any], place: str, told: list[str]) -> None:
    if "name" in given:
        given["name"] = mesh_name(given["name"], told)
    place = f"{place}.{given.get('name', 'items')}"
    if "logicalType" not in given and logical_type_of(given.get("physicalType")) is None:
        told.append(f"{place}: the type {given.pop('physicalType', None) or 'none'} is taken as string")
        given["logicalType"] = "string"
    _refer(given)
    inside = given.get("map") or {}
    for inner in (
        *given.get("properties", ()),
        *filter(None, (given.get("items"), inside.get("key"), inside.get("value"))),
    ):
        _column(inner, place, told)


def _refer(part: dict[str, Any]) -> None:
    """What a table or column says of other columns, by the names that these have now."""
    for relation in part.get("relationships") or ():
        for end in ("from", "to"):
            named = relation.get(end)
            if isinstance(named, str):
                relation[end] = _reference(named)
            elif isinstance(named, list):
                relation[end] = [_reference(one) for one in named]
    for rule in part.get("quality") or ():
        arguments = rule.get("arguments") or {}
        if isinstance(arguments.get("properties"), list):
            arguments["properties"] = [mesh_name(str(one), []) for one in arguments["properties"]]


def _reference(text: str) -> str:
    """`Orders.orderId` as `orders.order_id`; one by the ids of the standard, which stay, as it is."""
    return text if "/" in text else ".".join(mesh_name(part, []) for part in text.split("."))
