"""Tokens and ciphertexts of whole columns.

A token reads `<kind>:<key id>:<26 letters and digits>`: base32 (lower case) of the first 16 bytes of
HMAC-SHA256(token key, kind || 0x00 || normalised value). A ciphertext reads `<key id>:<base64>`: AES-SIV (RFC 5297),
which is deterministic, so a rebuilt table is equal byte for byte; it tells no more than the token already does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mesh.access.identifiers import identify
from mesh.access.keys import KeyRing
from mesh.errors import MeshError

if TYPE_CHECKING:
    from hashlib import _Hash

TOKEN_BYTES = 16
TOKEN_CHARACTERS = 26
SHA256_BLOCK = 64
PIECE = 16_384  # values at a time: three times faster than a million at once, for they stay in the processor's cache
BASE32 = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype=np.uint8)


def tokenise(
    keyring: KeyRing, kind: str, values: pa.Array | pa.ChunkedArray, *, key_id: str | None = None
) -> tuple[pa.Array, pa.Array]:
    """Token and status of every value, as two string arrays of the same length; by default with the active key.

    A missing value, and a malformed one in which nothing of the identifier is left, has a null token. Other
    malformed values do have a token - the same typing error twice is worth knowing - so read the status with it.

    Raises:
        UsageError: no such kind.
        SettingsError: the ring holds no key of this id.
    """
    flat = _flat(values)
    normal, state = identify(kind, flat)
    distinct = normal.dictionary_encode()
    return _tokens(keyring, kind, distinct.dictionary, key_id or keyring.active_id).take(distinct.indices), state


def tokenise_one(
    keyring: KeyRing, kind: str, value: str | None, *, key_id: str | None = None
) -> tuple[str | None, str]:
    """Token and status of one value; the same as `tokenise` gives."""
    token, state = tokenise(keyring, kind, pa.array([value], pa.string()), key_id=key_id)
    return token[0].as_py(), state[0].as_py()


def encrypt(keyring: KeyRing, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The ciphertext of every value under the active key; null stays null."""
    cipher, prefix = AESSIV(keyring.encryption_key(keyring.active_id)), keyring.active_id + ":"
    seal, encode = cipher.encrypt, binascii.b2a_base64
    distinct = _flat(values).dictionary_encode()
    # an empty text has no bytes that AES-SIV could seal, so one marker byte goes in front of every text
    sealed = [
        prefix + encode(seal(b"\0" + text.encode(), None), newline=False).decode()
        for text in distinct.dictionary.to_pylist()
    ]
    return pa.array(sealed, pa.string()).take(distinct.indices)


def decrypt(keyring: KeyRing, values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The texts that `encrypt` was given.

    Raises:
        SettingsError: the ring does not hold the key that a value was encrypted with.
        MeshError: a value is no ciphertext, or was altered.
    """
    ciphers: dict[str, AESSIV] = {}
    opened: list[str] = []
    distinct = _flat(values).dictionary_encode()
    for text in distinct.dictionary.to_pylist():
        key_id, colon, body = text.partition(":")
        if not colon:
            raise MeshError("A value to decrypt is not a ciphertext of this mesh.")
        cipher = ciphers.get(key_id) or ciphers.setdefault(key_id, AESSIV(keyring.encryption_key(key_id)))
        try:
            opened.append(cipher.decrypt(base64.b64decode(body, validate=True), None)[1:].decode())
        except (InvalidTag, ValueError):
            raise MeshError(f"A ciphertext of key {key_id!r} was altered or cut short.") from None
    return pa.array(opened, pa.string()).take(distinct.indices)


def _tokens(keyring: KeyRing, kind: str, normal: pa.Array, key_id: str) -> pa.Array:
    # HMAC by hand (RFC 2104): copying two prepared states costs half of hmac.digest, and this is ingest's hot loop
    key = keyring.token_key(key_id).ljust(SHA256_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key))
    inner.update(kind.encode() + b"\0")
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
    prefix = f"{kind}:{key_id}:".encode()
    pieces = [_piece(prefix, inner, outer, normal.slice(at, PIECE)) for at in range(0, len(normal), PIECE)]
    return pa.concat_arrays(pieces) if pieces else pa.array([], pa.string())


def _piece(prefix: bytes, inner: _Hash, outer: _Hash, normal: pa.Array) -> pa.Array:
    copy_inner, copy_outer = inner.copy, outer.copy
    digests = []
    for value in pc.cast(normal, pa.binary()).to_pylist():
        first, second = copy_inner(), copy_outer()
        first.update(value)
        second.update(first.digest())
        digests.append(second.digest())
    text = np.empty((len(digests), len(prefix) + TOKEN_CHARACTERS), dtype=np.uint8)
    text[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    text[:, len(prefix) :] = _base32(np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32))
    offsets = np.arange(len(digests) + 1, dtype=np.int32) * np.int32(text.shape[1])
    return pa.Array.from_buffers(pa.string(), len(digests), [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def _base32(digests: np.ndarray) -> np.ndarray:
    """Base32 without padding of the first 16 bytes of each row, as characters."""
    padded = np.zeros((len(digests), 20), dtype=np.uint64)
    padded[:, :TOKEN_BYTES] = digests[:, :TOKEN_BYTES]
    groups = padded.reshape(-1, 4, 5)
    number = sum(groups[:, :, place] << np.uint64(8 * (4 - place)) for place in range(5))
    places = [(number >> np.uint64(5 * (7 - place))) & np.uint64(31) for place in range(8)]
    characters: np.ndarray = BASE32[np.stack(places, axis=2).reshape(-1, 32)[:, :TOKEN_CHARACTERS]]
    return characters


def _flat(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
