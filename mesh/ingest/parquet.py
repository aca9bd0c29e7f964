"""Delivered Parquet: every mapped column as text, as Arrow writes its values (ISO dates, plain decimals)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mesh.errors import SourceError
from mesh.ingest.landing import SourceFile
from mesh.ingest.reading import Batches, Inspection, check_amounts, check_names, complete, numbered, refuse
from mesh.ingest.source import Source

BATCH_ROWS = 16_384


def inspect(source: Source, file: SourceFile, *, verified: bool) -> Inspection:
    """Read every mapped column once: a damaged page shows only when it is decoded.

    Raises:
        SourceError: the file as a whole cannot be loaded.
    """
    if file.bytes == 0:
        refuse(file, "is empty (0 bytes).", allowed="a Parquet file")
    with _opened(file) as parquet:
        names = tuple(parquet.schema_arrow.names)
        ignored = check_names(source, file, names, where="schema")
        for name in _there(source, parquet):
            if not is_text(parquet.schema_arrow.field(name).type):
                refuse(file, f"column {name} is nested or binary.", allowed="text, numbers, dates, true or false")
        rows = sum(batch.num_rows for batch in _batches(source, parquet))
    return check_amounts(source, file, Inspection(names, rows, (), ignored))


def batches(source: Source, file: SourceFile, inspection: Inspection) -> Batches:
    """The rows of an inspected file: the mapped columns as text (empty is null) and the row number."""
    at = 1
    with _opened(file) as parquet:
        for batch in _batches(source, parquet):
            yield numbered(batch, range(at, at + batch.num_rows))
            at += batch.num_rows


def _batches(source: Source, parquet: pq.ParquetFile) -> Batches:
    wanted = list(source.delivered)
    there = _there(source, parquet)
    for batch in parquet.iter_batches(batch_size=BATCH_ROWS, columns=there):
        batch.validate(full=True)
        arrays = [_text(batch.column(name)) for name in there]
        if not wanted:
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, pa.struct([])))
        else:
            yield complete(pa.RecordBatch.from_arrays(arrays, names=there), wanted)


def _there(source: Source, parquet: pq.ParquetFile) -> list[str]:
    """The mapped columns that the file has: optional ones may be missing."""
    return [name for name in source.delivered if name in parquet.schema_arrow.names]


def _text(values: pa.Array) -> pa.Array:
    text = pc.cast(values, pa.string())
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type have a form as text that ingest takes."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (pa.types.is_nested(kind) or binary)


@contextmanager
def _opened(file: SourceFile) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(file.path, page_checksum_verification=True) as parquet:
            yield parquet
    except (pa.ArrowException, OSError):
        what = "is no complete Parquet file: cut off or damaged."
        # from None: Arrow's words could quote a value
        raise SourceError(what, file=file.relative, allowed="the complete file") from None
