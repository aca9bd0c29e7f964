"""The entity store: what the published products say of every entity, at one moment of the lake, in a folder.

It is LMDB, whose pages are read where they lie in memory, and never changes: a newer one takes its place. The manifest
beside it says what it was built from and its checksum; a folder without one is none. Damaged pages would be followed as
pointers, so what does not match its checksum is never opened.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import lmdb
import msgspec
import numpy as np

from mesh.errors import MeshError, NotFound
from mesh.features.kept import Keeping, Words

FORMAT = "insight-mesh/entities/1"
DATA, MANIFEST = "data.mdb", "manifest.json"
ROWS, TEXTS, WAITING = "rows", "texts", "waiting"
"""Databases beside those of the entities: keys of the rows that are in it, texts of hashes, and events about rows that
are not."""


def entities_in(place: int) -> str:
    return f"entities:{place}"


def seen_in(place: int) -> str:
    return f"seen:{place}"


def lookup_in(place: int) -> str:
    return f"lookup:{place}"


class StoreError(MeshError):
    """An entity store cannot be used: damaged, half built, or built for something else."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a store was built from.

    Attributes:
        product: whose features it serves; `fingerprint` is of the part of the declaration that it depends on.
        snapshot: the lake snapshot at which all products were read; `releases` by product, as `domain/name@number`.
        newest: the moment of the newest row, in microseconds; None where there is no row.
        rows: rows contained. entities: by kind of entity.
        bytes, sha256: of the data file.
    """

    format: str
    product: str
    fingerprint: str
    snapshot: int | None
    releases: dict[str, str]
    built_at: datetime
    newest: int | None
    rows: int
    entities: dict[str, int]
    bytes: int
    sha256: str


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a store.

    Raises:
        NotFound: there is no store in the folder.
        StoreError: the manifest is damaged or of another format.
    """
    path = folder / MANIFEST
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise NotFound(f"{folder}: no entity store is here, or one that was not finished. Build it anew.") from None
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: not the manifest of an entity store ({error}). Build the store anew.") from error
    if found.format != FORMAT:
        raise StoreError(f"{path}: format {found.format}. Allowed: {FORMAT}. Build the store anew.")
    return found


class EntityStore:
    """An open store. Blocks lie in its mapped file: nothing that came from `block` may outlive `close`."""

    def __init__(self, folder: Path, keeping: Keeping, *, check: bool = True) -> None:
        """Open the store in a folder.

        Args:
            check: hold the whole file against its checksum, a second or two for each gigabyte; without, only its size.
                A damaged page can end the process, so leave it out only for a store that this machine just built.

        Raises:
            NotFound: there is no store in the folder.
            StoreError: it is damaged, was built for another declaration, or is open in this process already.
        """
        self.folder = folder
        self.keeping = keeping
        self.manifest = read_manifest(folder)
        if self.manifest.fingerprint != keeping.fingerprint:
            raise StoreError(
                f"{folder}: built for another declaration of {self.manifest.product} than "
                f"{keeping.features.path or keeping.features.product} is now. Build the store anew."
            )
        _undamaged(folder / DATA, self.manifest, check)
        try:
            self._env = lmdb.open(
                str(folder), readonly=True, lock=False, readahead=False, max_dbs=64 + 3 * len(keeping.kept),
                map_size=max(self.manifest.bytes, 1 << 20), create=False,
            )  # fmt: skip
        except lmdb.Error as error:
            raise StoreError(f"{folder / DATA}: cannot be opened ({error}).") from error
        self._transaction = self._env.begin(buffers=True)
        self._entities = [self._database(entities_in(place)) for place in range(len(keeping.kept))]
        self._seen = [self._database(seen_in(place)) for place in range(len(keeping.kept))]
        self._lookups = [self._database(lookup_in(place)) for place in range(len(keeping.features.lookups))]
        self._rows, self._texts, self._waiting = (self._database(name) for name in (ROWS, TEXTS, WAITING))
        self._nothing = [kept.nothing for kept in keeping.kept]
        self._get = self._transaction.get
        self.waits = bool(self._transaction.stat(self._waiting)["entries"])
        """Whether there are events about rows that are not in it."""

    def _database(self, name: str) -> Any:
        return self._env.open_db(name.encode(), txn=self._transaction, create=False, integerkey=True)

    def close(self) -> None:
        """Let go of the mapped file."""
        self._env.close()

    def __enter__(self) -> EntityStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def block(self, place: int, key: bytes) -> Words:
        """What is known of an entity of the kind at `place`, as `kernels` has it."""
        found = self._get(key, db=self._entities[place])
        return self._nothing[place] if found is None else np.frombuffer(found, np.int64)

    def seen(self, place: int, key: bytes) -> Words | None:
        """How often and when last each distinct value was seen; None for an entity of one row or none."""
        found = self._get(key, db=self._seen[place])
        return None if found is None else np.frombuffer(found, np.int64)

    def lookup(self, place: int, key: bytes) -> tuple[Any, ...] | None:
        """The values of a lookup for a key, or None."""
        found = self._get(key, db=self._lookups[place])
        return None if found is None else tuple(msgspec.msgpack.decode(found))

    def contains(self, row: bytes) -> bool:
        """Whether a row of this key is in it."""
        return self._get(row, db=self._rows) is not None

    def text(self, hashed: int) -> str | None:
        """The text of a distinct value or label."""
        found = self._get(hashed.to_bytes(8, "little", signed=True), db=self._texts)
        return None if found is None else bytes(found).decode("utf-8", "surrogatepass")

    def waiting(self, row: bytes) -> list[tuple[int, int]]:
        """Events about a row that is not in it: number of the timeline among `about_rows`, moment."""
        found = self._get(row, db=self._waiting)
        return [] if found is None else [(a, b) for a, b in np.frombuffer(found, np.int64).reshape(-1, 2).tolist()]


def _undamaged(path: Path, manifest: Manifest, check: bool) -> None:
    try:
        size = path.stat().st_size
        if size != manifest.bytes:
            raise StoreError(f"{path}: {size} bytes, built with {manifest.bytes}. Build the store anew.")
        if check:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != manifest.sha256:
                    raise StoreError(f"{path}: the content differs from what was built. Build the store anew.")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}). Build the store anew.") from error
