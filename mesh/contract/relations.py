"""`relationships` of a contract as rules: every value must be found in the table it points to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from open_data_contract_standard.model import Relationship, SchemaObject

from mesh.contract.columns import check_handling, custom_properties
from mesh.contract.model import Rule, Table
from mesh.contract.reading import Document, Path_

SHORT = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){1,2}")
FULL = re.compile(r"/?schema/([A-Za-z0-9_-]+)/properties/([A-Za-z0-9_-]+)")
NOTATIONS = "table.column, domain.table.column, schema/TABLE_ID/properties/COLUMN_ID"

Reference = tuple[str | None, str, str]


def relationship_rules(
    document: Document, objects: Sequence[SchemaObject], tables: dict[str, Table]
) -> dict[str, list[Rule]]:
    """The rules of all relationships, by table.

    The target's arguments are `domain` (None within the contract), `to_table`, `to_columns` and `major` (None means
    the newest major that the other domain publishes).
    """
    found: dict[str, list[Rule]] = {name: [] for name in tables}
    for i, schema in enumerate(objects):
        place: Path_ = ("schema", i)
        for path, relation, column in _stated(place, schema):
            if column is not None and relation.from_ is not None:
                document.fail((*path, "from"), "On a column `from` is the column itself.", "leave `from` out")
            if relation.type is not None:
                document.choose((*path, "type"), relation.type, ("foreignKey",))
            targets = _references(document, (*path, "to"), relation.to, objects)
            if column is not None:
                sources: list[Reference] = [(None, str(schema.name), column)]
            else:
                sources = _references(document, (*path, "from"), relation.from_, objects)
            rule = _rule(document, path, relation, str(schema.name), sources, targets, tables)
            found[str(schema.name)].append(rule)
    return found


def _stated(place: Path_, schema: SchemaObject) -> Iterator[tuple[Path_, Relationship, str | None]]:
    for j, relation in enumerate(schema.relationships or ()):
        yield (*place, "relationships", j), relation, None
    for i, column in enumerate(schema.properties or ()):
        for j, relation in enumerate(column.relationships or ()):
            yield (*place, "properties", i, "relationships", j), relation, column.name


def _references(document: Document, path: Path_, given: Any, objects: Sequence[SchemaObject]) -> list[Reference]:
    if given is None or given == []:
        document.fail(path, f"A relationship needs `{path[-1]}`.", NOTATIONS)
    return [_reference(document, path, text, objects) for text in (given if isinstance(given, list) else [given])]


def _reference(document: Document, path: Path_, text: str, objects: Sequence[SchemaObject]) -> Reference:
    full = FULL.fullmatch(text)
    if full:
        for schema in objects:
            for column in schema.properties or ():
                if (schema.id or schema.name, column.id or column.name) == full.groups():
                    return None, str(schema.name), str(column.name)
        return document.fail(path, f"`{text}` is not in this contract.", NOTATIONS)
    if not SHORT.fullmatch(text):
        document.fail(path, f"`{text}` is no reference that the mesh can follow.", NOTATIONS)
    parts = text.split(".")
    return (parts[0] if len(parts) == 3 else None), parts[-2], parts[-1]


def _rule(
    document: Document,
    path: Path_,
    relation: Relationship,
    table: str,
    sources: list[Reference],
    targets: list[Reference],
    tables: dict[str, Table],
) -> Rule:
    if len(sources) != len(targets):
        document.fail((*path, "to"), f"{len(sources)} columns cannot point to {len(targets)}.", "as many as `from`")
    for source in sources:
        if source[0] is not None or source[1] != table:
            document.fail((*path, "from"), f"`from` names a column of {table} itself.", f"{table}.column")
        _check_column(document, (*path, "from"), source, tables)
    domain, to_table, _ = targets[0]
    if any(target[:2] != (domain, to_table) for target in targets):
        document.fail((*path, "to"), "All columns of a key stand in one table.", "one table")
    if domain is None:
        for target in targets:
            _check_column(document, (*path, "to"), target, tables)
    custom = custom_properties(document, path, relation.customProperties)
    handling = check_handling(document, path, custom)
    major = custom.get("majorVersion")
    if major is not None and (not isinstance(major, int) or isinstance(major, bool) or major < 0):
        document.fail((*path, "customProperties"), "`majorVersion` must be a whole number.", "0, 1, 2, ...")
    columns = tuple(source[2] for source in sources)
    goal = ".".join(part for part in (domain, to_table) if part)
    return Rule(
        id=".".join((table, "_".join(columns), "in", "_".join(part for part in (domain, to_table) if part))),
        table=table,
        columns=columns,
        kind="relationship",
        description=f"Every {' + '.join(columns)} is found in {goal}.",
        arguments={
            "domain": domain,
            "to_table": to_table,
            "to_columns": tuple(target[2] for target in targets),
            "major": major,
        },
        dimension="consistency",
        **handling,
    )


def _check_column(document: Document, path: Path_, reference: Reference, tables: dict[str, Table]) -> None:
    _, table, column = reference
    document.choose(path, table, tables)
    document.choose(path, column, [known.name for known in tables[table].columns])
