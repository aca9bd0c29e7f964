"""Loading: whole rows as expected, once each, all of a file or nothing, and no plain identifier anywhere."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from ingest_desk import COLUMNS, NOW, ROW, SOURCE, Desk, attach

from mesh.access import KeyRing, decrypt, tokenise_one
from mesh.errors import SourceError
from mesh.ingest import RawTable, SourceRows, current_files, pending_files, source_rows, writing

ROW_2 = 'v2,2020-02-30,X,,York,,"ring 07911 123456, or\nwrite to jo@example.org"'
ROW_3 = "v3,29/02/2020,F,2 Low Rd,,ZZ999999Z,"


def test_a_file_becomes_the_rows_that_its_mapping_says(desk: Desk) -> None:
    desk.rows(ROW, ROW_2, ROW_3)
    (load,) = desk.ingest()
    token, broken = (tokenise_one(desk.keyring, "nino", nino)[0] for nino in ("AB123456C", "ZZ999999Z"))
    told = ("visits", "desk/visits/a.csv")
    keys = [row[0] for row in desk.current("row_key")]
    assert len(set(keys)) == 3
    assert desk.current(", ".join([*COLUMNS, "_load_id", "_source", "_source_file", "_source_row"])) == [
        ("v1", "North", "2020-01-31", "male", "1 High St, Leeds", token, "valid", "hello", keys[0], None,
         load.load_id, *told, 1),
        ("v2", "North", "2020-02-30", "X", "York", None, "missing", "ring [PHONE], or\nwrite to [EMAIL]", keys[1], None,
         load.load_id, *told, 2),
        ("v3", "North", "2020-02-29", "female", "2 Low Rd", broken, "malformed", None, keys[2], None,
         load.load_id, *told, 3),
    ]  # fmt: skip
    assert desk.query("select * from lake.desk_build.loads") == [
        (load.load_id, "visits", "raw_visits", "desk/visits/a.csv", load.sha256, 190, 3, 0, NOW, 1, None,
         desk.source().mapping, desk.keyring.active_id, "run 1")
    ]  # fmt: skip


def test_ids_are_the_same_in_every_mesh(desk: Desk) -> None:
    """Releases of two meshes that loaded the same files must be comparable row by row."""
    path = desk.rows(ROW)
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    load_id = hashlib.sha256(f"visits\0desk/visits/a.csv\0{content}".encode()).hexdigest()[:16]
    row_key = hashlib.sha256(f"visits|{content}|1".encode()).hexdigest()[:20]
    desk.ingest()
    assert desk.current("load_id, row_key") == [(load_id, row_key)]


def test_loading_again_changes_nothing(desk: Desk) -> None:
    desk.rows(ROW)
    desk.rows(ROW_3, name="desk/visits/b.csv")
    first = desk.ingest()
    before = desk.snapshot()
    again = desk.ingest()
    assert again == tuple(replace(load, status="already loaded") for load in first)
    assert desk.snapshot() == before, "an idle run must not grow the lake's history"


def test_a_changed_file_supersedes_its_older_load(desk: Desk) -> None:
    desk.rows(ROW)
    desk.ingest()
    desk.rows(ROW_3, ROW)
    assert desk.outcome() == [("desk/visits/a.csv", "loaded", 2, 0)]
    assert desk.current() == [("v3",), ("v1",)]
    assert desk.query("select count(*) from lake.desk_build.raw_visits") == [(3,)], "raw tables are append-only"
    assert source_rows(desk.con, "desk", "raw_visits") == SourceRows(rows=2, rejected=0, loads=1)


def test_a_file_that_changes_back_is_served_by_the_rows_that_are_there(desk: Desk) -> None:
    desk.rows(ROW)
    first = desk.ingest()
    desk.rows(ROW_3)
    desk.ingest()
    desk.rows(ROW)
    assert desk.ingest() == first
    assert desk.current() == [("v1",)]
    assert desk.query("select count(*) from lake.desk_build.raw_visits") == [(2,)]


def test_the_same_content_under_another_name_counts_once(desk: Desk) -> None:
    desk.rows(ROW)
    desk.rows(ROW, name="desk/visits/copy.csv")
    status = "duplicate of desk/visits/a.csv"
    for first in ("loaded", "already loaded"):
        assert desk.outcome() == [("desk/visits/a.csv", first, 1, 0), ("desk/visits/copy.csv", status, 0, 0)]
    assert desk.current() == [("v1",)]
    assert desk.query("select source_file, duplicate_of, rows from lake.desk_build.loads order by loaded_seq") == [
        ("desk/visits/a.csv", None, 1),
        ("desk/visits/copy.csv", "desk/visits/a.csv", 0),
    ]


def test_a_duplicate_is_loaded_once_its_original_changes(desk: Desk) -> None:
    desk.rows(ROW)
    desk.rows(ROW, name="desk/visits/copy.csv")
    desk.ingest()
    desk.rows(ROW_3)
    assert desk.outcome() == [("desk/visits/a.csv", "loaded", 1, 0), ("desk/visits/copy.csv", "loaded", 1, 0)]
    assert desk.current() == [("v3",), ("v1",)]


def test_a_mended_mapping_loads_the_files_anew(desk: Desk) -> None:
    """Else a mistake in a mapping would stay in the raw table for ever."""
    desk.rows(ROW)
    (before,) = desk.ingest()
    mended = desk.source(SOURCE.replace("North", "South"))
    assert [file.relative for file in pending_files(desk.con, mended, desk.landing)] == ["desk/visits/a.csv"]
    (after,) = desk.ingest(mended)
    assert (after.status, after.load_id == before.load_id) == ("loaded", False)
    assert desk.current("office") == [("South",)]
    assert desk.ingest(desk.source("# a comment is no change\n" + SOURCE.replace("North", "South")))[0].status == (
        "already loaded"
    )


def test_a_new_key_loads_the_files_anew(desk: Desk) -> None:
    """Tokens of two keys never match, so a rotation has to reach what was loaded before."""
    desk.rows(ROW)
    desk.ingest()
    desk.keyring = KeyRing([b"new key of the tests, 32 bytes..", b"key of the tests with 32 bytes.."])
    assert desk.outcome() == [("desk/visits/a.csv", "loaded", 1, 0)]
    assert desk.current("nino_token") == [(tokenise_one(desk.keyring, "nino", "AB123456C")[0],)]


def test_files_are_pending_until_they_are_loaded(desk: Desk, tmp_path: Path) -> None:
    first, second = desk.rows(ROW), desk.rows(ROW_3, name="desk/visits/b.csv")

    def pending() -> list[Path]:
        return [file.path for file in pending_files(desk.con, desk.source(), desk.landing, home=tmp_path)]

    assert current_files(desk.con, "desk", ["raw_visits"]) == ()
    assert pending() == [first, second]
    loads = desk.ingest()
    assert pending() == []
    assert current_files(desk.con, "desk", ["raw_visits"]) == tuple(
        ("visits", load.file, load.sha256, load.load_id) for load in loads
    )
    assert current_files(desk.con, "desk", ["raw_other"]) == ()
    desk.rows(ROW_2, name="desk/visits/b.csv")
    assert pending() == [second]


def test_a_raw_table_gains_the_columns_that_the_domain_adds(desk: Desk) -> None:
    desk.rows(ROW)
    desk.ingest()
    desk.table = RawTable("raw_visits", "visits", (*COLUMNS, "later"))
    desk.rows(ROW_3, name="desk/visits/b.csv")
    desk.ingest(desk.source(SOURCE + "  later: street\n"))
    assert desk.current("visit_id, later") == [("v1", "1 High St"), ("v3", "2 Low Rd")]


def test_rows_keep_their_number_after_rejected_ones(desk: Desk) -> None:
    rows = [f'v{number},,,,,,"two\nlines"' for number in range(1, 301)]
    rows[6], rows[8] = "short", "v9,,,,,,,too long"
    desk.rows(*rows)
    assert desk.outcome() == [("desk/visits/a.csv", "loaded", 298, 2)]
    assert desk.current("visit_id, _source_row") == [(f"v{n}", n) for n in range(1, 301) if n not in (7, 9)]
    assert desk.query("select source, source_file, source_row, reason from lake.desk_build.rejected_rows") == [
        ("visits", "desk/visits/a.csv", 7, "1 field instead of 7"),
        ("visits", "desk/visits/a.csv", 9, "8 fields instead of 7"),
    ]
    assert source_rows(desk.con, "desk", "raw_visits") == SourceRows(rows=298, rejected=2, loads=1)


def test_an_identifier_of_two_columns_and_a_ciphertext(desk: Desk) -> None:
    source = desk.source(
        textwrap.dedent("""\
        source: visits
        into: raw_visits
        files: desk/visits/*.csv
        format: csv
        columns:
          nino: {from: nino, identifier: nino, keep: ciphertext}
          bank: {from: [sort, account], identifier: bank_account}
        """)
    )
    desk.table = RawTable("raw_visits", None, ("nino_token", "nino_status", "nino_cipher", "bank_token", "bank_status"))
    desk.deliver("sort,account,nino\n12-34-56,1234567,ab 12 34 56 c\n,,\n123456,,x\n")
    desk.ingest(source)
    account = tokenise_one(desk.keyring, "bank_account", "12345601234567")[0]
    found = desk.current("nino_token, nino_status, bank_token, bank_status")
    assert found[0] == (tokenise_one(desk.keyring, "nino", "AB123456C")[0], "valid", account, "valid")
    assert found[1] == (None, "missing", None, "missing")
    assert (found[2][1], found[2][3]) == ("malformed", "malformed")
    sealed = pa.array([row[0] for row in desk.current("nino_cipher")], pa.string())
    assert decrypt(desk.keyring, sealed).to_pylist() == ["ab 12 34 56 c", None, "x"]


def test_no_plain_identifier_reaches_the_lake(desk: Desk) -> None:
    """Whoever can read the lake's files or its catalog, column statistics included, must not find a person."""
    plain = ["AB123456C", "ab 12 34 56 c", "07911 123456", "jo@example.org"]
    desk.rows("v1,,,,,AB123456C,my nino is ab 12 34 56 c", "v2,,,,,AB123456C,07911 123456", "v3,,,,,,jo@example.org")
    desk.ingest()
    desk.con.execute("detach lake")
    files = desk.lake_files()
    assert {path.suffix for path in files} == {".parquet", ".ducklake"}
    unpacked = b"".join(
        repr(duckdb.sql(f"from '{path}'").fetchall()).encode() for path in files if path.suffix == ".parquet"
    )
    everything = unpacked + b"".join(path.read_bytes() for path in files)
    assert b"[PHONE]" in everything, "the scan must be able to see what was written"
    assert [text for text in plain if text.encode() in everything] == []


def test_a_failure_between_rows_and_record_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.rows(ROW)
    desk.ingest()
    desk.rows(ROW_3, name="desk/visits/b.csv")
    before, files = desk.snapshot(), set(desk.lake_files())

    def fail(*_: object) -> None:
        assert desk.query("select count(*) from lake.desk_build.raw_visits") == [(2,)], "the rows are written by now"
        raise KeyboardInterrupt

    monkeypatch.setattr(writing.Writer, "_record", fail)
    with pytest.raises(KeyboardInterrupt):
        desk.ingest()
    monkeypatch.undo()
    assert desk.query("select count(*) from lake.desk_build.raw_visits") == [(1,)]
    assert (desk.snapshot(), set(desk.lake_files())) == (before, files)
    assert [row[1] for row in desk.outcome()] == ["already loaded", "loaded"]


def test_a_killed_load_leaves_all_of_a_file_or_nothing(desk: Desk) -> None:
    desk.rows(ROW)
    desk.rows(ROW_3, name="desk/visits/b.csv")
    desk.con.execute("detach lake")
    script = textwrap.dedent("""\
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from ingest_desk import Desk, attach, connect
        from mesh.ingest import writing
        con = connect()
        attach(con, Path(sys.argv[1]))
        record = writing.Writer._record
        def record_and_die(self, file, *rest):
            record(self, file, *rest)
            if file.relative.endswith("b.csv"):
                os.kill(os.getpid(), signal.SIGKILL)
        writing.Writer._record = record_and_die
        Desk(Path(sys.argv[1]), con).ingest()
    """)
    ended = subprocess.run([sys.executable, "-c", script, str(desk.root), str(Path(__file__).parent)], timeout=120)
    assert ended.returncode == -signal.SIGKILL
    attach(desk.con, desk.root)
    assert desk.current() == [("v1",)]
    assert [row[1] for row in desk.outcome()] == ["already loaded", "loaded"]
    assert desk.current() == [("v1",), ("v3",)]


def test_a_file_that_changes_while_it_is_read_is_not_loaded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.rows(ROW)
    write = writing.Writer._write_rows

    def write_while_growing(self: writing.Writer, *rest: object) -> None:
        os.utime(path)
        write(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(writing.Writer, "_write_rows", write_while_growing)
    with pytest.raises(SourceError, match=r"desk/visits/a\.csv: is still being written\."):
        desk.ingest()
    assert desk.query("select count(*) from lake.desk_build.raw_visits") == [(0,)]


def test_a_refused_file_keeps_the_others_of_its_delivery_out(desk: Desk) -> None:
    """A delivery is looked at as a whole, so that half of it is never built on."""
    desk.rows(ROW)
    desk.deliver("", name="desk/visits/b.csv")
    before = desk.snapshot()
    with pytest.raises(SourceError, match=r"b\.csv: is empty"):
        desk.ingest()
    assert desk.snapshot() == before


def test_large_files_load_in_several_blocks(desk: Desk) -> None:
    """Blocks end between records wherever quotes, line breaks and rejected rows fall."""
    note = "x" * 300 + '""y""\n' + "z" * 200
    rows = [f'v{number},,,,,,"{note}"' if number % 5000 else "short" for number in range(1, 20_002)]
    assert len("\n".join(rows)) > 2 * (4 << 20)
    desk.rows(*rows)
    assert desk.outcome() == [("desk/visits/a.csv", "loaded", 19_997, 4)]
    assert desk.query(
        "select count(*), count(distinct _source_row), bool_and(visit_id = 'v' || _source_row), max(_source_row), "
        "count(distinct note) from lake.desk_build.raw_visits"
    ) == [(19_997, 19_997, True, 20_001, 1)]
