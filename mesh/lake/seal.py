"""Sealing: the data files of a release reach the disk and get a checksum before anybody may rely on them.

No engine below us fsyncs its data files, and a damaged Parquet file can be read without an error. The
manifest in the release record is what `verify` holds the files against.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from mesh.lake.connection import LAKE


@dataclass(frozen=True)
class SealedFile:
    """One data or delete file of a release: path as the catalog knows it, size in bytes, sha256 in hex."""

    table: str
    path: str
    bytes: int
    sha256: str


def seal(
    connection: duckdb.DuckDBPyConnection, schema: str, tables: Iterable[str], snapshot: int
) -> tuple[SealedFile, ...]:
    """fsync every file of these tables as of a snapshot, and their folders; return the manifest.

    Linear in the bytes, in no lake transaction: a release commits only after this has returned.
    """
    sealed: list[SealedFile] = []
    folders: set[Path] = set()
    for table in tables:
        rows = connection.execute(
            f"select data_file, delete_file from ducklake_list_files('{LAKE}', ?, schema => ?, snapshot_version => ?)",
            [table, schema, snapshot],
        ).fetchall()
        for path in sorted({name for row in rows for name in row if name}):
            sealed.append(_seal_file(table, Path(path)))
            folders.add(Path(path).parent)
    for folder in sorted(folders):
        _fsync(folder)
    return tuple(sealed)


def verify(files: Iterable[SealedFile]) -> tuple[str, ...]:
    """What is wrong with the files of a manifest, a line each; empty where all is as it was sealed."""
    faults = []
    for file in files:
        path = Path(file.path)
        if not path.is_file():
            faults.append(f"{file.path}: the file is missing")
        elif path.stat().st_size != file.bytes:
            faults.append(f"{file.path}: {path.stat().st_size} bytes, sealed with {file.bytes}")
        elif _digest(path) != file.sha256:
            faults.append(f"{file.path}: the content differs from what was sealed")
    return tuple(faults)


def _seal_file(table: str, path: Path) -> SealedFile:
    _fsync(path)
    return SealedFile(table=table, path=str(path), bytes=path.stat().st_size, sha256=_digest(path))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
