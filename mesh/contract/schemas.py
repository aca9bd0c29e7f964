"""The JSON schemas of the Open Data Contract Standard.

That of v3.2.0 comes with the package of the standard. That of v3.1.0 is made from it by taking out what v3.2.0 brought,
so that a contract which says `apiVersion: v3.1.0` is one for every tool that reads v3.1.0.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

NEWEST = "v3.2.0"

# What v3.2.0 added, by definition of the schema; an empty name is the contract itself.
SINCE_3_2 = {
    "": ("context",),
    "SchemaElement": ("deprecated", "synonyms"),
    "SchemaObject": ("context",),
    "SchemaBaseProperty": ("semanticType", "enum"),
    "ServiceLevelAgreementProperty": ("customProperties", "authoritativeDefinitions"),
    "CustomProperty": ("vendor",),
    "RelationshipBase": ("id",),
}
TYPES_SINCE_3_2 = ("map", "vector")
SERVERS_SINCE_3_2 = (
    "btrieve", "exasol", "fastobjects", "hana", "iceberg", "ingres", "poet", "teradata", "vectorwise", "versant",
)  # fmt: skip
SERVER_KEYS_SINCE_3_2 = ("encoding", "workgroup")


@lru_cache(maxsize=2)
def schema(newest: bool) -> dict[str, Any]:
    """The JSON schema of v3.2.0, or that of v3.1.0."""
    from importlib.resources import files

    text = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    latest: dict[str, Any] = json.loads(text)
    return latest if newest else _v3_1(latest)


def resolve(part: Any, steps: Sequence[str | int]) -> Any:
    """What stands at `steps` in nested lists and mappings, or None."""
    for step in steps:
        try:
            part = part[int(step) if isinstance(part, list) else step]
        except (KeyError, IndexError, ValueError):
            return None
    return part


def keys_of(root: dict[str, Any], part: dict[str, Any]) -> Iterator[str]:
    """Every key that a part of the schema knows under any condition."""
    if "$ref" in part:
        yield from keys_of(root, resolve(root, part["$ref"].removeprefix("#/").split("/")))
    yield from part.get("properties", ())
    for word in ("allOf", "anyOf", "oneOf"):
        for option in part.get(word, ()):
            yield from keys_of(root, option)
    if "then" in part:
        yield from keys_of(root, part["then"])


def _v3_1(latest: dict[str, Any]) -> dict[str, Any]:
    made = copy.deepcopy(latest)
    parts = made["$defs"]
    for name, keys in SINCE_3_2.items():
        for key in keys:
            del (parts[name] if name else made)["properties"][key]
    made["required"].append("status")
    made["properties"]["apiVersion"]["enum"].remove(NEWEST)
    column = parts["SchemaBaseProperty"]
    kinds = column["properties"]["logicalType"]["enum"]
    kinds[:] = [kind for kind in kinds if kind not in TYPES_SINCE_3_2]
    column["allOf"] = [part for part in column["allOf"] if _constant(part) not in TYPES_SINCE_3_2]
    servers = parts["Server"]["properties"]["type"]["enum"]
    servers[:] = [kind for kind in servers if kind not in SERVERS_SINCE_3_2]
    for server in parts["ServerSource"].values():
        for key in SERVER_KEYS_SINCE_3_2:
            server.get("properties", {}).pop(key, None)
    parts["ServerSource"]["AthenaServer"]["required"].append("stagingDir")
    parts["Port"] = {"type": "integer"}
    parts["ShorthandReference"]["pattern"] = r"^[A-Za-z_][A-Za-z0-9_]*\.[A-Za-z_][A-Za-z0-9_]*$"
    full = parts["FullyQualifiedReference"]
    full["pattern"] = full["pattern"].replace(r"\.ya?ml#", r"\.yaml#")
    return made


def _constant(part: dict[str, Any]) -> object:
    return part.get("if", {}).get("properties", {}).get("logicalType", {}).get("const")
