"""Content digests of files, remembered so that an unchanged landing zone costs one `stat` a file."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

FILE_NAME = "digests.json"
CHUNK = 1 << 20
# A file changed within this time may change again without a visible change of its time stamp.
YOUNG_SECONDS = 2.0


class Digests:
    """sha256 by absolute path, size and modification time; `save` keeps them in `<home>/digests.json`."""

    def __init__(self, home: Path | None = None) -> None:
        """Without `home` nothing is remembered beyond this object."""
        self._file = None if home is None else home / FILE_NAME
        self._known: dict[str, list[int | str]] = {}
        self._changed = False
        if self._file is not None and self._file.is_file():
            try:
                known = json.loads(self._file.read_bytes())
            except ValueError:
                known = None  # only a cache: it is written anew
            if isinstance(known, dict):
                self._known = known

    def of(self, path: Path) -> tuple[str, os.stat_result]:
        """The sha256 of a file (streamed) and the file's state just before it was read."""
        state = path.stat()
        key, mark = str(path), [state.st_size, state.st_mtime_ns]
        known = self._known.get(key)
        if isinstance(known, list) and len(known) == 3 and known[:2] == mark:
            return str(known[2]), state
        digest = hashlib.sha256()
        with path.open("rb") as content:
            while chunk := content.read(CHUNK):
                digest.update(chunk)
        if time.time() - state.st_mtime > YOUNG_SECONDS:
            self._known[key] = [*mark, digest.hexdigest()]
            self._changed = True
        return digest.hexdigest(), state

    def save(self) -> None:
        """Write what was learned; two processes may overwrite each other, which costs only time."""
        if self._file is None or not self._changed:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_name(f".{FILE_NAME}.{os.getpid()}")
        temporary.write_text(json.dumps(self._known))
        os.replace(temporary, self._file)
        self._changed = False
