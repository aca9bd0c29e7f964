"""The catalogue as people open it: files in a browser, by keyboard, in light and dark, on a phone, no server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mesh.catalogue import Site, gather, write
from mesh.contract import Contract, parse_contract
from mesh.contract.exchange import export
from mesh.session import open_mesh
from tests.mesh.catalogue.conftest import HOSTILE
from tests.mesh.release.conftest import CONTRACT, KEY, Shop

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}
ASIDE = """[...document.querySelectorAll(".scroll:has(table)")]
    .filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.ariaLabel)"""
"""The tables that are wider than the page has room for."""


@pytest.fixture(scope="module")
def folder(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("site") / "catalogue"
    write(Site(gather(open_mesh(shop.mesh.settings))), made)
    return made


def opened(browser: Any, folder: Path, said: list[str] | None = None, **options: Any) -> Any:
    page = browser.new_context(**options).new_page()
    asked = said if said is not None else []
    page.on("console", lambda message: asked.append(message.text))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.on("dialog", lambda dialog: asked.append("a dialog"))
    page.on("request", lambda request: request.url.startswith((folder.as_uri(), "data:")) or asked.append(request.url))
    page.goto((folder / "index.html").as_uri())
    return page


def test_a_search_finds_products_and_columns_and_leads_there_by_keyboard(browser: Any, folder: Path) -> None:
    said: list[str] = []
    page = opened(browser, folder, said)
    page.get_by_role("searchbox", name="Search products, owners, columns and descriptions").fill("amou")
    assert page.get_by_role("status").inner_text() == "1 match"
    assert HOSTILE in page.locator("#results").inner_text()
    page.get_by_role("link", name=f"{KEY}: amount").press("Enter")
    page.wait_for_url("**/shop/orders.html#column-orders.amount")
    assert page.locator("tr:target").inner_text().startswith("amount")
    page.get_by_role("link", name="shop/bills", exact=True).last.press("Enter")
    page.get_by_role("heading", name="shop/bills", level=1).wait_for()
    assert said == [], "nothing is asked of a network, and nothing breaks the page's own policy"


def test_no_match_is_told_and_an_empty_search_shows_every_product(browser: Any, folder: Path) -> None:
    page = opened(browser, folder)
    box = page.get_by_role("searchbox")
    box.fill("nowhere orders")
    assert (page.get_by_role("status").inner_text(), page.get_by_role("table").count()) == ("0 matches", 0)
    box.fill("")
    assert (page.get_by_role("status").inner_text(), page.get_by_role("table").count()) == ("", 1)


def test_a_product_that_is_late_says_so(browser: Any, folder: Path) -> None:
    """The page knows no time but those on record: the reader's clock tells, above and beside the service level."""
    page = opened(browser, folder)
    page.goto((folder / f"{KEY}.html").as_uri())
    assert page.get_by_text("(late)").count() == 0
    page.clock.set_fixed_time(page.evaluate("Date.now() + 2 * 86400 * 1000"))
    page.reload()
    assert [late.is_visible() for late in page.get_by_text("(late)").all()] == [True] * 3


def test_all_is_there_without_javascript(browser: Any, folder: Path) -> None:
    page = opened(browser, folder, java_script_enabled=False)
    assert page.get_by_role("searchbox").count() == 0
    page.get_by_role("link", name="All columns").press("Enter")
    page.get_by_role("link", name="amount").press("Enter")
    assert page.url.endswith("/shop/orders.html#column-orders.amount")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible_and_fit_a_phone(browser: Any, folder: Path, scheme: str) -> None:
    """axe-core's rules for WCAG 2.2 and its best practices, with everything folded open."""
    from axe_playwright_python.sync_playwright import Axe

    page = opened(browser, folder, color_scheme=scheme, viewport=PHONE, bypass_csp=True)
    for path in ("index.html", "columns.html", "shop/bills.html", f"{KEY}.html"):
        page.goto((folder / path).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], path
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], "tables scroll, pages do not"
        assert page.evaluate(ASIDE) == [], "on a phone tables do not scroll either"


def test_the_first_stop_of_the_keyboard_is_the_way_to_the_content(browser: Any, folder: Path) -> None:
    page = opened(browser, folder)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_search_is_asked_for_on_every_page_and_found_again_on_the_way_back(browser: Any, folder: Path) -> None:
    """Also of pages that are opened as files, which may not change the rest of their address."""
    page = opened(browser, folder)
    page.goto((folder / f"{KEY}.html").as_uri())
    page.get_by_role("searchbox", name="Search").fill("amou %")
    page.get_by_role("searchbox", name="Search").press("Enter")
    page.wait_for_url("**/index.html#q=amou%20%25")
    box = page.get_by_role("searchbox")
    assert (box.input_value(), page.get_by_role("status").inner_text()) == ("amou %", "0 matches")
    box.fill("amou")
    page.get_by_role("link", name=f"{KEY}: amount").click()
    page.wait_for_url("**/shop/orders.html#column-orders.amount")
    page.go_back()
    assert (box.input_value(), page.get_by_role("status").inner_text()) == ("amou", "1 match")


def test_results_are_walked_with_the_arrows_and_enter_takes_the_best(browser: Any, folder: Path) -> None:
    page = opened(browser, folder)
    box = page.get_by_role("searchbox")
    box.fill("order_id")
    walked = []
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
        walked.append(page.evaluate("document.activeElement.textContent || document.activeElement.id"))
    assert walked == [f"{KEY}: order_id", f"{KEY}: order_id", f"{KEY}: order_id", "words"]
    box.press("Enter")
    page.wait_for_url("**/shop/orders.html#column-*.order_id")


def wide_contract(folder: Path) -> Contract:
    """Sixty columns, a very long name and words without a place to break among them."""
    columns = "".join(f"      - {{name: column_{n}, logicalType: integer}}\n" for n in range(58))
    long = f"{'a_very_long_name_' * 6}end"
    inner = f"properties: [{{name: street, logicalType: string, classification: restricted, description: {'x' * 200}}}]"
    text = CONTRACT.replace("  - name: lines\n", (
        f"{columns}      - {{name: {long}, logicalType: string, description: {'y' * 300}}}\n"
        f"      - {{name: home, logicalType: object, classification: internal, {inner}}}\n"
        "  - name: lines\n"
    ))  # fmt: skip
    return parse_contract(text.encode(), folder / f"contracts/{KEY}.yaml")


def test_an_exported_contract_asks_for_nothing_and_fits_wherever_it_is_read(browser: Any, tmp_path: Path) -> None:
    """Every request of the browser is seen: there is the file and no other."""
    from axe_playwright_python.sync_playwright import Axe

    file = tmp_path / "contract.html"
    file.write_text(export(wide_contract(tmp_path), "html").text)
    for width, scheme in ((390, "light"), (390, "dark"), (1280, "dark")):
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.on("console", lambda message, asked=asked: asked.append(message.text))
        page.goto(file.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert [url for url in asked if not url.startswith("data:")] == [file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(ASIDE) == []
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
        context.close()


def test_a_long_table_is_cut_down_to_the_rows_with_every_word(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "contract.html"
    file.write_text(export(wide_contract(tmp_path), "html").text)
    page = browser.new_page()
    page.goto(file.as_uri())
    assert page.get_by_role("searchbox").count() == 1, "only where there is much to look through"
    page.get_by_role("searchbox", name="Only columns with").fill("restricted home")
    table = page.get_by_role("table", name="Columns of shop.orders_v1")
    left = [" ".join(each.split()[:1]) for each in table.locator("tbody tr:visible").all_inner_texts()]
    assert (left, page.get_by_role("status").inner_text()) == (["home", "home.street"], "2 of 63")


def test_many_releases_are_folded(browser: Any, shop: Shop, tmp_path: Path) -> None:
    catalogue = gather(open_mesh(shop.mesh.settings))
    entry = catalogue.entries[KEY]
    entries = {**catalogue.entries, KEY: replace(entry, records=entry.records * 30)}
    write(Site(replace(catalogue, entries=entries)), tmp_path / "site")
    page = browser.new_page()
    page.goto((tmp_path / f"site/{KEY}.html").as_uri())
    assert page.get_by_role("table", name="Releases and rollbacks, newest first").locator("tbody tr").count() == 10
    page.get_by_text("40 earlier, of 80").click()
    assert page.get_by_role("table", name="Earlier releases and rollbacks").locator("tbody tr:visible").count() == 40
