"""A table as an Avro schema (1.11): a record whose types hold every value of the DuckDB column, none of it rounded."""

from __future__ import annotations

import json
import re
from typing import Any

from mesh.contract.exchange.fields import Field, fields
from mesh.contract.model import Contract, Table
from mesh.errors import UsageError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PRIMITIVE = {"BOOLEAN": "boolean", "FLOAT": "float", "DOUBLE": "double", "BLOB": "bytes", "VARCHAR": "string"}
LOGICAL: dict[str, dict[str, Any]] = {
    "DATE": {"type": "int", "logicalType": "date"},
    "TIME": {"type": "long", "logicalType": "time-micros"},
    "TIMESTAMP": {"type": "long", "logicalType": "local-timestamp-micros"},
    "TIMESTAMP_S": {"type": "long", "logicalType": "local-timestamp-micros"},
    "TIMESTAMP_MS": {"type": "long", "logicalType": "local-timestamp-micros"},
    "TIMESTAMP_NS": {"type": "long", "logicalType": "local-timestamp-nanos"},
    "TIMESTAMP WITH TIME ZONE": {"type": "long", "logicalType": "timestamp-micros"},
    "UUID": {"type": "string", "logicalType": "uuid"},
}


def to_avro(contract: Contract, table: Table) -> tuple[str, set[str]]:
    """The schema as text, and the ids of the rules that it says."""
    said = {f"{table.name}.schema"}
    parts = fields(table)
    record = _record(f"{table.name}_v{contract.major}", table.description, parts, said)
    return json.dumps({"namespace": contract.domain, **record}, indent=2, ensure_ascii=False) + "\n", said


def _record(name: str, about: str, parts: Any, said: set[str]) -> dict[str, Any]:
    doc = {"doc": " ".join(about.split())} if about else {}
    return {"type": "record", "name": name, **doc, "fields": [_field(name, part, said) for part in parts]}


def _field(owner: str, field: Field, said: set[str]) -> dict[str, Any]:
    kind = _type(owner, field, said)
    said.update(field.needed)
    doc = {"doc": field.description} if field.description else {}
    if field.required:
        return {"name": field.name, "type": kind, **doc}
    return {"name": field.name, "type": ["null", kind], "default": None, **doc}


def _type(owner: str, field: Field, said: set[str]) -> Any:
    name = f"{owner}_{field.name}"
    if field.physical == "JSON":
        return "string"  # a JSON column is text in DuckDB
    if field.properties:
        return _record(name, field.description, field.properties, said)
    if field.items:
        items = _type(name, field.items, said)
        said.update(field.items.needed)
        return {"type": "array", "items": items if field.items.required else ["null", items]}
    limit, choices = field.choices
    if limit is not None and all(isinstance(value, str) and NAME.fullmatch(value) for value in choices):
        said.add(limit.rule)
        return {"type": "enum", "name": name, "symbols": choices}
    return _plain(field)


def _plain(field: Field) -> Any:
    if field.decimal:
        digits, places = field.decimal
        return {"type": "bytes", "logicalType": "decimal", "precision": digits, "scale": places}
    if field.integer_range:
        low, high = field.integer_range
        if low >= -(2**31) and high < 2**31:
            return "int"
        if low >= -(2**63) and high < 2**63:
            return "long"
        return {"type": "bytes", "logicalType": "decimal", "precision": len(str(high)), "scale": 0}
    if field.logical == "vector":
        return {"type": "array", "items": "double" if field.physical.startswith("DOUBLE") else "float"}
    if field.physical in LOGICAL or field.physical in PRIMITIVE:
        return LOGICAL.get(field.physical) or PRIMITIVE[field.physical]
    raise UsageError(f"{field.name}: no Avro type is known for {field.physical}. Leave the column's table out.")
