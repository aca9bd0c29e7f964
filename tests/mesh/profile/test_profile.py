"""What a sample says about its columns: tiny files in, every fact out."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import SourceError, UsageError
from mesh.ingest.sampling import read_sample
from mesh.profile import Profile, column_names, profile
from mesh.profile.names import TAKEN, reserved_words


def of_csv(folder: Path, text: str, **options: object) -> Profile:
    path = folder / "sample.csv"
    path.write_text(text, encoding="utf-8")
    return profile(read_sample(path), **options)  # type: ignore[arg-type]


def of_values(folder: Path, name: str, values: list[str]) -> Profile:
    """A file with an id and one column."""
    rows = "".join(f'{number},"{value}"\n' for number, value in enumerate(values, 1))
    return of_csv(folder, f"id,{name}\n{rows}")


TYPES = [
    ("count", ["1", "2", "-30"], "INTEGER"),
    ("large", ["1", "12345678901"], "BIGINT"),
    ("amount", ["1", "2.50", "1000.5"], "DECIMAL(18,2)"),
    ("rate", ["0.12345", "1.5"], "DECIMAL(18,5)"),
    ("measured", ["1e3", "2.5e-7"], "DOUBLE"),
    ("flag", ["true", "False"], "BOOLEAN"),
    ("started", ["2020-01-31", "2020-02-01"], "DATE"),
    ("sent", ["2020-01-31T10:00:00", "2020-02-01 11:30"], "TIMESTAMP"),
    ("opens", ["09:30", "17:00"], "TIME"),
    ("code", ["0800", "0801"], "VARCHAR"),
    ("words", ["one", "2"], "VARCHAR"),
    ("huge", ["123456789012345678901234567890123456789012", "1"], "DOUBLE"),
    ("empty", ["", ""], "VARCHAR"),
]


@pytest.mark.parametrize(("name", "values", "expected"), TYPES)
def test_a_type_is_told_from_all_values(tmp_path: Path, name: str, values: list[str], expected: str) -> None:
    assert of_values(tmp_path, name, values).column(name).type == expected


DATES = [
    (["31/01/2020", "01/02/2020"], "DATE", "%d/%m/%Y", "2020-01-31"),
    (["01/02/2020", "03/04/2020"], "DATE", "%d/%m/%Y", "2020-02-01"),
    (["12/31/2020", "01/02/2020"], "DATE", "%m/%d/%Y", "2020-01-02"),
    (["20200131", "20200201"], "DATE", "%Y%m%d", "2020-01-31"),
    (["31/01/2020 10:15", "01/02/2020 11:00"], "TIMESTAMP", "%d/%m/%Y %H:%M", "2020-01-31 10:15:00"),
]


@pytest.mark.parametrize(("values", "type_", "written", "low"), DATES)
def test_a_date_is_told_with_the_way_it_is_written(
    tmp_path: Path, values: list[str], type_: str, written: str, low: str
) -> None:
    """Day before month where both would do."""
    found = of_values(tmp_path, "decided_on", values).column("decided_on")
    assert (found.type, found.date_format, found.low) == (type_, written, low)


def test_eight_digits_are_a_date_only_where_the_name_says_so(tmp_path: Path) -> None:
    assert of_values(tmp_path, "amount", ["20200131", "20200201"]).column("amount").type == "INTEGER"


def test_slips_and_words_for_nothing_do_not_hide_a_type(tmp_path: Path) -> None:
    found = of_values(tmp_path, "age", [*map(str, range(200)), "oops", "N/A"]).column("age")
    assert (found.type, found.slips, found.missing, found.placeholders) == ("INTEGER", 1, 1, ("N/A",))
    assert (found.low, found.high) == ("0", "199")
    # With one value in ten wrong it is text.
    assert of_values(tmp_path, "age", [*map(str, range(9)), "oops"]).column("age").type == "VARCHAR"


def test_a_set_is_small_and_each_of_its_values_frequent(tmp_path: Path) -> None:
    assert of_values(tmp_path, "size", ["S", "M", "L"] * 10).column("size").values == ("L", "M", "S")
    assert of_values(tmp_path, "size", ["10", "9"] * 10).column("size").values == ("9", "10")
    assert of_values(tmp_path, "size", ["S", "M", "L"]).column("size").values == ()


def test_a_shape_that_all_values_share_is_a_pattern(tmp_path: Path) -> None:
    same = [f"AB-{number:03d}" for number in range(30)]
    assert of_values(tmp_path, "reference", same).column("reference").pattern == "^[A-Z]{2}\\-[0-9]{3}$"
    assert of_values(tmp_path, "reference", [*same, "other"]).column("reference").pattern is None


HANDLED = [
    ("nino", ["AB123456C", "CE123456A"], "confidential", "nino"),
    ("reference", ["AB123456C", "CE123456A"], "confidential", "nino"),
    ("contact", ["a@example.org", "b@example.org"], "confidential", "email"),
    ("mobile", ["07700900123", "07700900124"], "confidential", "phone"),
    ("utr", ["1955839661", "1955839661"], "confidential", "utr"),
    ("number", ["1955839661", "1955839661"], "internal", None),
    ("passport", ["X1", "X2"], "confidential", "other"),
    ("surname", ["Ode", "Lee"], "confidential", None),
    ("date_of_birth", ["2001-02-03", "1999-01-01"], "restricted", None),
    ("sex", ["F", "M"], "restricted", None),
    ("age_of_policy_holder", ["30", "41"], "restricted", None),
    ("age_of_vehicle", ["3", "4"], "internal", None),
    ("address_change", ["none", "one"] * 10, "internal", None),
    ("wage", ["3", "4"], "internal", None),
]


@pytest.mark.parametrize(("name", "values", "classification", "identifier"), HANDLED)
def test_personal_data_is_guessed_from_names_and_values(
    tmp_path: Path, name: str, values: list[str], classification: str, identifier: str | None
) -> None:
    found = of_values(tmp_path, name, values).column(name).handling
    assert (found.classification, found.identifier) == (classification, identifier)


def test_sentences_are_redacted(tmp_path: Path) -> None:
    texts = [f"please call me back about claim {number}" for number in range(30)]
    assert of_values(tmp_path, "note", texts).column("note").handling.redact


def test_sort_code_and_account_number_are_one_account(tmp_path: Path) -> None:
    found = of_csv(tmp_path, "id,sort_code,account_number\n1,09-00-19,32935253\n2,09-00-19,32935254\n")
    (account,) = [column for column in found.columns if column.handling.identifier]
    assert (account.name, account.delivered, account.handling.identifier) == (
        "bank_account", ("sort_code", "account_number"), "bank_account",
    )  # fmt: skip
    assert [column.name for column in found.columns] == ["id", "bank_account"]


KEYS = [
    ("id,name\n1,a\n2,b\n", ("id",)),
    ("name,claim_no\na,1\nb,2\n", ("claim_no",)),
    ("a,b\nx,1\nx,1\n", ()),
    ("claim_id,line_no\n1,1\n1,2\n2,1\n", ("claim_id", "line_no")),
    ("text\nhello\nworld\n", ("text",)),
]


@pytest.mark.parametrize(("text", "key"), KEYS)
def test_a_key_is_found_where_there_is_one(tmp_path: Path, text: str, key: tuple[str, ...]) -> None:
    assert of_csv(tmp_path, text).key == key


def test_a_given_key_must_name_each_row(tmp_path: Path) -> None:
    text = "ClaimNo,Line\n1,1\n1,2\n,3\n"
    assert of_csv(tmp_path, "ClaimNo,Line\n1,1\n1,2\n", key=["ClaimNo", "line"]).key == ("claim_no", "line")
    with pytest.raises(UsageError) as error:
        of_csv(tmp_path, text, key=["ClaimNo"])
    assert str(error.value).startswith(
        "--key claim_no does not name each row: 1 rows have no value there and 1 rows share a value with another."
    )
    with pytest.raises(UsageError, match=r"--key nothing: the sample has no such column. Allowed: claim_no, line"):
        of_csv(tmp_path, text, key=["nothing"])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_told_from_the_records(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text(f"id{delimiter}amount\n1{delimiter}2,50\n2{delimiter}3,50\n")
    sample = read_sample(path)
    assert (sample.delimiter, sample.names, sample.rows) == (delimiter, ("id", "amount"), 2)


@pytest.mark.parametrize(("encoding", "told"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("latin-1", "latin-1")])
def test_the_encoding_is_told_from_the_bytes(tmp_path: Path, encoding: str, told: str) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("id,town\n1,Zürich\n", encoding=encoding)
    sample = read_sample(path)
    assert sample.encoding == told
    (batch,) = sample.batches()
    assert batch.column(1).to_pylist() == ["Zürich"]


def test_json_lines_and_parquet_are_read_the_same_way(tmp_path: Path) -> None:
    rows = [{"id": 1, "amount": Decimal("1.50"), "on": "2020-01-31"}, {"id": 2, "amount": None, "on": "2020-02-01"}]
    lines = tmp_path / "sample.jsonl"
    lines.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows))
    parquet = tmp_path / "sample.parquet"
    nested = pa.array([[1], [2]])
    pq.write_table(pa.Table.from_pylist(rows).append_column("list", nested), parquet)

    one, other = profile(read_sample(lines)), profile(read_sample(parquet))

    assert [(c.name, c.type, c.missing) for c in one.columns] == [
        ("id", "INTEGER", 0), ("amount", "DECIMAL(18,2)", 1), ("on_", "DATE", 0),
    ]  # fmt: skip
    assert one.columns == other.columns
    assert (one.skipped, list(other.skipped)) == ({}, ["list"])


REFUSED = [
    ("sample.xlsx", b"x", "`.xlsx` is no known kind of file."),
    ("sample.csv", b"", "is empty"),
    ("sample.csv", b"id,,x\n1,2,3\n", "column 2 has no name."),
    ("sample.csv", b"id,id\n1,2\n", "names column id twice"),
    ("sample.csv", b'id,x\n1,"2\n', "ends inside a quoted field"),
    ("sample.parquet", b"PAR1", "is no complete Parquet file"),
    ("sample.jsonl", b"[1]\n" * 20, "unreadable rows"),
]


@pytest.mark.parametrize(("name", "content", "what"), REFUSED)
def test_a_file_that_ingest_would_refuse_is_refused_here(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=what.replace("(", r"\(")):
        read_sample(tmp_path / name)


@given(st.lists(st.text(max_size=12), max_size=8))
def test_any_header_gives_different_names_that_sql_takes(delivered: list[str]) -> None:
    names = column_names(delivered)
    assert len(set(names)) == len(delivered)
    assert all(name.isascii() and name[0].isalpha() and name.replace("_", "a").isalnum() for name in names)
    assert all(name == name.lower() for name in names)
    assert not set(names) & ({*TAKEN} | reserved_words())


NAMES = [
    ("PolicyNumber", "policy_number"),
    ("Days_Policy_Accident", "days_policy_accident"),
    ("FraudFound_P", "fraud_found_p"),
    ("VATNumber", "vat_number"),
    ("1st name", "c_1st_name"),
    ("Größe", "groe"),
    ("order", "order_"),
    ("load_id", "load_id_2"),
]


@pytest.mark.parametrize(("delivered", "name"), NAMES)
def test_names_read_like_words(delivered: str, name: str) -> None:
    assert column_names([delivered]) == (name,)
