"""The contract of an adopted model: its columns as they were built, what its tests promise, and nothing else."""

from __future__ import annotations

from typing import Any

from mesh.profile import words
from mesh.scaffold.adopt.foreign import ForeignColumn, ForeignModel
from mesh.scaffold.adopt.rules import Promises, logical_type
from mesh.scaffold.contract import HAS_ROWS, TO_BE_WRITTEN, people


def contract(domain: str, model: ForeignModel, owner: str, promised: Promises, *, project: str) -> dict[str, Any]:
    """The contract of `domain/model` as plain data.

    Args:
        project: the dbt project that the model comes from, for people.
    """
    name = model.name
    personal = any(column.handling.personal for column in model.columns)
    tags = [*model.tags, *(["personal data"] if personal else [])]
    says = model.description or f"{TO_BE_WRITTEN}: what {domain}/{name} is for, and for whom."
    table: dict[str, Any] = {
        "name": name,
        "id": name,
        "logicalType": "object",
        "physicalType": "table",
        "description": model.description or f"{words(name)}.",
    }
    if promised.key:
        table["dataGranularityDescription"] = f"One row per {words(promised.key).lower()}."
    table["properties"] = [_property(column, promised) for column in model.columns]
    rules = [*([HAS_ROWS] if model.rows else []), *promised.table_rules]
    if rules:
        table["quality"] = rules
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{domain}-{name}",
        "name": name,
        "version": "1.0.0",
        "status": "draft",
        "domain": domain,
        "dataProduct": name,
        **({"tags": tags} if tags else {}),
        "description": {
            "purpose": says,
            "usage": f"{TO_BE_WRITTEN}: how to use it, and what to join it with.",
            "limitations": f"Adopted from dbt project {project}; {TO_BE_WRITTEN.lower()}: what the data cannot say.",
        },
        "schema": [table],
        **people(domain, owner),
    }


def _property(column: ForeignColumn, promised: Promises) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "logicalType": logical_type(column.type),
        "physicalType": column.type,
        "description": column.description or f"{words(column.name)}.",
        "classification": column.handling.classification,
        "required": False,
    }
    made |= promised.fields.get(column.name, {})
    tags = list(dict.fromkeys((*column.tags, *column.handling.tags)))
    if tags:
        made["tags"] = tags
    if column.name in promised.column_rules:
        made["quality"] = promised.column_rules[column.name]
    return made
