"""Contract files become checked objects, or one clear error with its place."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.contract import Contract, columns_ddl, load_contract, load_contracts, not_executed, parse_contract
from mesh.contract.service import judged_in_service
from mesh.errors import ContractError, NotFound

EXAMPLE = Path(__file__).parent / "example.yaml"

MINIMAL = """\
apiVersion: v3.1.0
kind: DataContract
id: c1
version: 1.0.0
status: active
domain: shop
dataProduct: orders
schema:
  - name: orders
    properties:
      - name: order_id
        logicalType: string
        required: true
      - name: amount
        logicalType: number
        logicalTypeOptions:
          minimum: 0
        quality:
          - metric: nullValues
            mustBe: 0
    quality:
      - metric: rowCount
        mustBeGreaterThan: 0
      - type: sql
        name: positive
        query: select count(*) from ${table} where amount < 0
        mustBe: 0
slaProperties:
  - property: retention
    value: 3
    unit: y
"""


def parse(text: str) -> Contract:
    return parse_contract(text.encode(), Path("shop/orders.yaml"))


def test_the_example_compiles_to_exactly_these_rules() -> None:
    contract = load_contract(EXAMPLE)
    told = [f"{r.id} {r.kind} {r.threshold} {r.severity} {r.action}" for r in contract.rules]
    assert told == [
        "orders.schema schema must be 0 error fail",
        "orders.primary_key duplicateValues must be 0 error quarantine",
        "orders.order_id.required nullValues must be 0 error quarantine",
        "orders.order_id.pattern pattern must be 0 error quarantine",
        "orders.customer_id.required nullValues must be 0 error fail",
        "orders.customer_id.minimum minimum must be 0 error fail",
        "orders.email.format format must be 0 error fail",
        "orders.email.minLength minLength must be 0 error fail",
        "orders.email.maxLength maxLength must be 0 error fail",
        "orders.email.email_given missingValues must be 5 % or less warning fail",
        "orders.status.required nullValues must be 0 error fail",
        "orders.status.invalidValues invalidValues must be 0 error quarantine",
        "orders.country.iso_code invalidValues must be less than 3 error fail",
        "orders.country.nullValues nullValues must be less than 10 % error fail",
        "orders.amount.required nullValues must be 0 error fail",
        "orders.amount.minimum minimum must be 0 error fail",
        "orders.amount.exclusiveMaximum exclusiveMaximum must be 0 error fail",
        "orders.amount.multipleOf multipleOf must be 0 error fail",
        "orders.amount.total sql must be greater than 0 error fail",
        "orders.discount.exclusiveMinimum exclusiveMinimum must be 0 error fail",
        "orders.discount.maximum maximum must be 0 error fail",
        "orders.ordered_on.required nullValues must be 0 error fail",
        "orders.ordered_on.minimum minimum must be 0 error fail",
        "orders.ordered_on.exclusiveMaximum exclusiveMaximum must be 0 error fail",
        "orders.updated_at.required nullValues must be 0 error fail",
        "orders.invoice_no.unique duplicateValues must be 0 error fail",
        "orders.rowCount rowCount must be between 1 and 10,000,000 error fail",
        "orders.one_order_a_second duplicateValues must be 1 % or less warning fail",
        "orders.every_order_has_lines sql must be 0 warning fail",
        "orders.customer_id.in.crm_customers relationship must be 0 warning fail",
        "orders.ordered_on.retention retention must be 0 warning fail",
        "orders.updated_at.latency freshness must be 0 warning fail",
        "order_lines.schema schema must be 0 error fail",
        "order_lines.primary_key duplicateValues must be 0 error fail",
        "order_lines.order_id.required nullValues must be 0 error fail",
        "order_lines.line.required nullValues must be 0 error fail",
        "order_lines.quantity.required nullValues must be 0 error fail",
        "order_lines.quantity.exclusiveMinimum exclusiveMinimum must be 0 error fail",
        "order_lines.order_id.in.orders relationship must be 0 error quarantine",
    ]


def test_the_example_tells_who_owns_what_under_which_terms() -> None:
    contract = load_contract(EXAMPLE)
    assert (contract.name, contract.id, contract.version, contract.major, contract.status, contract.owner) == (
        "shop/orders",
        "urn:datacontract:shop:orders",
        "1.2.0",
        1,
        "active",
        "Shop team",
    )
    assert contract.description == "Every order with its lines, for reporting and stock planning."
    assert contract.quarantine_limit_percent == 20
    assert contract.freshness is not None
    assert (contract.freshness.table, contract.freshness.column, contract.freshness.age) == (
        "orders",
        "updated_at",
        timedelta(days=2),
    )
    assert [(t.name, t.primary_key) for t in contract.tables] == [
        ("orders", ("order_id",)),
        ("order_lines", ("order_id", "line")),
    ]
    email = contract.table("orders").column("email")
    assert (email.classification, email.critical, email.tags) == ("restricted", True, ("contact",))


def test_what_no_rule_checks_is_told() -> None:
    assert not_executed(load_contract(EXAMPLE)) == [
        ("roles", "access is granted by the mesh, not by the audit"),
        (
            "schema[0].properties[10].quality[0]",
            "text is for people; write it as a library or sql rule to have it checked",
        ),
        (
            "schema[0].properties[1].logicalTypeOptions.format",
            "it gives the column its type, which the schema rule holds",
        ),
        (
            "schema[0].properties[6].logicalTypeOptions.format",
            "it gives the column its type, which the schema rule holds",
        ),
        ("schema[0].quality[3]", "rules of the engine soda are not run"),
        (
            "schema[1].properties[1].logicalTypeOptions.format",
            "it gives the column its type, which the schema rule holds",
        ),
    ]


@pytest.mark.parametrize(
    ("level", "why"),
    [
        ("{property: freshness, value: 1, unit: d}", ""),
        ("{property: freshness, value: 1, unit: d, element: orders.updated_at}", ""),
        ("{property: ly, value: 1, unit: month}", ""),
        ("{property: Latency, value: 1, unit: d, element: orders}", ""),
        ("{property: fy, value: 4, unit: h}", ""),
        ("{property: frequency, value: daily}", "no rule: it needs a number above 0 and a `unit` of time, such as 1 d"),
        ("{property: frequency, value: 0, unit: d}",
         "no rule: it needs a number above 0 and a `unit` of time, such as 1 d"),
        ("{property: av, value: 99.9, unit: '%'}", ""),
        ("{property: availability, value: 99.9}", ""),
        ("{property: availability, value: 1, unit: percent}", ""),
        # A share or a percentage? They are a hundredfold apart.
        ("{property: availability, value: 0.999}", "no rule: it needs a number up to 100 and `unit: percent`"),
        ("{property: availability, value: 100.5}", "no rule: it needs a number up to 100 and `unit: percent`"),
        ("{property: availability, value: office hours}", "no rule: it needs a number up to 100 and `unit: percent`"),
        ("{property: re, value: 3, unit: y, element: orders.ordered_on}", ""),
        ("{property: retention, value: 3, unit: y}",
         "no rule: it needs a length of time and, as `element`, a column of dates or timestamps"),
        ("{property: th, value: 5}", "not measured: readers take the data files at their own pace"),
    ],
)  # fmt: skip
def test_a_service_level_is_judged_or_it_is_told_why_not(level: str, why: str) -> None:
    start, _, rest = EXAMPLE.read_text().partition("slaProperties:\n")
    text = f"{start}slaProperties:\n  - {level}\n\n{rest[rest.index('team:') :]}"
    contract = parse_contract(text.encode(), EXAMPLE)
    told = [reason for place, reason in not_executed(contract) if place.startswith("slaProperties[0]")]
    assert told == ([why] if why else [])
    [given] = contract.sla
    ruled = any(rule.kind in ("freshness", "retention") for rule in contract.rules)
    assert [ruled, judged_in_service(given)].count(True) == (0 if why else 1)


@pytest.mark.parametrize("days", ["0", "1.5", "true", "a month", "4000"])
def test_the_window_of_availability_is_a_number_of_days(days: str) -> None:
    text = EXAMPLE.read_text() + f"  - {{property: availabilityWindowDays, value: {days}}}\n"
    with pytest.raises(ContractError, match=r"`availabilityWindowDays` must be a whole number.*Allowed: 1 to 3660"):
        parse_contract(text.encode(), EXAMPLE)


def test_the_example_is_a_contract_to_the_standard_itself() -> None:
    """Our reading must not be laxer than the standard's own JSON schema."""
    import jsonschema
    from open_data_contract_standard.model import OpenDataContractStandard

    schema = json.loads(OpenDataContractStandard.json_schema())
    data = load_contract(EXAMPLE).odcs.model_dump(by_alias=True, exclude_none=True)
    jsonschema.Draft201909Validator(schema).validate(data)


def test_duckdb_reports_the_types_that_the_contract_declares() -> None:
    contract = load_contract(EXAMPLE)
    with duckdb.connect() as con:
        for table in contract.tables:
            con.execute(f"create table {table.name} ({columns_ddl(table)})")
            seen = con.execute(f"describe {table.name}").fetchall()
            assert [(row[0], row[1]) for row in seen] == [(c.name, c.physical_type) for c in table.columns]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("varchar(20)", "VARCHAR"),
        ("text", "VARCHAR"),
        ("decimal( 14 , 2 )", "DECIMAL(14,2)"),
        ("numeric", "DECIMAL(18,3)"),
        ("decimal(9)", "DECIMAL(9,0)"),
        ("int", "INTEGER"),
        ("int8", "BIGINT"),
        ("timestamptz", "TIMESTAMP WITH TIME ZONE"),
        ("double precision", "DOUBLE"),
        ("real", "FLOAT"),
        ("text[]", "VARCHAR[]"),
    ],
)
def test_a_physical_type_is_kept_as_duckdb_reports_it(written: str, meant: str) -> None:
    from mesh.contract import normal_type

    assert normal_type(written) == meant
    with duckdb.connect() as con:
        assert con.execute(f"select typeof(cast(null as {written}))").fetchone() == (meant,)


def test_the_hash_is_that_of_the_bytes_so_that_a_release_seals_the_text() -> None:
    assert parse(MINIMAL).hash == hashlib.sha256(MINIMAL.encode()).hexdigest()
    assert parse(MINIMAL + "# agreed on Monday\n").hash != parse(MINIMAL).hash


COUNT = "- metric: rowCount\n        mustBeGreaterThan: 0"
NULLS = "- metric: nullValues\n            mustBe: 0"
COLUMN = "schema[0].properties[0]"
AMOUNT = "schema[0].properties[1]"

# What is replaced, by what, and the line, field and words of the error that must come of it.
BROKEN = {
    "unknown key": ("required: true", "requird: true", 13, f"{COLUMN}.requird", "did you mean `required`"),
    "wrong type": ("required: true", 'required: "yes"', 13, f"{COLUMN}.required", "true or false"),
    "number for text": ("version: 1.0.0", "version: 1.0", 4, "version", "put it in quotes"),
    "not semver": ("version: 1.0.0", "version: v1", 4, "version", "MAJOR.MINOR.PATCH"),
    "unknown status": ("status: active", "status: actve", 5, "status", "did you mean `active`"),
    "unknown type": ("logicalType: number", "logicalType: money", 15, f"{AMOUNT}.logicalType", "number"),
    "type mismatch": ("required: true", "physicalType: date", 13, f"{COLUMN}.physicalType", "VARCHAR"),
    "missing version": ("version: 1.0.0\n", "", 1, "version", "is missing"),
    "api version": ("v3.1.0", "v2.2.2", 1, "apiVersion", "v3.1.0"),
    "newer key": ("required: true", "synonyms: []", 13, f"{COLUMN}.synonyms", "apiVersion: v3.2.0"),
    "duplicate column": ("name: amount", "name: order_id", 14, f"{AMOUNT}.name", "stands here twice"),
    "duplicate key": ("required: true", "logicalType: date", 13, f"{COLUMN}.logicalType", "twice"),
    "column name": ("name: amount", "name: Amount due", 14, f"{AMOUNT}.name", "lower case"),
    "unknown option": ("minimum: 0", "minimun: 0", 17, f"{AMOUNT}.logicalTypeOptions.minimun", "`minimum`"),
    "option type": ("minimum: 0", "minimum: '0'", 17, f"{AMOUNT}.logicalTypeOptions.minimum", "number"),
    "bounds": ("minimum: 0", "minimum: 5\n          maximum: 1", 17, f"{AMOUNT}.logicalTypeOptions.minimum", "above"),
    "unknown metric": ("metric: nullValues", "metric: nullvalue", 19, f"{AMOUNT}.quality[0].metric", "`nullValues`"),
    "metric level": ("metric: nullValues", "metric: rowCount", 19, f"{AMOUNT}.quality[0].metric", "on a table"),
    "two operators": (
        COUNT,
        "- {metric: rowCount, mustBe: 1, mustNotBe: 2}",
        22,
        "schema[0].quality[0].mustNotBe",
        "contradict",
    ),
    "range": (
        COUNT,
        "- {metric: rowCount, mustBeBetween: [2, 1]}",
        22,
        "schema[0].quality[0].mustBeBetween",
        "smaller",
    ),
    "no operator": ("mustBeGreaterThan: 0", "severity: error", 22, "schema[0].quality[0]", "says not what"),
    "unit": (NULLS, "- {metric: nullValues, mustBe: 0, unit: share}", 19, f"{AMOUNT}.quality[0].unit", "rows, percent"),
    "row count unit": (
        COUNT,
        "- {metric: rowCount, mustBe: 1, unit: percent}",
        22,
        "schema[0].quality[0].unit",
        "rows",
    ),
    "percentage": (
        NULLS,
        "- {metric: nullValues, mustBe: 101, unit: percent}",
        19,
        f"{AMOUNT}.quality[0].mustBe",
        "0 to 100",
    ),
    "severity": (
        COUNT,
        "- {metric: rowCount, mustBe: 1, severity: bad}",
        22,
        "schema[0].quality[0].severity",
        "error, warning",
    ),
    "quarantine of a table": (
        "mustBeGreaterThan: 0",
        "mustBe: 1\n        customProperties: [{property: action, value: quarantine}]",
        24,
        "schema[0].quality[0].customProperties",
        "no single row",
    ),
    "no arguments": ("metric: nullValues", "metric: invalidValues", 19, f"{AMOUNT}.quality[0]", "validValues, pattern"),
    "wrong argument": (
        NULLS,
        "- metric: invalidValues\n            arguments: {validValue: [1]}\n            mustBe: 0",
        20,
        f"{AMOUNT}.quality[0].arguments.validValue",
        "did you mean `validValues`",
    ),
    "value of another type": (
        NULLS,
        "- metric: invalidValues\n            arguments: {validValues: [1, two]}\n            mustBe: 0",
        20,
        f"{AMOUNT}.quality[0].arguments.validValues[1]",
        "must be a number",
    ),
    "unknown column": (
        COUNT,
        "- metric: duplicateValues\n        arguments: {properties: [order]}\n        mustBe: 0",
        23,
        "schema[0].quality[0].arguments.properties[0]",
        "did you mean `order_id`",
    ),
    "look-around": (
        "required: true",
        "logicalTypeOptions: {pattern: '(?=a)'}",
        13,
        f"{COLUMN}.logicalTypeOptions.pattern",
        "RE2",
    ),
    "relationship": (
        "required: true",
        "relationships: [{to: carts.id}]",
        13,
        f"{COLUMN}.relationships[0].to",
        "orders",
    ),
    "relationship from": (
        "required: true",
        "relationships: [{from: orders.amount, to: orders.amount}]",
        13,
        f"{COLUMN}.relationships[0].from",
        "leave `from` out",
    ),
    "sql reads another table": (
        "from ${table}",
        "from payments",
        26,
        "schema[0].quality[1].query",
        "not this contract's",
    ),
    "sql is damaged": ("select count(*)", "selct count(*)", 26, "schema[0].quality[1].query", "no SQL"),
    "sql writes": (
        "select count(*) from ${table}",
        "delete from orders",
        26,
        "schema[0].quality[1].query",
        "one SELECT",
    ),
    "sql placeholder": ("${table}", "${column}", 26, "schema[0].quality[1].query", "no meaning here"),
    "sla unit": (
        "property: retention\n    value: 3\n    unit: y",
        "property: freshness\n    value: 3\n    unit: fortnight\n    element: orders.order_id",
        31,
        "slaProperties[0].unit",
        "hours",
    ),
    "sla element": ("unit: y", "unit: y\n    element: orders.order", 32, "slaProperties[0].element", "`order_id`"),
    "alias": ("required: true", "tags: &t [a]\n        examples: *t", 14, f"{COLUMN}.examples", "aliases"),
    "tag": ("id: c1", "id: !!python/object:os.system c1", 3, "id", "tag"),
    "damaged": ("required: true", "required: [true", 14, None, "damaged"),
    "infinite": ("minimum: 0", "minimum: .inf", 17, f"{AMOUNT}.logicalTypeOptions.minimum", "finite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_error_names_file_line_field_and_what_is_allowed(name: str) -> None:
    old, new, line, field, says = BROKEN[name]
    assert MINIMAL.count(old) >= 1
    with pytest.raises(ContractError) as caught:
        parse(MINIMAL.replace(old, new, 1))
    error = caught.value
    assert (str(error.file), error.line, error.field) == ("shop/orders.yaml", line, field), str(error)
    assert says in str(error)


def test_bytes_that_are_no_text_are_an_error_with_their_line() -> None:
    with pytest.raises(ContractError, match=r"shop/orders.yaml:3: The file is not UTF-8 text\."):
        parse_contract(b"a: 1\nb: 2\nc: \xff\n", Path("shop/orders.yaml"))


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing\.yaml cannot be read"):
        load_contract(tmp_path / "nothing.yaml")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """The example with some of its bytes cut, doubled or replaced."""
    content = EXAMPLE.read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        new = draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    [b"[", b"{", b"&a ", b"*a", b"!!x ", b"- ", b"\t", b"|", b"%YAML 9\n", b"null", b"\x00"]
                ),
                st.just(content[start:end] * 2),
            )
        )
        content = content[:start] + new + content[end:]
    return content


@settings(max_examples=150, deadline=None)
@given(st.one_of(damaged(), st.binary(max_size=60), st.text(max_size=60).map(str.encode)))
def test_whatever_the_bytes_there_is_a_contract_or_a_contract_error(content: bytes) -> None:
    outcome: object
    try:
        outcome = parse_contract(content, Path("x.yaml"))
    except ContractError as error:
        outcome = error
    assert isinstance(outcome, Contract) or str(outcome).startswith("x.yaml")


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    with pytest.raises(ContractError, match="nested too deeply"):
        parse_contract(b"[" * 3000, Path("x.yaml"))


def project(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = tmp_path / "contracts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_a_project_gives_its_contracts_by_product_and_leaves_policies_alone(tmp_path: Path) -> None:
    other = MINIMAL.replace("id: c1", "id: c2").replace("dataProduct: orders", "dataProduct: carts")
    folder = project(tmp_path, {"shop/orders.yaml": MINIMAL, "shop/carts.yaml": other, "policies/all.yaml": "a: 1"})
    assert list(load_contracts(folder)) == ["shop/carts", "shop/orders"]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"shop/basket.yaml": MINIMAL}, "contracts/shop/orders.yaml"),
        ({"crm/orders.yaml": MINIMAL}, "contracts/shop/orders.yaml"),
        (
            {
                "shop/carts.yaml": MINIMAL.replace("dataProduct: orders", "dataProduct: carts"),
                "shop/orders.yaml": MINIMAL,
            },
            "an id of its own",
        ),
    ],
)
def test_a_contract_in_the_wrong_place_is_refused(tmp_path: Path, files: dict[str, str], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        load_contracts(project(tmp_path, files))


def test_an_enumeration_of_the_newer_standard_is_a_rule() -> None:
    text = MINIMAL.replace("v3.1.0", "v3.2.0").replace("required: true", "enum: [{value: a}, {value: b}]")
    rule = parse(text).rule("orders.order_id.enum")
    assert (rule.kind, rule.arguments["validValues"]) == ("invalidValues", ["a", "b"])


def test_rules_that_would_share_an_id_are_numbered() -> None:
    text = MINIMAL.replace(
        "          - metric: nullValues\n            mustBe: 0\n",
        "          - metric: nullValues\n            mustBe: 0\n" * 2,
    )
    ids = [rule.id for rule in parse(text).rules]
    assert "orders.amount.nullValues" in ids
    assert "orders.amount.nullValues_2" in ids
    assert len(set(ids)) == len(ids)


def test_a_key_of_several_columns_points_by_name_or_by_id() -> None:
    tables = """
  - name: lots
    id: lots_tbl
    properties: [{name: shop, id: s, logicalType: string}, {name: lot, id: l, logicalType: string}]
  - name: items
    properties: [{name: shop, logicalType: string}, {name: lot, logicalType: string}]
    relationships:
      - {from: [items.shop, items.lot], to: [lots.shop, lots.lot]}
      - {from: [items.shop, items.lot], to: [schema/lots_tbl/properties/s, schema/lots_tbl/properties/l]}
"""
    contract = parse(MINIMAL[: MINIMAL.index("  - name: orders")] + tables)
    seen = [(r.id, r.columns, r.arguments["to_table"], r.arguments["to_columns"]) for r in contract.rules[2:]]
    assert seen == [
        ("items.shop_lot.in.lots", ("shop", "lot"), "lots", ("shop", "lot")),
        ("items.shop_lot.in.lots_2", ("shop", "lot"), "lots", ("shop", "lot")),
    ]


@pytest.mark.parametrize("query", ["select 1 from read_csv('x.csv')", "select * from 'x.csv'", "select 1; select 2"])
def test_an_sql_rule_reads_nothing_but_tables_it_may(query: str) -> None:
    text = MINIMAL.replace("select count(*) from ${table} where amount < 0", json.dumps(query))
    with pytest.raises(ContractError, match="The query"):
        parse(text)


def test_an_sql_rule_may_read_published_products_and_its_own_expressions() -> None:
    query = "with big as (select * from ${table}) select count(*) from big, range(3), inputs.crm.customers_v1"
    text = MINIMAL.replace("select count(*) from ${table} where amount < 0", json.dumps(query))
    assert parse(text).rule("orders.positive").arguments["query"] == query.replace("${table}", '"orders"')
