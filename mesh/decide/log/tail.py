"""The end of a log, where records are written: whole groups reach the disk or nothing of them stays.

Used by one thread at a time.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from pathlib import Path

from mesh.decide.log.segments import (
    DURABLE,
    HEADER,
    Identity,
    Place,
    first_of,
    segment_files,
    segment_path,
    sync_folder,
)


class Tail:
    """The last segment, open for writing.

    Attributes:
        place: the last record on disk.
        end: byte of the segment where the next one goes.
        first: first record of the segment.
    """

    def __init__(
        self, folder: Path, identity: Identity, first: int, place: Place, end: int, segment_bytes: int
    ) -> None:
        self._folder, self._identity, self._segment_bytes = folder, identity, segment_bytes
        self.first, self.place, self.end = first, place, end
        self._file = os.open(segment_path(folder, first), os.O_WRONLY)
        self._mark = os.open(folder / "durable", os.O_WRONLY | os.O_CREAT, 0o600)
        self._soiled = False
        self._firsts = [first_of(path) for path in segment_files(folder)]
        os.fdatasync(self._file)
        self._tell()

    @classmethod
    def begun(cls, folder: Path, identity: Identity, segment_bytes: int) -> Tail:
        """That of a new log."""
        place = Place(0, identity.genesis)
        os.close(_begin(folder, identity, place))
        return cls(folder, identity, 1, place, HEADER.size, segment_bytes)

    def write(self, group: bytes, through: Place) -> int:
        """Append a group and wait until it is on disk; the offset where it begins.

        Raises:
            OSError: the disk refuses; nothing of the group stays.
        """
        if self._soiled:
            self._clean()
        if self.end > HEADER.size and self.end + len(group) > self._segment_bytes:
            self._roll()
        begin, rest = self.end, memoryview(group)
        self._soiled = True
        try:
            while rest:
                rest = rest[os.pwrite(self._file, rest, self.end + len(group) - len(rest)) :]
            os.fdatasync(self._file)
        except OSError:
            self._clean()
            raise
        self._soiled = False
        self.end += len(group)
        self.place = through
        self._tell()
        return begin

    def wipe(self, first: int, begin: int, length: int) -> None:
        """Overwrite bytes of a segment with zeros, on disk when this returns.

        Raises:
            OSError: the disk refuses.
        """
        descriptor = os.open(segment_path(self._folder, first), os.O_WRONLY)
        try:
            os.pwrite(descriptor, bytes(length), begin)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def segment_of(self, sequence: int) -> int:
        """First record of the segment that holds a record."""
        return self._firsts[bisect_right(self._firsts, sequence) - 1]

    def close(self) -> None:
        os.close(self._file)
        os.close(self._mark)

    def _clean(self) -> None:
        """Cut what a failed write left. After a failed sync the kernel may call pages clean that are not on disk, so
        they are dropped and written anew, never synced again.
        """
        os.ftruncate(self._file, self.end)
        os.fsync(self._file)
        self._soiled = False

    def _roll(self) -> None:
        file = _begin(self._folder, self._identity, self.place)
        os.close(self._file)
        self._file, self.first, self.end = file, self.place.sequence + 1, HEADER.size
        self._firsts.append(self.first)

    def _tell(self) -> None:
        # Not synced: a reader needs it only while the kernel that knows it is up.
        os.pwrite(self._mark, DURABLE.pack(self.place.sequence), 0)


def _begin(folder: Path, identity: Identity, place: Place) -> int:
    """A new segment, on disk with its name; its descriptor."""
    path = segment_path(folder, place.sequence + 1)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        header = identity.header(place.sequence + 1, place.hash)
        if os.pwrite(descriptor, header, 0) < len(header):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor
