"""A sample file as ingest would read it, before any mapping exists: its format is worked out, its rows are text.

Reading goes through the readers of the ingest itself, so that a file which would be refused later is refused here
with the same words.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mesh.errors import SourceError
from mesh.ingest import csv as csv_reader
from mesh.ingest import jsonl, parquet
from mesh.ingest.digests import Digests
from mesh.ingest.landing import SourceFile
from mesh.ingest.reading import Batches, Inspection
from mesh.ingest.source import Column, Source
from mesh.ingest.text import CHUNK

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".psv": "csv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
DELIMITERS = (",", ";", "\t", "|")
LOOKED_AT = 200  # records from which the delimiter is told

_READERS: dict[str, Any] = {"csv": csv_reader, "jsonl": jsonl, "parquet": parquet}


@dataclass(frozen=True)
class Sample:
    """A file that was understood. `names` are its columns; `skipped` those that no mapping can take, and why."""

    path: Path
    format: str
    encoding: str
    delimiter: str
    names: tuple[str, ...]
    skipped: dict[str, str]
    rows: int
    rejected: int
    _file: SourceFile
    _inspection: Inspection

    def batches(self) -> Batches:
        """The rows: every column as text, in the order of `names`, and the record number."""
        source = _provisional(self.format, self.encoding, self.delimiter, self.names)
        rows: Batches = _READERS[self.format].batches(source, self._file, self._inspection)
        return rows


def read_sample(path: Path) -> Sample:
    """Look at a whole file once.

    Raises:
        SourceError: it is not there, of no known format, empty, damaged or not readable as text.
    """
    if not path.is_file():
        raise SourceError("is no file.", file=path, allowed="a CSV, JSON lines or Parquet file")
    format_ = SUFFIXES.get(path.suffix.lower())
    if format_ is None:
        raise SourceError(f"`{path.suffix}` is no known kind of file.", file=path, allowed=", ".join(SUFFIXES))
    if path.stat().st_size == 0:
        raise SourceError("is empty (0 bytes).", file=path, allowed="a CSV, JSON lines or Parquet file with rows")
    sha256, state = Digests().of(path)
    file = SourceFile(path, str(path), state.st_size, sha256, state.st_mtime_ns)
    encoding = "utf-8" if format_ == "parquet" else _encoding(path)
    delimiter = _delimiter(path, encoding) if format_ == "csv" else ","
    skipped: dict[str, str] = {}
    if format_ == "parquet":
        names, skipped = _parquet_columns(path)
    elif format_ == "csv":
        names = csv_reader.header(_provisional(format_, encoding, delimiter, ()), file)
    else:
        names = ()
    source = _provisional(format_, encoding, delimiter, names)
    inspection: Inspection = _READERS[format_].inspect(source, file, verified=False)
    if unnamed := [place for place, name in enumerate(inspection.names, 1) if not name.strip()]:
        raise SourceError(f"column {unnamed[0]} has no name.", file=path, line=1, allowed="a header of column names")
    names = tuple(name for name in inspection.names if name not in skipped)
    return Sample(
        path, format_, encoding, delimiter, names, skipped, inspection.rows, len(inspection.rejected), file, inspection
    )


def _provisional(format_: str, encoding: str, delimiter: str, names: tuple[str, ...]) -> Source:
    """A source that takes every delivered column as it is."""
    columns = tuple(Column(f"c{place}", (name,)) for place, name in enumerate(names))
    return Source("sample", "sample", "sample", "*", format_, columns, Path("sample"), {}, encoding, delimiter)


def _encoding(path: Path) -> str:
    """utf-8 where every byte fits, utf-16 by its mark, else latin-1, in which every byte means something."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        chunk = file.read(CHUNK)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _delimiter(path: Path, encoding: str) -> str:
    """The delimiter under which most of the first records have the header's number of fields, and more than one."""
    best, most = ",", 0
    for delimiter in DELIMITERS:
        with _text(path, encoding) as text:
            lengths = [len(record) for record, _ in zip(_records(text, delimiter), range(LOOKED_AT), strict=False)]
        alike = lengths.count(lengths[0]) if lengths and lengths[0] > 1 else 0
        if alike * (lengths[0] if lengths else 0) > most and alike > len(lengths) // 2:
            best, most = delimiter, alike * lengths[0]
    return best


def _records(text: io.TextIOBase, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from (record for record in csv.reader(text, delimiter=delimiter) if record)
    except csv.Error:
        return


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[io.TextIOBase]:
    with path.open(encoding=encoding, errors="replace", newline="") as text:
        yield text


def _parquet_columns(path: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
    except (pa.ArrowException, OSError):
        what = "is no complete Parquet file: cut off or damaged."
        raise SourceError(what, file=path, allowed="the complete file") from None
    skipped = {
        field.name: "nested or binary, which ingest does not take"
        for field in schema
        if not parquet.is_text(field.type)
    }
    return tuple(name for name in schema.names if name not in skipped), skipped
