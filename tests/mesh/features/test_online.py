"""Online aggregates equal those of the plainest SQL over all rows, to the last bit."""

from __future__ import annotations

import duckdb
import pytest

from tests.mesh.features.histories import declared, encoded, in_batch, online
from tests.mesh.features.simulated import simulated_tables

FEATURES = "insight/claim_features"


@pytest.fixture
def con():
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


@pytest.mark.parametrize("seed", [3, 11])
def test_claims_that_stream_in_are_told_what_the_batch_tells_over_all_of_them(con, tmp_path, seed):
    """Two thirds are published; of the others each is asked about and added, in the order of their submission."""
    features = declared(FEATURES)
    tables = simulated_tables(con, features, tmp_path / "landing", 3000, seed)
    expected = in_batch(con, features, tables, tables["claims/claims"])
    con.execute("create table published as select * from claims_claims order by submitted_at, claim_id limit 2000")
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
