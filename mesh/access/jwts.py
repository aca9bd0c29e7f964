"""Signed tokens (JWT, RFC 7519) of an issuer whose public keys are configured.

A token chooses nothing: the algorithm follows from the key, the key from a file of ours, and a header that points
anywhere else is refused (RFC 8725). `none` does not exist here, and HS256 only where the settings name it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mesh.access.grants import ROLES, Caller
from mesh.errors import SettingsError
from mesh.settings import Settings

ALGORITHMS = ("EdDSA", "ES256", "RS256", "HS256")
HEADER_FIELDS = frozenset({"alg", "kid", "typ", "x5t", "x5t#S256"})
TYPES = frozenset({"jwt", "at+jwt"})
REQUIRED = ["iss", "aud", "exp", "nbf", "role", "purpose"]
MAX_CHARACTERS = 4096
RSA_MIN_BITS = 2048
HMAC_MIN_BYTES = 32
NAME = re.compile(r"[\w.@:/+-]{1,100}", re.ASCII)


class Refused(Exception):
    """A token that is not accepted; the text says why in words that hold nothing of it.

    Attributes:
        token: its id, where it is a token of the register.
    """

    def __init__(self, why: str, token: str | None = None) -> None:
        super().__init__(why)
        self.why, self.token = why, token


@dataclass(frozen=True)
class Key:
    algorithm: str
    material: Any = field(repr=False)


@dataclass(frozen=True)
class JwtRules:
    """Whose signed tokens are accepted, and which.

    Attributes:
        keys: by key id.
        max_seconds: longest time from `nbf` to `exp`.
        leeway: seconds that two clocks may be apart.
    """

    keys: Mapping[str, Key]
    issuer: str
    audience: str
    max_seconds: int
    leeway: int

    def caller(self, token: bytes) -> Caller:
        """Whom a token stands for.

        Raises:
            Refused: it is not accepted.
        """
        if len(token) > MAX_CHARACTERS or token.count(b".") != 2:
            raise Refused("malformed")
        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header)
            claims = jwt.decode(
                token, key.material, algorithms=[key.algorithm], issuer=self.issuer, audience=self.audience,
                leeway=self.leeway, options={"require": REQUIRED},
            )  # fmt: skip
        except jwt.ExpiredSignatureError:
            raise Refused("expired") from None
        except jwt.InvalidSignatureError:
            raise Refused("signature") from None
        except jwt.InvalidAudienceError:
            raise Refused("audience") from None
        except (jwt.PyJWTError, ValueError, TypeError, ArithmeticError, RecursionError):
            # What a parser says of a forged token may quote it.
            raise Refused("claims or form") from None
        return self._caller(token, header["kid"], claims)

    def _key(self, header: Mapping[str, Any]) -> Key:
        if not header.keys() <= HEADER_FIELDS:
            raise Refused("header")
        kind, kid = header.get("typ", "jwt"), header.get("kid")
        if not isinstance(kind, str) or kind.lower() not in TYPES:
            raise Refused("header")
        key = self.keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise Refused("key")
        if header.get("alg") != key.algorithm:
            raise Refused("algorithm")
        return key

    def _caller(self, token: bytes, kid: str, claims: Mapping[str, Any]) -> Caller:
        expires, begins, role, purpose = (claims[name] for name in ("exp", "nbf", "role", "purpose"))
        # PyJWT takes what int() takes: a text or a truth value must not pass for a moment.
        if type(expires) is not int or type(begins) is not int or not 0 < expires - begins <= self.max_seconds:
            raise Refused("lifetime")
        if not isinstance(role, str) or role not in ROLES:
            raise Refused("role")
        if not isinstance(purpose, str) or not 0 < len(purpose.strip()) <= 200 or not purpose.isprintable():
            raise Refused("purpose")
        subject = claims.get("sub")
        if subject is not None and NAME.fullmatch(subject) is None:
            raise Refused("subject")
        name = f"jwt:{hashlib.sha256(token).hexdigest()[:16]}"
        # One bearer shares one rate over all tokens that its issuer gives it.
        budget = f"jwt:{kid}" if subject is None else f"jwt:{subject}"
        return Caller(name, role, purpose.strip(), subject, ROLES[role], budget, float(expires))


def jwt_rules(settings: Settings) -> JwtRules | None:
    """The rules of the settings; None where no key file is set, and then no signed token is accepted.

    Raises:
        SettingsError: a setting is missing, or the key file is wrong.
    """
    file = settings.jwt_keys
    if file is None:
        return None
    allowed = tuple(name.strip() for name in settings.jwt_algorithms.split(",") if name.strip())
    if not allowed or not set(allowed) <= set(ALGORITHMS):
        raise SettingsError(f"MESH_JWT_ALGORITHMS names what is not allowed. Allowed: {', '.join(ALGORITHMS)}.")
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        raise SettingsError("MESH_JWT_KEYS is set, so MESH_JWT_ISSUER and MESH_JWT_AUDIENCE must be set too.")
    return JwtRules(
        _read_keys(file, allowed), settings.jwt_issuer, settings.jwt_audience, settings.jwt_max_seconds,
        settings.jwt_leeway_seconds,
    )  # fmt: skip


def _read_keys(file: Path, allowed: tuple[str, ...]) -> dict[str, Key]:
    """The keys of a JWKS (RFC 7517), or the one of a PEM file, whose id is then the name of the file."""
    try:
        body = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"MESH_JWT_KEYS: {file} cannot be read ({type(error).__name__}).") from error
    try:
        if body.lstrip().startswith(b"-----"):
            found = {file.stem: load_pem_public_key(body)}
        else:
            found = dict(_jwk(entry) for entry in json.loads(body)["keys"])
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError, UnsupportedAlgorithm):
        # from None: the parser's words could quote a key
        raise SettingsError(
            f"MESH_JWT_KEYS: {file} is no key file. Allowed: a JWKS whose public keys all have a kid of their own, or "
            "the PEM of one public key."
        ) from None
    keys = {kid: Key(_algorithm(file, kid, material), material) for kid, material in found.items()}
    for kid, key in keys.items():
        if key.algorithm not in allowed:
            raise SettingsError(
                f"MESH_JWT_KEYS: {file}: key {kid!r} signs with {key.algorithm}, which MESH_JWT_ALGORITHMS does not "
                f"name. Allowed: {', '.join(allowed)}."
            )
    if not keys:
        raise SettingsError(f"MESH_JWT_KEYS: {file} holds no key.")
    return keys


def _jwk(entry: Mapping[str, Any]) -> tuple[str, Any]:
    kid = entry["kid"]
    if not isinstance(kid, str) or not kid or entry.get("use", "sig") != "sig":
        raise ValueError("no id, or not for signatures")
    if entry["kty"] == "oct":
        text = entry["k"]
        return kid, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return kid, jwt.PyJWK.from_dict({**entry}).key


def _algorithm(file: Path, kid: str, material: Any) -> str:
    match material:
        case Ed25519PublicKey():
            return "EdDSA"
        case EllipticCurvePublicKey() if isinstance(material.curve, SECP256R1):
            return "ES256"
        case RSAPublicKey() if material.key_size >= RSA_MIN_BITS:
            return "RS256"
        case bytes() if len(material) >= HMAC_MIN_BYTES:
            return "HS256"
    raise SettingsError(
        f"MESH_JWT_KEYS: {file}: key {kid!r} is not of an allowed kind. Allowed: public keys Ed25519, P-256 or RSA of "
        f"{RSA_MIN_BITS} bits and more; for HS256 a secret of at least {HMAC_MIN_BYTES} bytes. Private keys stay with "
        "the issuer."
    )
