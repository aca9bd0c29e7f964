"""What the pages of the catalogue say, and what no text in them can do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import timedelta
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest

from mesh.catalogue import Site, gather
from mesh.catalogue.queries import sample_queries
from mesh.session import Mesh
from tests.mesh.catalogue.conftest import ADDRESS, HOSTILE
from tests.mesh.catalogue.outline import Outline
from tests.mesh.release.conftest import KEY, Shop

PAGE = f"{KEY}.html"


def test_every_page_is_there_and_every_link_leads_somewhere(pages: dict[str, str]) -> None:
    assert sorted(pages) == ["columns.html", "index.html", "shop/bills.html", PAGE]
    outlines = {path: Outline(text) for path, text in pages.items()}
    for path, outline in outlines.items():
        assert len(outline.ids()) == len(set(outline.ids())), "an id names one place"
        for link in outline.links():
            target, _, place = link.partition("#")
            found = _resolved(path, target) if target else path
            assert found in outlines, f"{path} links to {link}"
            assert not place or unquote(place) in outlines[found].ids(), f"{path} links to {link}"


def _resolved(path: str, link: str) -> str:
    parts: list[str] = list(PurePosixPath(path).parts[:-1])
    for part in PurePosixPath(link).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def test_foreign_text_stays_text(pages: dict[str, str]) -> None:
    """Descriptions, reasons and names come from many hands: none of them may become a part of the page."""
    for path, text in pages.items():
        outline = Outline(text)
        assert HOSTILE in outline.text, f"{path} shows the text as it was written"
        assert not {"img", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in outline.tags}
        assert not [name for _, attributes in outline.tags for name in attributes if name.startswith("on")]
        scripts = [attributes for tag, attributes in outline.tags if tag == "script"]
        assert scripts == ([{"type": "application/json", "id": "index"}, {}] if path == "index.html" else [{}])
        assert [kind for kind, _ in outline.code].count("style") == 1


def test_the_search_looks_through_products_and_columns(pages: dict[str, str]) -> None:
    (data,) = [code for kind, code in Outline(pages["index.html"]).code if kind == "script" and code.startswith("[")]
    assert "<" not in data
    orders = next(entry for entry in json.loads(data) if entry["p"] == KEY)
    assert orders == {
        "p": KEY,
        "u": PAGE,
        "d": HOSTILE,
        "o": "shop-data-team",
        "t": [],
        "c": [
            ["column-orders.order_id", "order_id", ""],
            ["column-orders.amount", "amount", HOSTILE],
            ["column-lines.order_id", "order_id", ""],
        ],
    }


def test_a_page_brings_all_it_needs_and_names_it_by_digest(pages: dict[str, str]) -> None:
    for text in pages.values():
        outline = Outline(text)
        policy = next(str(attributes["content"]) for tag, attributes in outline.tags
                      if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy")  # fmt: skip
        assert policy.startswith("default-src 'none'; ")
        run = [(kind, code) for kind, code in outline.code if not code.startswith("[{")]
        digests = {kind: base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for kind, code in run}
        assert set(digests) == {"style", "script"}
        assert all(f"{kind}-src 'sha256-{digest}'" in policy for kind, digest in digests.items())
        assert not re.search(r"https?://|//[a-z]+\.[a-z]", re.sub(r"<style>.*?</style>|<script>.*?</script>", "", text))
        assert "@import" not in text
        assert "url(http" not in text


def test_a_product_shows_its_releases_and_how_its_rules_went(pages: dict[str, str], shop: Shop) -> None:
    rows = Outline(pages[PAGE]).rows
    moment = [f"{record.published_at:%Y-%m-%d %H:%M} UTC" for record in shop.mesh.history().of(KEY)]
    source = "source files"
    assert ["1", moment[2], "4", "0", "1.0.0", "passed", source, f"served rolled back to: {HOSTILE}"] in rows
    assert ["2", moment[1], "6", "0", "1.0.0", "passed", source, ""] in rows
    assert ["1", moment[0], "4", "0", "1.0.0", "passed", source, ""] in rows
    assert ["orders.amount.minimum", "amount is 0 or more.", "nothing is published", "kept"] in rows
    assert ["amount", "INTEGER", "no", "internal", HOSTILE] in rows
    due = f"next release due by {shop.mesh.history().newest[KEY].published_at + timedelta(hours=24):%Y-%m-%d %H:%M} UTC"
    assert ["freshness", "24 hours", "the product", due, ""] in rows
    [frequency] = [row for row in rows if row[0] == "frequency"]
    assert re.fullmatch(
        r"kept The only gap between releases was not longer than 1 day \(and 10 % grace\); the longest .* s. "
        r"next release due by .* UTC",
        frequency[3],
    )
    never = "No probe in the last 30 days: `mesh up` probes by itself, `mesh probe shop/orders` once."
    assert ["availability", "99 percent", "the product", f"not measured yet: {never}", ""] in rows


def test_lineage_says_what_is_copied_computed_and_not_traced(pages: dict[str, str]) -> None:
    outline = Outline(pages[PAGE])
    assert ["order_id", "shop_build.raw_orders .order_id".replace(" ", "")] in outline.rows
    assert ["amount", f"shop.orders_v1 .amount aggregation not traced: {HOSTILE}"] in outline.rows
    labels = [
        attributes["aria-label"] for tag, attributes in outline.tags if tag in ("a", "g") and "aria-label" in attributes
    ]
    assert labels == ["shop_build.raw_orders", f"{KEY}, this product", "shop/bills", "till (consumer)"]


def test_consumers_and_usage_tell_no_address_and_no_person(pages: dict[str, str]) -> None:
    rows = Outline(pages[PAGE]).rows
    assert ["till", HOSTILE, "columns orders.amount"] in rows
    assert [row[:3] for row in rows if row[0] in ("analyst", "clerk")] == [["analyst", "2", "12"], ["clerk", "1", "1"]]
    assert "wrong.yaml: This must say where the consumer is reached." in " ".join(pages[PAGE].split())
    for text in pages.values():
        for secret in (ADDRESS, "secret-word", "secret person", "secret purpose", "tester"):
            assert secret not in text


def test_a_product_without_a_release_has_a_page_too(pages: dict[str, str]) -> None:
    text = " ".join(Outline(pages["shop/bills.html"]).text.split())
    assert "There is no release yet." in text
    assert "There is nothing to query: no release is served." in text


def test_the_next_release_is_due_when_the_newest_is_as_old_as_promised(mesh: Mesh) -> None:
    """A rollback serves older data again; it does not buy time."""
    newest = mesh.history().newest[KEY]
    assert newest.published_at is not None
    assert gather(mesh).entries[KEY].due == newest.published_at + timedelta(hours=24)


def test_sample_queries_run_and_name_no_column_above_internal(mesh: Mesh) -> None:
    queries = gather(mesh).entries[KEY].queries
    assert [query.title for query in queries] == ["A few rows of orders", "How many rows of lines"]
    connection = mesh.reader()
    try:
        found = {query.title: connection.execute(query.sql).fetchall() for query in queries}
    finally:
        connection.close()
    assert found == {"A few rows of orders": [(1,), (2,)], "How many rows of lines": [(2,)]}


def test_the_inside_of_a_column_is_told_found_and_makes_the_column_as_confidential(pages: dict[str, str]) -> None:
    rows = Outline(pages["shop/bills.html"]).rows
    assert ["place", "object", "no", "restricted", ""] in rows
    assert ["place.street", "VARCHAR", "no", "restricted", "Where to."] in rows
    (data,) = [code for kind, code in Outline(pages["index.html"]).code if kind == "script" and code.startswith("[")]
    bills = next(entry for entry in json.loads(data) if entry["p"] == "shop/bills")
    assert ["column-bills.place", "place.street", "Where to."] in bills["c"]


def test_sample_queries_leave_out_what_holds_a_restricted_field(mesh: Mesh) -> None:
    """`place` is internal by its own word; the street in it is not."""
    contract = mesh.project.product("shop/bills").contract
    release: Any = SimpleNamespace(
        tables=("bills",), views=("shop.bills_v2",), columns={"bills": ("bill_id", "place", "paid")}
    )  # fmt: skip
    with duckdb.connect() as connection:
        connection.execute("create schema shop")
        connection.execute("create table shop.bills_v2 (bill_id bigint, place struct(street varchar), paid date)")
        (query,) = sample_queries(connection, contract, release)
    assert query.sql == "select\n    bill_id\nfrom shop.bills_v2\nlimit 10"


def test_owners_are_listed_with_all_their_products(pages: dict[str, str]) -> None:
    index = Outline(pages["index.html"])
    assert "owner-shop-data-team" in index.ids()
    assert [link for link in index.links() if link.endswith(".html")].count(PAGE) == 2
    assert "../index.html#owner-shop-data-team" in Outline(pages[PAGE]).links()


def test_the_same_state_gives_the_same_bytes(mesh: Mesh, pages: dict[str, str]) -> None:
    site = Site(gather(mesh))
    assert {path: site.page(path) for path in site.paths} == pages


@pytest.mark.parametrize("path", ["", "other.html", "../project/contracts/shop/orders.yaml", "shop/orders"])
def test_there_is_no_other_page(mesh: Mesh, path: str) -> None:
    assert Site(gather(mesh)).page(path) is None
