"""From a delivered file to an append-only raw table.

A *source* (YAML) maps one kind of delivered file to a raw table. `ingest` checks every new file as a whole before it
writes anything, replaces identifiers by tokens, and commits the rows together with their row in `loads`: a killed run
leaves all of a file or nothing of it.
"""

from mesh.ingest.digests import Digests
from mesh.ingest.landing import LandingState, SourceFile, arriving, discover, fingerprint, landing_state
from mesh.ingest.loader import ingest, pending_files
from mesh.ingest.loads import SourceRows, current_files, rejected_records, source_rows
from mesh.ingest.raw import RawTable, load_raw_tables, load_sources
from mesh.ingest.source import Column, Source, load_source
from mesh.ingest.writing import Load

__all__ = [
    "Column",
    "Digests",
    "LandingState",
    "Load",
    "RawTable",
    "Source",
    "SourceFile",
    "SourceRows",
    "arriving",
    "current_files",
    "discover",
    "fingerprint",
    "ingest",
    "landing_state",
    "load_raw_tables",
    "load_source",
    "load_sources",
    "pending_files",
    "rejected_records",
    "source_rows",
]
