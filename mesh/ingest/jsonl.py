"""Delivered JSON lines: one object a line; a line that is no object is a rejected row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

import pyarrow as pa

from mesh.ingest.landing import SourceFile
from mesh.ingest.reading import (
    MAX_RECORD_BYTES,
    Batches,
    Inspection,
    Rejected,
    check_amounts,
    check_names,
    refuse,
)
from mesh.ingest.source import Source
from mesh.ingest.text import CHUNK, Utf8Stream

BATCH_ROWS = 16_384


class _Unreadable(Exception):
    """Why a line is no row; never its content."""


def _no_constant(name: str) -> NoReturn:
    raise _Unreadable(f"{name} is not JSON")


# numbers stay the text that was delivered: 1.10 must not become 1.1
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_constant)


def inspect(source: Source, file: SourceFile, *, verified: bool) -> Inspection:
    """Read the whole file once.

    Args:
        verified: the manifest vouches for the content, so a broken last line is a bad row, not a cut-off file.

    Raises:
        SourceError: the file as a whole cannot be loaded.
    """
    if file.bytes == 0:
        refuse(file, "is empty (0 bytes).", allowed="one JSON object a line")
    names: dict[str, None] = {}
    rejected: list[Rejected] = []
    records, ended = 0, True
    for records, line, ended in _lines(source, file):  # noqa: B007
        try:
            names.update(dict.fromkeys(_row(line)))
        except _Unreadable as reason:
            rejected.append(Rejected(records, str(reason)))
    if not ended and not verified and rejected and rejected[-1].row == records:
        refuse(file, f"is cut off: its last line (row {records}) is no whole object.", allowed="the complete file")
    found = Inspection(tuple(names), records - len(rejected), tuple(rejected), ())
    check_amounts(source, file, found)
    if not found.rows:
        return found
    ignored = check_names(source, file, found.names, where="objects")
    return Inspection(found.names, found.rows, found.rejected, ignored)


def batches(source: Source, file: SourceFile, inspection: Inspection) -> Batches:
    """The good rows of an inspected file: the mapped keys as text (empty is null) and the record number."""
    skipped = {one.row for one in inspection.rejected}
    wanted = source.delivered
    columns: dict[str, list[str | None]] = {name: [] for name in wanted}
    rows: list[int] = []

    def batch() -> pa.RecordBatch:
        arrays = [pa.array(values, pa.string()) for values in columns.values()]
        made = pa.RecordBatch.from_arrays([*arrays, pa.array(rows, pa.int64())], names=[*wanted, "_source_row"])
        rows.clear()
        for values in columns.values():
            values.clear()
        return made

    for number, line, _ in _lines(source, file):
        if number in skipped:
            continue
        row = _row(line)
        for name, values in columns.items():
            values.append(_text(row.get(name)))
        rows.append(number)
        if len(rows) == BATCH_ROWS:
            yield batch()
    if rows:
        yield batch()


def _lines(source: Source, file: SourceFile) -> Iterator[tuple[int, bytes, bool]]:
    """Record number, content, and whether a line break ends it, of every line that is not blank."""
    number, rest = 0, b""
    with Utf8Stream(file, source.encoding) as stream:
        while chunk := stream.read(CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_RECORD_BYTES:
                refuse(file, f"a line after row {number + len(lines)} is longer than {MAX_RECORD_BYTES >> 20} MiB.",
                       allowed="one JSON object a line")  # fmt: skip
            for line in lines:
                if line.strip():
                    number += 1
                    yield number, line, True
    if rest.strip():
        yield number + 1, rest, False


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = _DECODER.decode(line.decode())
    except (ValueError, RecursionError):
        raise _Unreadable("not JSON") from None
    if not isinstance(row, dict):
        raise _Unreadable("not a JSON object")
    if b"\\u" in line:
        _check_characters(row)
    return row


def _check_characters(row: dict[str, Any]) -> None:
    try:
        content = json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _Unreadable("half a surrogate pair") from None
    if b"\\u0000" in content:
        raise _Unreadable("a NUL character")


def _text(value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
