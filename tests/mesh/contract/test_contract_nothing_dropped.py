"""Nothing that a contract says is dropped in silence: of every key of the standard it is known what becomes of it.

The table below says of each key whether an audit holds it, whether `not_executed` tells it, or whether it only
describes. The test takes each key out of a contract that uses them all and looks at what changes.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mesh.contract import Contract, not_executed, parse_contract
from mesh.contract.reading import field_name, read_contract_yaml
from mesh.contract.schemas import keys_of, schema
from mesh.errors import ContractError

HELD, TOLD, DESCRIBES, OPENED = "held", "told", "describes", "opened"


def rows(**groups: str) -> dict[str, str]:
    return {key: what for what, keys in groups.items() for key in keys.split()}


TABLE = {
    "contract": rows(
        held="apiVersion kind id version status domain dataProduct customProperties",
        told="servers roles price support slaDefaultElement context",
        describes="name tenant tags authoritativeDefinitions contractCreatedTs description team",
        opened="schema slaProperties",
    ),
    "table": rows(
        held="name customProperties",
        told="physicalName context deprecated",
        describes="id businessName description authoritativeDefinitions tags synonyms physicalType logicalType "
        "dataGranularityDescription",
        opened="properties quality relationships",
    ),
    "column": rows(
        held="name logicalType physicalType required unique primaryKey primaryKeyPosition classification "
        "criticalDataElement tags customProperties enum",
        told="physicalName deprecated partitioned encryptedName transformLogic transformSourceObjects semanticType map",
        describes="id businessName description authoritativeDefinitions synonyms examples transformDescription "
        "partitionKeyPosition",
        opened="properties items quality relationships logicalTypeOptions",
    ),
    "option": rows(
        held="minLength maxLength pattern minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems "
        "maxItems uniqueItems minProperties maxProperties required dimensions timezone",
        told="format defaultTimezone elementType distanceMetric embeddingModel embeddingModelVersion normalized",
    ),
    "quality": rows(
        held="id name type metric arguments unit query engine implementation severity dimension customProperties "
        "mustBe mustNotBe mustBeGreaterThan mustBeGreaterOrEqualTo mustBeLessThan mustBeLessOrEqualTo mustBeBetween "
        "mustNotBeBetween",
        told="rule method schedule scheduler",
        describes="description businessImpact tags authoritativeDefinitions",
    ),
    "level": rows(
        held="property value unit element",
        told="valueExt schedule scheduler",
        describes="id description driver customProperties authoritativeDefinitions",
    ),
    "relationship": rows(held="from to customProperties", describes="id type"),
}
"""What becomes of each key; `opened` are those whose inside has rows of its own."""

DEFINITIONS = {
    "table": ("SchemaElement", "SchemaObject"),
    "column": ("SchemaElement", "SchemaBaseProperty", "SchemaProperty", "SchemaItemProperty"),
    "quality": (
        "DataQuality", "DataQualityLibrary", "DataQualitySql", "DataQualityCustom", "DataQualityOperators",
    ),
    "level": ("ServiceLevelAgreementProperty",),
    "relationship": ("RelationshipBase",),
}  # fmt: skip

FULL = """\
apiVersion: v3.2.0
kind: DataContract
id: shop-orders
name: Orders
version: 1.0.0
status: active
tenant: shop
domain: shop
dataProduct: orders
tags: [sales]
contractCreatedTs: '2026-01-01T00:00:00Z'
authoritativeDefinitions: [{url: https://example.org, type: policy}]
context: Count paid orders only.
description: {purpose: Reporting, usage: Join by id, limitations: No carts}
servers: [{server: lake, type: local, path: ./lake, format: parquet}]
schema:
  - name: orders
    id: orders
    logicalType: object
    physicalType: table
    physicalName: tbl_orders
    businessName: Orders
    description: Every order.
    dataGranularityDescription: One row per order.
    deprecated: true
    context: Never sum.
    tags: [sales]
    synonyms: [{synonym: sales}]
    authoritativeDefinitions: [{url: https://example.org, type: policy}]
    customProperties: [{property: action, value: quarantine}]
    relationships:
      - {id: places, type: foreignKey, from: [orders.id, orders.customer], to: [lines.id, lines.customer],
         customProperties: [{property: severity, value: warning}]}
    quality:
      - {id: many, metric: rowCount, mustBeBetween: [1, 9], method: reconciliation}
      - {metric: duplicateValues, mustNotBeBetween: [1, 2], arguments: {properties: [id, customer]}}
      - {name: any, type: sql, query: 'select count(*) from ${table}', mustNotBe: 0, unit: orders, dimension: accuracy}
      - {type: custom, engine: soda, implementation: {a: 1}}
      - {type: custom, engine: greatExpectations, implementation: {type: expect_column_to_exist, kwargs: {column: id}}}
      - {type: text, description: All is well.}
    properties:
      - name: id
        id: id
        physicalName: order_no
        businessName: Order
        description: The number.
        logicalType: string
        physicalType: UUID
        primaryKey: true
        primaryKeyPosition: 2
        classification: internal
        criticalDataElement: true
        deprecated: true
        encryptedName: id_secret
        partitioned: true
        partitionKeyPosition: 1
        transformLogic: upper(id)
        transformSourceObjects: [raw]
        transformDescription: In capitals.
        semanticType: dimension
        examples: [a]
        tags: [key]
        synonyms: [{synonym: number}]
        authoritativeDefinitions: [{url: https://example.org, type: policy}]
        logicalTypeOptions: {minLength: 1, maxLength: 9, pattern: x, format: date}
        customProperties: [{property: severity, value: warning}]
        quality:
          - {metric: nullValues, mustBeLessThan: 1, unit: percent, severity: info, dimension: accuracy,
             schedule: daily, scheduler: cron, businessImpact: none, tags: [x], description: Always there.,
             authoritativeDefinitions: [{url: https://example.org, type: policy}], rule: nullCount}
          - {metric: missingValues, mustBeGreaterOrEqualTo: 0, arguments: {missingValues: ['']},
             customProperties: [{property: action, value: quarantine}]}
          - {metric: invalidValues, mustBeLessOrEqualTo: 3, arguments: {pattern: x}}
          - {metric: duplicateValues, mustBe: 0}
          - {metric: invalidValues, mustBeGreaterThan: 3, arguments: {validValues: [x]}}
      - name: customer
        logicalType: integer
        primaryKey: true
        logicalTypeOptions: {format: i64, minimum: 0, exclusiveMaximum: 9, multipleOf: 1}
        relationships: [{id: buys, to: lines.customer}]
      - {name: status, logicalType: string, required: true, unique: true, enum: [{value: open}]}
      - {name: amount, logicalType: number, logicalTypeOptions: {format: f64, exclusiveMinimum: 1, maximum: 9}}
      - {name: at, logicalType: timestamp, logicalTypeOptions: {timezone: true, defaultTimezone: UTC, format: yyyy}}
      - {name: hour, logicalType: time, logicalTypeOptions: {timezone: true, defaultTimezone: UTC, format: HH}}
      - {name: on, logicalType: date, logicalTypeOptions: {minimum: '2020-01-01', format: yyyy-MM-dd}}
      - name: tags
        logicalType: array
        physicalType: ARRAY<STRING>
        logicalTypeOptions: {minItems: 1, maxItems: 3, uniqueItems: true}
        items: {logicalType: string, logicalTypeOptions: {minLength: 1}}
      - name: place
        logicalType: object
        logicalTypeOptions: {required: [street], minProperties: 1, maxProperties: 2}
        properties:
          - name: street
            physicalName: str
            logicalType: string
            required: true
            unique: true
            encryptedName: x
            relationships: [{to: lines.id}]
            quality:
              - {metric: nullValues, mustBe: 0}
              - {metric: duplicateValues, mustBe: 0}
              - {type: sql, query: select 1, mustBe: 1}
              - {type: custom, engine: greatExpectations, implementation: {type: expect_column_to_exist}}
              - {type: custom, engine: soda, implementation: x}
          - {name: town, logicalType: string, primaryKey: true}
      - name: prices
        logicalType: map
        map: {key: {logicalType: string}, value: {logicalType: number, required: true}}
      - name: meaning
        logicalType: vector
        logicalTypeOptions: {dimensions: 3, elementType: int8, distanceMetric: cosine, normalized: true,
                             embeddingModel: m, embeddingModelVersion: '1'}
  - name: lines
    properties: [{name: id, logicalType: string, physicalType: UUID}, {name: customer, logicalType: integer}]
slaDefaultElement: orders.at
slaProperties:
  - {id: fresh, property: latency, value: 4, unit: d, element: orders.at, driver: analytics, description: Soon.,
     schedule: daily, scheduler: cron, valueExt: 5, customProperties: [{property: a, value: 1}],
     authoritativeDefinitions: [{url: https://example.org, type: policy}]}
  - {property: retention, value: 3, unit: y, element: 'orders.on, orders.at'}
  - {property: availability, value: 99.9, unit: percent}
  - {property: madeUp, value: 1}
support: [{channel: help, url: 'mailto:a@example.org'}]
price: {priceAmount: 9.5, priceCurrency: GBP}
team: {name: shop, members: [{username: sam, role: owner}]}
roles: [{role: analyst, access: read}]
customProperties: [{property: quarantineLimitPercent, value: 5}]
"""


def keys(kind: str) -> set[str]:
    """The keys that the standard's own schema knows for a part of a contract."""
    root = schema(True)
    if kind == "contract":
        return set(root["properties"])
    if kind == "option":
        parts = root["$defs"]["SchemaBaseProperty"]["allOf"]
        given = (part.get("then", {}).get("properties", {}).get("logicalTypeOptions", {}) for part in parts)
        return {key for options in given for key in options.get("properties", ())}
    return {key for name in DEFINITIONS[kind] for key in keys_of(root, root["$defs"][name])}


@pytest.mark.parametrize("kind", TABLE)
def test_the_table_has_every_key_of_the_standard(kind: str) -> None:
    """A new version of the standard brings keys of which nobody has said yet what becomes of them."""
    assert set(TABLE[kind]) == keys(kind)


Place = tuple[str | int, ...]


def kind_of(path: Place) -> str | None:
    """What kind of part stands at a path: one that the table knows, or None inside of what it takes as a whole."""
    kind: str | None = "contract"
    for part in path:
        if isinstance(part, int):
            continue
        inside = {
            ("contract", "schema"): "table", ("contract", "slaProperties"): "level",
            ("table", "properties"): "column", ("column", "properties"): "column", ("column", "items"): "column",
            ("table", "quality"): "quality", ("column", "quality"): "quality",
            ("table", "relationships"): "relationship", ("column", "relationships"): "relationship",
            ("column", "logicalTypeOptions"): "option",
        }  # fmt: skip
        kind = inside.get((str(kind), part))
    return kind


def stated(value: Any, path: Place = ()) -> Iterator[Place]:
    """The path of every key that the table has a row for."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(key, str) and kind_of(path):
            yield (*path, key)
        yield from stated(inner, (*path, key))


DATA = read_contract_yaml(FULL.encode(), Path("full.yaml")).data
PATHS = list(stated(DATA))


def parsed(data: dict[str, Any]) -> Contract:
    return parse_contract(json.dumps(data).encode(), Path("shop/orders.yaml"))


def held(contract: Contract) -> Any:
    """All of a contract that an audit, a release or a reader's mask goes by; words for people are left out."""

    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            fields = (field.name for field in dataclasses.fields(value) if field.name != "description")
            return {name: plain(getattr(value, name)) for name in fields}
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value

    own = {field.name: getattr(contract, field.name) for field in dataclasses.fields(contract)}
    for name in ("text", "hash", "odcs", "description", "owner"):
        own.pop(name)
    return plain(own)


def told(contract: Contract) -> set[tuple[str, str]]:
    return {(place.partition(" ")[0], why) for place, why in not_executed(contract)}


@cache
def whole() -> tuple[Any, set[tuple[str, str]]]:
    contract = parsed(DATA)
    return held(contract), told(contract)


def without(path: Place) -> tuple[Any, set[tuple[str, str]]] | None:
    """What is held and told of the contract without one key; None where it is no contract without it."""
    data = copy.deepcopy(DATA)
    holder: Any = data
    for part in path[:-1]:
        holder = holder[part]
    del holder[path[-1]]
    try:
        contract = parsed(data)
    except ContractError:
        return None
    return held(contract), told(contract)


def is_told(path: Place) -> bool:
    """True where a note names the key, or a part around it."""
    places = {place for place, _ in whole()[1]}
    return any(field_name(path[:n]) in places for n in range(1, len(path) + 1))


@pytest.mark.parametrize("path", PATHS, ids=field_name)
def test_every_key_is_held_or_told_or_only_describes(path: Place) -> None:
    what = TABLE[str(kind_of(path[:-1]))][str(path[-1])]
    after = without(path)
    needed = after is None
    if what == HELD:
        assert needed or after[0] != whole()[0] or is_told(path)
    elif what == TOLD:
        assert is_told(path)
        assert needed or field_name(path) not in {place for place, _ in after[1]}
    elif what == DESCRIBES:
        assert after == whole()
        assert not is_told(path) or re.search(r"quality|slaProperties", field_name(path))


def test_the_contract_uses_every_key_of_the_table() -> None:
    """Without a use the test above would say nothing of a key."""
    used = {(kind_of(path[:-1]), path[-1]) for path in PATHS}
    assert {(kind, key) for kind, row in TABLE.items() for key in row} - used == set()
