"""JSON schemas of OpenLineage's events, made from the classes that its own package generates from the standard's.

The package ships the classes and not the schema files. A class knows the address of its schema, the fields that are
needed and their types, so the whole schema can be had back from it; strict, for a field that no class names is a slip.
"""

from __future__ import annotations

import importlib
import pkgutil
import types
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import attr
from jsonschema_rs import Draft202012Validator

PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}
FORMATS = {"eventTime": "date-time", "producer": "uri", "_producer": "uri", "schemaURL": "uri", "_schemaURL": "uri",
           "runId": "uuid"}  # fmt: skip
ALWAYS = ("producer", "schemaURL", "_producer", "_schemaURL")
"""Fields that the classes fill in by themselves."""


def wrong_with(event: Any) -> list[str]:
    """What the standard says against an event, facets included; empty where it is sound."""
    from openlineage.client.generated.base import RunEvent

    found = _problems(RunEvent, event, "event")
    for place, facets in _facets(event):
        for name, facet in facets.items():
            kind = _by_schema().get(facet.get("_schemaURL", ""))
            if kind is None:
                found.append(f"{place}.{name}: no schema of the standard has this address")
            else:
                found += _problems(kind, facet, f"{place}.{name}")
    return found


def _facets(event: Any) -> list[tuple[str, dict[str, Any]]]:
    datasets = [("inputs", each) for each in event.get("inputs", ())]
    datasets += [("outputs", each) for each in event.get("outputs", ())]
    holders = [("run", event.get("run", {})), ("job", event.get("job", {})), *datasets]
    names = ("facets", "inputFacets", "outputFacets")
    return [(f"{place}.{name}", holder[name]) for place, holder in holders for name in names if holder.get(name)]


def _problems(kind: type, value: Any, place: str) -> list[str]:
    return [f"{place} {error.instance_path}: {error.message}" for error in _checker(kind).iter_errors(value)]


@cache
def _checker(kind: type) -> Draft202012Validator:
    parts: dict[str, Any] = {}
    return Draft202012Validator({**_object(kind, parts), "$defs": parts}, validate_formats=True)


@cache
def _by_schema() -> dict[str, type]:
    """Every class of a facet by the address of its schema."""
    import openlineage.client.generated as package

    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for kind in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values():
            if isinstance(kind, type) and attr.has(kind) and hasattr(kind, "_get_schema"):
                found[kind._get_schema()] = kind
    return found


def _object(kind: type, parts: dict[str, Any]) -> dict[str, Any]:
    """A reference to the schema of a class, which is put with its parts: some classes contain themselves."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name not in parts:
        parts[name] = {}
        hints = get_type_hints(kind)
        properties = {field.name: _type(hints[field.name], parts) for field in attr.fields(kind)}
        for field in properties.keys() & FORMATS.keys():
            properties[field] = {"type": "string", "format": FORMATS[field]}
        needed = [field.name for field in attr.fields(kind) if field.default is attr.NOTHING or field.name in ALWAYS]
        parts[name] |= {
            "type": "object", "properties": properties, "required": needed, "additionalProperties": False
        }  # fmt: skip
    return {"$ref": f"#/$defs/{name}"}


def _type(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(each, parts) for each in inner if each is not type(None)]}
    if origin is list:
        return {"type": "array", "items": _type(inner[0], parts)}
    if origin is dict:
        # A facet is held against its own schema, which its address names.
        facet = inner[1] is Any or (attr.has(inner[1]) and hasattr(inner[1], "_get_schema"))
        return {"type": "object", "additionalProperties": {"type": "object"} if facet else _type(inner[1], parts)}
    if hint is Any:
        return {}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return _object(hint, parts) if attr.has(hint) else {"type": PLAIN[hint]}
