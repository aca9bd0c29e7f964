"""What is sent becomes the row that batch makes of the same delivered text."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.features import load_features
from mesh.features.batch import batch_form
from mesh.features.compiled import check
from mesh.features.numbers import decoder, encoder
from mesh.features.submission import arrival
from mesh.features.types import DATE, TEXT, TIMESTAMP
from mesh.project import load_project
from tests.domains.desk import ROOT
from tests.mesh.features.grammar import dates, moments, texts


@pytest.fixture(scope="module")
def features():
    return load_features(load_project(ROOT))["claims/claims"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_submission_becomes_the_row_of_its_delivery(features, data):
    sent, delivered = [], {}
    for field in features.submission:
        if field.identifier:
            pair = data.draw(st.sampled_from([(None, None), ("kind:key:token", "valid"), (None, "malformed")]))
            sent.append(pair)
            delivered.update(zip((name for name, _ in field.columns), pair, strict=True))
            continue
        value = None
        if field.type == TEXT:
            value = data.draw(st.none() | texts)
        elif field.type in (DATE, TIMESTAMP):
            value = data.draw(st.none() | (dates if field.type == DATE else moments))
        sent.append(encoder(field.type)(value))
        delivered[field.name] = None if value is None else str(value)
    columns = batch_form(check(features))["delivered"]
    with duckdb.connect() as con:
        con.execute(f"create table delivered ({', '.join(f'{name} varchar' for name in delivered)})")
        con.execute(f"insert into delivered values ({', '.join('?' for _ in delivered)})", list(delivered.values()))
        expected = con.execute(f"select {', '.join(one['sql'] for one in columns)} from delivered").fetchone()
    row = arrival(features)(sent)
    assert tuple(decoder(kind)(value) for kind, value in zip(features.row.values(), row, strict=True)) == expected
