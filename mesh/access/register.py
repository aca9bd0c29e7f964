"""The register of bearer tokens: issued and revoked in Postgres, mirrored to a file beside the service.

`mesh.token_event` holds what happened to each token, and the server refuses to change it. What follows from it is
written whole to `HOME/access/tokens.json` (mode 600), which is all that a service reads: it goes on knowing its callers
while Postgres is down.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock

from mesh.access.bearer import digest, new_secret
from mesh.access.grants import permissions_of
from mesh.access.log import os_user
from mesh.errors import NotFound, SettingsError, UsageError

if TYPE_CHECKING:
    from mesh.postgres import Postgres
    from mesh.settings import Settings

FOLDER = "access"
FILE_NAME = "tokens.json"
LOCK_SECONDS = 30.0
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

_ISSUE = """
    insert into mesh.token_event (token, kind, who, secret_hash, role, purpose, bearer, expires_at)
    values (%s, 'issued', %s, %s, %s, %s, %s, %s)
"""
_REVOKE = """
    insert into mesh.token_event (token, kind, who, why) values (%s, 'revoked', %s, %s) on conflict do nothing
"""
_READ = """
    select i.token, i.secret_hash, i.role, i.purpose, i.bearer, i.who, i.at, i.expires_at, r.at, r.who, r.why
    from mesh.token_event i left join mesh.token_event r on r.token = i.token and r.kind = 'revoked'
    where i.kind = 'issued' order by i.id
"""


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An issued token without its secret. Moments are UTC.

    Attributes:
        id: its name in lists and on record; not derived from the secret.
        secret_hash: SHA-256 of the secret, in hex.
        bearer: who holds it, by whoever issued it.
    """

    id: str
    secret_hash: str
    role: str
    purpose: str
    bearer: str | None
    issued_by: str
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_by: str | None = None
    why: str | None = None

    def state(self, now: datetime) -> str:
        """`revoked`, `expired` or `valid`."""
        return "revoked" if self.revoked_at else "expired" if self.expires_at <= now else "valid"


@dataclass(frozen=True)
class Issued:
    """A token just made; the only moment at which its secret is known."""

    id: str
    secret: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Issued(id={self.id!r}, expires_at={self.expires_at:%Y-%m-%d})"


def parse_validity(text: str, settings: Settings) -> timedelta:
    """How long `30d`, `12h`, `4w` or `90m` is.

    Raises:
        UsageError: no such length, or longer than MESH_TOKEN_MAX_DAYS.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text.strip())
    if found is None:
        raise UsageError(f"--expires: {text!r} is no length of time. Allowed: 90m, 12h, 30d, 4w and the like.")
    length = int(found[1]) * UNITS[found[2]]
    if length > timedelta(days=settings.token_max_days):
        raise UsageError(
            f"--expires: {text} is too long. Allowed: up to {settings.token_max_days}d (MESH_TOKEN_MAX_DAYS)."
        )
    return length


def issue(
    postgres: Postgres, settings: Settings, *, role: str, purpose: str, valid: timedelta, bearer: str | None = None
) -> Issued:
    """Make a token, put it on record and mirror the register.

    Raises:
        UsageError: no such role, no purpose, or a length of time that is not allowed.
        ServiceError: Postgres does not answer; nothing was issued.
    """
    permissions_of(role)
    if not purpose.strip():
        raise UsageError("--purpose: what is the token for? It stands beside everything that is done with it.")
    if not timedelta(0) < valid <= timedelta(days=settings.token_max_days):
        raise UsageError(f"A token is valid for at least a moment and for {settings.token_max_days} days at most.")
    secret, name = new_secret(), f"t{secrets.token_hex(5)}"
    expires = datetime.now(UTC) + valid
    with postgres.cursor() as cursor:
        values = (name, os_user(), digest(secret.encode()).hex(), role, purpose.strip(), bearer, expires)
        cursor.execute(_ISSUE, values)
    mirror(postgres, settings)
    return Issued(name, secret, expires)


def revoke(postgres: Postgres, settings: Settings, token: str, *, why: str) -> None:
    """Put an end to a token and mirror the register; to revoke again changes nothing.

    Raises:
        NotFound: no such token.
        UsageError: no reason.
        ServiceError: Postgres does not answer; the token goes on.
    """
    if not why.strip():
        raise UsageError("--why: why is the token revoked? It stays on record.")
    with postgres.cursor() as cursor:
        cursor.execute("select 1 from mesh.token_event where token = %s", (token,))
        if cursor.fetchone() is None:
            raise NotFound(f"There is no token {token!r}. `mesh token list` tells which there are.")
        cursor.execute(_REVOKE, (token, os_user(), why.strip()))
    mirror(postgres, settings)


def read_tokens(postgres: Postgres) -> tuple[Token, ...]:
    """Every token ever issued, oldest first."""
    with postgres.cursor() as cursor:
        cursor.execute(_READ)
        return tuple(
            Token(
                id=name, secret_hash=secret_hash, role=role, purpose=purpose, bearer=bearer, issued_by=issued_by,
                issued_at=issued_at.astimezone(UTC), expires_at=expires_at.astimezone(UTC),
                revoked_at=revoked_at and revoked_at.astimezone(UTC), revoked_by=revoked_by, why=why,
            )
            for name, secret_hash, role, purpose, bearer, issued_by, issued_at, expires_at, revoked_at, revoked_by, why
            in cursor.fetchall()
        )  # fmt: skip


def mirror_file(settings: Settings) -> Path:
    """Where the services of this mesh read their tokens."""
    return settings.home / FOLDER / FILE_NAME


def mirror(postgres: Postgres, settings: Settings) -> bool:
    """Write the register to the mirror; False where that says the same already.

    Expired tokens are left out: they are refused all the same, as unknown.
    """
    file = mirror_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Read inside the lock: of two who mirror at once, the later write must not bring back the earlier state.
    with FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600):
        now = datetime.now(UTC)
        body = msgspec.json.encode([token for token in read_tokens(postgres) if token.expires_at > now])
        if file.exists() and stat.S_IMODE(file.stat().st_mode) == 0o600 and file.read_bytes() == body:
            return False
        _write(file, body)
    return True


def read_mirror(file: Path) -> Mapping[bytes, Token]:
    """The tokens of a mirror by the hash of their secret; none where there is no mirror yet.

    Raises:
        SettingsError: the file is damaged, or others can read or write it.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        body = file.read_bytes()
    except FileNotFoundError:
        return {}
    if mode & 0o077:
        raise SettingsError(
            f"{file} can be read or written by others (mode {mode:o}): anybody could add a token. Allowed: mode 600. "
            "Remove it; `mesh token list` writes it anew."
        )
    try:
        tokens = msgspec.json.decode(body, type=list[Token])
        return {bytes.fromhex(token.secret_hash): token for token in tokens}
    except ValueError:
        # from None: the decoder's words could quote the file
        raise SettingsError(f"{file} is no mirror of the token register. `mesh token list` writes it anew.") from None


def _write(file: Path, body: bytes) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
