"""A table as JSON Schema (2020-12): one schema that each row, written as a JSON object, validates against.

Dates and times are ISO 8601 text. A DECIMAL is a number below the power of ten that its digits allow; its places
behind the point are not said, because validators that compute in binary would refuse 4.35 as a multiple of 0.01.
"""

from __future__ import annotations

import json
from typing import Any

from mesh.contract.exchange.fields import BOUNDS, Field, Limit, fields, regular
from mesh.contract.model import Contract, Table

DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?"
TEXTS = {
    "DATE": {"format": "date", "pattern": f"^{DAY}$"},
    "TIME": {"pattern": f"^{TIME}$"},
    "TIMESTAMP WITH TIME ZONE": {"format": "date-time", "pattern": rf"^{DAY}[T ]{TIME}(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$"},
    "UUID": {"format": "uuid"},
    "BLOB": {"contentEncoding": "base64"},
}
NESTED = {"object": "object", "map": "object", "array": "array", "vector": "array"}
LOGICAL = {"string": "string", "number": "number", "integer": "integer", "boolean": "boolean"}


def to_json_schema(contract: Contract, table: Table) -> tuple[str, set[str]]:
    """The schema as text, and the ids of the rules that it says."""
    said = {f"{table.name}.schema"}
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:contract:{contract.id}:{contract.version}:{table.name}",
        "title": table.name,
        "description": " ".join(table.description.split()),
        **_object(fields(table), said),
    }
    return json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n", said


def _object(parts: list[Field] | tuple[Field, ...], said: set[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {part.name: _field(part, said) for part in parts},
        "required": [part.name for part in parts if part.required],
        "additionalProperties": False,
    }


def _field(field: Field, said: set[str]) -> dict[str, Any]:
    schema = _typed(field, said)
    said.update(field.needed)
    for limit in field.limits:
        words = _words(field, limit)
        if words is None:
            continue
        said.add(limit.rule)
        if any(key in schema for key in words):
            schema.setdefault("allOf", []).append(words)
        else:
            schema |= words
    if not field.required and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    about = {"description": field.description, "x-classification": field.classification}
    return {key: value for key, value in about.items() if value} | schema


def _words(field: Field, limit: Limit) -> dict[str, Any] | None:
    numeric = field.logical in ("number", "integer")
    match limit.word:
        case "enum":
            return {"enum": limit.value if field.required else [*limit.value, None]}
        case "notIn":
            return {"not": {"enum": limit.value}}
        case "pattern":
            pattern = regular(limit)
            return None if pattern is None else {"pattern": pattern}
        case "format":
            return {"format": limit.value, "pattern": str(regular(limit))}
        case word if word in (*BOUNDS, "multipleOf"):
            return {word: limit.value} if numeric else None
        case word:
            return {word: limit.value}


def _typed(field: Field, said: set[str]) -> dict[str, Any]:
    if field.properties:
        return _object(field.properties, said)
    if field.items:
        return {"type": "array", "items": _field(field.items, said)}
    if field.logical in NESTED:
        return {"type": NESTED[field.logical]}
    whole = field.integer_range
    if whole:
        return {"type": "integer", "allOf": [{"minimum": whole[0], "maximum": whole[1]}]}
    if field.decimal:
        digits, places = field.decimal
        above = 10 ** (digits - places)
        return {"type": "number", "allOf": [{"exclusiveMinimum": -above, "exclusiveMaximum": above}]}
    if field.physical.startswith("TIMESTAMP") or field.logical == "timestamp":
        return {"type": "string"} | TEXTS.get(field.physical, {"pattern": f"^{DAY}[T ]{TIME}$"})
    text = TEXTS.get(field.physical or field.logical.upper())
    return {"type": "string"} | text if text else {"type": LOGICAL.get(field.logical, "string")}
