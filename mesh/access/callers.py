"""From an Authorization header to the caller it stands for, on a path that only looks into memory.

What the header is checked against - the mirror of the token register and the keys of signed tokens - is read again when
a file changes, beside the requests, and swapped in whole.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mesh.access.bearer import PREFIX, digest, well_formed
from mesh.access.grants import ROLES, Caller
from mesh.access.jwts import JwtRules, Refused, jwt_rules
from mesh.access.register import Token, mirror_file, read_mirror
from mesh.errors import SettingsError
from mesh.settings import Settings

REMEMBERED = 10_000
"""Signed tokens whose signature is not verified anew with every request."""

_SCHEME = b"bearer "
_PREFIX = PREFIX.encode()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the files said when they were read last, and who has been let in by them since.

    One object, swapped whole: nobody who was judged by old keys is remembered beside new ones.
    """

    tokens: Mapping[bytes, Caller]
    revoked: Mapping[bytes, str]
    rules: JwtRules | None
    signed: OrderedDict[bytes, Caller]


class Callers:
    """Who may be calling, by the files of one mesh."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        """Raises:
        SettingsError: a key file or the mirror of the register is wrong.
        """
        self._settings = settings
        self._clock = clock
        self._files = [mirror_file(settings), *([settings.jwt_keys] if settings.jwt_keys else [])]
        self._seen = self._marks()
        self._load()

    def identify(self, header: bytes) -> Caller:
        """The caller that an Authorization header stands for.

        Raises:
            Refused: it stands for none; the text says why, for the record and not for whoever asked.
        """
        if header[:7].lower() != _SCHEME:
            raise Refused("scheme")
        secret = header[7:]
        key = digest(secret)
        known = self._known
        caller = known.tokens.get(key)
        if caller is not None:
            if caller.expires <= self._clock():
                raise Refused("expired", caller.token)
            return caller
        caller = known.signed.get(key)
        # At its end a signed token is judged anew, with the leeway that clocks are allowed.
        return caller if caller is not None and caller.expires > self._clock() else self._meet(known, secret, key)

    def refresh(self) -> bool:
        """Read again what has changed; False where nothing has.

        A file that cannot be read leaves nobody in: a wrong one may be the work of somebody who wants to be let in.
        """
        marks = self._marks()
        if marks == self._seen:
            return False
        self._seen = marks
        try:
            self._load()
        except SettingsError as error:
            self._swap({}, None)
            _log.error("No bearer token is accepted until this is mended: %s", error)
        return True

    def _meet(self, known: _Known, secret: bytes, key: bytes) -> Caller:
        """A secret that is in no memory: revoked, expired, forged, or a signed token for the first time."""
        if key in known.revoked:
            raise Refused("revoked", known.revoked[key])
        if secret.startswith(_PREFIX):
            raise Refused("unknown" if well_formed(secret) else "malformed")
        if known.rules is None:
            raise Refused("malformed")
        caller = known.rules.caller(secret)
        if caller.expires > self._clock():
            known.signed[key] = caller
            if len(known.signed) > REMEMBERED:
                known.signed.popitem(last=False)
        return caller

    def _load(self) -> None:
        self._swap(read_mirror(mirror_file(self._settings)), jwt_rules(self._settings))

    def _swap(self, tokens: Mapping[bytes, Token], rules: JwtRules | None) -> None:
        revoked = {key: token.id for key, token in tokens.items() if token.revoked_at}
        valid = {key: _caller(token) for key, token in tokens.items() if key not in revoked and token.role in ROLES}
        self._known = _Known(valid, revoked, rules, OrderedDict())

    def _marks(self) -> list[tuple[int, int, int] | None]:
        return [_mark(file) for file in self._files]


def _caller(token: Token) -> Caller:
    return Caller(
        token.id, token.role, token.purpose, token.bearer, ROLES[token.role], token.id, token.expires_at.timestamp()
    )


def _mark(file: Path) -> tuple[int, int, int] | None:
    """What changes with a file: it is replaced, never written in place."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size
