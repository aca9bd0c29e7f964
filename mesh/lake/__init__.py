"""The lake: DuckLake tables as Parquet files, its catalog in Postgres.

A *writer* is one DuckDB connection with the lake attached twice: `lake`, writable, and `inputs`, the
whole mesh as it was at one snapshot. A *reader* sees the mesh read-only, through a Postgres role that
can only SELECT, at the newest snapshot or at any earlier one.
"""

from mesh.lake.connection import (
    INPUTS,
    LAKE,
    attach_inputs,
    attach_lake,
    attach_statement,
    create_schema,
    current_snapshot,
    homes,
    newest_snapshot,
    reader,
    writer,
)
from mesh.lake.engine import load_extensions
from mesh.lake.seal import SealedFile, seal, verify

__all__ = [
    "INPUTS",
    "LAKE",
    "SealedFile",
    "attach_inputs",
    "attach_lake",
    "attach_statement",
    "create_schema",
    "current_snapshot",
    "homes",
    "load_extensions",
    "newest_snapshot",
    "reader",
    "seal",
    "verify",
    "writer",
]
