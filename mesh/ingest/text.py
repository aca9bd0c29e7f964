"""Delivered text as a stream of UTF-8 bytes, refusing what is no text at the place where it stops being it."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO, NoReturn

from mesh.errors import SourceError
from mesh.ingest.landing import SourceFile

CHUNK = 1 << 20
CARRIAGE_RETURN = 0x0D
BOMS = {
    "utf-8": ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
    "latin-1": ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
    "utf-16": ((codecs.BOM_UTF8, "utf-8"),),
}


class Utf8Stream(io.RawIOBase):
    """A file's content as UTF-8 without a byte order mark, and after it `tail` on a line of its own.

    Reading raises SourceError at bytes that are not in the encoding and at NUL characters; the error stays in
    `failure`, for readers that wrap what they are thrown.
    """

    def __init__(self, file: SourceFile, encoding: str, tail: bytes = b"") -> None:
        self.failure: SourceError | None = None
        self._file, self._encoding, self._tail = file, encoding, tail
        self._source: BinaryIO = file.path.open("rb")
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._at, self._lines, self._last = 0, 0, b"\n"
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._source.close()
        super().close()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(view):
            if not self._ready:
                if self._ended:
                    break
                self._ready = memoryview(self._next())
                continue
            taken = min(len(self._ready), len(view) - filled)
            view[filled : filled + taken] = self._ready[:taken]
            self._ready = self._ready[taken:]
            filled += taken
        if filled > 1 and view[filled - 1] == CARRIAGE_RETURN:
            # Arrow drops a line feed at the start of a block after a carriage return, even inside quotes
            self._ready = memoryview(b"\r" + bytes(self._ready))
            filled -= 1
        return filled

    def _next(self) -> bytes:
        chunk = self._source.read(CHUNK)
        if self._at == 0:
            chunk = self._without_mark(chunk)
        pending = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            place, before = error.start, error.object[: error.start]
        else:
            return self._checked(text.encode(), len(chunk))
        line = self._lines + before.decode(self._encoding, errors="ignore").count("\n") + 1
        self._fail(f"is not {self._encoding} at byte {self._at - pending + place}.", line, self._encoding)

    def _checked(self, content: bytes, size: int) -> bytes:
        if b"\0" in content:
            before = content[: content.index(b"\0")]
            self._fail("holds a NUL character: binary or damaged.", self._lines + before.count(b"\n") + 1, "text")
        self._at += size
        self._lines += content.count(b"\n")
        self._last = content[-1:] or self._last
        if size:
            return content
        self._ended = True
        return (b"" if self._last in b"\r\n" else b"\n") + self._tail + b"\n" if self._tail else b""

    def _without_mark(self, chunk: bytes) -> bytes:
        for mark, encoding in BOMS[self._encoding]:
            if chunk.startswith(mark):
                self._fail(f"starts with the byte order mark of {encoding}.", 1, self._encoding)
        if self._encoding == "utf-8" and chunk.startswith(codecs.BOM_UTF8):
            self._at = len(codecs.BOM_UTF8)
            return chunk[self._at :]
        return chunk

    def _fail(self, what: str, line: int, allowed: str) -> NoReturn:
        self.failure = SourceError(what, file=self._file.relative, line=line, allowed=allowed)
        raise self.failure
