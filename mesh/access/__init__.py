"""Identifiers never travel in plain text: tokens, ciphertexts, redaction and the keys behind them.

Every domain tokenises national insurance numbers, tax references, bank accounts, phones and emails at ingest. A token
is the same for the same identifier in any spelling, in every domain, so products join on it; without the key nobody
can go back. One domain may also keep a reversible ciphertext (`encrypt`), where its description says so.
"""

from mesh.access.identifiers import KINDS, PARTS, normalise, status
from mesh.access.keys import KeyRing
from mesh.access.redact import redact, redact_sql
from mesh.access.tokens import decrypt, encrypt, tokenise, tokenise_one
from mesh.access.udfs import register_udfs

__all__ = [
    "KINDS",
    "PARTS",
    "KeyRing",
    "decrypt",
    "encrypt",
    "normalise",
    "redact",
    "redact_sql",
    "register_udfs",
    "status",
    "tokenise",
    "tokenise_one",
]
