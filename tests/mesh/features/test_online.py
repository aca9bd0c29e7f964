"""Online aggregates equal those of the plainest SQL over all rows, to the last bit."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mesh.features import Features
from mesh.features.kept import keeping
from mesh.features.live import LiveRows, Outcome
from mesh.features.online import Occurrence, Online, Relationship
from mesh.features.types import decimal
from tests.mesh.features.histories import DAY, as_tuple, declared, empty_tables, encoded, fill, in_batch, online
from tests.mesh.features.simulated import simulated_tables

FEATURES, SUBMITTED = "insight/claim_features", "claims/claims"
HOUR = DAY // 24
START = 18_300 * DAY
CENTS = 10**17
"""Of these a few make a sum too large for 18 digits."""


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.mark.parametrize("seed", [3, 11])
def test_claims_that_stream_in_are_told_what_the_batch_tells_over_all_of_them(con, tmp_path, seed):
    """Two thirds are published; of the others each is asked about and added, in the order of their submission."""
    features = declared(FEATURES)
    tables = simulated_tables(con, features, tmp_path / "landing", 3000, seed)
    expected = in_batch(con, features, tables, tables["claims/claims"])
    con.execute(
        "create or replace table published as select * from claims_claims order by submitted_at, claim_id limit 2000"
    )
    side = online(con, features, tables | {"claims/claims": "published"}, tmp_path / "store", capacity=1200)
    wrong = []
    for row in encoded(features, con, "claims_claims", "submitted_at, claim_id"):
        seen = side.hashed(row)
        found = side.aggregates(seen) + side.lookups(seen)
        if found != expected[row[:1]]:
            wrong.append((found, expected[row[:1]]))
        side.add(seen)
    assert wrong[:1] == []
    assert side.live.rows == len(expected) - 2000


moments = st.one_of(
    st.sampled_from([0, 1, HOUR, HOUR + 1, DAY, 7 * DAY, 30 * DAY, 30 * DAY + 1, 400 * DAY]), st.integers(0, 60 * DAY)
)
days = st.one_of(st.none(), st.integers(18_290, 18_300))


def some(*values: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from([*values, values[0], None])


claims = st.fixed_dictionaries({
    "scheme": some("A", "B", "C"), "submitted_at": moments.map(lambda moment: START + moment),
    "nino_token": some("n1", "n2"), "bank_account_token": some("a1", "a2", "a3"), "device_id": some("d1", "d2"),
    "employer_ref": some("e1", "e2"), "postcode": some("p1", "p2"), "period_start": days, "period_end": days,
    "amount": st.one_of(st.none(), st.integers(-5, 5), st.sampled_from([3 * CENTS, -3 * CENTS, 9 * CENTS])),
})  # fmt: skip
findings = st.fixed_dictionaries({
    "claim_id": some("c0", "c1", "c3", "c9"), "finding": some("fraud", "compliant"),
    "decided_at": st.one_of(st.none(), moments.map(lambda moment: START + moment)),
})  # fmt: skip
contacts = st.fixed_dictionaries({"nino_token": some("n1", "n2", "n3"), "started_at": moments.map(lambda m: START + m)})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[dict[str, Any]], int, list[dict[str, Any]], list[dict[str, Any]]]:
    """Claims in the order in which they come, how many are published, findings about them, and contacts."""
    rows = draw(st.lists(claims, min_size=1, max_size=9))
    numbered = [{"claim_id": f"c{number}"} | row for number, row in enumerate(rows)]
    published = draw(st.integers(0, len(rows)))
    return numbered, published, draw(st.lists(findings, max_size=4)), draw(st.lists(contacts, max_size=4))


def with_large_amounts() -> Features:
    features = declared(FEATURES)
    return replace(features, row={**features.row, "amount": decimal(18, 2)})


def same_claim(number: int, moment: int, **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(("period_start", "period_end", "bank_account_token", "device_id", "employer_ref", "postcode"))
    given = {"scheme": "A", "nino_token": "n1", "amount": 1, "submitted_at": START + moment}
    return {"claim_id": f"c{number}", **row, **given, **values}


OUT_OF_ORDER = [same_claim(number, moment, device_id="d1") for number, moment in enumerate([50, 10, 30, 20, 40, 30])]
PERIODS = [
    same_claim(number, number, scheme=scheme, period_start=start, period_end=end)
    for number, (scheme, start, end) in enumerate(
        [("A", 18290, 18295), ("B", 18295, 18296), ("A", 18290, 18295), ("C", 18296, 18300), ("A", 18295, 18295)]
    )
]
FOUND = [
    {"claim_id": "c0", "finding": "fraud", "decided_at": START + 10},
    {"claim_id": "c1", "finding": "fraud", "decided_at": START + 5},
]
"""One is found at the moment of the next claim, which cannot know of it; the other before it was sent."""
LARGE = [same_claim(number, number, amount=amount * CENTS) for number, amount in enumerate([9, 9, 9, -9, 9, -9, 1])]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
@example(history=(OUT_OF_ORDER, 3, [], []))
@example(history=(OUT_OF_ORDER, 0, [], []))
@example(history=(PERIODS, 2, [], []))
@example(history=(PERIODS, 0, [], []))
@example(history=(LARGE, 6, [], []))
@example(history=(LARGE, 0, [], []))
@example(history=([same_claim(number, 10 * number) for number in range(3)], 0, FOUND, []))
def test_any_order_of_claims_counts_as_it_would_in_batch_over_those_that_have_come(con, history):
    """At one microsecond, late, before the store's first; missing keys; sums too large; findings of claims to come."""
    rows, published, findings, contacts = history
    features = with_large_amounts()
    tables = tables_of(con, features, rows, findings, contacts)
    con.execute("create or replace table arriving as select *, claim_id as arrival from claims_claims")
    con.execute(f"update arriving set arrival = case when claim_id < 'c{published}' then '' else claim_id end")
    expected = in_batch(con, features, tables, "arriving", "(other.arrival < own.arrival or other.arrival = '')")
    with tempfile.TemporaryDirectory() as folder:
        side = online(con, features, published_only(con, tables, published), Path(folder, "store"), capacity=16)
        for row in rows:
            seen = side.hashed(as_tuple(features, row))
            assert side.aggregates(seen) + side.lookups(seen) == expected[row["claim_id"],], row["claim_id"]
            assert side.add(seen) is (Outcome.KNOWN if row["claim_id"] < f"c{published}" else Outcome.ADDED)
            assert side.aggregates(seen) + side.lookups(seen) == expected[row["claim_id"],], "it counts for others only"
        side.store.close()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=histories(), later=st.integers(0, 9))
@example(history=(OUT_OF_ORDER, 1, [], []), later=3)
def test_a_newer_store_gives_the_same_answers_once_the_rows_are_carried_over(con, history, later):
    """It may contain any of the rows that were decided since the older one: each counts once."""
    rows, published, findings, contacts = history
    features = with_large_amounts()
    tables = tables_of(con, features, rows, findings, contacts)
    with tempfile.TemporaryDirectory() as folder:
        older = online(con, features, published_only(con, tables, published), Path(folder, "older"), capacity=16)
        for row in rows:
            older.add(older.hashed(as_tuple(features, row)))
        newer = online(
            con, features, published_only(con, tables, max(later, published)), Path(folder, "newer"), capacity=16
        )
        live = completed(older.live.carry_over(newer.store))
        swapped = Online(live)
        for row in rows:
            seen = older.hashed(as_tuple(features, row))
            assert swapped.aggregates(seen) == older.aggregates(seen), row["claim_id"]
            for entity, key in (("nino", "n1"), ("account", "a1"), ("device", "d1")):
                assert swapped.relationships(entity, [key]) == older.relationships(entity, [key])
        assert live.rows == max(0, len(rows) - max(later, published))
        older.store.close()
        newer.store.close()


def tables_of(
    con: duckdb.DuckDBPyConnection, features: Features, rows: Any, findings: Any, contacts: Any
) -> dict[str, str]:
    tables = empty_tables(con, features)
    fill(con, tables["claims/claims"], rows, features.row)
    fill(con, tables["claims/outcomes"], findings, features.products["claims/outcomes"])
    fill(con, tables["interactions/contacts"], contacts, features.products["interactions/contacts"])
    return tables


def published_only(con: duckdb.DuckDBPyConnection, tables: Mapping[str, str], published: int) -> dict[str, str]:
    con.execute(f"create or replace table published as select * from claims_claims where claim_id < 'c{published}'")
    return {**tables, "claims/claims": "published"}


def completed(carrying: Any) -> LiveRows:
    while True:
        try:
            next(carrying)
        except StopIteration as done:
            return done.value


def test_many_rows_of_one_employer_are_counted_alike_however_they_came(con, tmp_path):
    """Chains of hundreds are jumped through; late rows stand beside them."""
    features = declared(FEATURES)
    rows = [
        same_claim(number, (number * 37 % 211) * HOUR // 4, employer_ref="e1", bank_account_token=f"a{number % 50}")
        for number in range(400)
    ]
    for row in rows:
        row["claim_id"] = f"{row['claim_id']:0>6}"
    tables = tables_of(con, features, rows, [], [])
    con.execute("create or replace table arriving as select *, claim_id as arrival from claims_claims")
    for order in (rows, sorted(rows, key=lambda row: row["submitted_at"])):
        arrival = {row["claim_id"]: number for number, row in enumerate(order)}
        con.execute("alter table arriving alter arrival type varchar")
        con.executemany(
            "update arriving set arrival = ? where claim_id = ?", [[f"{at:04}", name] for name, at in arrival.items()]
        )
        expected = in_batch(con, features, tables, "arriving", "other.arrival < own.arrival")
        con.execute("create or replace table published as from claims_claims limit 0")
        folder = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        side = online(con, features, {**tables, "claims/claims": "published"}, folder)
        for row in order:
            seen = side.hashed(as_tuple(features, row))
            assert side.aggregates(seen) == expected[row["claim_id"],][: len(features.aggregates)]
            side.add(seen)


def test_a_submission_is_told_the_other_schemes_of_its_period(con, tmp_path):
    """Labels that only the store has, that only rows decided since have, and that nobody else has."""
    features = declared(SUBMITTED)
    tables = empty_tables(con, features)
    period = {"nino_token": "n1", "period_start": 18_290, "period_end": 18_299}
    rows = [
        {"scheme": scheme, "claim_id": f"c{number}", "submitted_at": START + number, **period}
        for number, scheme in enumerate(["SSP", "CJRS", "SEISS", "SSP"])
    ]
    fill(con, tables[SUBMITTED], rows[:1], features.row)
    side = online(con, features, tables, tmp_path / "store")
    found = []
    for row in rows[1:]:
        seen = side.hashed(as_tuple(features, row))
        found.append(side.aggregates(seen))
        side.add(seen)
    assert found == [("SSP",), ("CJRS,SSP",), ("CJRS,SEISS",)]


def test_an_entity_is_told_about_without_a_row(con, tmp_path):
    features = declared(FEATURES)
    rows = [
        same_claim(0, 0, bank_account_token="a1", device_id="d1", amount=500),
        same_claim(1, HOUR, bank_account_token="a2", device_id="d1", amount=700),
        same_claim(2, 2 * HOUR, bank_account_token="a2", nino_token="n2", device_id="d1", amount=900),
    ]
    tables = tables_of(con, features, rows, [], [])
    side = online(con, features, published_only(con, tables, 1), tmp_path / "store")
    for row in rows[1:]:
        side.add(side.hashed(as_tuple(features, row)))
    found = side.about("device", ["d1"], START + 2 * HOUR + 1)
    assert found["device_claims_1h"] == 1
    assert found["device_amount_24h"] == 2100
    assert found["device_ninos"] == 2
    assert side.relationships("device", ["d1"], top=1) == (
        Relationship("nino_token", 2, (Occurrence("n1", 2, START + HOUR),)),
        Relationship("bank_account_token", 2, (Occurrence("a2", 2, START + 2 * HOUR),)),
    )
    ninos, *_ = side.relationships("account", ["a2"])
    latest_first = (Occurrence("n2", 1, START + 2 * HOUR), Occurrence("n1", 1, START + HOUR))
    assert ninos == Relationship("nino_token", 2, latest_first)
    assert side.relationships("device", ["unheard of"]) == (
        Relationship("nino_token", 0, ()),
        Relationship("bank_account_token", 0, ()),
    )
    with pytest.raises(KeyError):
        side.about("household", ["h1"], START)


def test_rows_without_room_are_refused_and_no_call_fails(con, tmp_path):
    features = declared(FEATURES)
    side = online(con, features, tables_of(con, features, [], [], []), tmp_path / "store", capacity=2)
    hashed = [side.hashed(as_tuple(features, same_claim(number, number))) for number in range(4)]
    assert [side.add(one) for one in hashed] == [Outcome.ADDED, Outcome.ADDED, Outcome.FULL, Outcome.FULL]
    assert side.add(hashed[0]) is Outcome.KNOWN
    assert side.live.refused == 2
    assert side.aggregates(hashed[3])[4] == 2, "nino_claims_all"


def test_rows_that_come_while_others_are_carried_over_are_not_left_behind(con, tmp_path):
    features = declared(FEATURES)
    tables = tables_of(con, features, [], [], [])
    side = online(con, features, tables, tmp_path / "older")
    newer = online(con, features, tables, tmp_path / "newer")
    rows = [as_tuple(features, same_claim(number, number)) for number in range(300)]
    coming = iter(rows)
    for row in itertools.islice(coming, 250):
        side.add(side.hashed(row))
    carrying = side.live.carry_over(newer.store)
    while True:
        try:
            next(carrying)
        except StopIteration as done:
            live = done.value
            break
        for row in itertools.islice(coming, 10):
            side.add(side.hashed(row))
    assert live.rows == side.live.rows == 270
    assert Online(live).aggregates(side.hashed(rows[-1]))[4] == 270


def test_no_memory_is_asked_for_when_rows_are_added(con, tmp_path):
    features = declared(FEATURES)
    side = online(con, features, tables_of(con, features, [], [], []), tmp_path / "store", capacity=50)
    before = side.live.size
    for number in range(50):
        side.add(side.hashed(as_tuple(features, same_claim(number, number))))
    assert (side.live.rows, side.live.size) == (50, before)


@pytest.mark.parametrize("lacking", ["claim_id", "submitted_at"])
def test_a_row_without_key_or_time_is_refused(con, tmp_path, lacking):
    features = declared(FEATURES)
    side = online(con, features, tables_of(con, features, [], [], []), tmp_path / "store")
    with pytest.raises(ValueError, match="without its key or its time"):
        side.hashed(as_tuple(features, {**same_claim(1, 1), lacking: None}))


def test_what_is_summed_must_fit_the_sum():
    from mesh.errors import ProjectError

    features = declared(FEATURES)
    with pytest.raises(ProjectError, match="at most 18 digits"):
        keeping(replace(features, row={**features.row, "amount": decimal(20, 2)}))
