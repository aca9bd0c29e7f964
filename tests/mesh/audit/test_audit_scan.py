"""Short ways of an audit tell what the long way tells: catalog statistics, hashed keys, patterns matched whole."""

from __future__ import annotations

import duckdb
import pytest
from audit_lake import Lake, contract
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.audit import keys
from mesh.audit import scan as scanning
from mesh.audit.candidate import Candidate
from mesh.audit.statistics import missing_values
from mesh.contract.predicates import failing_condition

ITEMS = contract(
    """
- name: items
  properties:
    - {name: id, logicalType: integer, unique: true}
    - {name: day, logicalType: date, unique: true}
    - {name: part, logicalType: string, relationships: [{to: parts.id}]}
  quality:
    - {metric: duplicateValues, arguments: {properties: [id, part]}, mustBe: 0}
- name: parts
  properties:
    - {name: id, logicalType: string}
"""
)
DAY = "date '2026-01-01'"


def missing(lake: Lake, snapshot: int) -> dict[str, int]:
    rows = lake.rows(f"select count(*) from lake.shop_build.items at (version => {snapshot})")[0][0]
    return missing_values(Candidate(lake.con, "shop_build", snapshot), "items", rows)


def test_missing_values_are_told_by_the_catalog_only_where_they_are_exact(lake: Lake) -> None:
    empty = lake.build(ITEMS)
    assert missing(lake, empty) == {"id": 0, "day": 0, "part": 0}
    lake.con.execute(f"insert into shop_build.items values (1, {DAY}, 'a'), (2, null, null)")
    lake.con.execute("insert into shop_build.items values (null, null, 'b')")
    two_files = lake.snapshot
    assert missing(lake, two_files) == {"id": 1, "day": 2, "part": 1}
    lake.con.execute("alter table shop_build.items add column note varchar")
    assert missing(lake, lake.snapshot) == {"id": 1, "day": 2, "part": 1}, "no file has the number of the new column"
    lake.con.execute("delete from shop_build.items where id = 1")
    assert missing(lake, lake.snapshot) == {}
    assert missing(lake, two_files) == {"id": 1, "day": 2, "part": 1}


def test_rows_in_the_catalog_itself_have_no_statistics(lake: Lake) -> None:
    lake.build(ITEMS, items=f"(1, {DAY}, 'a')")
    lake.con.execute("call lake.set_option('data_inlining_row_limit', 10)")
    lake.con.execute("insert into shop_build.items values (2, null, null)")
    lake.con.execute("delete from shop_build.items where id = 1")
    assert missing(lake, lake.snapshot) == {}, "one row each, but not the same"


@pytest.mark.parametrize(("fewest", "most"), [(0, 100), (10, 100), (0, 5)], ids=["listed", "few", "many"])
def test_keys_are_judged_alike_however_their_hashes_are_counted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, fewest: int, most: int
) -> None:
    monkeypatch.setattr(keys, "FEWEST", fewest)
    monkeypatch.setattr(keys, "MOST", most)
    rows = f"(1, {DAY}, 'a'), (2, null, 'a'), (2, null, 'a'), (2, null, null), (null, null, 'b'), (null, null, 'b')"
    lake.build(ITEMS, items=rows, parts="('a'), ('b'), (null)")
    seen = {r.rule_id: (r.failing_rows, r.rows) for r in lake.audit(ITEMS).results if r.kind == "duplicateValues"}
    assert seen == {"items.id.unique": (3, 4), "items.day.unique": (0, 1), "items.id_part.duplicateValues": (2, 3)}


def test_keys_that_share_a_hash_are_compared_themselves(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "distinct", lambda seen: 1)
    lake.build(ITEMS, items=f"(1, {DAY}, 'a'), (2, null, 'a'), (2, null, 'b')", parts="('a'), ('b')")
    seen = {r.rule_id: r.failing_rows for r in lake.audit(ITEMS).results if r.kind == "duplicateValues"}
    assert seen == {"items.id.unique": 2, "items.day.unique": 0, "items.id_part.duplicateValues": 0}


def test_a_missing_value_on_either_side_of_a_relationship_is_no_match_and_no_failure(lake: Lake) -> None:
    lake.build(ITEMS, items=f"(1, {DAY}, 'a'), (2, null, null), (3, null, 'z')", parts="('a'), (null)")
    result = next(r for r in lake.audit(ITEMS).results if r.kind == "relationship")
    assert (result.failing_rows, result.rows) == (1, 2)


TOKENS = [
    "a",
    "b",
    "^",
    "$",
    ".",
    "a+",
    "b*",
    "[ab]",
    "[^a]",
    "a?",
    r"\$",
    r"\^",
    "\n",
    "(a)",
    "a|b",
    "[$|]",
    r"\\",
    "é",
]
TEXTS = ["", "a", "b", "ab", "ba", "aab", "a\n", "\na", "a$", "^a", "$", "^", "é", "a|b", "\\", "a\\", "a\nb", "b\nab"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=4).map("".join), st.sampled_from(["{}", "^{}$", "^{}", "^(?m){}$"]))
def test_a_pattern_is_searched_whether_its_anchors_make_it_whole_or_not(inner: str, shape: str) -> None:
    pattern = shape.format(inner)
    text = pattern.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    terms = contract(
        f"""
- name: t
  properties:
    - {{name: word, logicalType: string, logicalTypeOptions: {{pattern: "{text}"}}}}
"""
    )
    condition = failing_condition(next(rule for rule in terms.rules if rule.kind == "pattern"))
    con = duckdb.connect()
    con.execute("create table t as select unnest($texts) as word", {"texts": TEXTS})
    # `regexp_extract_all` searches as RE2 does, and its pattern is a parameter that no optimizer rewrites.
    found = con.execute(
        "select word from t where len(regexp_extract_all(word, $pattern)) = 0 order by 1", {"pattern": pattern}
    ).fetchall()
    assert con.execute(f"select word from t where {condition} order by 1").fetchall() == found
