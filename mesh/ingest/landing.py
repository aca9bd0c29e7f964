"""The landing zone: which files of a source are there, whether they are complete, and what the manifest says."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import SourceError
from mesh.ingest.digests import YOUNG_SECONDS, Digests
from mesh.ingest.source import Source

MANIFEST = "manifest.json"
UNFINISHED = (".part", ".tmp", ".crdownload")
HIDDEN = (".", "_")
SECOND_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class SourceFile:
    """A delivered file. `relative` is its path below the landing directory, with forward slashes."""

    path: Path
    relative: str
    bytes: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class LandingState:
    """The files of some sources as a directory listing shows them: a digest of names, sizes and times, and when one of
    them was touched last (seconds since 1970, by this machine's clock); 0 where there are none.
    """

    digest: str
    touched: float


@dataclass(frozen=True)
class Listed:
    """What the manifest says of a file."""

    bytes: int
    sha256: str
    rows: int


def discover(source: Source, landing: Path, digests: Digests | None = None) -> tuple[SourceFile, ...]:
    """The files of a source that have arrived, in the order of their paths.

    Files whose name (or a folder's name below the landing directory) starts with `.` or `_`, and files that end in
    `.part`, `.tmp` or `.crdownload`, do not count.

    Raises:
        SourceError: a file is a link that leads out of the landing directory.
    """
    digests = digests or Digests()
    found = []
    for path in _matches(landing, source.files):
        if not _counts(path, landing):
            continue
        relative = path.relative_to(landing)
        if not path.resolve().is_relative_to(landing.resolve()):
            raise SourceError("is a link that leads out of the landing directory.", file=relative.as_posix())
        sha256, state = digests.of(path)
        found.append(SourceFile(path, relative.as_posix(), state.st_size, sha256, state.st_mtime_ns))
    return tuple(sorted(found, key=lambda file: file.relative))


def fingerprint(sources: Iterable[Source], landing: Path, *, home: Path | None = None) -> tuple[tuple[str, str], ...]:
    """What a load of the landing zone as it is now would read: (relative path, sha256), sorted.

    Args:
        home: where digests are remembered; then an unchanged landing zone costs one `stat` a file.
    """
    digests = Digests(home)
    files = {(file.relative, file.sha256) for source in sources for file in discover(source, landing, digests)}
    digests.save()
    return tuple(sorted(files))


def landing_state(sources: Iterable[Source], landing: Path) -> LandingState:
    """What is there now, without reading a file: untouched for a while means that nobody writes any more."""
    seen = hashlib.sha256()
    touched = 0.0
    for path in sorted(
        {path for source in sources for path in _matches(landing, source.files) if _counts(path, landing)}
    ):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # taken away since it was listed
        seen.update(f"{path.relative_to(landing).as_posix()}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
        # Not the time of modification, which a copying program may set to any time.
        touched = max(touched, state.st_ctime)
    return LandingState(seen.hexdigest(), touched)


def arriving(sources: Iterable[Source], landing: Path) -> tuple[str, ...]:
    """Files that are not complete: under a provisional name, or smaller or larger than the manifest says."""
    waiting: set[str] = set()
    try:
        manifest = read_manifest(landing)
    except SourceError:
        return (MANIFEST,)
    for source in sources:
        waiting |= set(unfinished(source, landing))
        for path in _matches(landing, source.files):
            relative = path.relative_to(landing).as_posix()
            if relative in manifest and path.stat().st_size != manifest[relative].bytes:
                waiting.add(relative)
    return tuple(sorted(waiting))


def unfinished(source: Source, landing: Path) -> tuple[str, ...]:
    """Files under a provisional name that would match the source once they are complete."""
    patterns = [source.files, *(source.files + suffix for suffix in UNFINISHED)]
    names = {
        path.relative_to(landing).as_posix()
        for pattern in patterns
        for path in _matches(landing, pattern)
        if path.name.endswith(UNFINISHED)
    }
    return tuple(sorted(names))


def read_manifest(landing: Path) -> dict[str, Listed]:
    """`manifest.json` of the landing directory by relative path; empty where there is none.

    Raises:
        SourceError: the manifest is damaged.
    """
    file = landing / MANIFEST
    if not file.is_file():
        return {}
    try:
        listed = json.loads(file.read_bytes())["files"]
        return {str(one["path"]): Listed(int(one["bytes"]), str(one["sha256"]), int(one["rows"])) for one in listed}
    except (ValueError, KeyError, TypeError) as error:
        allowed = '{"files": [{"path", "bytes", "sha256", "rows"}]}'
        raise SourceError("is damaged or still being written.", file=MANIFEST, allowed=allowed) from error


def check_listed(file: SourceFile, listed: Listed) -> None:
    """Refuse a file that is not the one the manifest lists."""
    if file.bytes != listed.bytes:
        what = f"has {file.bytes} bytes, {MANIFEST} says {listed.bytes}: half-written or altered."
        raise SourceError(what, file=file.relative, allowed="the file as listed, or a new manifest")
    if file.sha256 != listed.sha256:
        what = f"has another sha256 than {MANIFEST} says: altered."
        raise SourceError(what, file=file.relative, allowed="the file as listed, or a new manifest")


def check_complete(source: Source, manifest: Mapping[str, Listed], known: Iterable[str]) -> None:
    """Refuse a delivery in which a file that the manifest lists for this source is missing."""
    here, pattern = set(known), _pattern(source.files)
    missing = sorted(path for path in manifest if pattern.fullmatch(path) and path not in here)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        what = f"is listed in {MANIFEST}{more} but has not arrived."
        raise SourceError(what, file=missing[0], allowed="every listed file, or a new manifest")


def check_settled(files: Sequence[SourceFile], seconds: float = SECOND_LOOK_SECONDS) -> None:
    """Refuse files that change between two looks; only fresh ones are worth the wait."""
    newest = max((file.mtime_ns for file in files), default=0)
    if time.time() - newest / 1e9 < YOUNG_SECONDS:
        time.sleep(seconds)
    for file in files:
        check_unchanged(file)


def check_unchanged(file: SourceFile) -> None:
    """Refuse a file that is no longer as it was when its digest was taken."""
    try:
        state = file.path.stat()
        same = (state.st_size, state.st_mtime_ns) == (file.bytes, file.mtime_ns)
    except FileNotFoundError:
        same = False
    if not same:
        allowed = "deliver under another name such as x.part, and rename when complete"
        raise SourceError("is still being written.", file=file.relative, allowed=allowed)


def _counts(path: Path, landing: Path) -> bool:
    """Whether a file is a delivery: not hidden, not under a provisional name."""
    hidden = any(part.startswith(HIDDEN) for part in path.relative_to(landing).parts)
    return not hidden and not path.name.endswith(UNFINISHED)


def _matches(landing: Path, pattern: str) -> Iterator[Path]:
    return (path for path in landing.glob(pattern) if path.is_file())


def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*|\?)", glob)
    words = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))
