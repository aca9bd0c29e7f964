"""What every format gives: one look at the whole file before anything is written, then its rows in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import pyarrow as pa

from mesh.errors import SourceError
from mesh.ingest.landing import SourceFile
from mesh.ingest.source import Source

ROW = "_source_row"
MAX_RECORD_BYTES = 4 << 20
# More rejected rows than both of these say that the file, not a row, is wrong.
REJECTED_ROWS = 10
REJECTED_SHARE = 0.01

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Rejected:
    """A record that could not be read, without its content."""

    row: int
    reason: str


@dataclass(frozen=True)
class Inspection:
    """What the first look found. `names` are the columns of the file in its own order; `rows` counts good records."""

    names: tuple[str, ...]
    rows: int
    rejected: tuple[Rejected, ...]
    ignored: tuple[str, ...]


def refuse(file: SourceFile, what: str, *, line: int | None = None, allowed: str | None = None) -> NoReturn:
    """Refuse a delivered file."""
    raise SourceError(what, file=file.relative, line=line, allowed=allowed)


def check_names(source: Source, file: SourceFile, names: Sequence[str], *, where: str) -> tuple[str, ...]:
    """Refuse a file that lacks a mapped column or names one twice; returns the columns that no mapping uses.

    Names are listed only where at least one is a mapped column: else the first record may be data, which is personal.
    """
    wanted = source.delivered
    absent = [name for name in wanted if name not in names]
    if len(absent) == len(wanted) and wanted:
        refuse(file, f"has none of the {len(wanted)} mapped columns in its {where}.", allowed=", ".join(wanted))
    missing = [name for name in absent if name in source.needed]
    if missing:
        lacking = f"lacks column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        what = f"{lacking}; its {where} has {', '.join(names)}."
        refuse(file, what, allowed=", ".join(wanted))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        refuse(file, f"names column {twice[0]} twice.", allowed="each column once")
    return tuple(name for name in names if name not in wanted)


def check_amounts(source: Source, file: SourceFile, inspection: Inspection) -> Inspection:
    """Refuse a file without rows (unless its source allows it), and one with too many rejected rows."""
    records = inspection.rows + len(inspection.rejected)
    if not records and not source.allow_empty:
        refuse(file, "holds no rows.", allowed="at least one row, or `allow_empty: true` in the source")
    if len(inspection.rejected) > max(REJECTED_ROWS, REJECTED_SHARE * records):
        first = inspection.rejected[0]
        amount = f"{len(inspection.rejected)} unreadable rows of {records}"
        what = f"has {amount}; the first is row {first.row}: {first.reason}."
        refuse(file, what, allowed=f"{REJECTED_ROWS} rows or {REJECTED_SHARE:.0%}, whichever is more")
    return inspection


def complete(batch: pa.RecordBatch, wanted: Sequence[str]) -> pa.RecordBatch:
    """The wanted columns in their order; an optional one that the file does not have is null throughout."""
    there = set(batch.schema.names)
    if there.issuperset(wanted):
        return batch.select(list(wanted))  # keeps the number of rows even where nothing is wanted
    nothing = pa.nulls(batch.num_rows, pa.string())
    arrays = [batch.column(name) if name in there else nothing for name in wanted]
    return pa.RecordBatch.from_arrays(arrays, names=list(wanted))


def numbered(batch: pa.RecordBatch, rows: Sequence[int] | pa.Array) -> pa.RecordBatch:
    """The batch with its record numbers as a last column."""
    return batch.append_column(ROW, rows if isinstance(rows, pa.Array) else pa.array(rows, pa.int64()))
