"""The catalogue as people open it: files in a browser, by keyboard, in light and dark, on a phone, no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mesh.catalogue import Site, gather, write
from mesh.session import open_mesh
from tests.mesh.catalogue.conftest import HOSTILE
from tests.mesh.release.conftest import KEY, Shop

pytestmark = pytest.mark.browser
PHONE = {"width": 390, "height": 844}


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
    page.get_by_role("searchbox", name="Search products, columns and descriptions").fill("amou")
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


def test_the_first_stop_of_the_keyboard_is_the_way_to_the_content(browser: Any, folder: Path) -> None:
    page = opened(browser, folder)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
