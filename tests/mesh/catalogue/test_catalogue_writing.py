"""A folder that holds the catalogue: what a call touches, and what it must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.catalogue import Site, Written, gather, stamp, write
from mesh.errors import UsageError
from mesh.levels import probe
from mesh.session import open_mesh
from tests.mesh.catalogue.conftest import hostile_shop
from tests.mesh.release.conftest import KEY

ALL = ("shop/bills.html", f"{KEY}.html", "columns.html", "index.html")


def test_a_folder_follows_the_mesh_and_unchanged_pages_are_not_touched(postgres_host: str, tmp_path: Path) -> None:
    shop, folder = hostile_shop(tmp_path, postgres_host), tmp_path / "site"

    def update() -> tuple[Written, str]:
        mesh = open_mesh(shop.mesh.settings)
        return write(Site(gather(mesh)), folder), stamp(mesh)

    with shop.mesh.writer():
        pass
    first, before = update()
    assert first == Written(4, ALL, ())
    times = {path: (folder / path).stat().st_mtime_ns for path in ALL}
    assert update() == (Written(4, (), ()), before)
    assert {path: (folder / path).stat().st_mtime_ns for path in ALL} == times

    shop.release([1, 2])
    then, after = update()
    assert then.written == (f"{KEY}.html", "index.html"), "neither columns nor the product below it changed"
    assert after != before

    probe(shop.mesh, [KEY])
    probed, after_probe = update()
    assert (probed.written, after_probe != after) == ((f"{KEY}.html",), True)
    assert update() == (Written(4, (), ()), after_probe)

    project = shop.mesh.settings.project
    domain = project / "data_products/shop/domain.yaml"
    kept = [line for line in domain.read_text().splitlines() if "shop-bills" not in line]
    domain.write_text("\n".join(kept) + "\n")
    (project / "contracts/shop/bills.yaml").unlink()
    last, at_last = update()
    assert last == Written(3, (f"{KEY}.html", "columns.html", "index.html"), ("shop/bills.html",))
    assert at_last != after_probe
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
        "catalogue.json", "columns.html", "index.html", "orders.html",
    ]  # fmt: skip


def test_files_of_others_are_not_mixed_with_pages(pages: dict[str, str], mesh: object, tmp_path: Path) -> None:
    site = Site(gather(mesh))  # type: ignore[arg-type]
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="holds other files"):
        write(site, tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        write(site, tmp_path / "photo.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_listing_that_was_tampered_with_removes_nothing_outside(mesh: object, tmp_path: Path) -> None:
    site, folder, other = Site(gather(mesh)), tmp_path / "site", tmp_path / "other.html"  # type: ignore[arg-type]
    write(site, folder)
    other.write_text("kept")
    (folder / "catalogue.json").write_text('{"pages": {"../other.html": "x", "gone.html": "x"}}')
    assert write(site, folder).removed == ()
    assert other.read_text() == "kept"
