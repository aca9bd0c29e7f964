"""The pages as a browser gets them: over HTTP, from a process of their own."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from mesh.access.log import read_accesses
from mesh.catalogue.site import POLICY
from tests.conftest import ROOT
from tests.failing_shop import KEY, FailingShop, failing_shop

PATIENCE_SECONDS = 60
PATH = f"/failures/{KEY}"
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
# Every value of a column that is not a key, and every key that is classified.
PERSONAL = ("token 1", "token 2", "no address", "a@b.example", "internal value", "confidential value",
            "restricted value", "unclassified value", "own value", "public value")  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class Pages:
    """A server of the pages, and the mesh it shows."""

    shop: FailingShop
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", host: str | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers={"Host": host or f"127.0.0.1:{self.port}"})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read().decode())
        finally:
            connection.close()


@pytest.fixture(scope="module")
def pages(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    folder = tmp_path_factory.mktemp("pages")
    shop = failing_shop(folder, postgres_host)
    shop.audit()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    environment |= shop.spine.environment | {"MESH_PAGES_PORT": str(port)}
    pages = Pages(shop, port, folder / "pages.log")
    with pages.log.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "services.pages"], env=environment, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        assert server.poll() is None, pages.log.read_text()
        yield pages
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


class Outline(HTMLParser):
    """What a page is made of: tags with their attributes, and the text of table cells, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


def test_the_page_tells_rules_and_rows_without_a_value(pages: Pages) -> None:
    before = len(read_accesses(pages.shop.mesh.postgres))
    answer = pages.ask(PATH)
    assert answer.status == 200
    rows = Outline(answer.text).rows
    assert rows[0] == ["Rule", "Severity", "Failing", "Quarantined", "Rejected", "What the audit said"]
    assert [
        "samples.enough", "error", "\N{EN DASH}", "0", "0",
        "Seen: 2; the number must be greater than 5. It judges the table as a whole: no single row fails it.",
    ] in rows  # fmt: skip
    script = "shop/<script>alert(1)<b>.csv"
    assert ["failing", "S2", script, "7"] in rows
    assert ["quarantined", "S3", script, "3"] in rows
    assert ["failing", "hidden", "shop/a.csv", "4"] in rows
    assert ["rejected", script, "2", "1 field instead of 2"] in rows
    for value in PERSONAL:
        assert value not in answer.text
    assert len(read_accesses(pages.shop.mesh.postgres)) == before


def test_one_rule_has_a_page_of_its_own_that_names_the_command(pages: Pages) -> None:
    text = pages.ask(f"{PATH}?rule=people.email.pattern").text
    assert [row[0] for row in Outline(text).rows if row[0] != "State"] == ["Rule", "people.email.pattern", "failing"]
    assert "mesh failures shop/mix --rule people.email.pattern --role ROLE --purpose TEXT" in text
    assert "No row fails <code>samples.schema</code>" in pages.ask(f"{PATH}?rule=samples.schema").text


def test_what_came_from_a_file_is_never_markup(pages: Pages) -> None:
    answer = pages.ask(PATH)
    assert "shop/&lt;script&gt;alert(1)&lt;b&gt;.csv" in answer.text
    refused = pages.ask(f"{PATH}?rule=%3Cscript%3Ealert(2)%3C/script%3E")
    assert (refused.status, "&lt;script&gt;alert(2)" in refused.text) == (404, True)
    for text in (answer.text, refused.text):
        assert not {tag for tag, _ in Outline(text).tags} & {"script", "b", "iframe", "form", "object"}


@pytest.mark.parametrize("path", ["/", PATH, f"{PATH}?rule=people.email.pattern", "/nowhere"])
def test_every_page_reads_well_without_looking(pages: Pages, path: str) -> None:
    """Language, one main heading, headings in order, table heads with a scope, tables with a caption; nothing from
    elsewhere, and nothing that needs a script."""
    text = pages.ask(path).text
    tags = Outline(text).tags
    names = [tag for tag, _ in tags]
    assert ("html", {"lang": "en"}) in tags
    assert re.search(r"<title>[^<]+ · Insight Mesh</title>", text)
    assert names.count("h1") == names.count("main") == names.count("nav") == 1
    levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
    assert all(after <= before + 1 for before, after in zip([0, *levels], levels, strict=False))
    assert names.count("table") == names.count("caption")
    assert all(given.get("scope") in ("col", "row") for tag, given in tags if tag == "th")
    ids = [given["id"] for _, given in tags if "id" in given]
    assert len(ids) == len(set(ids))
    links = [value or "" for _, given in tags for name, value in given.items() if name in ("href", "src")]
    assert all(re.fullmatch(r"/[^/].*|/|#.+", link) for link in links), links
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert not [name for _, given in tags for name in given if name.startswith("on") or name == "style"]


def test_the_first_page_lists_products_with_their_last_verdict(pages: Pages) -> None:
    answer = pages.ask("/")
    dash = "\N{EN DASH}"
    assert Outline(answer.text).rows[1:] == [
        [KEY, "shop-data-team", dash, dash, "failed 2026-01-10 12:00 UTC", "10", "1"]
    ]
    assert f'<a href="{PATH}">' in answer.text


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/", "GET", None, 200),
        (PATH, "GET", "localhost", 200),
        (PATH, "HEAD", None, 200),
        ("/health", "GET", None, 200),
        ("/static/style.css", "GET", None, 200),
        ("/nowhere", "GET", None, 404),
        ("/failures/shop/nothing", "GET", None, 404),
        (f"{PATH}?rule=nothing", "GET", None, 404),
        ("/static/../app.py", "GET", None, 404),
        (PATH, "GET", "mesh.example", 400),
        (PATH, "GET", "localhost.mesh.example", 400),
        (PATH, "POST", None, 405),
        ("/nowhere", "DELETE", None, 405),
        ("/", "OPTIONS", None, 405),
    ],
)
def test_every_answer_carries_the_headers(pages: Pages, path: str, method: str, host: str | None, status: int) -> None:
    answer = pages.ask(path, method, host)
    assert (answer.status, {name: answer.headers.get(name) for name in HEADERS}) == (status, HEADERS)
    assert "server" not in answer.headers
    if status == 400:
        assert answer.text == "Invalid host header"


def test_an_unexpected_error_is_told_without_its_text(pages: Pages) -> None:
    """An engine's words may quote a row: neither the page nor the log repeats them."""
    with pages.shop.mesh.postgres.cursor() as cursor:
        cursor.execute("update mesh.audit set body = jsonb_set(body, '{verdict}', '\"secret word\"')")
    try:
        answer = pages.ask(PATH)
    finally:
        with pages.shop.mesh.postgres.cursor() as cursor:
            cursor.execute("update mesh.audit set body = jsonb_set(body, '{verdict}', '\"failed\"')")
    assert (answer.status, "Unexpected ValidationError." in answer.text) == (500, True)
    log = pages.log.read_text()
    assert "/failures/{domain}/{product}: unexpected ValidationError" in log
    for text in (answer.text, log):
        assert "secret word" not in text
        assert "Traceback" not in text


def test_the_catalogue_is_served_under_the_same_guard_with_a_policy_of_its_own(pages: Pages) -> None:
    moved = pages.ask("/catalogue")
    assert (moved.status, moved.headers["location"]) == (307, "/catalogue/index.html")
    assert 'href="/catalogue/index.html"' in pages.ask("/").text
    for path in ("/catalogue/index.html", "/catalogue/columns.html", f"/catalogue/{KEY}.html"):
        answer = pages.ask(path)
        assert answer.status == 200
        policy = answer.headers["content-security-policy"]
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS | {"content-security-policy": policy}
        assert policy == f"{POLICY}; frame-ancestors 'none'"
        assert not [value for value in PERSONAL if value in answer.text]
    for path in ("/catalogue/shop/nothing.html", "/catalogue/..%2f..%2fetc/passwd", "/catalogue/catalogue.json"):
        assert pages.ask(path).status == 404


def test_the_catalogue_follows_an_edited_contract(pages: Pages) -> None:
    file = pages.shop.mesh.settings.project / f"contracts/{KEY}.yaml"
    text = file.read_text()
    assert "Whatever is new." not in pages.ask(f"/catalogue/{KEY}.html").text
    try:
        file.write_text(text.replace("Whatever can fail.", "Whatever is new."))
        assert "Whatever is new." in pages.ask(f"/catalogue/{KEY}.html").text
        file.write_text("name: [")
        broken = pages.ask(f"/catalogue/{KEY}.html")
        assert (broken.status, f"contracts/{KEY}.yaml" in broken.text) == (500, True)
    finally:
        file.write_text(text)
    assert pages.ask(f"/catalogue/{KEY}.html").status == 200


@pytest.mark.browser
def test_a_browser_shows_the_page_of_a_failing_product(pages: Pages, browser: Any) -> None:
    """From the list of products to the failing rows, by keyboard and without JavaScript, on a narrow screen too."""
    page = browser.new_context(java_script_enabled=False, viewport={"width": 480, "height": 800}).new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages.address)
    page.get_by_role("link", name=KEY).press("Enter")
    page.get_by_role("heading", name=f"Failing rows of {KEY}", level=1).wait_for()
    table = page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="person_token"))
    assert [cell.inner_text() for cell in table.get_by_role("cell").all()] == ["failing", "hidden", "shop/a.csv", "4"]
    assert not [value for value in PERSONAL if value in page.inner_text("body")]
    assert page.get_by_role("link", name="samples.amount.minimum").is_visible()
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("html").evaluate("page => page.scrollWidth") == 480, "tables scroll, the page does not"
    assert said == [], "nothing of the page breaks its own Content-Security-Policy"
    assert {url.removeprefix(pages.address) for url in asked} >= {"/", PATH, "/static/style.css"}
    assert all(url.startswith(pages.address) for url in asked)
