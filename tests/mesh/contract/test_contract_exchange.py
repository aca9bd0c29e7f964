"""Exports are held against the rows they describe: the clean rows of every shipped contract, and the damaged ones.

The rows come from `tests/gates`, which makes them from the standard's words alone.
"""

from __future__ import annotations

import html
import io
import json
import sys
import types
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import jsonschema
import pydantic
import pytest

from mesh.contract import Contract, load_contract, parse_contract
from mesh.contract.exchange import EXPORTS, export, import_contract
from mesh.errors import ContractError, NotFound, ServiceError, UsageError
from tests.domains.desk import contract_files, read
from tests.gates import clean
from tests.gates.damage import damages
from tests.gates.standard import Row, Table, tables

FILES = {f"{file.parent.name}/{file.stem}": file for file in contract_files()}

HEAD = """\
apiVersion: v3.2.0
kind: DataContract
id: shop-orders
version: 2.1.0
status: active
domain: shop
dataProduct: orders
schema:
"""
TRICKY = """\
- name: orders
  description: 'Every "order" of the shop; it''s one row each.'
  properties:
    - {name: class, logicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true}
    - {name: schema, logicalType: integer, physicalType: UTINYINT, primaryKey: true, primaryKeyPosition: 2}
    - {name: model_name, logicalType: string, enum: [{value: a-b}, {value: c}]}
    - {name: size, logicalType: integer, enum: [{value: 1}, {value: 2}], required: true}
    - {name: code, logicalType: string, logicalTypeOptions: {pattern: '^[a-z]', minLength: 2},
       quality: [{metric: invalidValues, arguments: {pattern: '[0-9]$'}, mustBe: 0},
                 {metric: missingValues, arguments: {missingValues: [a-0]}, mustBe: 0}]}
    - {name: folded, logicalType: string, logicalTypeOptions: {pattern: '(?i)^x'}}
    - {name: mail, logicalType: string, logicalTypeOptions: {format: email}}
    - {name: price, logicalType: number, physicalType: 'DECIMAL(5,2)', logicalTypeOptions: {multipleOf: 0.25}}
    - {name: huge, logicalType: integer, physicalType: HUGEINT}
    - {name: born, logicalType: date, logicalTypeOptions: {minimum: '2000-01-01'}}
    - {name: wakes, logicalType: time}
    - {name: seen, logicalType: timestamp, logicalTypeOptions: {timezone: true}}
    - name: place
      logicalType: object
      properties:
        - {name: street, logicalType: string, required: true, logicalTypeOptions: {maxLength: 5}}
        - {name: doors, logicalType: array, logicalTypeOptions: {minItems: 1},
           items: {logicalType: integer, logicalTypeOptions: {minimum: 1}}}
    - {name: maybe, logicalType: string, required: true, customProperties: [{property: severity, value: warning}]}
    - {name: few, logicalType: integer, quality: [{metric: invalidValues, arguments: {validValues: [1]},
       mustBeLessThan: 5, unit: percent}]}
"""
GOOD = {
    "class": "x", "schema": 255, "model_name": "a-b", "size": 2, "code": "ab1", "folded": "X", "mail": "a@x.org",
    "price": 999.75, "huge": 2**100, "born": "2000-01-01", "wakes": "07:30:00", "seen": "2026-01-01T00:00:00+00:00",
    "place": {"street": "Long", "doors": [1, 2]}, "few": 9, "maybe": None,
}  # fmt: skip
BAD: list[dict[str, Any]] = [
    {"class": None}, {"class": 1}, {"schema": 256}, {"schema": -1}, {"schema": "1"}, {"model_name": "b"}, {"size": 3},
    {"size": None}, {"code": "1"}, {"code": "A1"}, {"mail": "nobody"}, {"price": 1000},
    {"price": 0.3}, {"born": "yesterday"}, {"wakes": "late"}, {"seen": "2026-01-01"}, {"place": {"doors": [1]}},
    {"place": {"street": "L", "doors": []}},
    {"place": {"street": "Longer"}}, {"place": {"street": "L", "doors": [0]}}, {"place": "Long"}, {"surplus": 1},
]  # fmt: skip
# What JSON Schema can say and a pydantic model of plain fields cannot, and the other way round.
ONLY_JSON_SCHEMA = [{"code": "a-0"}, {"code": "ab"}]
ONLY_PYDANTIC = [{"born": "1999-12-31"}, {"price": 1.255}]


def tricky(more: str = "") -> Contract:
    return parse_contract((HEAD + TRICKY + more).encode(), Path("shop/orders.yaml"))


@cache
def _read(product: str) -> tuple[Contract, Table]:
    [table] = tables(read(FILES[product]))
    return load_contract(FILES[product]), table


@pytest.fixture(params=FILES)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def as_json(row: Row) -> dict[str, Any]:
    """A row as JSON has it: ISO 8601 text for dates and times."""

    def plain(value: Any) -> Any:
        if isinstance(value, date | datetime | time):
            return value.isoformat()
        return float(value) if isinstance(value, Decimal) else value

    return {name: plain(value) for name, value in row.items()}


def json_schema(text: str) -> Any:
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def model(text: str, name: str) -> type[pydantic.BaseModel]:
    module = types.ModuleType("exported")
    exec(compile(text, "exported", "exec", dont_inherit=True), module.__dict__)
    found: type[pydantic.BaseModel] = getattr(module, name)
    return found


def fits(kind: type[pydantic.BaseModel], row: dict[str, Any]) -> bool:
    try:
        kind.model_validate_json(json.dumps(row))
    except pydantic.ValidationError:
        return False
    return True


def damaged(table: Table, rows: list[Row], left_out: set[str]) -> Iterator[tuple[str, list[Row]]]:
    """The rows that are damaged for each rule that the export says."""
    for promise in table.promises:
        if promise.judges_values and promise.rule not in left_out:
            [damage] = damages(table, rows, promise)
            yield promise.rule, [row for before, row in zip(rows, damage.on(rows), strict=True) if row != before]


@pytest.mark.parametrize("form", ["jsonschema", "pydantic"])
def test_clean_rows_fit_and_damaged_rows_do_not(product: str, form: str) -> None:
    contract, table = _read(product)
    exported = export(contract, form)
    left_out = {rule.id for rule in exported.left_out}
    if form == "jsonschema":
        accepts = json_schema(exported.text).is_valid
    else:
        kind = model(exported.text, "".join(part.capitalize() for part in table.name.split("_")))

        def accepts(row: Any) -> bool:
            return fits(kind, row)

    rows = clean.rows(product, table)
    assert [i for i, row in enumerate(rows) if not accepts(as_json(row))] == []
    bites = {rule: [accepts(as_json(row)) for row in bad] for rule, bad in damaged(table, rows, left_out)}
    assert bites
    assert {rule: fitted for rule, fitted in bites.items() if any(fitted)} == {}
    assert not accepts(as_json(rows[0]) | {"surplus": 1})


@pytest.mark.parametrize("form", ["jsonschema", "pydantic", "avro", "sql"])
def test_what_a_release_may_break_is_not_part_of_its_type(product: str, form: str) -> None:
    """A published row that only a warning is about must still be read by every consumer's schema."""
    contract, _ = _read(product)
    left_out = {rule.id for rule in export(contract, form).left_out}
    assert {rule.id for rule in contract.rules if rule.severity == "warning"} <= left_out


def test_a_json_schema_says_names_nesting_and_lists() -> None:
    exported = export(tricky(), "jsonschema")
    validator = json_schema(exported.text)
    assert [error.message for error in validator.iter_errors(GOOD)] == []
    assert [bad for bad in BAD + ONLY_JSON_SCHEMA if validator.is_valid(GOOD | bad)] == []
    assert {rule.id for rule in exported.left_out} == {
        "orders.primary_key", "orders.folded.pattern", "orders.born.minimum", "orders.few.invalidValues",
        "orders.maybe.required",
    }  # fmt: skip


def test_a_pydantic_model_says_names_nesting_and_lists() -> None:
    exported = export(tricky(), "pydantic")
    kind = model(exported.text, "Orders")
    found = kind.model_validate_json(json.dumps(GOOD))
    assert found.model_dump(by_alias=True)["price"] == Decimal("999.75")
    assert [bad for bad in BAD + ONLY_PYDANTIC if fits(kind, GOOD | bad)] == []
    assert {rule.id for rule in exported.left_out} == {
        "orders.primary_key", "orders.folded.pattern", "orders.code.invalidValues", "orders.code.missingValues",
        "orders.few.invalidValues",
        "orders.maybe.required",
    }  # fmt: skip


def test_ddl_makes_tables_of_exactly_the_contracts_types(product: str) -> None:
    contract, table = _read(product)
    rows = clean.rows(product, table)
    with duckdb.connect() as con:
        con.execute(export(contract, "sql").text)
        seen = {name: kind for name, kind, *_ in con.execute(f"describe {table.name}").fetchall()}
        assert seen == {column.name: column.physical_type for column in contract.table(table.name).columns}
        insert = f"insert into {table.name} values ({', '.join('?' for _ in table.columns)})"
        con.executemany(insert, [list(row.values()) for row in rows])
        with pytest.raises(duckdb.ConstraintException):
            con.execute(insert, list(rows[0].values()))
        con.execute(f"delete from {table.name}")
        for column in contract.table(table.name).columns:
            if column.required:
                with pytest.raises(duckdb.ConstraintException, match="NOT NULL"):
                    con.execute(insert, list({**rows[0], column.name: None}.values()))


def test_ddl_in_another_dialect_keeps_precision_and_time_zones() -> None:
    text = export(tricky(), "sql", dialect="postgres").text
    for words in ('"price" DECIMAL(5, 2)', '"seen" TIMESTAMPTZ', 'PRIMARY KEY ("class", "schema")', "it''s one row"):
        assert words in text
    with pytest.raises(UsageError, match=r"no SQL dialect `klingon`\. Allowed: .*postgres"):
        export(tricky(), "sql", dialect="klingon")


def test_avro_carries_every_clean_row_there_and_back(product: str) -> None:
    contract, table = _read(product)
    schema = fastavro.parse_schema(json.loads(export(contract, "avro").text))
    with duckdb.connect() as con:
        # Typed by the database, as a reader of the product gets them.
        con.execute(export(contract, "sql").text)
        marks = ", ".join("?" for _ in table.columns)
        rows = [list(row.values()) for row in clean.rows(product, table)]
        con.executemany(f"insert into {table.name} values ({marks})", rows)
        names = [column.name for column in table.columns]
        rows = [dict(zip(names, row, strict=True)) for row in con.execute(f"from {table.name}").fetchall()]
    file = io.BytesIO()
    fastavro.writer(file, schema, rows)
    file.seek(0)
    assert list(fastavro.reader(file)) == rows


def test_avro_types_hold_what_the_columns_hold() -> None:
    found = {field["name"]: field["type"] for field in json.loads(export(tricky(), "avro").text)["fields"]}
    assert found["schema"] == "int"
    assert found["model_name"] == ["null", "string"], "a-b is no name that Avro takes as a symbol"
    assert found["price"][1] == {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}
    assert found["huge"][1]["precision"] == 39
    assert found["seen"][1]["logicalType"] == "timestamp-micros"
    street, doors = found["place"][1]["fields"]
    assert street["type"] == "string"
    assert doors["type"] == ["null", {"type": "array", "items": ["null", "long"]}]


def test_odcs_goes_out_and_in_byte_for_byte(product: str) -> None:
    content = FILES[product].read_bytes()
    assert export(_read(product)[0], "odcs").text.encode() == content
    domain, name = product.split("/")
    assert import_contract(FILES[product], "odcs", domain=domain, product=name).text.encode() == content


def test_the_model_of_the_standard_keeps_every_key(product: str) -> None:
    """Read and written back: what the standard's package would drop would be lost to every export."""
    contract, _ = _read(product)
    written = contract.odcs.model_dump(by_alias=True, exclude_unset=True, mode="json")
    assert written == json.loads(json.dumps(read(FILES[product]), default=str))


def test_a_format_of_one_table_asks_which() -> None:
    two = tricky("- {name: lines, properties: [{name: id, logicalType: integer}]}\n")
    with pytest.raises(UsageError, match="add `--table` with orders, lines"):
        export(two, "avro")
    assert json.loads(export(two, "avro", table="lines").text)["fields"][0]["name"] == "id"
    assert set(json.loads(export(two, "jsonschema", table="lines").text)["properties"]) == {"id"}
    assert "class Orders" in export(two, "pydantic").text
    assert "class Lines" in export(two, "pydantic").text
    with pytest.raises(NotFound, match="no table wares"):
        export(two, "sql", table="wares")


def test_a_wrong_call_says_what_there_is() -> None:
    with pytest.raises(UsageError, match=f"Allowed: {', '.join(EXPORTS)}"):
        export(tricky(), "xml")
    with pytest.raises(UsageError, match="for the format sql"):
        export(tricky(), "avro", dialect="postgres")
    with pytest.raises(UsageError, match="whole contract"):
        export(tricky(), "odcs", table="orders")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"form": "xml"}, "No contract is read from `xml`"),
        ({"domain": "Shop"}, "--domain: `Shop` is no name"),
        ({"product": "my-orders"}, "--product: `my-orders` is no name"),
        ({"dialect": "klingon"}, "no SQL dialect `klingon`"),
    ],
)
def test_a_wrong_call_of_an_import_says_what_there_is(change: dict[str, str], words: str, tmp_path: Path) -> None:
    file = tmp_path / "shop.sql"
    file.write_text(DDL)
    with pytest.raises(UsageError, match=words):
        import_contract(file, **{"form": "sql", "domain": "shop", "product": "orders", **change})


def test_an_odcs_file_is_imported_under_its_own_name_only() -> None:
    with pytest.raises(ContractError, match=r"contract of claims/claims"):
        import_contract(FILES["claims/claims"], "odcs", domain="shop", product="orders")


@pytest.fixture
def extra() -> None:
    """Where the extra is missing, its tests say so and are skipped."""
    pytest.importorskip("datacontract", reason="EXTRA MISSING: pip install -e '.[exchange]' to run this test")


DDL = """\
create table "Orders" (
  orderId bigint primary key,
  amount decimal(14, 2) not null check (amount > 0),
  state varchar default 'new',
  placed timestamp with time zone,
  buyer integer references buyers (id)
);
comment on table "Orders" is 'Orders of the shop.';
comment on column "Orders".amount is 'In pounds.';
create index by_state on "Orders" (state);
"""


@pytest.mark.usefixtures("extra")
def test_a_draft_from_ddl_keeps_types_keys_and_comments_and_tells_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "shop.sql"
    file.write_text(DDL)
    found = import_contract(file, "sql", domain="shop", product="orders")
    [table] = found.contract.tables
    assert (found.contract.name, found.contract.status, table.name) == ("shop/orders", "draft", "orders")
    assert table.description == "Orders of the shop."
    assert [(c.name, c.physical_type, c.required, c.primary_key_position) for c in table.columns] == [
        ("order_id", "BIGINT", True, 1),
        ("amount", "DECIMAL(14,2)", True, None),
        ("state", "VARCHAR", False, None),
        ("placed", "TIMESTAMP WITH TIME ZONE", False, None),
        ("buyer", "INTEGER", False, None),
    ]
    assert table.column("amount").description == "In pounds."
    told = "\n".join(found.left_out)
    for words in (
        "Orders: is named orders",
        "orderId: is named order_id",
        "Orders.amount: a CHECK",
        "DEFAULT",
        "create",
    ):
        assert words in told


SCHEMA = {
    "title": "Order",
    "type": "object",
    "required": ["orderId", "born"],
    "properties": {
        "orderId": {"type": "integer", "minimum": 1},
        "born": {"type": "string", "format": "date"},
        "state": {"enum": ["new", "paid"], "type": "string"},
        "code": {"type": "string", "pattern": "^(?=a)b", "maxLength": 9},
        "address": {"type": "object", "properties": {"street": {"type": "string"}}, "minProperties": 1},
    },
}


@pytest.mark.usefixtures("extra")
def test_a_draft_from_json_schema_leaves_out_what_no_rule_can_hold(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps(SCHEMA))
    found = import_contract(file, "jsonschema", domain="shop", product="orders")
    [table] = found.contract.tables
    assert [(c.name, c.logical_type, c.physical_type, c.required) for c in table.columns] == [
        ("order_id", "integer", "BIGINT", True),
        ("born", "date", "DATE", True),
        ("state", "string", "VARCHAR", False),
        ("code", "string", "VARCHAR", False),
        ("address", "object", "STRUCT(street VARCHAR)", False),
    ]
    assert {rule.id.removeprefix("order.") for rule in table.rules} == {
        "schema", "order_id.required", "order_id.minimum", "born.required", "state.enum", "code.maxLength",
    }  # fmt: skip
    told = "\n".join(found.left_out)
    assert "order.code.logicalTypeOptions.pattern: left out. The pattern cannot be used" in told
    assert "minProperties" in told


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("form", ["jsonschema", "sql", "avro"])
def test_a_shipped_contract_comes_back_from_its_own_export(product: str, form: str, tmp_path: Path) -> None:
    """Names in order and what is required survive every format; all types but those of JSON do."""
    contract, table = _read(product)
    file = tmp_path / "exported"
    file.write_text(export(contract, form).text)
    domain, name = product.split("/")
    back = import_contract(file, form, domain=domain, product=name).contract.tables[0].columns
    columns = contract.table(table.name).columns
    assert [column.name for column in back] == [column.name for column in columns]
    assert [column.required for column in back] == [column.required for column in columns]
    if form != "jsonschema":
        assert [column.physical_type for column in back] == [column.physical_type for column in columns]
    if form == "sql":
        assert [column.description for column in back] == [" ".join(c.description.split()) for c in columns]


@pytest.mark.usefixtures("extra")
@pytest.mark.parametrize("form", ["jsonschema", "sql", "dbt", "avro"])
def test_a_file_of_another_kind_is_refused_in_words(form: str, tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_text('select "Mary Smith" from (')
    with pytest.raises((ContractError, NotFound)) as refused:
        import_contract(file, form, domain="shop", product="orders")
    assert str(file) in str(refused.value)
    assert "Mary" not in str(refused.value)


def test_a_page_holds_the_contract_and_its_text() -> None:
    """What a browser asks for while it shows one is watched in the tests of the catalogue, whose page it is."""
    contract = _read("claims/outcomes")[0]
    page = html.unescape(export(contract, "html").text)
    assert all(f"<code>{column.name}</code>" in page for column in contract.tables[0].columns)
    assert all(f"<code>{rule.id}</code>" in page for rule in contract.rules)
    assert contract.text in page


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("datacontract", "datacontract.data_contract"):
        monkeypatch.setitem(sys.modules, name, None)
    file = tmp_path / "shop.sql"
    file.write_text(DDL)
    with pytest.raises(ServiceError, match=r"pip install .*\[exchange\]"):
        import_contract(file, "sql", domain="shop", product="orders")
    assert export(tricky(), "html").text
