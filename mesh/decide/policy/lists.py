"""Watch lists: tokens of known identifiers, one a line, with who put each there and why.

A list is a CSV file beside the policy, `lists/<name>.csv`: `token,from,until,author,why`. Identifiers never stand in
it; `mesh policy add` makes the token of what is typed. Where a row carries the plain value of an identifier that the
mesh does not tokenise at ingest (a device, a reference), its token is made for the comparison alone.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

from filelock import FileLock

from mesh.access.identifiers import KINDS
from mesh.access.keys import KeyRing
from mesh.access.tokens import TOKEN_BYTES, TOKEN_CHARACTERS, tokenise_one
from mesh.decide.policy.definition import EVER, Period, microseconds
from mesh.errors import NotFound, ProjectError, UsageError

HEADER = ("token", "from", "until", "author", "why")
TOKEN = re.compile(rf"(?P<kind>{'|'.join(KINDS)}):(?P<key>k[0-9a-f]{{8}}):[a-z2-7]{{{TOKEN_CHARACTERS}}}")
MOST_CHARACTERS = 500
"""Of one author or reason."""
LOCK_SECONDS = 30.0
_DROPPED = re.compile(r"[^A-Z0-9]")


def moment(text: str, *, end: bool = False) -> int:
    """An ISO date or timestamp as microseconds; as an end, a day means all of it.

    Raises:
        ValueError: it is neither.
    """
    at = datetime.fromisoformat(text)
    if end and len(text) == len(date.min.isoformat()):
        at += timedelta(days=1)
    return microseconds(at)


def read_list(text: str, file: Path, kind: str) -> tuple[Mapping[str, Period], str | None]:
    """The entries of a list's text, and the id of the key that made their tokens (None where there is no entry).

    Raises:
        ProjectError: the header or a line is wrong; with its line. No token is quoted.
    """
    if not text.endswith("\n"):
        raise ProjectError(
            "The last line has no end, so the file may be cut short.", file=file, line=text.count("\n") + 1
        )
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: dict[str, Period] = {}
    key_id: str | None = None
    try:
        header = next(lines, [])
        if tuple(header) != HEADER:
            raise ProjectError(
                "The first line is no header of a watch list.", file=file, line=1, allowed=",".join(HEADER)
            )
        for fields in lines:
            line = lines.line_num
            token, period = _entry(fields, file, line, kind)
            found = token.split(":")[1]
            if key_id is not None and found != key_id:
                what = "was made with another key than the entries above it, so one of them never matches."
                raise ProjectError(
                    what, file=file, line=line, field="token", allowed=f"tokens of one key, here {key_id}"
                )
            if token in entries:
                raise ProjectError("stands in this list twice.", file=file, line=line, field="token", allowed="once")
            key_id, entries[token] = found, period
    except csv.Error as error:
        raise ProjectError(f"is not CSV: {error}.", file=file, line=lines.line_num) from None
    return entries, key_id


def _entry(fields: list[str], file: Path, line: int, kind: str) -> tuple[str, Period]:
    if len(fields) != len(HEADER):
        what = f"has {len(fields)} fields."
        raise ProjectError(what, file=file, line=line, allowed=f"{len(HEADER)}: {','.join(HEADER)}")
    token, start, end, author, why = fields
    match = TOKEN.fullmatch(token)
    if match is None or match["kind"] != kind:
        # Perhaps a plain identifier, so it is not repeated.
        what = "is no token of this kind. Plain identifiers may not stand here: delete it and use `mesh policy add`."
        raise ProjectError(
            what, file=file, line=line, field="token", allowed=f"{kind}:KEY:{TOKEN_CHARACTERS} characters"
        )
    for field, text in (("author", author), ("why", why)):
        if not text.strip() or len(text) > MOST_CHARACTERS:
            what = "is missing." if not text.strip() else f"has {len(text)} characters."
            raise ProjectError(what, file=file, line=line, field=field, allowed=f"text of up to {MOST_CHARACTERS}")
    bounds = []
    for field, text, unbounded in (("from", start, EVER[0]), ("until", end, EVER[1])):
        try:
            bounds.append(moment(text, end=field == "until") if text else unbounded)
        except ValueError:
            what, allowed = "is no date.", "empty, or such as 2020-06-01 or 2020-06-01T12:00:00"
            raise ProjectError(what, file=file, line=line, field=field, allowed=allowed) from None
    if bounds[0] >= bounds[1]:
        raise ProjectError("is not later than from.", file=file, line=line, field="until", allowed="a later date")
    return token, Period(*bounds)


def tokeniser(keyring: KeyRing, kind: str, key_id: str) -> Callable[[str], str | None]:
    """What makes the token of one plain value, the same as `mesh.access.tokenise` with the key of this id.

    Arrays cost a hundred microseconds for one value; ASCII values of kind `other` are done by hand in two.

    Raises:
        SettingsError: the ring holds no such key.
    """
    key = keyring.token_key(key_id)
    prefix = f"{kind}:{key_id}:"

    def by_hand(value: str) -> str | None:
        if not value.isascii():
            return slowly(value)
        normal = _DROPPED.sub("", value.upper())
        if not normal:
            return None
        digest = hmac.digest(key, b"other\0" + normal.encode(), hashlib.sha256)
        return prefix + base64.b32encode(digest[:TOKEN_BYTES]).decode()[:TOKEN_CHARACTERS].lower()

    def slowly(value: str) -> str | None:
        return tokenise_one(keyring, kind, value, key_id=key_id)[0]

    return by_hand if kind == "other" else slowly


def add_entries(
    file: Path,
    kind: str,
    values: Sequence[str],
    keyring: KeyRing,
    *,
    author: str,
    why: str,
    start: str = "",
    end: str = "",
) -> tuple[str, ...]:
    """Put the tokens of identifiers on a list, all or none, and return them. The file is replaced whole.

    Raises:
        UsageError: an identifier is malformed or blank, or is on the list already.
        ProjectError: the list is damaged, or what was given does not fit.
    """
    with FileLock(f"{file}.lock", timeout=LOCK_SECONDS):
        text = file.read_text(encoding="utf-8") if file.exists() else ",".join(HEADER) + "\n"
        entries, key_id = read_list(text, file, kind)
        if key_id not in (None, keyring.active_id):
            raise UsageError(f"{file} holds tokens of key {key_id}, and the mesh now uses {keyring.active_id}. {RENEW}")
        added: list[str] = []
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for number, value in enumerate(values, 1):
            token, state = tokenise_one(keyring, kind, value)
            if token is None or state != "valid":
                # A mistyped entry would never match, and nobody would know.
                what = f"Identifier {number} is not valid as {kind} ({state}), so nothing was added."
                raise UsageError(what)
            if token in entries or token in added:
                what = f"Identifier {number}, {token}, is on this list already, so nothing was added."
                raise UsageError(f"{what} To change its entry, remove it first: mesh policy remove.")
            added.append(token)
            writer.writerow((token, start, end, author.strip(), why.strip()))
        changed = text + lines.getvalue()
        read_list(changed, file, kind)
        _replace(file, changed)
    return tuple(added)


def remove_entry(file: Path, kind: str, value: str, keyring: KeyRing) -> str:
    """Take an identifier, or a token as the list has it, off a list; the token is returned.

    Raises:
        NotFound: it is not on the list.
    """
    stands = TOKEN.fullmatch(value.strip())
    token = value.strip() if stands else tokenise_one(keyring, kind, value)[0]
    with FileLock(f"{file}.lock", timeout=LOCK_SECONDS):
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        rows = list(csv.reader(io.StringIO(text, newline="")))
        kept = [row for row in rows if row[0] != token]
        if token is None or len(kept) == len(rows):
            raise NotFound(f"This identifier is not on the list {file.stem}.")
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(kept)
        _replace(file, out.getvalue())
    return token


RENEW = "Begin the list anew with identifiers: a token cannot be made one of another key."


def _replace(file: Path, text: str) -> None:
    """A reader sees the old list or the new one, never a part."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
