"""Every bad delivery is refused as a whole, in words that name file, place, fault and way out - never a value."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_desk import HEADER, ROW, SOURCE, Desk

from mesh.errors import SourceError
from mesh.ingest import Source

A = "desk/visits/a.csv"
COLUMNS = "ref, day, sex, street, town, nino, note"
JSONL = SOURCE.replace("*.csv", "*.jsonl").replace("format: csv", "format: jsonl")
PARQUET = SOURCE.replace("*.csv", "*.parquet").replace("format: csv", "format: parquet")
OBJECT = json.dumps(dict(zip(HEADER.split(","), ROW.split(","), strict=True)))


def refused(desk: Desk, source: Source | None = None) -> str:
    before = desk.snapshot()
    with pytest.raises(SourceError) as error:
        desk.ingest(source)
    assert desk.snapshot() == before, "nothing may be written"
    assert "AB123456C" not in str(error.value) + repr(error.value.__context__)
    return str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", f"{A}: is empty (0 bytes). Allowed: a header and rows"),
        (b"\n \n\n", f"{A}: has none of the 7 mapped columns in its header. Allowed: {COLUMNS}"),
        (b"\n\n", f"{A}: holds only blank lines. Allowed: a header and rows"),
        (
            HEADER.encode() + b"\n",
            f"{A}: holds no rows. Allowed: at least one row, or `allow_empty: true` in the source",
        ),
        (
            f"{HEADER.replace('town,nino,', '')},extra\nv1,,,,,\n".encode(),
            f"{A}: lacks columns town, nino; its header has ref, day, sex, street, note, extra. Allowed: {COLUMNS}",
        ),
        (ROW.encode(), f"{A}: has none of the 7 mapped columns in its header. Allowed: {COLUMNS}"),
        (f"{HEADER},note\n{ROW},x\n".encode(), f"{A}: names column note twice. Allowed: each column once"),
        (f"{HEADER}\n{ROW}\nv2,,,,,,caf\xe9\n".encode("latin-1"), f"{A}:3: is not utf-8 at byte 93. Allowed: utf-8"),
        (
            f"{HEADER}\n{ROW}\n".encode("utf-16"),
            f"{A}:1: starts with the byte order mark of utf-16. Allowed: utf-8",
        ),
        (f"{HEADER}\n{ROW}\n\0".encode(), f"{A}:3: holds a NUL character: binary or damaged. Allowed: text"),
        (
            f"{HEADER}\n{ROW}\nv2,31/01".encode(),
            f"{A}: is cut off: its last record (row 2) has too few fields. Allowed: the complete file",
        ),
        (
            f'{HEADER}\n{ROW}\nv2,,,,,,"cut off'.encode(),
            f"{A}: ends inside a quoted field: cut off. Allowed: the complete file",
        ),
        (
            f'{HEADER}\n{ROW}\nv2,,"cut off\n'.encode(),
            f"{A}: ends inside a quoted field: cut off. Allowed: the complete file",
        ),
        (
            "\n".join([HEADER, *["v1,,"] * 11, ROW, ""]).encode(),
            f"{A}: has 11 unreadable rows of 12; the first is row 1: 3 fields instead of 7. "
            "Allowed: 10 rows or 1%, whichever is more",
        ),
        (
            f"{HEADER}\n{ROW}\nv2,,,,,,".encode() + b"x" * (9 << 20) + b"\n",
            f"{A}: a record after row 1 is longer than 4 MiB, or opens a quote that never closes. "
            "Allowed: complete records",
        ),
    ],
)  # fmt: skip
def test_a_bad_csv_file_is_refused(desk: Desk, content: bytes, message: str) -> None:
    desk.deliver(content)
    assert refused(desk) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty (0 bytes). Allowed: one JSON object a line"),
        ("\n\n", "holds no rows. Allowed: at least one row, or `allow_empty: true` in the source"),
        (
            '{"ref": "v1", "nino": "AB123456C"}\n',
            f"lacks columns day, sex, street, town, note; its objects has ref, nino. Allowed: {COLUMNS}",
        ),
        (
            f"{OBJECT}\n{OBJECT[:-9]}",
            "is cut off: its last line (row 2) is no whole object. Allowed: the complete file",
        ),
        (
            f"{OBJECT}\n" + "[]\n" * 11,
            "has 11 unreadable rows of 12; the first is row 2: not a JSON object. "
            "Allowed: 10 rows or 1%, whichever is more",
        ),
        ("x" * (5 << 20), "a line after row 0 is longer than 4 MiB. Allowed: one JSON object a line"),
    ],
)
def test_a_bad_jsonl_file_is_refused(desk: Desk, content: str, message: str) -> None:
    desk.deliver(content, "desk/visits/a.jsonl")
    assert refused(desk, desk.source(JSONL)) == f"desk/visits/a.jsonl: {message}"


def table_bytes(**columns: pa.Array) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="none", write_page_checksum=True)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: whole[:-20], "is no complete Parquet file: cut off or damaged. Allowed: the complete file"),
        (
            lambda whole: whole.replace(b"AB123456C", b"AB12345\xffC"),
            "is no complete Parquet file: cut off or damaged. Allowed: the complete file",
        ),
    ],
)
def test_a_bad_parquet_file_is_refused(desk: Desk, change: Callable[[bytes], bytes], message: str) -> None:
    whole = table_bytes(**{name: pa.array([value]) for name, value in json.loads(OBJECT).items()})
    desk.deliver(change(whole), "desk/visits/a.parquet")
    assert refused(desk, desk.source(PARQUET)) == f"desk/visits/a.parquet: {message}"


def test_a_parquet_column_that_is_no_text_is_refused(desk: Desk) -> None:
    columns = {name: pa.array([value]) for name, value in json.loads(OBJECT).items()}
    desk.deliver(table_bytes(**{**columns, "note": pa.array([["a"]])}), "desk/visits/a.parquet")
    assert refused(desk, desk.source(PARQUET)) == (
        "desk/visits/a.parquet: column note is nested or binary. Allowed: text, numbers, dates, true or false"
    )


def test_a_required_source_whose_files_never_arrived_is_refused(desk: Desk) -> None:
    message = f"source visits: no file has ever arrived. Allowed: at least one desk/visits/*.csv in {desk.landing}"
    assert refused(desk) == message
    desk.rows(ROW).rename(desk.landing / "desk/visits/a.csv.part")
    assert refused(desk) == (
        "desk/visits/a.csv.part: is still being written. Allowed: a file under its final name, once it is complete"
    )
    assert desk.outcome(desk.source(SOURCE + "required: false\n")) == []


def test_a_required_file_may_leave_once_it_was_loaded(desk: Desk) -> None:
    path = desk.rows(ROW)
    desk.ingest()
    path.unlink()
    assert desk.ingest() == ()
    assert desk.current() == [("v1",)]


def manifest(desk: Desk, **changes: object) -> None:
    content = (desk.landing / A).read_bytes() if (desk.landing / A).exists() else b""
    listed = {"path": A, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "rows": 1, **changes}
    desk.deliver(json.dumps({"files": [listed]}), "manifest.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bytes": 100}, "has 82 bytes, manifest.json says 100: half-written or altered."),
        ({"sha256": "0" * 64}, "has another sha256 than manifest.json says: altered."),
        ({"rows": 2}, "has 1 rows, manifest.json says 2."),
    ],
)
def test_a_file_that_is_not_the_one_of_the_manifest_is_refused(
    desk: Desk, changes: dict[str, object], message: str
) -> None:
    desk.rows(ROW)
    manifest(desk, **changes)
    assert refused(desk) == f"{A}: {message} Allowed: the file as listed, or a new manifest"
    manifest(desk)
    assert desk.outcome() == [(A, "loaded", 1, 0)]


def test_a_listed_file_that_has_not_arrived_is_missed(desk: Desk) -> None:
    path = desk.rows(ROW)
    desk.rows(ROW, name="desk/visits/b.csv")
    manifest(desk)
    path.unlink()
    assert refused(desk) == (
        f"{A}: is listed in manifest.json but has not arrived. Allowed: every listed file, or a new manifest"
    )


def test_a_damaged_manifest_is_refused(desk: Desk) -> None:
    desk.rows(ROW)
    desk.deliver('{"files": [{"path": ', "manifest.json")
    assert refused(desk) == (
        'manifest.json: is damaged or still being written. Allowed: {"files": [{"path", "bytes", "sha256", "rows"}]}'
    )


def test_a_short_last_record_of_a_listed_file_is_a_rejected_row(desk: Desk) -> None:
    """The manifest vouches for the file, so it was not cut off on its way."""
    desk.deliver(f"{HEADER}\n{ROW}\nv2,,")
    manifest(desk, rows=2)
    assert desk.outcome() == [(A, "loaded", 1, 1)]


def test_a_file_that_is_still_growing_is_refused(desk: Desk) -> None:
    path = desk.rows(ROW)
    stop = threading.Event()

    def grow() -> None:
        while not stop.is_set():
            with path.open("a") as out:
                out.write(ROW + "\n")
            time.sleep(0.02)

    writer = threading.Thread(target=grow)
    os.utime(path)
    writer.start()
    try:
        message = refused(desk)
    finally:
        stop.set()
        writer.join()
    assert message == (
        f"{A}: is still being written. Allowed: deliver under another name such as x.part, and rename when complete"
    )


def test_a_link_out_of_the_landing_zone_is_refused(desk: Desk) -> None:
    desk.rows(ROW)
    (desk.root / "elsewhere.csv").write_text(f"{HEADER}\n{ROW}\n")
    (desk.landing / "desk/visits/b.csv").symlink_to(desk.root / "elsewhere.csv")
    assert refused(desk) == "desk/visits/b.csv: is a link that leads out of the landing directory."
