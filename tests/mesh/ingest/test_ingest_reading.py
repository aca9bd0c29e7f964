"""Reading delivered files: every format and encoding gives the same rows, and record numbers are those of the file."""

from __future__ import annotations

import csv as stdlib_csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_desk import Desk

from mesh.ingest import Column, Source, SourceFile, discover
from mesh.ingest import csv as csv_reader

TEXT = """\
source: visits
into: raw_visits
files: in/*
format: {format}
columns:
  visit_id: a
  note: b
"""
TWO_COLUMNS = (Column("x", ("a",)), Column("y", ("b",)))
SIMPLE = Source("visits", "desk", "raw_visits", "*.csv", "csv", TWO_COLUMNS, Path("x.yaml"))

values = st.text(st.sampled_from('ab",\n\r é'), max_size=6)
record = st.one_of(st.tuples(values, values), st.lists(values, min_size=1, max_size=4).map(tuple))
records = st.lists(record, max_size=25)


def written(rows: list[tuple[str, ...]], ending: str) -> str:
    out = io.StringIO()
    stdlib_csv.writer(out, lineterminator=ending, quoting=stdlib_csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    return out.getvalue()


Row = tuple[str | None, str | None, int]


def read_in_small_blocks(path: Path) -> tuple[list[Row], list[int], int]:
    """Rows with their numbers, numbers of rejected rows, and how many rows the first look counted."""
    file = SourceFile(path, "a.csv", path.stat().st_size, "", path.stat().st_mtime_ns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_reader, "MAX_RECORD_BYTES", 90)  # bytes of a block, so that many end inside this file
        patch.setattr("mesh.ingest.text.CHUNK", 45)
        patch.setattr("mesh.ingest.reading.REJECTED_ROWS", 1000)
        inspection = csv_reader.inspect(SIMPLE, file, verified=False)
        batches = list(csv_reader.batches(SIMPLE, file, inspection))
    rows = [(row["a"], row["b"], row["_source_row"]) for batch in batches for row in batch.to_pylist()]
    return rows, [one.row for one in inspection.rejected], inspection.rows


@given(rows=records, ending=st.sampled_from(["\n", "\r\n"]), blank=st.sampled_from(["", "\n", "\r\n\r\n"]))
def test_rows_and_their_numbers_are_those_of_another_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], ending: str, blank: str
) -> None:
    """Python's csv module reads the same file: a row keeps its number whatever stands before it, in any block."""
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text(written([*rows, ("last", "row")], ending) + blank, newline="")
    with path.open(newline="") as text:
        read = [record for record in stdlib_csv.reader(text) if record][1:]
    good = [(*(field or None for field in record), at) for at, record in enumerate(read, 1) if len(record) == 2]
    bad = [at for at, record in enumerate(read, 1) if len(record) != 2]
    assert read_in_small_blocks(path) == (good, bad, len(good))


def test_a_line_break_in_quotes_survives_the_end_of_a_block(tmp_path: Path) -> None:
    """Arrow lost the line feed of a line break that two blocks share."""
    for shift in range(60):
        rows = [("x" * shift, "a"), *[("two\r\nlines", "b")] * 20]
        (tmp_path / "a.csv").write_text(written(rows, "\n"), newline="")
        assert read_in_small_blocks(tmp_path / "a.csv")[0][1:] == [("two\r\nlines", "b", at) for at in range(2, 22)]


@pytest.mark.parametrize(
    ("options", "content", "ignored"),
    [
        ("format: csv", "a,b\nv1,café\n".encode(), ()),
        ("format: csv", "\ufeffa,b\r\nv1,café".encode(), ()),
        ("format: csv", '\n"b" ,a\n"café",v1\n\n'.encode(), ()),
        ("format: csv\nencoding: latin-1", "a,b\nv1,café\n".encode("latin-1"), ()),
        ("format: csv\nencoding: utf-16", "a,b\nv1,café\n".encode("utf-16"), ()),
        ("format: csv\nencoding: utf-16", "a,b\nv1,café\n".encode("utf-16-be").join([b"\xfe\xff", b""]), ()),
        ('format: csv\ndelimiter: "\\t"', "a\tb\nv1\tcafé\n".encode(), ()),
        ('format: csv\ndelimiter: "|"', "a|c|b\nv1|unused|café\n".encode(), ("c",)),
        ("format: jsonl", b'{"a": "v1", "b": "caf\\u00e9", "c": [1]}\n\n', ("c",)),
        ("format: jsonl\nencoding: latin-1", '{"a": "v1", "b": "café"}'.encode("latin-1"), ()),
    ],
)
def test_every_text_format_and_encoding_gives_the_same_row(
    desk: Desk, options: str, content: bytes, ignored: tuple[str, ...]
) -> None:
    source = desk.source(TEXT.replace("format: {format}", options))
    desk.deliver(content, "in/a")
    (load,) = desk.ingest(source)
    assert desk.current("visit_id, note, _source_row") == [("v1", "café", 1)]
    assert load.ignored_columns == ignored


def test_json_values_keep_the_text_that_was_delivered(desk: Desk) -> None:
    rows = ['{"a": 1.10, "b": true}', '{"a": 12345678901234567890, "b": null}', '{"a": "", "b": {"c": ["é"]}}']
    broken = ["{", '"text"', '{"a": NaN}', '{"a": "\\ud800"}', '{"a": "\\u0000"}', "[" * 100_000]
    desk.deliver("\n".join([*rows[:2], *broken, *rows[2:]]), "in/a")
    desk.ingest(desk.source(TEXT.format(format="jsonl")))
    assert desk.current("visit_id, note, _source_row") == [
        ("1.10", "true", 1),
        ("12345678901234567890", None, 2),
        (None, '{"c":["é"]}', 9),
    ]
    assert desk.query("select source_row, reason from lake.desk_build.rejected_rows order by source_row") == [
        (3, "not JSON"),
        (4, "not a JSON object"),
        (5, "NaN is not JSON"),
        (6, "half a surrogate pair"),
        (7, "a NUL character"),
        (8, "not JSON"),
    ]


def test_parquet_values_become_text(desk: Desk) -> None:
    path = desk.deliver("", "in/a")
    table = pa.table(
        {
            "a": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
            "b": pa.array([date(2020, 2, 29), None], pa.date32()),
            "c": [["unused"], []],
        }
    )
    pq.write_table(table, path)
    desk.deliver(path.read_bytes(), "in/a")
    (load,) = desk.ingest(desk.source(TEXT.format(format="parquet")))
    assert desk.current("visit_id, note, _source_row") == [("1.10", "2020-02-29", 1), (None, None, 2)]
    assert load.ignored_columns == ("c",)


def test_an_empty_file_loads_where_its_source_allows_it(desk: Desk) -> None:
    source = desk.source(TEXT.format(format="csv") + "allow_empty: true\n")
    desk.deliver("a,b\n", "in/a")
    assert desk.outcome(source) == [("in/a", "loaded", 0, 0)]
    assert desk.current() == []
    desk.deliver("\n", "in/a.jsonl")
    lines = desk.source(TEXT.format(format="jsonl").replace("in/*", "in/*.jsonl") + "allow_empty: true\n", "lines")
    assert desk.outcome(lines)[-1] == ("in/a.jsonl", "loaded", 0, 0)


def test_a_source_of_constants_and_row_ids_needs_no_column_of_the_file(desk: Desk) -> None:
    text = TEXT.format(format="csv").replace("visit_id: a", "office: {value: It's}")
    text = text.replace("note: b", "note: {value: n}")
    desk.deliver("a,b\n1,2\n3,4\n", "in/a")
    desk.ingest(desk.source(text))
    assert desk.current("office, note, _source_row") == [("It's", "n", 1), ("It's", "n", 2)]


@pytest.mark.parametrize(
    ("form", "delivered", "expected"),
    [
        ("%d/%m/%Y", " 01/02/2020 ", "2020-02-01"),
        ("%d/%m/%Y", "31/02/2020", "31/02/2020"),
        ("%d %b %Y", "1 Feb 2020", "2020-02-01"),
        ("%d/%m/%Y %H:%M", "01/02/2020 09:30", "2020-02-01 09:30:00"),
    ],
)
def test_dates_become_iso_and_what_is_none_stays(desk: Desk, form: str, delivered: str, expected: str) -> None:
    text = TEXT.format(format="csv").replace("note: b", f'note: {{from: b, format: "{form}"}}')
    desk.deliver(f"a,b\n1,{delivered}\n", "in/a")
    desk.ingest(desk.source(text))
    assert desk.current("note") == [(expected,)]


def test_files_are_found_by_pattern_and_provisional_ones_do_not_count(desk: Desk) -> None:
    for name in ("in/b", "in/a", "in/.hidden", "in/_note", "in/c.part", "in/d.tmp", "in/e.crdownload", "in/sub/f", "g"):
        desk.deliver(json.dumps(name), name)
    source = desk.source(TEXT.format(format="csv"))
    assert [file.relative for file in discover(source, desk.landing)] == ["in/a", "in/b"]
    deep = desk.source(TEXT.format(format="csv").replace("in/*", "in/**/*"))
    assert [file.relative for file in discover(deep, desk.landing)] == ["in/a", "in/b", "in/sub/f"]
