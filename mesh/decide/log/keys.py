"""The keys of a decision log: Ed25519 for its roots, and a key for the hashes that stand for ids.

Both are derived from the mesh's key ring. Roots are signed with the active key and verify with any of the ring; a
public key checks them without any secret. The hashes keep the key the log was begun with, or a rotation of the ring
would make every claim look new.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from mesh.errors import DecisionLogError

if TYPE_CHECKING:
    from mesh.access.keys import KeyRing

HASH_BYTES = 16
_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\s*", re.S)


@dataclass(frozen=True)
class PublicKeys:
    """What an auditor needs to check roots."""

    keys: tuple[Ed25519PublicKey, ...]

    @classmethod
    def read(cls, files: Sequence[Path]) -> PublicKeys:
        """Those of PEM files, each of which may hold several.

        Raises:
            DecisionLogError: a file cannot be read or holds no Ed25519 public key.
        """
        return cls(tuple(key for file in files for key in _read(file)))

    @property
    def pem(self) -> bytes:
        return b"".join(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo) for key in self.keys)

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        for key in self.keys:
            try:
                key.verify(signature, signed)
            except InvalidSignature:
                continue
            return True
        return False


class LogKeys:
    """The keys with which one mesh writes its logs."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self.active_id = ring.active_id
        self._private = Ed25519PrivateKey.from_private_bytes(ring.log_key(ring.active_id, "root"))
        self.public = PublicKeys(
            tuple(Ed25519PrivateKey.from_private_bytes(ring.log_key(id_, "root")).public_key() for id_ in ring.ids)
        )

    def sign(self, signed: bytes) -> bytes:
        return self._private.sign(signed)

    def subject_key(self, key_id: str) -> bytes:
        """Raises:
        SettingsError: the ring does not hold the key that the log was begun with.
        """
        return self._ring.log_key(key_id, "subject")


def keyed(key: bytes, value: bytes) -> bytes:
    """The hash that stands for an id or a request: nobody without the key can try out values."""
    return hashlib.blake2b(value, key=key, digest_size=HASH_BYTES).digest()


def _read(file: Path) -> list[Ed25519PublicKey]:
    try:
        found = [load_pem_public_key(text) for text in _PEM.findall(file.read_bytes())]
    except OSError as error:
        raise DecisionLogError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DecisionLogError(f"{file} holds a damaged public key. Allowed: Ed25519 public keys as PEM.") from error
    keys = [key for key in found if isinstance(key, Ed25519PublicKey)]
    if not keys or len(keys) < len(found):
        raise DecisionLogError(f"{file} holds no Ed25519 public key. Allowed: Ed25519 public keys as PEM.")
    return keys
