"""Which columns a model sees, and what is told of each: every kind of column planted once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mesh.model import ColumnReport, Label, ModelDefinition, Split, TrainingContext, train
from mesh.model.cycles import comes_round, cycle_of, days_covered
from mesh.model.drift import stability_index
from mesh.model.encoding import CATEGORY, NUMBER, Feature
from mesh.model.frame import LABEL
from mesh.model.report import from_json, to_json, to_markdown
from mesh.model.selection import select

ROWS, MONTHS = 6000, ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

DEFINITION = ModelDefinition(
    model="claims",
    description="Planted columns.",
    input="claims/planted",
    key="id",
    label=Label(column="found", positive=("1",), key="id"),
    time="year",
    split=Split(train_to=2001, test_from=2002),
    capacity=0.2,
    output="claims/scores",
    seed=3,
    feature_selection="automatic",
    exclude={"note": "Free text."},
    protected=("sex",),
)


def planted(rows: int = ROWS) -> pa.Table:
    """Rows of 2001 (two thirds) and 2002, in months whose share of positives is luck and differs from year to year."""
    rng = np.random.default_rng(5)
    early = rows * 2 // 3
    year = np.where(np.arange(rows) < early, 2001, 2002)
    month = np.where(year == 2001, np.arange(rows) * 12 // early, (np.arange(rows) - early) * 12 // (rows - early))
    luck = rng.normal(0, 1.0, (2, 12))
    signal, weak = rng.normal(0, 1, rows), rng.normal(0, 1, rows)
    chance = 1 / (1 + np.exp(-(-2.5 + 1.4 * signal + 0.7 * weak + luck[year - 2001, month])))
    found = rng.random(rows) < chance
    return pa.table(
        {
            "id": np.arange(rows),
            "year": year.astype(np.int32),
            "signal": signal,
            "weak": np.round(weak, 1),
            "noise": rng.normal(0, 1, rows),
            "code": rng.choice([f"k{n}" for n in range(30)], rows),
            "same": np.ones(rows),
            "counter": np.arange(rows) * 3.0 + rng.normal(0, 1, rows),
            "answer": found * 1.0 + rng.normal(0, 0.01, rows),
            "month": np.array(MONTHS)[month],
            "batch": [f"b{number}" for number in np.arange(rows) * 60 // early],
            LABEL: pa.array(found, pa.int8()),
        }
    )


@pytest.fixture(scope="module")
def reports(place: TrainingContext) -> dict[str, ColumnReport]:
    return {report.column: report for report in train(DEFINITION, planted(), place).columns}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> TrainingContext:
    home = tmp_path_factory.mktemp("selection")
    return TrainingContext(
        domain="claims", releases={}, contracts={}, code_revision="", run_id="", tracking_uri="", artifact_dir=None,
        fingerprint="", home=home, threads=2,
    )  # fmt: skip


def test_what_tells_something_is_used_and_the_rest_left_out_with_the_reason(reports: dict[str, ColumnReport]) -> None:
    assert {name for name, report in reports.items() if report.used} == {"signal", "weak"}
    why = {name: report.why.partition(":")[0] for name, report in reports.items() if not report.used}
    assert why == {
        "noise": "Tells nothing",
        "code": "Tells nothing",
        "same": "The same in every earlier row.",
        "counter": "Counts on with time",
        "answer": "Tells the label alone (AUC 1.000)",
        "month": "Part of a year, of which training saw less than two",
        "batch": why["batch"],
        "note": "Free text.",
        "sex": "Protected",
    }
    assert why["batch"] in ("Tells nothing", "Misleads")


def test_leakage_and_drift_are_told_of_every_column(reports: dict[str, ColumnReport]) -> None:
    assert reports["answer"].auc_alone == 1.0
    assert reports["noise"].auc_alone == pytest.approx(0.5, abs=0.05)
    moved = {name: report.drift_word for name, report in reports.items() if report.drift is not None}
    assert moved == {
        "signal": "stable", "weak": "stable", "noise": "stable", "code": "stable", "same": "stable", "answer": "stable",
        "month": "stable", "counter": "moved", "batch": "moved",
    }  # fmt: skip
    assert reports["batch"].unseen == 1.0
    assert reports["code"].unseen == 0.0
    assert reports["weak"].gain is not None
    assert reports["signal"].gain is not None
    assert reports["signal"].gain > reports["weak"].gain > 2 * (reports["weak"].gain_error or 0)


def test_the_choice_is_the_same_whatever_the_thread_count_and_the_order_of_rows(place: TrainingContext) -> None:
    table = planted()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    one = train(DEFINITION, table, replace(place, threads=1))
    other = train(DEFINITION, shuffled, replace(place, threads=3))
    assert one.columns == other.columns
    assert one.model.model_text == other.model.model_text


def test_the_later_rows_have_no_say(place: TrainingContext) -> None:
    """Else the test part would flatter the model that it tests."""
    table = planted()
    later = np.asarray(table.column("year")) == 2002
    rng = np.random.default_rng(2)
    label = np.asarray(table.column(LABEL)).copy()
    label[later] = rng.permutation(label[later])
    swapped = table.set_column(table.column_names.index(LABEL), LABEL, pa.array(label, pa.int8()))
    one, other = train(DEFINITION, table, place), train(DEFINITION, swapped, place)
    assert one.selection == other.selection
    assert one.model.model_text == other.model.model_text


def test_without_the_choice_everything_is_used_and_a_leak_refused(place: TrainingContext) -> None:
    definition = replace(DEFINITION, feature_selection="none", exclude={**DEFINITION.exclude, "answer": "Known later."})
    table = planted().drop_columns(["answer"])
    used = {report.column for report in train(definition, table, place).columns if report.used}
    assert used == set(table.column_names) - {"id", "year", LABEL}


def test_too_few_rows_of_one_kind_choose_nothing() -> None:
    rng = np.random.default_rng(1)
    features = (Feature("one", NUMBER), Feature("other", NUMBER))
    truth = np.zeros(200)
    truth[:14] = 1.0
    times = pa.chunked_array([np.full(200, 2001)])
    matrix, alone = rng.normal(0, 1, (200, 2)), {"one": 0.5, "other": 0.5}
    found = select(DEFINITION, features, matrix, truth, times, alone, threads=1)
    assert found.used == ("one", "other")
    assert {verdict.why for verdict in found.verdicts} == {"Fewer than 15 rows of one kind: too few to choose by."}


def test_reports_read_back_as_they_were(reports: dict[str, ColumnReport], place: TrainingContext) -> None:
    trained = train(DEFINITION, planted(), place)
    assert from_json(to_json(trained.columns, trained.selection)) == trained.columns
    lines = to_markdown(trained.columns).splitlines()
    assert lines[2].startswith("| signal | yes | Tells something")
    assert len(lines) == 2 + len(trained.columns)


CYCLES = [
    (Feature("month", CATEGORY, tuple(sorted(MONTHS))), "year"),
    (Feature("when", CATEGORY, ("0", "april", "august", "december", "february")), "year"),
    (Feature("day", CATEGORY, ("Friday", "Monday", "Sunday")), "week"),
    (Feature("season", CATEGORY, ("autumn", "spring", "summer")), "year"),
    (Feature("town", CATEGORY, ("London", "May", "York")), None),
    (Feature("submitted_month", NUMBER), "year"),
    (Feature("week_of_month", CATEGORY, ("1", "2", "3")), "month"),
    (Feature("submitted_hour", NUMBER), "day"),
    (Feature("amount", NUMBER), None),
    (Feature("months_since", NUMBER), None),
]


@pytest.mark.parametrize(("feature", "cycle"), CYCLES)
def test_parts_of_a_date_are_known_by_their_values_or_names(feature: Feature, cycle: str | None) -> None:
    values = np.array([0.0, 1.0, 2.0, 1.0])
    assert cycle_of(feature, values) == cycle


def test_a_cycle_must_come_round_twice() -> None:
    assert days_covered(pa.chunked_array([[1994, 1994]])) == 365.25
    assert days_covered(pa.chunked_array([pa.array(["2020-01-01", "2020-01-14"]).cast(pa.date32())])) == 14
    assert days_covered(pa.chunked_array([[1, 7]])) is None
    assert not comes_round("year", 365.25)
    assert comes_round("year", 2 * 365)
    assert comes_round("week", 14)
    assert comes_round("year", None)


finite = arrays.arrays(np.float64, st.integers(1, 50), elements=st.floats(-1e6, 1e6) | st.just(float("nan")))


@given(finite, finite)
def test_the_stability_index_is_a_distance(earlier: np.ndarray, later: np.ndarray) -> None:
    feature = Feature("x", NUMBER)
    assert stability_index(feature, earlier, earlier) == 0.0
    assert stability_index(feature, earlier, later) >= 0.0
    assert np.isfinite(stability_index(feature, earlier, later))


def test_the_stability_index_of_a_known_case() -> None:
    """Half and half to nine and one: 0.4 x ln(0.9/0.5) - 0.4 x ln(0.1/0.5)."""
    feature = Feature("x", CATEGORY, ("a", "b"))
    earlier, later = np.array([0.0, 1.0] * 50), np.array([0.0] * 90 + [1.0] * 10)
    assert stability_index(feature, earlier, later) == pytest.approx(0.8788898, abs=1e-6)
