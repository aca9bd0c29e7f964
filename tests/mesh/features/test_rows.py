"""The columns of a row, worked out by the decision service's function and by the SQL of the same declaration."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from mesh.features import Features, load_features
from mesh.features.batch import batch_form
from mesh.features.compiled import check
from mesh.features.numbers import decoder, encoder
from mesh.features.rows import compile_row
from mesh.features.types import INTEGER, TEXT, TIMESTAMP
from mesh.ingest.source import load_source
from mesh.project import load_project
from simulator import simulate
from tests.domains.desk import ROOT

CLAIMS = 3000


@pytest.fixture(scope="module")
def declared() -> Mapping[str, Features]:
    return load_features(load_project(ROOT))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, declared: Mapping[str, Features]) -> Iterator[Any]:
    """The table `delivered`: simulated claims of every scheme as they lie in the raw table.

    An identifier stands for its own token: row columns never look into one.
    """
    landing = tmp_path_factory.mktemp("rows") / "landing"
    simulate(landing, claims=CLAIMS, seed=11)
    fields = [name for field in declared["claims/claims"].submission for name, _ in field.columns]
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(f"create table delivered ({', '.join(f'{name} varchar' for name in fields)}, place integer)")
        for path in sorted((ROOT / "data_products/claims/sources").glob("*.yaml")):
            source = load_source(path)
            if source.into != "raw_claims":
                continue
            made: dict[str, str] = {}
            for column in source.columns:
                delivered = [f'"{name}"' for name in column.delivered]
                if column.identifier:
                    made[f"{column.name}_token"] = f"concat_ws('', {', '.join(delivered)})"
                    made[f"{column.name}_status"] = "'valid'"
                else:
                    made[column.name] = delivered[0] if delivered else f"'{column.value}'"
            con.execute(
                f"insert into delivered by name select {', '.join(f'{sql} as {name}' for name, sql in made.items())}, "
                f"hash(filename, row_number() over ()) % 100000 as place "
                f"from read_csv('{landing}/{source.files}', all_varchar = true, filename = true)"
            )
        yield con


def worked_out_in_sql(con: Any, features: Features, known: str) -> list[tuple[Any, ...]]:
    form = batch_form(check(features))
    query = known
    for step in form["steps"]:
        query = f"select *, {', '.join(value['sql'] + ' as ' + value['name'] for value in step)} from ({query})"
    columns = [name for name in form["published"] if name not in features.carried]
    return con.execute(f"select {', '.join(columns)} from ({query}) order by claim_id").fetchall()


def worked_out_in_python(features: Features, given: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    function = compile_row(features)
    row, aggregates = len(function.row), len(function.row) + len(function.aggregates)
    kinds = [*features.row.values(), *(one.type for one in features.aggregates), *features.lookup_types.values()]
    encoders, decoders = [encoder(kind) for kind in kinds], [decoder(kind) for kind in function.types]
    found = []
    for values in given:
        exact = tuple(encode(value) for encode, value in zip(encoders, values, strict=True))
        made = function(exact[:row], exact[row:aggregates], exact[aggregates:])
        found.append(tuple(decode(value) for decode, value in zip(decoders, made, strict=True)))
    return found


def test_claims_are_assessed_the_same_as_rows_and_as_a_table(engine, declared):
    """Entitlement, breaches and the match of names are money and accusations: both sides must agree to the penny."""
    features = declared["claims/claims"]
    columns = ", ".join(f"{column['sql']} as {column['name']}" for column in batch_form(check(features))["delivered"])
    engine.execute(
        f"create or replace table known as select {columns}, case place % 5 when 0 then 'SSP' when 1 then 'CJRS,SEISS' "
        "when 2 then 'CJRS' end as overlapping_schemes from delivered"
    )
    names = [*features.row, "overlapping_schemes"]
    given = engine.execute(f"select {', '.join(names)} from known order by claim_id").fetchall()
    expected = worked_out_in_sql(engine, features, "select * from known")
    assert worked_out_in_python(features, given) == expected
    assert len(expected) == CLAIMS
    place = [name for name in features.columns_in_order if name not in features.carried].index
    # Every scheme, kind of match and rule is among them, so that being equal means something.
    breaches = {one for row in expected for one in row[place("breaches")].split(",") if one}
    assert {row[place("scheme")] for row in expected} == {"CJRS", "SEISS", "SSP", "UC_ADVANCE"}
    assert {row[place("account_name_match")] for row in expected} == {"exact", "partial", "none"}
    assert {"above_entitlement", "furlough_same_period", "sick_pay_same_period", "deduction_too_high"} <= breaches


def test_features_of_claims_are_the_same_as_rows_and_as_a_table(engine, declared):
    features = declared["insight/claim_features"]
    draw = random.Random(3)
    names = [*features.row, *(one.name for one in features.aggregates), *features.lookup_types]
    kinds = [*features.row.values(), *(one.type for one in features.aggregates), *features.lookup_types.values()]
    given = [
        [f"{number:05}" if name == "claim_id" else drawn(draw, kind) for name, kind in zip(names, kinds, strict=True)]
        for number in range(300)
    ]
    columns = ", ".join(
        f"{name.replace('.', '_')} {'varchar' if kind == TEXT else kind}"
        for name, kind in zip(names, kinds, strict=True)
    )
    engine.execute(f"create or replace table claimed ({columns})")
    engine.executemany(f"insert into claimed values ({', '.join('?' for _ in names)})", given)
    assert worked_out_in_python(features, given) == worked_out_in_sql(engine, features, "select * from claimed")


def drawn(draw: random.Random, kind: Any) -> Any:
    if draw.random() < 0.2:
        return None
    if kind == TEXT:
        return draw.choice(["CJRS", "SSP", "2", "", "a,b"])
    if kind == INTEGER:
        return draw.choice([0, 1, 30, -5, 2**31 - 1, draw.randrange(1000)])
    if kind.kind == "decimal":
        most = 10**kind.digits - 1
        whole = draw.choice([0, 5, most, draw.randrange(most), draw.randrange(100_000)])
        return Decimal(whole).scaleb(-kind.places)
    moment = datetime(2020, 3, 1) + timedelta(microseconds=draw.randrange(4 * 10**13))
    return moment if kind == TIMESTAMP else moment.date()


def test_a_scheme_that_exists_only_as_data_is_assessed(project: Path) -> None:
    """The first case whose condition holds counts, and a rule asks only where its own condition holds."""
    (project / "data_products/claims/schemes/fuel.yaml").write_text(
        """
scheme: FUEL
name: Fuel help
description: A scheme of this test.
basis: Bill.
account_owner: claimant_name
entitlements:
  - when: variant = 'rural' and period_start >= date '2021-01-01'
    amount: least(0.5 * basis_amount, 100)
  - amount: divide(basis_amount * period_days, month_days)
rules:
  - {id: above_entitlement, says: Too much., breach: amount > entitled_amount + 1}
  - {id: heated_twice, says: Twice., breach: "has_item(overlapping_schemes, 'COAL')"}
  - {id: no_basis, says: Nothing to go by., when: variant = 'rural', breach: basis_amount is null}
"""
    )
    function = compile_row(load_features(load_project(project))["claims/claims"])
    day = {date: encoder(function.types[function.columns.index("period_start")])(date) for date in (NEW_YEAR, OLD_YEAR)}

    def assess(scheme: str, basis: int | None, amount: int, start: Any, others: str | None) -> tuple[Any, ...]:
        given = {
            "scheme": scheme, "variant": "rural", "basis_amount": basis, "amount": amount, "period_start": day[start],
            "period_end": day[start] + 9,
        }  # fmt: skip
        found = function(tuple(given.get(name) for name in function.row), (others,))
        return tuple(found[function.columns.index(name)] for name in ("entitled_amount", "breaches", "breach_count"))

    assert assess("FUEL", 30000, 10100, NEW_YEAR, "CHARCOAL") == (10000, "", 0)
    assert assess("FUEL", 10001, 5102, NEW_YEAR, None) == (5001, "above_entitlement", 1)
    assert assess("FUEL", 31000, 10000, OLD_YEAR, "CHARCOAL,COAL") == (10000, "heated_twice", 1)
    assert assess("FUEL", None, 10000, NEW_YEAR, "COAL") == (None, "heated_twice,no_basis", 2)
    assert assess("WOOD", 100, 10000, NEW_YEAR, "COAL") == (None, "", 0)


NEW_YEAR, OLD_YEAR = datetime(2021, 1, 1).date(), datetime(2020, 12, 31).date()
