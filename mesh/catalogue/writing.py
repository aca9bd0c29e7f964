"""Writing a site into a folder so that readers of the folder notice nothing but newer pages.

All pages are rendered before the first is written. Each is replaced whole; pages come before what links to them, and
what is gone goes last, so every link that is seen leads somewhere, also when the process is killed half way. A page
that says what it said is not touched.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mesh.catalogue.site import Site
from mesh.errors import UsageError

LISTING = "catalogue.json"
"""Names the pages of the folder with their digests; only what is named here is ever removed."""


@dataclass(frozen=True)
class Written:
    """What a call did: pages of the site, pages written, pages removed."""

    pages: int
    written: tuple[str, ...]
    removed: tuple[str, ...]


def write(site: Site, folder: Path) -> Written:
    """Bring a folder up to date.

    Raises:
        UsageError: the folder holds files that no catalogue put there, or it cannot be written.
    """
    pages = {path: text.encode() for path in site.paths if (text := site.page(path)) is not None}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            return _write(pages, folder)
    except OSError as error:
        raise UsageError(f"The catalogue cannot be written to {folder}: {error.strerror}.") from error


def _write(pages: dict[str, bytes], folder: Path) -> Written:
    before = _listed(folder)
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in pages.items()}
    if not before:
        _replace(folder / LISTING, _listing(digests))  # first, so that a killed first call leaves no foreign files
    written = [path for path, content in pages.items() if not _same(folder / path, content)]
    for path in written:
        _replace(folder / path, pages[path])
    removed = [path for path in before if path not in pages and (folder / path).is_file()]
    for path in removed:
        (folder / path).unlink()
        if (parent := (folder / path).parent) != folder and not any(parent.iterdir()):
            parent.rmdir()
    if not _same(folder / LISTING, _listing(digests)):
        _replace(folder / LISTING, _listing(digests))
    return Written(len(pages), tuple(written), tuple(removed))


def _refuse_foreign(folder: Path) -> None:
    if not (folder / LISTING).is_file() and any(folder.iterdir()):
        raise UsageError(
            f"{folder} holds other files. Name an empty folder, one that is not there yet, or a catalogue."
        )


def _listed(folder: Path) -> dict[str, str]:
    """The pages of the last call; paths that lead out of the folder do not count."""
    try:
        listed = json.loads((folder / LISTING).read_text(encoding="utf-8"))["pages"]
        return {path: digest for path, digest in listed.items()
                if (folder / path).resolve().is_relative_to(folder.resolve())}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _listing(digests: dict[str, str]) -> bytes:
    return (json.dumps({"pages": dict(sorted(digests.items()))}, indent=1) + "\n").encode()


def _same(file: Path, content: bytes) -> bool:
    return file.is_file() and file.stat().st_size == len(content) and file.read_bytes() == content


def _replace(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    os.replace(part, file)
