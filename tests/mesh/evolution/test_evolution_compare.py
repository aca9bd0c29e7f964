"""One edit of a contract, one graded change: what it is, how grave, and whom it hurts."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.contract import Contract, load_contracts, parse_contract
from mesh.contract.evolution import compare, difference
from tests.conftest import ROOT

PLAIN = yaml.safe_load("""
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: orders
version: 1.2.3
status: active
domain: shop
dataProduct: orders
description: {purpose: Orders.}
customProperties:
  - {property: purposes, value: [billing, research]}
schema:
  - name: orders
    logicalType: object
    description: All orders.
    properties:
      - {name: order_id, id: o1, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true,
         classification: internal}
      - name: amount
        id: o2
        logicalType: number
        physicalType: DECIMAL(10,2)
        classification: internal
        description: What is owed.
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 1000}
        quality:
          - {name: even, metric: invalidValues, arguments: {validValues: [2, 4]}, mustBeLessThan: 5, unit: percent}
          - {name: note, type: text, description: Looks right.}
      - name: code
        id: o3
        logicalType: string
        classification: internal
        logicalTypeOptions: {pattern: '^[A-Z]+$'}
        quality:
          - {name: rare, metric: nullValues, mustBeLessOrEqualTo: 3, severity: warning}
      - {name: at, logicalType: timestamp, classification: internal}
      - name: lines
        id: o4
        logicalType: array
        classification: internal
        items:
          logicalType: object
          properties:
            - {name: price, logicalType: integer, physicalType: INTEGER, logicalTypeOptions: {minimum: 0}}
            - {name: note, logicalType: string, logicalTypeOptions: {maxLength: 9}}
    quality:
      - {name: many, metric: rowCount, mustBeGreaterThan: 10}
      - {name: sums, type: sql, query: 'select sum(amount) from orders', mustBeGreaterThan: 0}
slaProperties:
  - {property: freshness, value: 24, unit: h}
  - {property: retention, value: 6, unit: y}
  - {property: availability, value: 99.5, unit: percent}
  - {property: frequency, value: 1, unit: d}
roles:
  - {role: analyst, access: read, customProperties: [{property: clearance, value: internal}]}
team: {name: shop-team}
""")

Edit = Callable[[Any], Any]


def read(plain: Any) -> Contract:
    return parse_contract(yaml.safe_dump(plain, sort_keys=False).encode(), Path("contracts/shop/orders.yaml"))


def column(plain: Any, name: str) -> Any:
    return next(entry for entry in plain["schema"][0]["properties"] if entry["name"] == name)


def put(*path: Any, value: Any) -> Edit:
    """An edit that sets one value; the first word may name a column."""

    def edit(plain: Any) -> None:
        node = column(plain, path[0][1:]) if str(path[0]).startswith(".") else plain[path[0]]
        for part in path[1:-1]:
            node = node[part]
        if len(path) == 1:
            plain[path[0]] = value
        else:
            node[path[-1]] = value

    return edit


def drop(*path: Any) -> Edit:
    def edit(plain: Any) -> None:
        node = column(plain, path[0][1:]) if str(path[0]).startswith(".") else plain[path[0]]
        for part in path[1:-1]:
            node = node[part]
        del node[path[-1]]

    return edit


RULE = {"name": "short", "metric": "missingValues", "arguments": {"missingValues": ["N/A"]}, "mustBe": 0}

EDITS: list[tuple[str, Edit, tuple[str, str, str, str]]] = [
    # columns
    ("a column goes", lambda p: p["schema"][0]["properties"].pop(2), ("orders.code", "removes", "major", "consumers")),
    ("a column comes", lambda p: p["schema"][0]["properties"].append({"name": "new", "logicalType": "date"}),
     ("orders.new", "adds", "minor", "nobody")),
    ("a column is renamed", put(".code", "name", value="kind"), ("orders.code", "removes", "major", "consumers")),
    ("columns change places", lambda p: p["schema"][0]["properties"].reverse(),
     ("orders", "replaces", "minor", "consumers")),
    ("a table comes", lambda p: p["schema"].append({"name": "lines", "logicalType": "object", "properties": [
        {"name": "n", "logicalType": "integer"}]}), ("lines", "adds", "minor", "nobody")),
    # types
    ("a type is wider", put(".amount", "physicalType", value="DECIMAL(12,2)"),
     ("orders.amount", "loosens", "major", "consumers")),
    ("a type is narrower", put(".amount", "physicalType", value="DECIMAL(8,2)"),
     ("orders.amount", "tightens", "minor", "producer")),
    ("a type is another", put(".amount", "physicalType", value="DOUBLE"),
     ("orders.amount", "replaces", "major", "consumers")),
    ("a whole number is narrower", put(".order_id", "physicalType", value="INTEGER"),
     ("orders.order_id", "tightens", "minor", "producer")),
    # inside objects and arrays
    ("a field comes", lambda p: column(p, "lines")["items"]["properties"].append(
        {"name": "size", "logicalType": "integer", "logicalTypeOptions": {"minimum": 1}}),
     ("orders.lines[].size", "adds", "minor", "nobody")),
    ("a field goes", lambda p: column(p, "lines")["items"]["properties"].pop(),
     ("orders.lines[].note", "removes", "major", "consumers")),
    ("a field's type is wider", put(".lines", "items", "properties", 0, "physicalType", value="BIGINT"),
     ("orders.lines[].price", "loosens", "major", "consumers")),
    ("a field's bound is lower", put(".lines", "items", "properties", 0, "logicalTypeOptions", "minimum", value=-1),
     ("orders.lines[].price.minimum", "loosens", "major", "consumers")),
    ("a field has other words", put(".lines", "items", "properties", 0, "description", value="In pence."),
     ("orders.lines[].price.description", "says", "patch", "nobody")),
    ("a list may be empty no more", put(".lines", "logicalTypeOptions", value={"minItems": 1}),
     ("orders.lines.minItems", "adds", "minor", "producer")),
    # nullability and keys
    ("a column may be missing", put(".amount", "required", value=False),
     ("orders.amount.required", "removes", "major", "consumers")),
    ("a column is required", put(".code", "required", value=True),
     ("orders.code.required", "adds", "minor", "producer")),
    ("a column is unique", put(".code", "unique", value=True), ("orders.code.unique", "adds", "minor", "producer")),
    ("the key is another", lambda p: (column(p, "amount").update(primaryKey=True),
                                      column(p, "order_id").pop("primaryKey")),
     ("orders.primary_key", "replaces", "major", "consumers")),
    # bounds, sets, patterns
    ("a bound is lower", put(".amount", "logicalTypeOptions", "minimum", value=-1),
     ("orders.amount.minimum", "loosens", "major", "consumers")),
    ("a bound is higher", put(".amount", "logicalTypeOptions", "minimum", value=1),
     ("orders.amount.minimum", "tightens", "minor", "producer")),
    ("an upper bound is higher", put(".amount", "logicalTypeOptions", "maximum", value=2000),
     ("orders.amount.maximum", "loosens", "major", "consumers")),
    ("a bound goes", drop(".amount", "logicalTypeOptions", "maximum"),
     ("orders.amount.maximum", "removes", "major", "consumers")),
    ("a pattern is another", put(".code", "logicalTypeOptions", "pattern", value="^[A-Z]*$"),
     ("orders.code.pattern", "replaces", "major", "consumers")),
    ("a set grows", put(".amount", "quality", 0, "arguments", "validValues", value=[2, 4, 6]),
     ("orders.amount.even", "loosens", "major", "consumers")),
    ("a set shrinks", put(".amount", "quality", 0, "arguments", "validValues", value=[2]),
     ("orders.amount.even", "tightens", "minor", "producer")),
    ("a set is another", put(".amount", "quality", 0, "arguments", "validValues", value=[2, 6]),
     ("orders.amount.even", "replaces", "major", "consumers")),
    # thresholds
    ("more may fail", put(".amount", "quality", 0, "mustBeLessThan", value=6),
     ("orders.amount.even", "loosens", "major", "consumers")),
    ("fewer may fail", put(".amount", "quality", 0, "mustBeLessThan", value=4),
     ("orders.amount.even", "tightens", "minor", "producer")),
    ("another unit", put(".amount", "quality", 0, "unit", value="rows"),
     ("orders.amount.even", "replaces", "major", "consumers")),
    ("fewer rows", put("schema", 0, "quality", 0, "mustBeGreaterThan", value=5),
     ("orders.many", "loosens", "major", "consumers")),
    ("another query", put("schema", 0, "quality", 1, "query", value="select max(amount) from orders"),
     ("orders.sums", "replaces", "major", "consumers")),
    # rules
    ("a rule comes", lambda p: column(p, "code")["quality"].append(RULE),
     ("orders.code.short", "adds", "minor", "producer")),
    ("a rule goes", lambda p: p["schema"][0]["quality"].pop(0), ("orders.many", "removes", "major", "consumers")),
    ("a rule only warns", put("schema", 0, "quality", 0, "severity", value="warning"),
     ("orders.many", "loosens", "major", "consumers")),
    ("a warning stops", put(".code", "quality", 0, "severity", value="error"),
     ("orders.code.rare", "tightens", "minor", "producer")),
    ("a warning is weaker", put(".code", "quality", 0, "mustBeLessOrEqualTo", value=9),
     ("orders.code.rare", "loosens", "minor", "nobody")),
    ("rows are put aside", lambda p: column(p, "code")["quality"][0].update(
        customProperties=[{"property": "action", "value": "quarantine"}]),
     ("orders.code.rare", "loosens", "minor", "consumers")),
    ("a rule is renamed", put("schema", 0, "quality", 0, "name", value="enough"),
     ("orders.many", "says", "patch", "nobody")),
    # service levels
    ("data may be older", put("slaProperties", 0, "value", value=48),
     ("slaProperties.freshness", "loosens", "major", "consumers")),
    ("the same age in other words", lambda p: p["slaProperties"][0].update(value=1, unit="d"), ("", "", "", "")),
    ("data is fresher", put("slaProperties", 0, "value", value=12),
     ("slaProperties.freshness", "tightens", "minor", "producer")),
    ("data is kept shorter", put("slaProperties", 1, "value", value=5),
     ("slaProperties.retention", "loosens", "major", "consumers")),
    ("less available", put("slaProperties", 2, "value", value=99),
     ("slaProperties.availability", "loosens", "major", "consumers")),
    ("more available", put("slaProperties", 2, "value", value=99.9),
     ("slaProperties.availability", "tightens", "minor", "producer")),
    ("percent in another word", put("slaProperties", 2, "unit", value="%"), ("", "", "", "")),
    ("available over a longer time", lambda p: p["customProperties"].append(
        {"property": "availabilityWindowDays", "value": 90}),
     ("availabilityWindowDays", "loosens", "major", "consumers")),
    ("available over a shorter time", lambda p: p["customProperties"].append(
        {"property": "availabilityWindowDays", "value": 7}),
     ("availabilityWindowDays", "tightens", "minor", "producer")),
    ("rarer releases", lambda p: p["slaProperties"][3].update(value=2, unit="w"),
     ("slaProperties.frequency", "loosens", "major", "consumers")),
    ("more frequent releases", lambda p: p["slaProperties"][3].update(value=1, unit="h"),
     ("slaProperties.frequency", "tightens", "minor", "producer")),
    ("as frequent in other words", lambda p: p["slaProperties"][3].update(property="fy", value=24, unit="h"),
     ("", "", "", "")),
    ("a level goes", lambda p: p["slaProperties"].pop(2),
     ("slaProperties.availability", "removes", "major", "consumers")),
    ("an end is announced", lambda p: p["slaProperties"].append({"property": "endOfLife", "value": "2030-01-01"}),
     ("slaProperties.endOfLife", "loosens", "minor", "consumers")),
    ("late data is an error", lambda p: p["customProperties"].append(
        {"property": "freshnessSeverity", "value": "error"}), ("freshnessSeverity", "tightens", "minor", "producer")),
    ("old data is an error", lambda p: p["customProperties"].append(
        {"property": "retentionSeverity", "value": "error"}), ("retentionSeverity", "tightens", "minor", "producer")),
    ("an age of a column is longer", lambda p: p["slaProperties"].append(
        {"property": "retention", "value": 9, "unit": "y", "element": "orders.at"}),
     ("slaProperties.retention of orders.at", "adds", "minor", "producer")),
    ("more may be put aside", lambda p: p["customProperties"].append(
        {"property": "quarantineLimitPercent", "value": 20}),
     ("quarantineLimitPercent", "loosens", "major", "consumers")),
    # access and purposes
    ("a stricter class", put(".code", "classification", value="restricted"),
     ("orders.code", "loosens", "major", "consumers")),
    ("a laxer class", put(".code", "classification", value="public"), ("orders.code", "tightens", "minor", "nobody")),
    ("a stricter class inside", put(".lines", "items", "properties", 1, "classification", value="confidential"),
     ("orders.lines", "loosens", "major", "consumers")),
    ("a class inside that changes nothing", put(".lines", "items", "properties", 1, "classification", value="public"),
     ("orders.lines[].note", "says", "patch", "nobody")),
    ("a role goes", lambda p: p["roles"].pop(), ("roles.analyst", "removes", "major", "consumers")),
    ("a role sees less", put("roles", 0, "customProperties", 0, "value", value="public"),
     ("roles.analyst", "loosens", "major", "consumers")),
    ("a purpose goes", put("customProperties", 0, "value", value=["billing"]),
     ("purposes", "loosens", "major", "consumers")),
    ("a purpose comes", put("customProperties", 0, "value", value=["billing", "research", "fraud"]),
     ("purposes", "tightens", "minor", "nobody")),
    # status and words
    ("deprecated", put("status", value="deprecated"), ("status", "loosens", "minor", "consumers")),
    ("retired", put("status", value="retired"), ("status", "loosens", "major", "consumers")),
    ("other words", put(".amount", "description", value="Pounds."),
     ("orders.amount.description", "says", "patch", "nobody")),
    ("another owner", put("team", "name", value="till-team"), ("team.name", "says", "patch", "nobody")),
    ("a note of people", put(".amount", "quality", 1, "description", value="Looks fine."),
     ("orders.amount.quality[note].description", "says", "patch", "nobody")),
    ("tags", put("schema", 0, "tags", value=["money"]), ("orders.tags", "says", "patch", "nobody")),
]  # fmt: skip


def edited(edit: Edit) -> Contract:
    plain = copy.deepcopy(PLAIN)
    edit(plain)
    return read(plain)


@pytest.mark.parametrize(("edit", "expected"), [entry[1:] for entry in EDITS], ids=[entry[0] for entry in EDITS])
def test_an_edit_is_one_graded_change(edit: Edit, expected: tuple[str, str, str, str]) -> None:
    found = compare(read(PLAIN), edited(edit))
    assert [(c.place, c.direction, c.grade, c.hurts) for c in found] == ([expected] if expected[0] else [])


OPPOSITE = {"tightens": "loosens", "loosens": "tightens", "adds": "removes", "removes": "adds"}
ONE_WAY = ("an end is announced", "deprecated", "retired", "a column is renamed")


@pytest.mark.parametrize(
    "edit", [e[1] for e in EDITS if e[0] not in ONE_WAY], ids=[e[0] for e in EDITS if e[0] not in ONE_WAY]
)
def test_the_way_back_is_the_opposite(edit: Edit) -> None:
    there, back = compare(read(PLAIN), edited(edit)), compare(edited(edit), read(PLAIN))
    assert [OPPOSITE.get(c.direction, c.direction) for c in there] == [c.direction for c in back]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(range(len(EDITS))), min_size=1, max_size=3, unique=True))
def test_several_edits_are_as_grave_as_the_gravest(places: list[int]) -> None:
    """Edits of different places do not hide each other."""
    plain, alone = copy.deepcopy(PLAIN), []
    for place in places:
        before = copy.deepcopy(plain)
        try:
            EDITS[place][1](plain)
            read(plain)
        except Exception:
            plain = before  # one edit took away what the next one edits
            continue
        alone.append(EDITS[place][2][2])
    grades = {change.grade for change in compare(read(PLAIN), read(plain))}
    distinct = {EDITS[place][2][0].rpartition(".")[0] for place in places}
    if len(distinct) == len(places):
        assert {grade for grade in alone if grade == "major"} <= grades


CONTRACTS = sorted(load_contracts(ROOT))


@pytest.mark.parametrize("key", CONTRACTS)
def test_a_contract_does_not_differ_from_itself(key: str) -> None:
    contract = load_contracts(ROOT)[key]
    comment = parse_contract(b"# a comment\n" + contract.text.encode(), contract.path)
    assert compare(contract, comment) == ()


EVERY = [pytest.param(key, 1, marks=pytest.mark.torture) for key in CONTRACTS]


@pytest.mark.parametrize(("key", "step"), [("claims/outcomes", 5), ("interactions/messages", 9), *EVERY])
def test_no_leaf_of_a_shipped_contract_changes_unnoticed(key: str, step: int) -> None:
    """Whatever text or number is edited, something is said of it."""
    contract = load_contracts(ROOT)[key]
    plain = yaml.load(contract.text, Loader=yaml.BaseLoader)
    typed = yaml.safe_load(contract.text)
    fixed = {"apiVersion", "kind", "id", "domain", "dataProduct", "version", "primaryKeyPosition"}
    unnoticed = []
    for path in itertools.islice(_leaves(plain), 0, None, step):
        other = copy.deepcopy(typed)
        node = other
        for part in path[:-1]:
            node = node[part]
        value = node[path[-1]]
        if path[-1] in fixed or isinstance(value, bool):
            continue
        node[path[-1]] = value + 1 if isinstance(value, int | float) else f"{value}x"
        try:
            changed = parse_contract(yaml.safe_dump(other, sort_keys=False).encode(), contract.path)
        except Exception:
            continue  # the edit is no contract any more
        if not compare(contract, changed):
            unnoticed.append(path)
    assert unnoticed == []


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Any:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        if isinstance(inner, dict | list):
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key)


@pytest.mark.parametrize(
    ("version", "edit", "admitted", "least"),
    [
        ("1.2.3", put(".amount", "description", value="Pounds."), True, "1.2.3"),
        ("1.2.4", put(".amount", "description", value="Pounds."), True, "1.2.3"),
        ("1.2.2", put(".amount", "description", value="Pounds."), False, "1.2.3"),
        ("1.2.4", put(".code", "required", value=True), False, "1.3.0"),
        ("1.3.0", put(".code", "required", value=True), True, "1.3.0"),
        ("1.3.0", put(".amount", "required", value=False), False, "2.0.0"),
        ("2.0.0", put(".amount", "required", value=False), True, "2.0.0"),
        ("2.0.0-beta.1", put(".amount", "required", value=False), True, "2.0.0"),
    ],
)
def test_a_version_admits_what_its_step_announces(version: str, edit: Edit, admitted: bool, least: str) -> None:
    plain = copy.deepcopy(PLAIN)
    edit(plain)
    plain["version"] = version
    found = difference(read(PLAIN), read(plain), base="release 1")
    assert (found.admitted, found.least) == (admitted, least)


def test_before_the_first_major_a_minor_step_may_break() -> None:
    old = copy.deepcopy(PLAIN) | {"version": "0.2.0"}
    new = copy.deepcopy(PLAIN) | {"version": "0.2.1"}
    put(".amount", "required", value=False)(new)
    found = difference(read(old), read(new), base="release 1")
    assert (found.admitted, found.least) == (False, "0.3.0")
    assert difference(read(old), read(new | {"version": "0.3.0"}), base="release 1").admitted
