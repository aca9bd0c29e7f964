"""Where the boxes of a lineage picture stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from mesh.catalogue import Catalogue, Entry
from mesh.catalogue.picture import MOST, picture
from mesh.project import load_project
from tests.conftest import ROOT


def drawn(inputs: Mapping[str, tuple[str, ...]]) -> Catalogue:
    """A catalogue of products that read each other so, none with raw tables or releases."""
    project = load_project(ROOT)
    one = replace(project.products["claims/claims"], raw_tables=(), fed_by=())
    products = {key: replace(one, key=key, inputs=given) for key, given in inputs.items()}
    entries = {key: Entry(product, None, (), None, (), (), (), (), (), ()) for key, product in products.items()}
    return Catalogue(project, entries)


def test_what_is_read_stands_left_and_what_reads_stands_right_by_the_longest_way() -> None:
    catalogue = drawn({"a/raw": (), "a/mid": ("a/raw",), "a/us": ("a/raw", "a/mid"), "a/next": ("a/us",), "a/far": ()})
    found = picture(catalogue, catalogue.entries["a/us"])
    places = {box.name: box.x for box in found.boxes}
    assert sorted(places, key=lambda name: places[name]) == ["a/raw", "a/mid", "a/us", "a/next"]
    assert len(set(places.values())) == 4, "what has nothing to do with the product is not drawn"
    assert len(found.arrows) == 4
    assert {box.name: box.page for box in found.boxes}["a/next"] == "a/next.html"
    assert {box.kind for box in found.boxes if box.page is None} == {"focus"}


def test_no_box_lies_on_another_and_all_lie_in_the_picture() -> None:
    catalogue = drawn({f"a/p{n}": tuple(f"a/p{m}" for m in range(n % 3, n, 3)) for n in range(20)})
    found = picture(catalogue, catalogue.entries["a/p9"])
    places = [(box.x, box.y) for box in found.boxes]
    for x, y in places:
        assert 0 <= x <= found.width - found.box_width
        assert 0 <= y <= found.height - found.box_height
        assert not [1 for u, v in places if u == x and 0 < abs(v - y) < found.box_height]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize(("length", "reduced", "boxes"), [(MOST, False, MOST), (MOST + 1, True, 3)])
def test_a_picture_of_too_many_boxes_keeps_the_direct_neighbours(length: int, reduced: bool, boxes: int) -> None:
    catalogue = drawn({f"a/p{n}": (f"a/p{n - 1}",) if n else () for n in range(length)})
    found = picture(catalogue, catalogue.entries["a/p10"])
    assert (found.reduced, len(found.boxes)) == (reduced, boxes)
