"""Files of the landing directory: chunked, hashed while written, and put in place all at once.

Everything is written under temporary names (`.partial`). Only when all is complete is the old manifest withdrawn, are
the files renamed, and last of all the new manifest put down: who finds a manifest finds the files it names. A
directory that holds anything the simulator did not write is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

CHUNK = 250_000
MANIFEST = "manifest.json"
PARTIAL = ".partial"
SOURCES = {
    "tax_records": "identity/tax_records", "benefit_records": "identity/benefit_records",
    "contacts": "interactions/contacts", "messages": "interactions/messages", "cjrs": "claims/cjrs",
    "seiss": "claims/seiss", "ssp": "claims/ssp", "uc_advance": "claims/uc_advance", "outcomes": "claims/outcomes",
}  # fmt: skip
TRUTH = ("_truth/claims.csv", "_truth/persons.csv", "_truth/messages.csv")
_OWN_NAME = re.compile(
    "(" + "|".join(rf"{folder}/{name}_\d{{4}}\.(csv|jsonl)" for name, folder in SOURCES.items())
    + "|" + "|".join(map(re.escape, (*TRUTH, MANIFEST))) + ")"
)  # fmt: skip


class SimulationError(Exception):
    """The simulation was asked for something it does not do; the message names the way out."""


@dataclass(frozen=True)
class Written:
    """One finished file: path relative to the landing directory, size, SHA-256 and number of rows (header excluded)."""

    path: str
    bytes: int
    sha256: str
    rows: int


class _Hashed:
    """A binary file that knows the SHA-256 and size of what went into it; just enough of a file for Arrow."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BufferedWriter = path.open("wb")
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self.closed = True

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class Stream:
    """Rows of one source, cut into files of at most `chunk` rows each."""

    def __init__(self, out: Path, pattern: str, *, chunk: int = CHUNK) -> None:
        self._out, self._pattern, self._chunk = out, pattern, chunk
        self._raw: _Hashed | None = None
        self._csv: pacsv.CSVWriter | None = None
        self._rows = 0
        self.written: list[Written] = []

    @property
    def rows(self) -> int:
        return self._rows + sum(file.rows for file in self.written)

    def _path(self) -> str:
        return self._pattern.format(len(self.written) + 1)

    def _room(self) -> int:
        if self._raw is not None and self._rows >= self._chunk:
            self.close()
        if self._raw is None:
            self._raw = _Hashed(self._out / (self._path() + PARTIAL))
        return self._chunk - self._rows

    def add(self, table: pa.Table) -> None:
        """Append rows to CSV files; a table without rows still opens the first file, for its header."""
        at = 0
        while at < table.num_rows or not (self._raw or self.written):
            part = table.slice(at, self._room())
            if self._csv is None:
                self._csv = pacsv.CSVWriter(pa.PythonFile(self._raw, mode="w"), table.schema)
            self._csv.write_table(part)
            self._rows += part.num_rows
            at += part.num_rows

    def add_lines(self, lines: pa.StringArray) -> None:
        """Append finished lines (each with its line feed); without any, the first file is opened all the same."""
        at = 0
        while at < len(lines) or not (self._raw or self.written):
            part = lines.slice(at, self._room())
            assert self._raw is not None
            self._raw.write("".join(part.to_pylist()).encode())
            self._rows += len(part)
            at += len(part)

    def close(self) -> None:
        """Finish the open file, if there is one."""
        if self._raw is None:
            return
        if self._csv is not None:
            self._csv.close()
        if not self._raw.closed:
            self._raw.close()
        self.written.append(Written(self._path(), self._raw.size, self._raw.hexdigest(), self._rows))
        self._raw, self._csv, self._rows = None, None, 0

    def discard(self) -> None:
        """Remove the temporary files."""
        if self._raw is not None and not self._raw.closed:
            self._raw.close()
        for number in range(len(self.written) + 1):
            (self._out / (self._pattern.format(number + 1) + PARTIAL)).unlink(missing_ok=True)


def _listed(manifest: Path) -> set[str]:
    try:
        return {entry["path"] for entry in json.loads(manifest.read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def existing(out: Path) -> list[str]:
    """Files of an earlier simulation in `out`, finished or not.

    Raises:
        SimulationError: `out` is not a directory, or holds a file that no earlier simulation listed.
    """
    if not out.exists():
        return []
    if not out.is_dir():
        raise SimulationError(f"{out} is not a directory. Name a directory that is empty or does not exist yet.")
    ours = _listed(out / MANIFEST) | _listed(out / (MANIFEST + PARTIAL)) | {*TRUTH, MANIFEST}
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir())
    foreign = [
        name
        for name in found
        if not _OWN_NAME.fullmatch(name.removesuffix(PARTIAL)) or not (name in ours or name.endswith(PARTIAL))
    ]
    if foreign:
        shown = ", ".join(foreign[:3]) + (f" and {len(foreign) - 3} more" if len(foreign) > 3 else "")
        raise SimulationError(
            f"{out} holds files that no earlier simulation wrote ({shown}), so nothing was touched. "
            "Name an empty or new directory, or move these files away."
        )
    return found


def put_in_place(out: Path, delivered: list[Written], truth: list[Written], earlier: list[str]) -> None:
    """Rename all temporary files, remove what an earlier simulation left, and write the manifest last."""
    entries = [{"path": f.path, "bytes": f.bytes, "sha256": f.sha256, "rows": f.rows} for f in delivered]
    draft = out / (MANIFEST + PARTIAL)
    draft.write_text(json.dumps({"files": entries}, indent=1) + "\n", encoding="utf-8")
    (out / MANIFEST).unlink(missing_ok=True)
    fresh = {file.path for file in (*delivered, *truth)}
    for path in fresh:
        os.replace(out / (path + PARTIAL), out / path)
    for name in earlier:
        if name not in fresh and name not in (MANIFEST, MANIFEST + PARTIAL):
            (out / name).unlink(missing_ok=True)
    os.replace(draft, out / MANIFEST)
