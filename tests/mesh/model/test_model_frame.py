from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest

from mesh.errors import ModelError
from mesh.model import ChosenBy, Label, ModelDefinition, population_frame, scoring_frame, training_frame
from mesh.model.frame import feature_columns

TOKYO = timezone(timedelta(hours=9))
T1, T2 = datetime(2020, 1, 1), datetime(2020, 1, 2)


@pytest.fixture
def tiny() -> duckdb.DuckDBPyConnection:
    """Rows 1 and 2 are labelled, 3 was never looked at, 4 is undecided; 1 was decided twice."""
    con = duckdb.connect()
    con.execute("""
        create table features as from (values
            ('c2', timestamp '2020-01-02', 5.0, 'f', 'n'), ('c1', timestamp '2020-01-01', 7.0, 'm', 'n'),
            ('c4', timestamp '2020-01-02', 1.0, 'f', 'n'), ('c3', timestamp '2020-01-01', 2.0, 'f', 'n')
        ) as t (case_id, "at", amount, sex, note)
    """)
    con.execute("""
        create table outcomes as from (values
            ('c1', 'fine', timestamp '2020-02-01'), ('c1', 'bad', timestamp '2020-03-01'),
            ('c2', 'fine', timestamp '2020-02-01'), ('c4', null, timestamp '2020-02-01'),
            ('c3', 'bad', null), ('c9', 'bad', timestamp '2020-02-01')
        ) as t ("case", finding, decided_at)
    """)
    return con


@pytest.fixture
def small(definition: ModelDefinition) -> ModelDefinition:
    return replace(definition, exclude={"note": "free text"}, categorical=(), reasons={})


def test_only_known_labels_count_and_the_latest_wins(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    """Unlabelled is not innocent: c3 (never decided) and c4 (undecided) are not there at all."""
    assert training_frame(tiny, small, relation_for=relation_for).to_pylist() == [
        {"case_id": "c1", "at": T1, "amount": 7.0, "_label": 1, "_known_at": datetime(2020, 3, 1)},
        {"case_id": "c2", "at": T2, "amount": 5.0, "_label": 0, "_known_at": datetime(2020, 2, 1)},
    ]


@pytest.mark.parametrize(
    "as_of", [datetime(2020, 2, 1), datetime(2020, 2, 1, tzinfo=UTC), datetime(2020, 2, 1, 9, tzinfo=TOKYO)]
)
def test_labels_known_later_do_not_count(tiny, small, relation_for, as_of) -> None:  # type: ignore[no-untyped-def]
    """An aware moment means itself, whatever time zone the connection has been given."""
    tiny.execute("set timezone = 'America/New_York'")
    found = training_frame(tiny, small, relation_for=relation_for, as_of=as_of)
    assert found.select(["case_id", "_label"]).to_pylist() == [
        {"case_id": "c1", "_label": 0},
        {"case_id": "c2", "_label": 0},
    ]


def test_what_happened_after_the_moment_of_a_definition_is_not_read(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    """c1's later finding and all of 2 January are unknown on the first; a day means all of it."""
    tiny.execute(
        "update outcomes set decided_at = timestamp '2020-01-01 18:00' where \"case\" = 'c1' and finding = 'fine'"
    )
    then = replace(small, as_of="2020-01-01")
    assert training_frame(tiny, then, relation_for=relation_for).select(["case_id", "_label"]).to_pylist() == [
        {"case_id": "c1", "_label": 0}
    ]
    everybody = population_frame(tiny, then, relation_for=relation_for)
    assert everybody.select(["case_id", "_open"]).to_pylist() == [
        {"case_id": "c1", "_open": False},
        {"case_id": "c3", "_open": True},
    ]
    assert training_frame(tiny, replace(small, as_of="2020-01-01T12:00:00"), relation_for=relation_for).num_rows == 0
    tiny.execute('alter table features alter "at" type integer using 2020')
    with pytest.raises(ModelError, match="at of insight/features is INTEGER"):
        training_frame(tiny, then, relation_for=relation_for)


def test_a_frame_tells_how_rows_were_chosen_what_they_are_worth_and_what_is_open(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    """c3 was drawn and has no known label, c4 was flagged and is undecided, c5 was never chosen."""
    tiny.execute("alter table outcomes add column picked varchar")
    tiny.execute(
        "update outcomes set picked = case \"case\" when 'c1' then 'draw' when 'c3' then 'draw' else 'flag' end"
    )
    tiny.execute("insert into features values ('c5', timestamp '2020-01-03', 3, 'm', 'n')")
    label = replace(small.label, chosen_by=ChosenBy("picked", ("draw",)))
    told = replace(small, label=label, value="amount", as_of="2021-01-01")
    labelled = training_frame(tiny, told, relation_for=relation_for)
    assert labelled.select(["case_id", "_at_random", "_value"]).to_pylist() == [
        {"case_id": "c1", "_at_random": True, "_value": 7.0},
        {"case_id": "c2", "_at_random": False, "_value": 5.0},
    ]
    everybody = population_frame(tiny, told, relation_for=relation_for)
    assert everybody.select(["case_id", "amount", "_open", "_chosen"]).to_pylist() == [
        {"case_id": "c1", "amount": 7.0, "_open": False, "_chosen": False},
        {"case_id": "c3", "amount": 2.0, "_open": True, "_chosen": False},
        {"case_id": "c2", "amount": 5.0, "_open": False, "_chosen": True},
        {"case_id": "c4", "amount": 1.0, "_open": True, "_chosen": True},
        {"case_id": "c5", "amount": 3.0, "_open": False, "_chosen": False},
    ]


def test_how_a_row_was_chosen_is_no_feature_of_an_input_that_tells_it(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    tiny.execute("alter table features add column verdict boolean")
    tiny.execute("alter table features add column picked varchar")
    here = replace(small, label=Label("verdict", ("true",), "case_id", chosen_by=ChosenBy("picked", ("draw",))))
    assert feature_columns(tiny, here, relation_for) == ("amount",)


def test_every_row_is_scored_in_one_order(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    assert scoring_frame(tiny, small, relation_for=relation_for).to_pylist() == [
        {"case_id": "c1", "at": T1, "amount": 7.0},
        {"case_id": "c3", "at": T1, "amount": 2.0},
        {"case_id": "c2", "at": T2, "amount": 5.0},
        {"case_id": "c4", "at": T2, "amount": 1.0},
    ]


def test_a_label_in_the_input_itself_is_no_feature(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    tiny.execute("alter table features add column verdict boolean")
    tiny.execute("alter table features add column seen_at timestamp")
    tiny.execute('update features set verdict = (amount > 5), seen_at = "at" where case_id <> ' + "'c3'")
    here = replace(small, label=Label("verdict", ("true",), "case_id", known_at="seen_at"))
    assert training_frame(tiny, here, relation_for=relation_for).to_pylist() == [
        {"case_id": "c1", "at": T1, "amount": 7.0, "_label": 1, "_known_at": T1},
        {"case_id": "c2", "at": T2, "amount": 5.0, "_label": 0, "_known_at": T2},
        {"case_id": "c4", "at": T2, "amount": 1.0, "_label": 0, "_known_at": T2},
    ]
    assert feature_columns(tiny, here, relation_for) == ("amount",)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"exclude": {"notes": "free text"}}, "Did you mean note?"),
        ({"categorical": ("amounts",)}, "Did you mean amount?"),
        ({"reasons": {"sex": "x"}}, "`reasons` names sex"),
        ({"key": "id"}, "`key` names id"),
        ({"exclude": {}, "protected": ("notes",)}, "Did you mean note?"),
        ({"value": "amounts"}, "`value` names amounts"),
        ({"value": "note"}, "column of values note of insight/features is VARCHAR. Allowed: numbers"),
        ({"exclude": {"note": "x", "amount": "x"}}, "no column left"),
    ],
)
def test_a_column_that_is_not_there_is_refused(tiny, small, relation_for, change, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError) as caught:
        training_frame(tiny, replace(small, **change), relation_for=relation_for)
    assert words in str(caught.value)


def test_a_protected_column_may_be_absent(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    assert feature_columns(tiny, replace(small, protected=("sex", "nationality")), relation_for) == ("amount",)


def test_a_moment_is_no_feature(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    tiny.execute("alter table features add column born date")
    with pytest.raises(ModelError, match="column born of insight/features is DATE"):
        training_frame(tiny, small, relation_for=relation_for)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("insert into features select * from features where case_id = 'c1'", "repeat a case_id"),
        ("update features set \"at\" = null where case_id = 'c2'", "1 rows of insight/features have no at"),
    ],
)
def test_rows_without_one_place_are_refused(tiny, small, relation_for, change, words) -> None:  # type: ignore[no-untyped-def]
    tiny.execute(change)
    for read in (training_frame, scoring_frame):
        with pytest.raises(ModelError) as caught:
            read(tiny, small, relation_for=relation_for)
        assert words in str(caught.value)


def test_an_engine_error_tells_the_sql_and_no_value(tiny, small, relation_for) -> None:  # type: ignore[no-untyped-def]
    tiny.execute("alter table outcomes alter decided_at type varchar")
    tiny.execute("update outcomes set decided_at = 'SECRET' where finding = 'bad'")
    with pytest.raises(ModelError) as caught:
        training_frame(tiny, small, relation_for=relation_for)
    assert "row_number() over" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__
