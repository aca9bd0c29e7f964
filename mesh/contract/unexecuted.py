"""What a contract says and neither an audit nor a look at the service holds, told instead of dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from open_data_contract_standard.model import DataQuality, SchemaProperty

from mesh.contract.columns import SEVERITIES, executed_option
from mesh.contract.expectation import is_great_expectations
from mesh.contract.model import Contract
from mesh.contract.quality import OTHER_SEVERITIES
from mesh.contract.reading import field_name
from mesh.contract.service import AGES, holds_retention, judged_in_service
from mesh.contract.types import SHAPES, is_duckdb_nested, normal_type, vector_type

REASONS = {
    "servers": "the mesh knows where its tables are",
    "roles": "access is granted by the mesh, not by the audit",
    "price": "for people to read",
    "support": "for people to read",
    "slaDefaultElement": "deprecated by the standard: name the element in each service level",
    "context": "for people and assistants to read",
}
LEVEL_REASONS = {
    "frequency": "no rule: it needs a number above 0 and a `unit` of time, such as 1 d",
    "availability": "no rule: it needs a number up to 100 and `unit: percent`",
    "throughput": "not measured: readers take the data files at their own pace",
    "errorRate": "not measured: how reads of the mesh's own end is the level `availability`",
    "generalAvailability": "a date for people to read",
    "endOfSupport": "a date for people to read",
    "endOfLife": "`mesh retire` refuses before that date; no snapshot holds it",
    "timeToDetect": "a promise of the people who keep the product",
    "timeToNotify": "a promise of the people who keep the product",
    "timeToRepair": "a promise of the people who keep the product",
}
LEVEL_KEY_REASONS = {
    "schedule": "rules run at every audit",
    "scheduler": "rules run at every audit",
    "valueExt": "no service level that the mesh holds takes a second value",
}
TABLE_REASONS = {
    "physicalName": "it is published under its `name`",
    "context": "for people and assistants to read",
    "deprecated": "for people to read",
}
COLUMN_REASONS = {
    "physicalName": "it is published under its `name`",
    "partitioned": "the layout of the build decides how files are split",
    "encryptedName": "for people to read: no second column is compared",
    "transformSourceObjects": "for people to read: the lineage is that of the build",
    "transformLogic": "for people to read: the build's models transform",
    "semanticType": "only columns are published",
    "deprecated": "for people to read",
}


QUALITY_REASONS = {
    "schedule": "rules run at every audit",
    "scheduler": "rules run at every audit",
    "method": "for people to read: the audit measures in its own way",
    "rule": "the old name of `metric`, which counts",
}


def not_executed(contract: Contract) -> list[tuple[str, str]]:
    """Every part of a contract that promises something which nothing checks: (place, why).

    Purely descriptive text (descriptions, tags, business names, examples, definitions) is not listed.
    """
    return sorted(_found(contract))


def _found(contract: Contract) -> Iterator[tuple[str, str]]:
    odcs = contract.odcs
    for name, why in REASONS.items():
        if getattr(odcs, name, None):
            yield name, why
    for i, level in enumerate(contract.sla):
        if level.name == "retention":
            # An older major's table is built under another name than the contract's.
            tables = {table.declared: table for table in contract.tables} | {t.name: t for t in contract.tables}
            if not holds_retention(level, tables):
                why = "no rule: it needs a length of time and, as `element`, a column of dates or timestamps"
                yield f"slaProperties[{i}] {level.name}", why
        elif level.name not in AGES and not judged_in_service(level):
            yield (
                f"slaProperties[{i}] {level.name}",
                LEVEL_REASONS.get(level.name, "no rule of the mesh is known for it"),
            )
    for i, given in enumerate(odcs.slaProperties or ()):
        for key, why in LEVEL_KEY_REASONS.items():
            if getattr(given, key) is not None:
                yield f"slaProperties[{i}].{key}", why
        if "," in (given.element or ""):
            yield f"slaProperties[{i}].element", "the first element alone is held; write one service level for each"
    for i, schema in enumerate(odcs.schema_ or ()):
        place = f"schema[{i}]"
        for key, why in TABLE_REASONS.items():
            value = getattr(schema, key)
            if value and not (key == "physicalName" and value == schema.name):
                yield f"{place}.{key}", why
        yield from _quality(place, schema.quality)
        for j, column in enumerate(schema.properties or ()):
            yield from _column(f"{place}.properties[{j}]", column)


def _column(place: str, column: SchemaProperty) -> Iterator[tuple[str, str]]:
    yield from _quality(place, column.quality)
    for option, value in (column.logicalTypeOptions or {}).items():
        if not executed_option(str(column.logicalType), option, value):
            yield f"{place}.logicalTypeOptions.{option}", _why_option(column, option, value)
    for name, why in COLUMN_REASONS.items():
        value = getattr(column, name)
        if value and (name, value) not in (("semanticType", "column"), ("physicalName", column.name)):
            yield f"{place}.{name}", why
    if (column.properties or column.items) and normal_type(column.physicalType or "") == "JSON":
        yield f"{place}.physicalType", "inside of JSON types are not held: a value of another type counts as missing"
    if _is_of_another_engine(column):
        yield f"{place}.physicalType", "no type of DuckDB: the column has the type of what stands inside"
    if column.map:
        yield f"{place}.map", "keys and values of a map are held by its type only"
    for i, field in enumerate(column.properties or ()):
        yield from _inner(f"{place}.properties[{i}]", field)
    if column.items:
        yield from _inner(f"{place}.items", column.items)


def _is_of_another_engine(column: SchemaProperty) -> bool:
    """True where a declared nested type says more than a bare word and is not in DuckDB's spelling."""
    told = column.physicalType
    if told is None or column.logicalType not in ("object", "array", "map", "vector") or is_duckdb_nested(told):
        return False
    return told.strip().upper() not in SHAPES


def _inner(place: str, column: SchemaProperty) -> Iterator[tuple[str, str]]:
    """What holds for whole columns only."""
    yield from _column(place, column)
    for name in ("unique", "primaryKey", "relationships"):
        if getattr(column, name):
            yield f"{place}.{name}", "only whole columns are keys or point to other tables"
    for i, given in enumerate(column.quality or ()):
        other = given.type == "custom" and not is_great_expectations(given.engine)
        if not other and (given.type in ("sql", "custom") or given.metric in ("duplicateValues", "rowCount")):
            yield f"{place}.quality[{i}]", "inside a column only library metrics of single values are run"


def _why_option(column: SchemaProperty, option: str, value: Any) -> str:
    if option == "format" and column.logicalType == "string":
        return f"no rule is known for the format {value}; use `pattern`"
    if option == "uniqueItems":
        return "it promises nothing"
    if option == "format" and column.logicalType in ("date", "timestamp", "time"):
        return "dates and times are held as such, not as text of one spelling"
    if option in ("distanceMetric", "normalized", "embeddingModel", "embeddingModelVersion", "defaultTimezone"):
        return "for people to read"
    if option == "timezone" and column.logicalType == "time":
        return "times of day are held without a time zone"
    if option == "elementType" and vector_type(column.logicalTypeOptions or {}) is None:
        return f"DuckDB has no {value}: the items are FLOAT"
    return "it gives the column its type, which the schema rule holds"


def _quality(place: str, entries: Iterable[DataQuality] | None) -> Iterator[tuple[str, str]]:
    for i, given in enumerate(entries or ()):
        here = field_name((place, "quality", i))
        if given.type == "text":
            yield here, "text is for people; write it as a library or sql rule to have it checked"
        elif given.type == "custom" and not is_great_expectations(given.engine):
            yield here, f"rules of the engine {given.engine} are not run"
        if given.metric and given.type not in (None, "library"):
            yield f"{here}.metric", f"the rule is of type {given.type}: the metric is not counted"
        for key, why in QUALITY_REASONS.items():
            if getattr(given, key):
                yield f"{here}.{key}", why
        if given.severity and given.severity not in SEVERITIES and given.type != "text":
            yield (
                f"{here}.severity",
                f"handled as {OTHER_SEVERITIES.get(given.severity.lower(), given.severity.lower())}",
            )
        if given.unit and given.type not in (None, "library"):
            yield f"{here}.unit", "for people to read: the number is that of the rule itself"
