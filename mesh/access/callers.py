"""From an Authorization header to the caller it stands for, on a path that only looks into memory.

What the header is checked against - the mirror of the token register and the keys of signed tokens - is read again when
a file changes, beside the requests, and swapped in whole.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
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
        caller = self._tokens.get(key)
        if caller is not None:
            if caller.expires <= self._clock():
                raise Refused("expired", caller.token)
            return caller
        caller = self._signed.get(key)
        # At its end a signed token is judged anew, with the leeway that clocks are allowed.
        return caller if caller is not None and caller.expires > self._clock() else self._meet(secret, key)

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

    def _meet(self, secret: bytes, key: bytes) -> Caller:
        """A secret that is in no memory: revoked, expired, forged, or a signed token for the first time."""
        if key in self._revoked:
            raise Refused("revoked", self._revoked[key])
        if secret.startswith(_PREFIX):
            raise Refused("unknown" if well_formed(secret) else "malformed")
        rules, signed = self._rules, self._signed
        if rules is None:
            raise Refused("malformed")
        caller = rules.caller(secret)
        if caller.expires > self._clock():
            signed[key] = caller
            if len(signed) > REMEMBERED:
                signed.popitem(last=False)
        return caller

    def _load(self) -> None:
        self._swap(read_mirror(mirror_file(self._settings)), jwt_rules(self._settings))

    def _swap(self, tokens: Mapping[bytes, Token], rules: JwtRules | None) -> None:
        # Whoever was put into the old memory a moment ago goes with it.
        self._rules, self._signed = rules, OrderedDict[bytes, Caller]()
        self._revoked = {key: token.id for key, token in tokens.items() if token.revoked_at}
        self._tokens = {
            key: _caller(token) for key, token in tokens.items() if key not in self._revoked and token.role in ROLES
        }

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
