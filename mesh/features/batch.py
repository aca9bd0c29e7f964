"""A declaration as the dbt macros take it (`dbt/macros/features.sql`): plain data in which every expression is SQL.

Jinja cannot read expressions, so they are compiled beside dbt and handed over as a variable named like the product.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mesh.features.compiled import CheckedFeatures, Value, check
from mesh.features.definition import Entity, Features, SubmittedField
from mesh.features.loading import load_features
from mesh.features.sql import to_sql, typed_sql
from mesh.features.submission import END, FIRST
from mesh.features.types import DATE, TEXT, TIMESTAMP
from mesh.features.vocabulary import DUCKDB, FUNCTIONS
from mesh.project import Project

DELIVERED = "delivered"
"""What a staging model calls the raw table."""

_kept: dict[Path, tuple[Any, dict[str, Any]]] = {}


def batch_forms(project: Project, dialect: str = DUCKDB) -> dict[str, Any]:
    """Every declaration of a mesh in the form for dbt, by product; worked out anew only where a file changed.

    Raises:
        ProjectError: a declaration, or a file of one of its books, is wrong.
    """
    files = sorted(path for pattern in ("data_products/*/**/*.yaml", "contracts/*/*.yaml")
                   for path in project.root.glob(pattern))  # fmt: skip
    stamp = (dialect, *((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files))
    kept = _kept.get(project.root)
    if kept is None or kept[0] != stamp:
        forms = {product: batch_form(check(found), dialect) for product, found in load_features(project).items()}
        kept = _kept[project.root] = (stamp, forms)
    return kept[1]


def batch_form(checked: CheckedFeatures, dialect: str = DUCKDB) -> dict[str, Any]:
    """One declaration in the form for dbt."""
    features = checked.features
    levels: dict[int, list[dict[str, str]]] = {}
    for value in checked.values:
        levels.setdefault(value.level, []).append({"name": value.name, "sql": _value(value, dialect)})
    return {
        "product": features.product,
        "key": list(features.key),
        "time": features.time,
        "delivered": [column for field in features.submission for column in _delivered(field, dialect)],
        "row": list(features.row) if features.submission else _used(checked),
        "carried": list(features.carried),
        "steps": [levels[level] for level in sorted(levels)],
        "published": list(features.columns_in_order),
        "entities": {entity.name: _entity(features, entity) for entity in features.entities},
        "events": {
            event.name: {
                "time": event.time, "row": event.row, "first": event.first,
                "where": to_sql(checked.wheres[event.name], dialect) if event.name in checked.wheres else None,
                "keys": sorted({key for entity in features.entities for key in entity.key
                                if any(count.event == event.name for count in entity.events)}),
            }
            for event in features.events
        },
        "lookups": {
            lookup.name: {
                "key": lookup.key, "row_key": lookup.row_key,
                "values": [{"name": f"{lookup.name}_{value.name}", "function": value.function, "column": value.column}
                           for value in lookup.values],
            }
            for lookup in features.lookups
        },
        "overlaps": {
            overlap.name: {
                "key": list(features.entity(overlap.entity).key), "start": overlap.start, "end": overlap.end,
                "label": overlap.label, "side": overlap.side, "take": overlap.take,
            }
            for overlap in features.overlaps
        },
    }  # fmt: skip


def _used(checked: CheckedFeatures) -> list[str]:
    """The row's columns that anything is made of, in the row's order."""
    features = checked.features
    wanted = {*features.key, features.time, *checked.published}
    wanted |= {name for value in checked.values for name in value.reads()}
    wanted |= {key for entity in features.entities for key in entity.key}
    wanted |= {one.column for entity in features.entities for one in entity.distinct}
    wanted |= {one.sum for entity in features.entities for one in entity.windows if one.sum}
    wanted |= {name for one in features.overlaps for name in (one.start, one.end, one.label)}
    wanted |= {one.row_key for one in features.lookups}
    return [name for name in features.row if name in wanted]


def _entity(features: Features, entity: Entity) -> dict[str, Any]:
    columns = {(found.part, found.span): found for found in features.of_entity(entity)}
    return {
        "key": list(entity.key),
        "windows": [
            {"name": found.name, "sum": window.sum, "type": str(found.type), "span": features.spans[span]}
            for window in entity.windows for span in entity.spans
            for found in [columns[window.name, span]]
        ],
        "since_first": columns["since_first", None].name if entity.since_first else None,
        "distinct": [{"name": columns[one.name, None].name, "column": one.column} for one in entity.distinct],
        "events": [
            {"name": columns[one.name, one.span].name, "event": one.event, "span": features.spans[one.span]}
            for one in entity.events
        ],
    }  # fmt: skip


def _value(value: Value, dialect: str) -> str:
    """A value as SQL; where a book's files tell it, as a case over them."""
    if value.by is None:
        return typed_sql(value.node, dialect)
    by = to_sql(value.by, dialect)
    if value.rules:
        found = [
            f"case when {by} = '{told}' and {to_sql(rule.broken, dialect)} then '{rule.id}' end"
            for told, rules in value.rules.items()
            for rule in rules
        ]
        return f"concat_ws(',', {', '.join(found)})" if found else "''"
    branches = "".join(f" when {by} = '{told}' then {typed_sql(node, dialect)}" for told, node in value.files.items())
    otherwise = typed_sql(value.node, dialect)
    return f"case{branches} else {otherwise} end" if branches else otherwise


def _delivered(field: SubmittedField, dialect: str) -> list[dict[str, str]]:
    """The columns that a staging model makes of one delivered text."""
    if field.identifier is not None:
        token, status = (name for name, _ in field.columns)
        return [
            {"name": token, "sql": f"{DELIVERED}.{token}"},
            {"name": status, "sql": f"coalesce({DELIVERED}.{status}, 'missing')"},
        ]
    text = f"{DELIVERED}.{field.name}"
    if field.type == TEXT:
        return [{"name": field.name, "sql": _formed(field, text, dialect)}]
    sql = f"try_cast({text} as {field.type})"
    if field.type in (DATE, TIMESTAMP):
        kind = field.type.kind
        sql = f"case when {sql} >= {kind} '{FIRST}' and {sql} < {kind} '{END}' then {sql} end"
    return [{"name": field.name, "sql": sql}]


def _formed(field: SubmittedField, text: str, dialect: str) -> str:
    if field.form == "plain":
        return text
    if field.form == "postcode":
        return FUNCTIONS["postcode"].sql[dialect].format(text)
    cleaned = FUNCTIONS["clean"].sql[dialect].format(text)
    return cleaned if field.form == "clean" else FUNCTIONS[field.form].sql[dialect].format(cleaned)
