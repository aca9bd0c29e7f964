"""Where the record of a claim or a correlation id is: LMDB, derived from the log.

It is never synced: after a kill the kernel still writes what was handed over; after a reboot without a clean close it
is thrown away and made anew from the records. Nothing about a person is in it: subjects and requests are keyed hashes.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import shutil
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from mesh.decide.log.entries import FINGERPRINT
from mesh.decide.log.segments import Place, sync_folder

MAP_BYTES = 1 << 37
"""Address space, not disk or memory: an index of a thousand million records would fit."""
SLIM_AFTER = 1000
"""Records after which the pages they touched are let go; each may have brought in 64 KiB."""
_PLACE = struct.Struct(f"<QQ{FINGERPRINT}s")
_WHERE = struct.Struct("<QQ")
_THROUGH = struct.Struct("<QQ32s")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Indexed(NamedTuple):
    """Where a record is, and which request it answered."""

    sequence: int
    offset: int
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Posting:
    """What one record adds."""

    subject: bytes
    correlation: bytes
    at: Indexed


class Index:
    """The index of one log; its owner alone opens it."""

    _env: lmdb.Environment
    _view: Any
    _mapped: list[tuple[int, int]]
    _grown: int
    _stale: bool

    def __init__(self, folder: Path) -> None:
        """Open it, or make an empty one where it cannot be trusted.

        Raises:
            lmdb.Error, OSError: the disk refuses.
        """
        self._folder = folder
        self._view_lock = threading.Lock()
        self._libc = ctypes.CDLL(None)
        if not _trusted(folder):
            shutil.rmtree(folder, ignore_errors=True)
        try:
            self._open()
        except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError):
            shutil.rmtree(folder)
            self._open()

    def clear(self) -> None:
        """Begin again: the index is of another log than the one at hand."""
        self._view.abort()
        self._env.close()
        shutil.rmtree(self._folder)
        self._open()

    @property
    def through(self) -> tuple[Place, int] | None:
        """The last record that is in it and where in its segment that ends."""
        with self._env.begin() as txn:
            raw = txn.get(b"through", db=self._about)
        if raw is None:
            return None
        sequence, end, hash_ = _THROUGH.unpack(raw)
        return Place(sequence, hash_), end

    def add(self, postings: Sequence[Posting], through: Place, end: int) -> None:
        """All or none. An id that is known already keeps its first record."""
        subjects = [(one.subject, _PLACE.pack(*one.at)) for one in postings if one.subject]
        correlations = [(one.correlation, _WHERE.pack(*one.at[:2])) for one in postings if one.correlation]
        with self._env.begin(write=True) as txn:
            if subjects:
                with txn.cursor(self._subjects) as cursor:
                    cursor.putmulti(subjects, overwrite=False)
            if correlations:
                with txn.cursor(self._correlations) as cursor:
                    cursor.putmulti(correlations, overwrite=False)
            txn.put(b"through", _THROUGH.pack(through.sequence, end, through.hash), db=self._about)
        self._stale = True
        self._grown += len(postings)
        if self._grown >= SLIM_AFTER:
            self.slim()

    def forget(self, subject: bytes, at: Indexed) -> None:
        """Drop the hash of the request; where the record is stays."""
        with self._env.begin(write=True) as txn:
            txn.put(subject, _PLACE.pack(at.sequence, at.offset, bytes(FINGERPRINT)), db=self._subjects)
        self._stale = True

    def subject(self, subject: bytes) -> Indexed | None:
        raw = self._look(subject, self._subjects)
        return None if raw is None else Indexed(*_PLACE.unpack(raw))

    def correlation(self, correlation: bytes) -> tuple[int, int] | None:
        """Sequence and offset."""
        raw = self._look(correlation, self._correlations)
        return None if raw is None else _WHERE.unpack(raw)

    def slim(self) -> None:
        """Let go of the pages of the file that this process has looked at: they stay in the kernel's cache, but a
        process that lives for months must not seem to grow with its log.
        """
        for begin, end in self._mapped:
            self._libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)
        self._grown = 0

    def close(self) -> None:
        self._view.abort()
        self._env.sync(True)
        self._env.close()
        _mark(self._folder, clean=True)

    def _look(self, key: bytes, db: Any) -> bytes | None:
        """Look into one view that is kept: nobody else writes, so it is good until the next writing here, and to begin
        one costs more than the look itself.
        """
        with self._view_lock:
            if self._stale:
                self._stale = False
                self._view.abort()
                self._view = self._env.begin()
            found: bytes | None = self._view.get(key, db=db)
            return found

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _mark(self._folder, clean=False)
        self._env = lmdb.open(
            str(self._folder.resolve()),
            map_size=MAP_BYTES,
            max_dbs=3,
            mode=0o600,
            sync=False,
            metasync=False,
            readahead=False,
        )
        self._subjects = self._env.open_db(b"subjects")
        self._correlations = self._env.open_db(b"correlations")
        self._about = self._env.open_db(b"about")
        self._view, self._stale = self._env.begin(), False
        self._mapped, self._grown = _mapped(self._folder.resolve() / "data.mdb"), 0


def _mapped(file: Path) -> list[tuple[int, int]]:
    """Where in this process's memory a file is; nowhere, as far as one can tell, without /proc."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    places = (line.split(" ", 1)[0].split("-") for line in lines if line.endswith(f" {file}"))
    return [(int(begin, 16), int(end, 16)) for begin, end in places]


def _boot() -> str:
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def _trusted(folder: Path) -> bool:
    """Whether everything handed over to the kernel has reached the file: closed cleanly, or no reboot since."""
    try:
        state = json.loads((folder / "state.json").read_bytes())
        return bool(state["clean"]) or (state["boot"] != "" and state["boot"] == _boot())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mark(folder: Path, *, clean: bool) -> None:
    temporary = folder / ".state.json"
    with temporary.open("w") as out:
        json.dump({"boot": _boot(), "clean": clean}, out)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, folder / "state.json")
    sync_folder(folder)
