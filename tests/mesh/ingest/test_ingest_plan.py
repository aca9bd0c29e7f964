"""What is to be done with each file: laws over any history of deliveries, and digests that are remembered."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from ingest_desk import ROW, Desk

from mesh.ingest import Digests, fingerprint
from mesh.ingest.plan import Recorded, plan

deliveries = st.lists(st.dictionaries(st.sampled_from("abc"), st.sampled_from("XYZ")), min_size=1, max_size=6)


@given(deliveries)
def test_after_every_delivery_each_content_counts_once(history: list[dict[str, str]]) -> None:
    """Whatever arrives, changes, is copied or goes: the landing zone's contents are each loaded exactly once."""
    loaded: dict[str, Recorded] = {}
    for delivery in history:
        landing = sorted(delivery.items())
        actions = plan(landing, loaded, "recipe")
        for action in actions:
            if not action.recorded:
                loaded[action.file] = Recorded(delivery[action.file], "recipe", action.duplicate_of)
        held = [one.sha256 for one in loaded.values() if one.duplicate_of is None]
        assert len(held) == len(set(held))
        assert set(delivery.values()) <= set(held)
        assert all(action.recorded for action in plan(landing, loaded, "recipe")), "a second look finds nothing to do"


def test_another_recipe_loads_what_holds_rows_and_no_duplicate() -> None:
    loaded = {"a": Recorded("X", "old"), "b": Recorded("X", "old", "a")}
    actions = plan([("a", "X"), ("b", "X")], loaded, "new")
    assert [(action.do, action.recorded) for action in actions] == [("load", False), ("duplicate", True)]


def test_an_unchanged_file_is_not_read_again(desk: Desk, tmp_path: Path) -> None:
    path = desk.rows(ROW)
    sources = [desk.source()]
    before = fingerprint(sources, desk.landing, home=tmp_path)
    remembered = json.loads((tmp_path / "digests.json").read_text())
    assert remembered == {str(path): [path.stat().st_size, path.stat().st_mtime_ns, before[0][1]]}
    path.chmod(0)
    (tmp_path / "digests.json").write_text(json.dumps({str(path): [*remembered[str(path)][:2], "remembered"]}))
    assert fingerprint(sources, desk.landing, home=tmp_path) == (("desk/visits/a.csv", "remembered"),)
    path.chmod(0o600)
    os.utime(path, (1, 1))
    assert fingerprint(sources, desk.landing, home=tmp_path) == before


def test_a_file_that_has_just_changed_is_not_remembered(desk: Desk, tmp_path: Path) -> None:
    """Its time stamp might not show the next change."""
    path = desk.rows(ROW)
    os.utime(path)
    digests = Digests(tmp_path)
    digests.of(path)
    digests.save()
    assert not (tmp_path / "digests.json").exists()


def test_a_damaged_memory_of_digests_is_made_anew(desk: Desk, tmp_path: Path) -> None:
    desk.rows(ROW)
    expected = fingerprint([desk.source()], desk.landing)
    for damage in ("", "[]", '{"x": 1}'):
        (tmp_path / "digests.json").write_text(damage)
        assert fingerprint([desk.source()], desk.landing, home=tmp_path) == expected
    assert expected[0][0] == "desk/visits/a.csv"
