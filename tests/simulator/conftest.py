"""One simulation for all tests that only read it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from simulator import simulate

CLAIMS = 40_000


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Landing directory and summary of 40,000 claims, seed 7."""
    out = tmp_path_factory.mktemp("simulated") / "landing"
    return out, simulate(out, claims=CLAIMS, seed=7)


@pytest.fixture(scope="session")
def landing(simulated) -> Path:
    return simulated[0]


@pytest.fixture(scope="session")
def sql(landing):
    """Rows of a query over the views tax, benefit, contacts, cjrs, seiss, ssp, uc, outcomes, claims and persons."""
    con = duckdb.connect()
    con.execute("set threads = 2")
    views = {
        "tax": "identity/tax_records/*.csv", "benefit": "identity/benefit_records/*.csv",
        "contacts": "interactions/contacts/*.csv", "cjrs": "claims/cjrs/*.csv", "seiss": "claims/seiss/*.csv",
        "ssp": "claims/ssp/*.csv", "uc": "claims/uc_advance/*.csv", "outcomes": "claims/outcomes/*.csv",
        "claims": "_truth/claims.csv", "persons": "_truth/persons.csv", "harm": "_truth/messages.csv",
    }  # fmt: skip
    for name, files in views.items():
        con.execute(f"create table {name} as from read_csv('{landing}/{files}', all_varchar = true)")
    con.execute(f"create table messages as from read_json('{landing}/interactions/messages/*.jsonl')")
    yield lambda query: con.execute(query).fetchall()
    con.close()
