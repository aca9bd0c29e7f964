"""A contract's verdict by the standard is that of the standard's own JSON schema, told in plain words."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from mesh.contract.findings import Finding
from mesh.contract.linting import lint_file
from mesh.contract.reading import field_name, read_contract_yaml
from mesh.contract.schemas import schema
from mesh.contract.standard import violations

HERE = Path(__file__).parent

# Every part of v3.2.0 that has a shape of its own.
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
context:
  instructions: Count paid orders only.
  verifiedStatements: [{question: How many orders?, answer: Count the rows., tags: [x]}]
  constraints: [{constraint: Never join with marketing data.}]
description:
  purpose: Reporting
  authoritativeDefinitions: [{url: https://example.org, type: policy}]
servers:
  - {server: lake, type: local, path: ./lake, format: parquet, encoding: utf-8}
  - {server: shop, type: postgres, host: db, port: 5432, database: shop, schema: public}
schema:
  - name: orders
    id: orders
    logicalType: object
    physicalType: table
    physicalName: tbl_orders
    deprecated: false
    synonyms: [{synonym: sales, locale: en-GB}]
    relationships:
      - {id: places, type: foreignKey, from: orders.customer, to: crm.customers.id}
      - {from: [orders.id, orders.customer], to: [lines.id, lines.customer]}
    quality:
      - {metric: rowCount, mustBeBetween: [1, 9]}
      - {type: sql, query: select 1, mustBe: 1, dimension: accuracy}
      - {type: custom, engine: soda, implementation: {a: 1}}
      - {type: text, description: All is well.}
    properties:
      - name: id
        logicalType: string
        primaryKey: true
        primaryKeyPosition: 1
        logicalTypeOptions: {minLength: 1, maxLength: 9, pattern: x, format: uuid}
        customProperties: [{property: p, value: null, vendor: acme}]
      - name: customer
        logicalType: integer
        semanticType: dimension
        logicalTypeOptions: {format: i64, minimum: 0, multipleOf: 1}
        enum: [{value: 1, label: One}]
        relationships: [{to: customers.id}]
        quality: [{metric: nullValues, mustBeLessThan: 1, unit: percent}]
      - {name: at, logicalType: timestamp, logicalTypeOptions: {timezone: true, minimum: '2020-01-01'}}
      - {name: amount, logicalType: number, logicalTypeOptions: {format: f64, maximum: 9}, examples: [1, a]}
      - {name: tags, logicalType: array, logicalTypeOptions: {maxItems: 3}, items: {logicalType: string}}
      - name: place
        logicalType: object
        logicalTypeOptions: {required: [street]}
        properties: [{name: street, logicalType: string}]
      - {name: prices, logicalType: map, map: {key: {logicalType: string}, value: {logicalType: number}}}
      - {name: meaning, logicalType: vector, logicalTypeOptions: {dimensions: 3, elementType: int8}}
slaProperties:
  - {property: latency, value: 4, unit: d, element: orders.at, customProperties: [{property: a, value: 1}]}
support: [{channel: help, url: 'mailto:a@example.org'}]
price: {priceAmount: 9.5, priceCurrency: GBP}
team: {name: shop, members: [{username: sam, role: owner}]}
roles: [{role: analyst, access: read}]
customProperties: [{property: a, value: {b: [1]}}]
"""


def data_of(text: str) -> dict[str, Any]:
    return read_contract_yaml(text.encode(), Path("orders.yaml")).data


@cache
def oracle() -> Draft201909Validator:
    """The schema file itself, run by the reference validator."""
    text = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    return Draft201909Validator(json.loads(text))


@cache
def older_oracle() -> Draft201909Validator:
    text = files("datacontract").joinpath("schemas", "odcs-3.1.0.schema.json").read_text("utf-8")
    official = json.loads(text)
    # That copy adds a table type of its maker's.
    official["$defs"]["SchemaObject"]["properties"]["logicalType"]["enum"] = ["object"]
    return Draft201909Validator(official)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from places(inner, (*path, i))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


WHOLE = data_of(FULL)
PLACES = [path for path in places(WHOLE) if path and path != ("apiVersion",)]
KEYS = sorted({part for path in PLACES for part in path if isinstance(part, str)} | {"nonsense", "from", "map"})
VALUES: list[Any] = [None, True, 0, -1, 1.5, "", "a b", "map", "vector", "hana", "sql", "schema/a/properties/b", [], {}]


def without_v3_2() -> dict[str, Any]:
    """The full contract as one of v3.1.0: what came later taken out."""
    data = copy.deepcopy(WHOLE) | {"apiVersion": "v3.1.0"}
    del data["schema"][0]["properties"][6:]
    data["schema"][0]["relationships"][0]["to"] = "customers.id"
    for one in violations(data):
        del at(data, one.path[:-1])[one.path[-1]]
    return data


@st.composite
def mutated(draw: st.DrawFn, base: dict[str, Any] = WHOLE) -> dict[str, Any]:
    """A contract with one to three parts removed, replaced, doubled, renamed or moved."""
    data = copy.deepcopy(base)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PLACES))
        try:
            holder, last = at(data, path[:-1]), path[-1]
            old = holder[last]
        except (KeyError, IndexError, TypeError):
            continue
        if not isinstance(holder, dict | list):
            continue
        way = draw(st.sampled_from(["remove", "replace", "graft", "add", "rename", "double"]))
        if way == "remove":
            del holder[last]
        elif way == "replace":
            holder[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif way == "graft":
            holder[last] = copy.deepcopy(at(WHOLE, draw(st.sampled_from(PLACES))))
        elif way == "add" and isinstance(old, dict):
            old[draw(st.sampled_from(KEYS))] = copy.deepcopy(at(WHOLE, draw(st.sampled_from(PLACES))))
        elif way == "rename" and isinstance(holder, dict):
            holder[draw(st.sampled_from(KEYS))] = holder.pop(last)
        elif way == "double" and isinstance(old, list):
            old.extend(copy.deepcopy(old))
    return data


OLDER = without_v3_2()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_the_verdict_is_that_of_the_json_schema(data: dict[str, Any]) -> None:
    """Differential: the schema file run by the reference validator, on contracts near to valid ones."""
    assert (not violations(data)) == oracle().is_valid(data)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(OLDER))
def test_what_v3_1_0_takes_v3_2_0_takes_too(data: dict[str, Any]) -> None:
    """But for a column without a type, which the schema of v3.2.0 reads as a map."""
    older = violations(data)
    newer = [one for one in violations(data | {"apiVersion": "v3.2.0"}) if "asks for a type" not in one.what]
    assert older or not newer


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated(OLDER))
def test_the_verdict_on_v3_1_0_is_that_of_its_own_schema(data: dict[str, Any]) -> None:
    assert (not violations(data)) == older_oracle().is_valid(data)


def test_the_full_contract_is_valid_in_both_versions() -> None:
    assert violations(WHOLE) == []
    assert oracle().is_valid(WHOLE)
    assert violations(OLDER) == []


def test_in_v3_1_0_all_that_came_later_is_named_and_nothing_else() -> None:
    told = {field_name(one.path): one.what for one in violations(WHOLE | {"apiVersion": "v3.1.0"})}
    later = "came with v3.2.0 of the standard."
    column = "schema[0].properties"
    assert told == {
        "context": f"`context` {later}",
        "servers[0].encoding": f"`encoding` {later}",
        "schema[0].deprecated": f"`deprecated` {later}",
        "schema[0].synonyms": f"`synonyms` {later}",
        "schema[0].relationships[0].id": f"`id` {later}",
        "schema[0].relationships[0].to": f"A reference of this form {later}",
        f"{column}[0].customProperties[0].vendor": f"`vendor` {later}",
        f"{column}[1].semanticType": f"`semanticType` {later}",
        f"{column}[1].enum": f"`enum` {later}",
        f"{column}[6].logicalType": f"`map` {later}",
        f"{column}[6].map": f"`map` {later}",
        f"{column}[7].logicalType": f"`vector` {later}",
        "slaProperties[0].customProperties": f"`customProperties` {later}",
    }


BROKEN = {
    "a missing key": ("id: shop-orders\n", "", "id", "This is missing.", None),
    "a key of nobody": ("tenant: shop", "tennant: shop", "tennant", "did you mean `tenant`?", "tags, team, tenant"),
    "a wrong type": ("name: Orders", "name: 7", "name", "must be text; put it in quotes", None),
    "a word not known": ("timestamp, logical", "timstamp, logical", "schema[0].properties[2].logicalType",
                         "`timstamp` is not known (did you mean `timestamp`?)", "string, date, timestamp"),
    "an option of another type": ("{minLength: 1,", "{minimum: 1,", 
                                  "schema[0].properties[0].logicalTypeOptions.minimum",
                                  "is not a key of the standard", "format, maxLength, minLength, pattern"),
    "no operator": ("rowCount, mustBeBetween: [1, 9]", "rowCount", "schema[0].quality[0]", "says not what",
                    "one of mustBe,"),
    "two operators": ("mustBe: 1,", "mustBe: 1, mustNotBe: 2,", "schema[0].quality[1].mustNotBe", "contradict",
                      "one operator"),
    "half a range": ("[1, 9]", "[1]", "schema[0].quality[0].mustBeBetween", "too few", "at least 2"),
    "no query": ("query: select 1, ", "", "schema[0].quality[1].query", "This is missing.", None),
    "no reference": ("[{to: customers.id}]", "[{to: customers}]", "schema[0].properties[1].relationships[0].to",
                     "names no column", "table.column"),
    "a from on a column": ("[{to: customers.id}]", "[{to: customers.id, from: a.b}]",
                           "schema[0].properties[1].relationships[0].from", "refers from", "leave `from` out"),
    "a team member": ("{username: sam, role: owner}", "{role: owner}", "team.members[0].username", "missing", None),
    "a server of another kind": ("path: ./lake, ", "", "servers[0].path", "This is missing.", None),
    "an id with a space": ("    id: orders", "    id: my orders", "schema[0].id", "letters, digits, - and _",
                           "letters"),
    "a map without values": (", value: {logicalType: number}", "", "schema[0].properties[6].map.value", "missing",
                             None),
    "too small": ("dimensions: 3", "dimensions: 0", "schema[0].properties[7].logicalTypeOptions.dimensions",
                  "too small",
                  "1 or more"),
    "options of no type": ("{name: at, logicalType: timestamp", "{name: at", "schema[0].properties[2].logicalType",
                           "Options need a type", "`logicalType` beside"),
    "no type in v3.2.0": ("{name: at, logicalType: timestamp, logicalTypeOptions: {timezone: true, "
                          "minimum: '2020-01-01'}}", "{name: at}", "schema[0].properties[2].logicalType",
                          "asks for a type", "a `logicalType`"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_one_mistake_is_one_finding_with_its_field_line_and_what_is_allowed(name: str, tmp_path: Path) -> None:
    old, new, field, says, allowed = BROKEN[name]
    assert FULL.count(old) == 1
    text = FULL.replace(old, new)
    file = tmp_path / "orders.yaml"
    file.write_text(text)
    (found,) = lint_file(file, schema_only=True)
    assert (found.field, found.severity, found.source) == (field, "error", "standard")
    assert says in found.what
    assert (allowed or "") in (found.allowed or "")
    changed = FULL[: FULL.index(old)].count("\n") + 1
    if "missing" not in says:
        assert found.line == changed + old[: len(old) - len(old.lstrip("\n"))].count("\n")


def test_all_mistakes_of_a_file_are_told_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = FULL.replace("tenant: shop", "tennant: shop").replace("[1, 9]", "[1]").replace("priceAmount: 9.5", "cost: 1")
    file = tmp_path / "orders.yaml"
    file.write_text(text.replace("role: analyst, ", ""))
    told = [f"{one.line} {one.field}" for one in lint_file(file, schema_only=True)]
    lines = text.splitlines()
    quality = next(i for i, line in enumerate(lines, 1) if "mustBeBetween" in line)
    price = next(i for i, line in enumerate(lines, 1) if "cost: 1" in line)
    roles = next(i for i, line in enumerate(lines, 1) if line.startswith("roles"))
    assert told == [
        "7 tennant",
        f"{quality} schema[0].quality[0].mustBeBetween",
        f"{price} price.cost",
        f"{roles} roles[0].role",
    ]


def test_a_contract_of_v2_is_one_of_the_standard_but_not_of_this_mesh(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    file.write_text("apiVersion: v2.2.0\nkind: DataContract\nid: a\nversion: '1'\nstatus: active\n")
    assert lint_file(file, schema_only=True) == []
    (found,) = lint_file(file)
    known = "v3.0.0, v3.0.1, v3.0.2, v3.1.0, v3.2.0"
    assert (found.source, found.field, found.allowed) == ("mesh", "apiVersion", known)


def test_what_only_this_mesh_cannot_publish_is_no_finding_of_the_standard(tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(FULL.replace("dataProduct: orders", "dataProduct: all orders"))
    assert lint_file(file, schema_only=True) == []
    (found,) = lint_file(file)
    assert found == Finding(
        file, 9, "dataProduct", "error", "mesh",
        "`all orders` is no name in the mesh.", "lower case letters, digits and _",
    )  # fmt: skip


def test_the_older_schema_is_made_once_and_leaves_the_newer_alone() -> None:
    text = files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8")
    schema(False)
    assert schema(True) == json.loads(text)
