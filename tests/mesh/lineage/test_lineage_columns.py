"""Columns traced through a chain of queries, with the whole expected set of edges."""

from __future__ import annotations

import pytest

from mesh.lineage import ColumnLineage, ColumnSource, Tracer

RAW = {
    "lake.shop_build.raw_orders": ["id", "amount", "placed", "_load"],
    "lake.shop_build.loads": ["load", "number"],
    "inputs.people.people_v1": ["person", "born"],
    "lake.shop_build.sums": ["id", "amount"],
}
STAGING = """
    with raw as (select * from "lake"."shop_build"."raw_orders"),
    loads as (select load, number from lake.shop_build.loads)
    select trim(raw.id) as id, cast(raw.amount as decimal(9, 2)) as amount, raw.placed, loads.number as load_number
    from raw join loads on raw._load = loads.load
"""
LATEST = """
    with ranked as (
        select *, row_number() over (partition by id order by load_number desc) as place from lake.shop_build.staged
    )
    select * exclude (place, load_number), 'EUR' as currency, place as version from ranked where place = 1
"""
PRODUCT = """
    select id, sum(amount) as total, max(amount) filter (where placed is not null) as largest, count(*) as orders,
        currency
    from lake.shop_build.latest where version > 0 group by id, currency
    union all
    select person, 0, born, 1, 'GBP' from inputs.people.people_v1
"""


def traced(table: str, **queries: str) -> dict[str, ColumnLineage]:
    named = {f"lake.shop_build.{name}": query for name, query in queries.items()}
    return {column.column: column for column in Tracer(named, lambda name: RAW[name]).trace(f"lake.shop_build.{table}")}


def test_every_edge_of_a_chain_leads_to_a_table_that_no_query_builds() -> None:
    found = traced("product", staged=STAGING, latest=LATEST, product=PRODUCT)
    orders, people = "shop_build.raw_orders", "people.people_v1"
    assert {name: set(column.sources) for name, column in found.items()} == {
        "id": {ColumnSource(orders, "id", "transformation"), ColumnSource(people, "person")},
        "total": {ColumnSource(orders, "amount", "aggregation")},
        "largest": {
            ColumnSource(orders, "amount", "aggregation"),
            ColumnSource(orders, "placed", "aggregation"),
            ColumnSource(people, "born"),
        },
        "orders": set(),
        "currency": set(),
    }
    assert [name for name, column in found.items() if column.computed] == ["orders", "currency"]


def test_a_window_counts_what_it_is_ordered_and_parted_by() -> None:
    assert traced("latest", staged=STAGING, latest=LATEST)["version"].sources == (
        ColumnSource("shop_build.loads", "number", "transformation"),
        ColumnSource("shop_build.raw_orders", "id", "transformation"),
    )


def test_a_column_that_is_only_renamed_or_reread_is_the_same_column() -> None:
    found = traced("latest", staged=STAGING, latest=LATEST)
    assert found["placed"].sources == (ColumnSource("shop_build.raw_orders", "placed", "identity"),)


def test_a_query_that_reads_the_table_it_builds_ends_there() -> None:
    """An incremental model looks at what it has already."""
    query = """
        select orders.id, coalesce(old.amount, orders.amount) as amount
        from lake.shop_build.raw_orders orders left join lake.shop_build.sums old on orders.id = old.id
    """
    found = traced("sums", sums=query)
    assert found["id"].sources == (ColumnSource("shop_build.raw_orders", "id"),)
    assert found["amount"].sources == (ColumnSource("shop_build.raw_orders", "amount", "transformation"),)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("select from from", "ParseError"),
        ("select columns('a.*') from lake.shop_build.raw_orders", "not written out"),
        ("create table t (id int)", "no SELECT"),
    ],
)
def test_what_cannot_be_traced_is_told_and_stops_nothing(query: str, why: str) -> None:
    tracer = Tracer({"lake.shop_build.odd": query}, lambda _name: ["id", "amount"])
    columns = tracer.trace("lake.shop_build.odd")
    assert [(column.column, column.sources, column.computed) for column in columns] == [
        ("id", (), False), ("amount", (), False)
    ]  # fmt: skip
    assert all(why in column.untraced for column in columns)


def test_a_table_function_is_not_taken_for_a_table() -> None:
    (column,) = Tracer({"lake.a.b": "select n from range(3) numbers(n)"}, lambda _name: []).trace("lake.a.b")
    assert column == ColumnLineage("n", (), "a table function is not looked into")


def test_what_is_not_traced_upstream_is_not_traced_below_it() -> None:
    queries = {"lake.a.odd": "select from from", "lake.a.good": "select id, 1 as one from lake.a.odd"}
    found = Tracer(queries, lambda _name: ["id"]).trace("lake.a.good")
    assert found == (
        ColumnLineage("id", (), "the query of a.odd cannot be traced (ParseError)"),
        ColumnLineage("one"),
    )
