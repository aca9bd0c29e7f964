"""What adopting is made of, each on its own: references, columns nobody described, rules, tables, names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagster_project.adopt.columns import columns_read
from dagster_project.adopt.jinja import as_compiled, as_written, built_whole, macro_as_written, with_values
from mesh.errors import ProjectError, SourceError, UsageError
from mesh.project import load_project
from mesh.scaffold.adopt import (
    ForeignColumn,
    ForeignModel,
    ForeignProject,
    ForeignTable,
    ForeignTest,
    plan_adoption,
)
from mesh.scaffold.adopt.rules import NotTaken, Promises, promises
from mesh.scaffold.adopt.tables import raw_table
from tests.conftest import ROOT


def known(kind: str, first: str, second: str | None) -> str | None:
    return {
        ("source", "shop", "raw_orders"): "base_x__orders",
        ("ref", "stg", None): "stg",
        ("ref", "p", "stg"): "stg",
    }.get((kind, first, second))


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("from {{ ref('stg') }}", "from {{ ref('stg') }}"),
        ('from {{ref("p", "stg")}}', 'from {{ref("stg")}}'),
        ("from {{ source('shop','raw_orders') }} -- source('shop', 'raw_orders')",
         "from {{ ref('base_x__orders') }} -- source('shop', 'raw_orders')"),
        ("{{ config(materialized='table', meta={'a': 'b)'}) }}\n\nselect 1", "select 1"),
        ("{{- config(tags=['x']) -}}\nselect {{ p.cents('a') }}", "select {{ cents('a') }}"),
        ("{% for x in ['a'] %}{{ x }}{% endfor %}", "{% for x in ['a'] %}{{ x }}{% endfor %}"),
    ],
)  # fmt: skip
def test_a_model_stays_as_it_was_written(written: str, taken: str) -> None:
    assert as_written(written, "p", known) == (taken, "")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("from {{ ref('gone') }}", "ref('gone') is not known"),
        ("from {{ ref('stg', v=2) }}", "it makes the name of what it reads"),
        ("from {{ ref(name) }}", "it makes the name of what it reads"),
        ("select {{ var('x') }}", "it asks for var, which is the other project's own"),
        ("{{ config(a=1", "its config() cannot be told from its SQL"),
    ],
)
def test_a_model_that_cannot_stay_as_it_was_says_why(written: str, why: str) -> None:
    assert as_written(written, "p", known) == (None, why)


def test_plain_variables_become_their_values_and_later_runs_are_left_out() -> None:
    sql = "where a > {{ var('least', 3) }} and b = '{{ var(\"who\") }}' and c in ({{ var('many') }})"
    made, put = with_values(sql, {"least": 5, "who": "me", "many": [1, 2]})
    assert made == "where a > 5 and b = 'me' and c in ({{ var('many') }})"
    assert put == ("least", "who")
    later = "select 1\n{% if is_incremental() %}\nwhere x > (select max(x) from {{ this }})\n{% endif %}\norder by 1"
    assert built_whole(later) == "select 1\norder by 1"
    both = "{% if is_incremental() %}a{% else %}b{% endif %}"
    assert built_whole(both) == both


def test_compiled_sql_gets_its_references_back() -> None:
    for written in ('"d"."main"."{}"', "d.main.{}"):
        relations = {written.format(name): name for name in ("orders", "orders_old")}
        sql = f"from {written.format('orders_old')} join {written.format('orders')}"
        assert as_compiled(sql, relations) == "from {{ ref('orders_old') }} join {{ ref('orders') }}"


def test_a_macro_comes_along_unless_it_asks_for_its_own_project() -> None:
    dispatching = "{% macro a(x) %}{{ return(adapter.dispatch('a', 'shop')(x)) }}{% endmacro %}"
    assert macro_as_written(dispatching, "shop", "here") == (dispatching.replace("'shop'", "'here'"), "")
    assert macro_as_written("{% macro a() %}{{ target.name }}{% endmacro %}", "shop", "here") == (
        None,
        "it asks for target",
    )


def test_columns_are_followed_to_the_table_they_come_from() -> None:
    query = """
    with source as (select * from "w"."raw"."visits"), renamed as (select id as visit_id, upper(page) as p from source)
    select r.visit_id, o.total, u.seen_at
    from renamed as r join "w"."raw"."orders" as o on o.id = r.visit_id join "w"."raw"."visits" as u on u.id = o.id
    """
    assert columns_read([query], ("w", "raw", "visits")) == ("id", "page", "seen_at")
    assert columns_read([query, "no sql ("], ("w", "raw", "orders")) == ("total", "id")


MODEL = ForeignModel(
    name="sales", file="models/sales.sql", layer="products", sql="select 1", description="What was sold.",
    columns=(ForeignColumn("id", "INTEGER"), ForeignColumn("kind", "VARCHAR"), ForeignColumn("paid", "BOOLEAN"),
             ForeignColumn("order", "BIGINT")),
)  # fmt: skip


def nowhere(model: str, column: str) -> str:
    raise NotTaken(f"{model} is elsewhere")


def held(*tests: ForeignTest) -> tuple[Promises, dict[str, str]]:
    made, _, left = promises(replace(MODEL, tests=tests), "shop", nowhere)
    return made, {test.label: why for test, why in left}


def one(name: str, column: str | None = None, **told: Any) -> ForeignTest:
    settings = {key: told.pop(key) for key in ("warning", "where", "query", "unclear") if key in told}
    return ForeignTest(name, f"{name} {column or ''}".strip(), "m.yml", column, told, **settings)


def test_a_column_that_is_never_missing_and_never_repeats_is_the_key() -> None:
    made, left = held(one("unique", "id"), one("not_null", "id"), one("unique", "order"), one("not_null", "order"))
    assert (made.key, left) == ("id", {})
    assert made.fields["id"] == {"required": True, "primaryKey": True, "primaryKeyPosition": 1}
    assert made.fields["order"] == {"unique": True, "required": True}


def test_a_warning_promises_nothing_that_stops_a_release() -> None:
    made, _ = held(one("unique", "id", warning=True), one("not_null", "id", warning=True))
    assert (made.key, made.fields) == (None, {})
    assert [(rule["metric"], rule["severity"]) for rule in made.column_rules["id"]] == [
        ("duplicateValues", "warning"),
        ("nullValues", "warning"),
    ]


def test_values_of_a_set_are_of_their_columns_type() -> None:
    made, left = held(
        one("accepted_values", "id", values=["1", 2]),
        one("accepted_values", "paid", values=["true", False]),
        one("accepted_values", "kind", values=[1, "a"]),
        one("accepted_values", "order", values=["many"]),
    )
    values = {name: rules[0]["arguments"]["validValues"] for name, rules in made.column_rules.items()}
    assert values == {"id": [1, 2], "paid": [True, False], "kind": ["1", "a"]}
    assert left == {"accepted_values order": "one of its values is no integer, as order is"}


def test_conditions_become_queries_over_the_product_alone() -> None:
    made, left = held(
        one("not_null", "order", where="paid"),
        one("unique", "kind", where="id > 3"),
        one("accepted_range", "order", min_value=1, max_value=9, inclusive=False),
        one("expression_is_true", expression="id in (select id from other)"),
        one("expression_is_true", expression="gone > 1"),
        one("singular", query="select id from ${table} where id < 0 -- none"),
    )
    queries = [rule["query"] for rules in (*made.column_rules.values(), made.table_rules) for rule in rules]
    assert queries == [
        'select count(*) from ${table} where (paid) and "order" is null',
        'select count(*) from ${table} where not ("order" > 1 and "order" < 9)',
        "select count(*) from (select kind from ${table} where (id > 3) and kind is not null group by kind "
        "having count(*) > 1)",
        "select count(*) from (\nselect id from ${table} where id < 0 -- none\n)",
    ]
    assert list(left) == ["expression_is_true"]
    assert "gone" in left["expression_is_true"]


def test_what_no_rule_can_say_is_told() -> None:
    _, left = held(
        one("recency", None),
        one("relationships", "kind", to="ref('kinds')", field="kind"),
        one("relationships", "paid", to="source('a', 'b')", field="x"),
        one("not_null", "nothing"),
        one("unique", "paid", unclear="its setting limit"),
    )
    assert left == {
        "recency": "the mesh has no rule of this kind",
        "relationships kind": "kinds is elsewhere",
        "relationships paid": "it points to no model",
        "not_null nothing": "sales has no column nothing",
        "unique paid": "its setting limit",
    }


def test_identifiers_of_a_seed_become_tokens_under_the_name_that_models_read(tmp_path: Path) -> None:
    file = tmp_path / "raw_people.csv"
    rows = [f"{n},person{n}@mail.example,2024-01-0{n}" for n in range(1, 9)]
    file.write_text("\n".join(["Id,Email,Joined On", *rows]) + "\n")
    columns = (ForeignColumn("Id", "INTEGER"), ForeignColumn("Email", "VARCHAR"), ForeignColumn("Joined On", "DATE"))
    made = raw_table("shop", ForeignTable("raw_people", "seeds/raw_people.csv", "", columns, file), ["raw_people"])
    assert (made.name, made.base) == ("delivered_people", "base_shop__people")
    assert made.columns == ["id", "email_token", "email_status", "joined_on"]
    assert made.source["columns"] == {
        "id": "Id",
        "email": {"from": "Email", "identifier": "email"},
        "joined_on": "Joined On",
    }
    assert [line.strip(" ,") for line in made.sql.splitlines() if "delivered." in line and "inner" not in line] == [
        "cast(delivered.id as integer) as id",
        "delivered.email_token as email",
        'cast(delivered.joined_on as date) as "Joined On"',
    ]
    assert [(note.outcome, note.what) for note in made.notes] == [
        ("changed", "raw_people.Email"),
        ("taken over", "raw_people"),
    ]


def shop(*models: ForeignModel, tables: tuple[ForeignTable, ...] = ()) -> ForeignProject:
    return ForeignProject("web_shop", models, tables, {}, ())


def test_names_are_unique_in_the_mesh(tmp_path: Path) -> None:
    project = load_project(ROOT)
    for name, what in (("claims", r"claims\.sql has something"), ("loads", "ingest has something")):
        with pytest.raises(UsageError, match=what):
            plan_adoption(project, shop(replace(MODEL, name=name)), "web", landing=tmp_path)
    with pytest.raises(UsageError, match="order means something to SQL, so it is no product name"):
        plan_adoption(project, shop(replace(MODEL, name="order")), "web", landing=tmp_path)
    left_out = replace(MODEL, name="sales_filtered", layer="staging")
    with pytest.raises(UsageError, match="is what the mesh calls rows that sales leaves out"):
        plan_adoption(project, shop(MODEL, left_out), "web", landing=tmp_path)
    table = ForeignTable("contacts", "s.yml", "", (ForeignColumn("id", "VARCHAR"),))
    with pytest.raises(UsageError, match="has a raw table raw_contacts already"):
        plan_adoption(project, shop(MODEL, tables=(table,)), "interactions", landing=tmp_path)
    with pytest.raises(UsageError, match="web_shop has no model that could become a product"):
        plan_adoption(project, shop(replace(MODEL, layer="staging")), "web", landing=tmp_path)


def test_a_first_delivery_never_replaces_another(tmp_path: Path) -> None:
    seed = tmp_path / "raw_things.csv"
    seed.write_text("id\n1\n")
    table = ForeignTable("raw_things", "seeds/raw_things.csv", "", (ForeignColumn("id", "INTEGER"),), seed)
    there = tmp_path / "landing/web/things/raw_things.csv"
    project, wanted = load_project(ROOT), shop(replace(MODEL, tables=("raw_things",)), tables=(table,))
    assert plan_adoption(project, wanted, "web", landing=tmp_path / "landing").deliveries == (
        (seed, "web/things/*.csv"),
    )
    there.parent.mkdir(parents=True)
    there.write_text("id\n1\n")
    assert plan_adoption(project, wanted, "web", landing=tmp_path / "landing").deliveries == ()
    there.write_text("id\n2\n")
    with pytest.raises(SourceError, match="is there already"):
        plan_adoption(project, wanted, "web", landing=tmp_path / "landing")


def test_relationships_lead_to_what_is_published_before() -> None:
    def model(name: str, *parents: str, to: str) -> ForeignModel:
        test = ForeignTest("relationships", name, "m.yml", "id", {"to": f"ref('{to}')", "field": "id"})
        return replace(MODEL, name=name, parents=parents, tests=(test,))

    a, b = model("a_sales", to="b_sales"), model("b_sales", "stg", to="c_sales")
    c = model("c_sales", to="a_sales")
    project = shop(replace(MODEL, name="stg", layer="staging", parents=("a_sales",)), a, b, c)
    # a may not point to b, which is made from a; then b may point to c, and c to a.
    found = {note.what: note.outcome for note in plan_adoption(load_project(ROOT), project, "web", landing=ROOT).notes
             if note.file == "m.yml"}  # fmt: skip
    assert found == {"a_sales": "not taken over", "b_sales": "taken over", "c_sales": "taken over"}


def test_a_raw_table_is_used_by_products_of_its_domain(tmp_path: Path) -> None:
    for place in ("contracts", "data_products"):
        shutil.copytree(ROOT / place / "interactions", tmp_path / place / "interactions")
    file = tmp_path / "data_products/interactions/domain.yaml"
    text = file.read_text()
    entry = "      - property: feeds\n        value: contacts\n"
    for value, said in (
        ("contacts", "usedBy is no list"),
        ("[contacts, calls]", "usedBy names calls, which is no output"),
    ):
        file.write_text(text.replace(entry, f"      - property: usedBy\n        value: {value}\n"))
        with pytest.raises(ProjectError, match=said):
            load_project(tmp_path)
    file.write_text(text.replace(entry, "      - property: usedBy\n        value: [messages, contacts]\n"))
    products = load_project(tmp_path).products
    assert {name: (product.raw_tables, product.fed_by) for name, product in products.items()} == {
        "interactions/contacts": (("raw_contacts",), ()),
        "interactions/messages": (("raw_messages", "raw_contacts"), ("raw_messages",)),
    }
