"""Delivered CSV (RFC 4180; quoted fields may hold line breaks), read as text in blocks of bounded size.

Arrow's reader was chosen over DuckDB's for one reason: in serial mode it numbers records - not lines - and hands over
each record that does not fit with its number, so `_source_row` stays right after rejected rows.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyarrow import csv as arrow_csv

from mesh.errors import SourceError
from mesh.ingest.landing import SourceFile
from mesh.ingest.reading import (
    MAX_RECORD_BYTES,
    Batches,
    Inspection,
    Rejected,
    check_amounts,
    check_names,
    complete,
    numbered,
    refuse,
)
from mesh.ingest.source import Source
from mesh.ingest.text import Utf8Stream

HEADER = 1  # records before the first row
TOO_LONG = f"is longer than {MAX_RECORD_BYTES >> 20} MiB, or opens a quote that never closes."


def inspect(source: Source, file: SourceFile, *, verified: bool) -> Inspection:
    """Read the whole file once.

    Args:
        verified: the manifest vouches for the content, so a short last record is a bad row, not a cut-off file.

    Raises:
        SourceError: the file as a whole cannot be loaded.
    """
    if file.bytes == 0:
        refuse(file, "is empty (0 bytes).", allowed="a header and rows")
    names = header(source, file)
    ignored = check_names(source, file, names, where="header")
    # One more record behind the end of the file: a quote left open swallows it, and its number counts the records.
    sentinel = source.delimiter.join([secrets.token_hex(8)] * (len(names) + 1))
    rejected: list[Rejected] = []
    ends: list[int] = []
    short: set[int] = set()

    def set_aside(row: arrow_csv.InvalidRow) -> str:
        if row.text == sentinel:
            ends.append(row.number - HEADER)
            return "skip"
        number = row.number - HEADER
        if row.actual_columns < row.expected_columns:
            short.add(number)
        reason = f"{row.actual_columns} field{'s' if row.actual_columns != 1 else ''} instead of {row.expected_columns}"
        rejected.append(Rejected(number, reason))
        return "skip"

    read = 0
    with _opened(source, file, names, set_aside, only=names[:1], tail=sentinel.encode()) as blocks:
        for block in blocks:
            read += block.num_rows
    if not ends:
        refuse(file, "ends inside a quoted field: cut off.", allowed="the complete file")
    last = ends[0] - 1
    if last in short and not verified:
        refuse(file, f"is cut off: its last record (row {last}) has too few fields.", allowed="the complete file")
    return check_amounts(source, file, Inspection(names, read - HEADER, tuple(rejected), ignored))


def batches(source: Source, file: SourceFile, inspection: Inspection) -> Batches:
    """The good rows of an inspected file: the mapped columns as text (empty is null) and the record number."""
    skipped = {one.row for one in inspection.rejected}
    wanted = source.delivered
    following = 1 - HEADER
    only = tuple(name for name in wanted if name in inspection.names) or inspection.names[:1]
    with _opened(source, file, inspection.names, lambda row: "skip", only=only) as blocks:
        for block in blocks:
            rows, following = _numbers(block.num_rows, following, skipped)
            if rows and rows[0] < 1:
                block, rows = block.slice(1), rows[1:]
            yield numbered(complete(block, wanted), rows)


def _numbers(count: int, following: int, skipped: set[int]) -> tuple[list[int], int]:
    """The numbers of the next `count` good records from `following` on, and the number after them."""
    end = following + count
    rows = [row for row in range(following, end) if row not in skipped] if skipped else list(range(following, end))
    while len(rows) < count:
        if end not in skipped:
            rows.append(end)
        end += 1
    return rows, end


def header(source: Source, file: SourceFile) -> tuple[str, ...]:
    """The column names of a file, as its first record has them."""
    with Utf8Stream(file, source.encoding) as stream:
        text = io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8", newline="")
        try:
            for record in csv.reader(text, delimiter=source.delimiter):
                if record:
                    return tuple(name.strip() for name in record)
        except csv.Error:
            what = "has no readable header."
            raise SourceError(what, file=file.relative, line=1, allowed="a header of column names") from None
    refuse(file, "holds only blank lines.", allowed="a header and rows")


@contextmanager
def _opened(
    source: Source,
    file: SourceFile,
    names: tuple[str, ...],
    set_aside: object,
    *,
    only: tuple[str, ...],
    tail: bytes = b"",
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The records as Arrow blocks, the header the first; Arrow's own errors quote rows, so none gets out."""
    read_options = arrow_csv.ReadOptions(use_threads=False, block_size=MAX_RECORD_BYTES, column_names=list(names))
    parse_options = arrow_csv.ParseOptions(
        delimiter=source.delimiter, newlines_in_values=True, invalid_row_handler=set_aside
    )
    convert_options = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name in names},
        include_columns=list(only),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
        check_utf8=False,  # the stream has checked it
    )
    seen = 0

    def blocks() -> Iterator[pa.RecordBatch]:
        nonlocal seen
        for block in arrow_csv.open_csv(pa.PythonFile(stream, "r"), read_options, parse_options, convert_options):
            seen += block.num_rows
            yield block

    with Utf8Stream(file, source.encoding, tail) as stream:
        try:
            yield blocks()
        except pa.ArrowException:
            if stream.failure is not None:
                raise stream.failure from None
            what = f"a record after row {max(seen - HEADER, 0)} {TOO_LONG}"
            raise SourceError(what, file=file.relative, allowed="complete records") from None
