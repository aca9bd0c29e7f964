"""What the catalogue says of two majors side by side, of a deprecated one, and of one that was retired."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mesh.catalogue import Site, gather, write
from mesh.release import retire
from mesh.scaffold import drop_major
from mesh.session import open_mesh
from tests.mesh.catalogue.outline import Outline
from tests.mesh.release.conftest import END, KEY, OLDER, TILL, Shop, build_older, keep_major, new_shop

NEWER_PAGE, OLDER_PAGE = f"{KEY}.html", f"{OLDER}.html"


@dataclass(frozen=True)
class Life:
    """The pages as they were on the way: both served, the older one retired, the older one's files gone."""

    both: dict[str, Outline]
    retired: dict[str, Outline]
    gone: dict[str, Outline]
    left: tuple[str, ...]


def pages(shop: Shop) -> tuple[Site, dict[str, Outline]]:
    site = Site(gather(open_mesh(shop.mesh.settings)))
    return site, {path: Outline(site.page(path) or "") for path in site.paths}


@pytest.fixture(scope="module")
def life(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Life:
    shop = keep_major(new_shop(tmp_path_factory.mktemp("majors"), postgres_host))
    folder: Path = tmp_path_factory.mktemp("site") / "catalogue"
    shop.release([1, 2])
    build_older(shop, [3])
    site, both = pages(shop)
    write(site, folder)
    mesh = open_mesh(shop.mesh.settings)
    with mesh.writer() as connection:
        retire(
            connection, mesh.postgres, mesh.project, mesh.project.product(OLDER).contract, author="tester",
            force=True, why="the till was sold",
        )  # fmt: skip
    _, retired = pages(shop)
    (mesh.settings.project / f"contracts/{OLDER}.consumers/till.yaml").unlink()
    drop_major(mesh.project, OLDER)
    site, gone = pages(shop)
    return Life(both, retired, gone, write(site, folder).removed)


def rows(outline: Outline) -> dict[str, list[str]]:
    """The rows of a page's tables by their first cell."""
    return {row[0]: row[1:] for row in outline.rows}


def text(outline: Outline) -> str:
    return " ".join(outline.text.split())


def test_both_majors_have_a_page_that_leads_to_the_other(life: Life) -> None:
    newer, older = life.both[NEWER_PAGE], life.both[OLDER_PAGE]
    assert f"Other majors{OLDER} (1.1.0, deprecated)" in text(newer)
    assert f"Other majors{KEY} (2.0.0, active)" in text(older)
    assert "../shop/orders_v1.html" in newer.links()
    assert "../shop/orders.html" in older.links()
    for outline, view in ((newer, "shop.orders_v2"), (older, "shop.orders_v1")):
        assert f"Columns of {view}" in text(outline)
        assert f"from {view}" in text(outline)


def test_a_deprecated_major_says_when_it_ends_and_what_to_use(life: Life) -> None:
    assert f"Deprecated: it ends on {END}. Use {KEY} instead." in text(life.both[OLDER_PAGE])
    assert "Deprecated" not in text(life.both[NEWER_PAGE])
    listed = rows(life.both["index.html"])
    assert (listed["orders"][2], listed["orders_v1"][2]) == ("2.0.0 active", "1.1.0 deprecated")


def test_each_major_has_releases_and_consumers_of_its_own(life: Life) -> None:
    assert TILL.startswith("consumer: till")
    assert "till" not in rows(life.both[NEWER_PAGE])
    assert rows(life.both[OLDER_PAGE])["till"] == ["", "columns orders.amount"]
    assert "shop/orders_v1@1" in text(life.both[OLDER_PAGE])


def test_a_retired_major_says_why_it_is_gone_and_offers_no_query(life: Life) -> None:
    told = text(life.retired[OLDER_PAGE])
    assert "Retired on " in told
    assert (
        f": the till was sold (forced: consumer till is registered; its endOfLife is {END}). Nothing is served" in told
    )
    assert "There is nothing to query: no release is served." in told
    assert "mesh run" not in told, "it is not to be built again"
    assert rows(life.retired["index.html"])["orders_v1"][2:6] == ["1.1.0 retired", "–", "–", "no more"]
    assert f"Other majors{OLDER} (1.1.0, retired)" in text(life.retired[NEWER_PAGE])


def test_when_its_files_are_gone_its_page_goes_and_nothing_leads_there(life: Life) -> None:
    assert sorted(life.gone) == ["columns.html", "index.html", NEWER_PAGE]
    assert life.left == (OLDER_PAGE,)
    assert not [link for outline in life.gone.values() for link in outline.links() if "orders_v1" in link]
    assert "Other majors" not in text(life.gone[NEWER_PAGE])
