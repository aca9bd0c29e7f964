"""The secret of a bearer token: `mesh_`, 256 random bits in base 62, and a checksum.

Prefix and checksum let a scanner of files or logs know a leaked token without asking anybody, and tell a mistyped one
from one that never was. A secret is kept as its SHA-256 only. A slow hash would add nothing: it is made for passwords,
which can be guessed; 256 random bits cannot, however fast one may try, and every request would pay for it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "mesh_"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_BITS = 256
SECRET_CHARACTERS = 43  # 62 ** 43 > 2 ** 256
CHECK_CHARACTERS = 6  # 62 ** 6 > 2 ** 32
FORM = re.compile(rb"mesh_[0-9A-Za-z]{49}")


def new_secret() -> str:
    """A secret that nobody holds yet."""
    body = PREFIX + _base62(secrets.randbits(SECRET_BITS), SECRET_CHARACTERS)
    return body + _check(body.encode())


def well_formed(secret: bytes) -> bool:
    """Whether a text can be a secret at all: form and checksum. It says nothing about whether it was ever issued."""
    return (
        FORM.fullmatch(secret) is not None and _check(secret[:-CHECK_CHARACTERS]) == secret[-CHECK_CHARACTERS:].decode()
    )


def digest(secret: bytes) -> bytes:
    """What is kept of a secret, and what it is looked up by.

    A look-up compares hashes, never secrets: how long it takes tells of a hash that nobody can steer towards another.
    """
    return hashlib.sha256(secret).digest()


def _check(body: bytes) -> str:
    return _base62(zlib.crc32(body), CHECK_CHARACTERS)


def _base62(number: int, size: int) -> str:
    digits = []
    for _ in range(size):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
