"""The keys behind tokens, ciphertexts and the signatures of models.

One secret per key id; the keys of each use are derived from it (HKDF, RFC 5869), so none can be worked out from
another. The key id is derived from the secret too: two meshes with different secrets can never
write the same id into a token, and the same secret gives the same id everywhere.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from filelock import FileLock

from mesh.errors import SettingsError

if TYPE_CHECKING:
    from mesh.settings import Settings

FILE_NAME = "keys.json"
SECRET_BYTES = 32
MIN_SECRET_CHARACTERS = 32
LOCK_SECONDS = 30.0


class KeyRing:
    """The active key and every older one that ciphertexts may still need.

    Tokens and ciphertexts are made with the active key and carry its id. Nothing here prints a key.
    """

    __slots__ = ("_file", "_secrets", "active_id")

    def __init__(self, secrets_: Iterable[bytes], *, file: Path | None = None) -> None:
        """Args:
        secrets_: key material of each key, the active one first; at least one, each of at least 32 bytes.
        file: where `rotate` writes; None for a ring that does not come from a file.

        Raises:
            SettingsError: no key, or one that is too short.
        """
        given = tuple(secrets_)
        if not given:
            raise SettingsError("The key ring is empty; it needs at least one key.")
        if any(len(secret) < SECRET_BYTES for secret in given):
            raise SettingsError(f"A token key is too short. Allowed: at least {SECRET_BYTES} bytes.")
        self._secrets = {_key_id(secret): secret for secret in given}
        self._file = file
        self.active_id: str = next(iter(self._secrets))

    @classmethod
    def load(cls, settings: Settings) -> KeyRing:
        """The ring of this mesh: from MESH_TOKEN_KEY where it is set, else from `<home>/keys.json`.

        MESH_TOKEN_KEY holds one text of at least 32 characters; older keys may follow, separated by commas. The file
        is made on first use, readable by its owner only.

        Raises:
            SettingsError: the key is too short, or the file is damaged or readable by others.
        """
        if settings.token_key is not None:
            texts = [text.strip() for text in settings.token_key.get_secret_value().split(",")]
            if any(len(text) < MIN_SECRET_CHARACTERS for text in texts):
                raise SettingsError(
                    f"MESH_TOKEN_KEY holds a key that is too short. Allowed: at least {MIN_SECRET_CHARACTERS} "
                    "characters for each key; separate older keys by commas. `openssl rand -hex 32` makes a good one."
                )
            return cls(text.encode() for text in texts)
        file = settings.home / FILE_NAME
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _lock(file):
                if not file.exists():
                    _write(file, [secrets.token_bytes(SECRET_BYTES)])
        return cls(_read(file), file=file)

    @property
    def ids(self) -> tuple[str, ...]:
        """Every key id, the active one first."""
        return tuple(self._secrets)

    def rotate(self) -> KeyRing:
        """A ring with a new active key, written to the file; the old keys stay for decrypting.

        Tokens made with different keys do not match: after a rotation every source has to be loaded anew before
        products can be joined on tokens again.

        Raises:
            SettingsError: the ring comes from MESH_TOKEN_KEY, so there is no file to write.
        """
        if self._file is None:
            raise SettingsError(
                "This key ring comes from MESH_TOKEN_KEY and cannot rotate itself. "
                "Put a new key in front of the present one, separated by a comma."
            )
        with _lock(self._file):
            _write(self._file, [secrets.token_bytes(SECRET_BYTES), *_read(self._file)])
        return KeyRing(_read(self._file), file=self._file)

    def token_key(self, key_id: str | None = None) -> bytes:
        """The 32-byte HMAC key of an id, by default the active one.

        Raises:
            SettingsError: the ring holds no such key.
        """
        return _derive(self._secret(key_id or self.active_id), b"token", 32)

    def drawing_key(self, key_id: str) -> bytes:
        """The 32-byte key with which an id draws rows at random, the same ones again each time.

        Raises:
            SettingsError: the ring holds no such key.
        """
        return _derive(self._secret(key_id), b"random draw", 32)

    def signing_key(self, key_id: str) -> bytes:
        """The 32-byte HMAC key with which an id signs model bundles.

        Raises:
            SettingsError: the ring holds no such key.
        """
        return _derive(self._secret(key_id), b"model signature", 32)

    def log_key(self, key_id: str, purpose: str) -> bytes:
        """A 32-byte key of a decision log: `root` is the seed of the Ed25519 key that signs roots, `subject` the key of
        the hashes that stand for ids and requests.

        Raises:
            SettingsError: the ring holds no such key.
        """
        if key_id not in self._secrets:
            raise SettingsError(
                f"A decision log was begun with key {key_id!r}, which this key ring does not hold. "
                f"Known: {', '.join(self.ids)}. Restore the older key."
            )
        return _derive(self._secrets[key_id], b"decision log " + purpose.encode(), 32)

    def trail_key(self) -> bytes:
        """The 32-byte HMAC key under which the trail of accesses names what was looked at."""
        return _derive(self._secrets[self.active_id], b"access trail", 32)

    def encryption_key(self, key_id: str) -> bytes:
        """The 64-byte AES-SIV key of an id.

        Raises:
            SettingsError: the ring holds no such key.
        """
        if key_id not in self._secrets:
            raise SettingsError(
                f"A value was encrypted with key {key_id!r}, which this key ring does not hold. "
                f"Known: {', '.join(self.ids)}. Restore the older key."
            )
        return _derive(self._secrets[key_id], b"encryption", 64)

    def _secret(self, key_id: str) -> bytes:
        if key_id not in self._secrets:
            raise SettingsError(f"The key ring holds no key {key_id!r}. Known: {', '.join(self.ids)}.")
        return self._secrets[key_id]

    def __repr__(self) -> str:
        return f"KeyRing(active={self.active_id!r}, keys={len(self._secrets)})"

    def __reduce__(self) -> str:
        raise TypeError("A key ring is not pickled: keys stay in their file and in memory.")


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=b"insight-mesh/v1/" + purpose).derive(secret)


def _key_id(secret: bytes) -> str:
    return "k" + _derive(secret, b"key id", 4).hex()


def _lock(file: Path) -> FileLock:
    return FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600)


def _read(file: Path) -> list[bytes]:
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise SettingsError(
            f"{file} can be read by others (mode {mode:o}): every token could be recomputed. "
            f"Allowed: mode 600. Run `chmod 600 {file}`, and rotate the key if others may have read it."
        )
    try:
        document = json.loads(file.read_bytes())
        keys = document["keys"]
        by_id = {key["id"]: base64.b64decode(key["secret"], validate=True) for key in keys}
        found = [by_id.pop(document["active"]), *by_id.values()]
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        # from None: the JSON error of a damaged file could quote the key
        raise SettingsError(f"{file} is not a key file of the mesh. Restore it from your backup of the keys.") from None
    return found


def _write(file: Path, ring: list[bytes]) -> None:
    document = {
        "active": _key_id(ring[0]),
        "keys": [{"id": _key_id(secret), "secret": base64.b64encode(secret).decode()} for secret in ring],
    }
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(document, out, indent=2)
        out.write("\n")
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        # a lost key file would make every ciphertext unreadable, so the rename itself must survive a power cut
        os.fsync(folder)
    finally:
        os.close(folder)
