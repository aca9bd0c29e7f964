"""What a consumer expects of a product beyond its contract: a part of a schema, as the standard writes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from open_data_contract_standard.model import DataQuality, SchemaObject, SchemaProperty
from pydantic import ValidationError

from mesh.contract.columns import column_rules
from mesh.contract.model import Column, Contract, Rule, Table
from mesh.contract.quality import quality_rules
from mesh.contract.reading import Document, Path_, did_you_mean
from mesh.contract.types import normal_type

TABLE_KEYS = ("name", "properties", "quality")
COLUMN_KEYS = ("name", "physicalType", "logicalType", "required", "unique", "logicalTypeOptions", "quality")


def expected_columns(document: Document) -> Iterator[str]:
    """The columns that `schema` names, as `table.column`."""
    for table in document.data.get("schema") or ():
        for column in table.get("properties") or ():
            yield f"{table['name']}.{column['name']}"


def expected_rules(document: Document, contract: Contract, consumer: str) -> Iterator[Rule]:
    """The rules of a consumer's `schema`; their ids begin with the table and `for_CONSUMER`.

    Raises:
        ContractError: a table, column or type that the contract does not have, or a rule that cannot be held.
    """
    given = document.data.get("schema", [])
    if not isinstance(given, list):
        document.fail(("schema",), "This must be a list.", "tables with `name`, `properties`, `quality`")
    for i, entry in enumerate(given):
        path: Path_ = ("schema", i)
        _check(document, path, entry, TABLE_KEYS)
        table = _table(document, path, entry.get("name"), contract)
        for rule in _of_table(document, path, entry, table, contract):
            yield _named(replace(rule, table=table.name), consumer)


def _of_table(
    document: Document, path: Path_, entry: dict[str, Any], table: Table, contract: Contract
) -> Iterator[Rule]:
    columns = {column.name: column for column in table.columns}
    tables = frozenset(each.declared for each in contract.tables)
    properties = entry.get("properties") or []
    if not isinstance(properties, list):
        document.fail((*path, "properties"), "This must be a list.", "columns with `name`")
    for i, given in enumerate(properties):
        here = (*path, "properties", i)
        _check(document, here, given, COLUMN_KEYS)
        column = _column(document, here, given.get("name"), table)
        wanted = _model(document, here, {"name": column.name, **given}, SchemaProperty)
        yield from column_rules(document, here, table.declared, _expected(document, here, wanted, column))
        yield from quality_rules(document, here, wanted.quality, table.declared, columns, column, tables)
    rules = _model(document, path, {"name": table.declared, "quality": entry.get("quality")}, SchemaObject).quality
    yield from quality_rules(document, path, rules, table.declared, columns, None, tables)


def _expected(document: Document, path: Path_, wanted: SchemaProperty, column: Column) -> Column:
    """The column as the consumer expects it: only what it asks for itself becomes a rule."""
    if wanted.physicalType and normal_type(wanted.physicalType) != column.physical_type:
        what = f"`{column.name}` is {column.physical_type} in the contract."
        document.fail((*path, "physicalType"), what, column.physical_type)
    if wanted.logicalType and wanted.logicalType != column.logical_type:
        what = f"`{column.name}` is a {column.logical_type} in the contract."
        document.fail((*path, "logicalType"), what, column.logical_type)
    return replace(
        column,
        required=bool(wanted.required),
        unique=bool(wanted.unique),
        options=wanted.logicalTypeOptions or {},
        custom={},
    )


def _named(rule: Rule, consumer: str) -> Rule:
    declared, _, rest = rule.id.partition(".")
    return replace(
        rule,
        id=f"{declared}.for_{consumer}.{rest}",
        description=f"{rule.description.rstrip('.')} (expected by {consumer}).",
        action="fail",
    )


def _table(document: Document, path: Path_, name: Any, contract: Contract) -> Table:
    known = [table.declared for table in contract.tables]
    for table in contract.tables:
        if table.declared == name:
            return table
    return document.fail(
        (*path, "name"), f"{contract.name} has no table `{name}`{did_you_mean(name, known)}.", ", ".join(known)
    )


def _column(document: Document, path: Path_, name: Any, table: Table) -> Column:
    known = [column.name for column in table.columns]
    for column in table.columns:
        if column.name == name:
            return column
    return document.fail(
        (*path, "name"), f"{table.declared} has no column `{name}`{did_you_mean(name, known)}.", ", ".join(known)
    )


def _check(document: Document, path: Path_, entry: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(entry, dict):
        document.fail(path, "This must be a mapping.", ", ".join(allowed))
    for key in entry:
        document.choose((*path, key), key, allowed)
    known = {info.alias or name for name, info in DataQuality.model_fields.items()}
    for i, rule in enumerate(entry.get("quality") or ()):
        for key in rule if isinstance(rule, dict) else ():
            document.choose((*path, "quality", i, key), key, known)


def _model(document: Document, path: Path_, entry: dict[str, Any], model: Any) -> Any:
    try:
        return model.model_validate(entry, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = tuple(part for part in first["loc"] if isinstance(part, int) or part.islower() or part in entry)
        return document.fail((*path, *place), f"{first['msg']}.")
