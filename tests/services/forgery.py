"""An issuer of signed tokens, and everything that somebody without its keys might send instead."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh.access.bearer import new_secret

ISSUER, AUDIENCE = "https://issuer.example", "insight-mesh"
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Attack:
    name: str
    headers: Headers = field(repr=False)
    query: str = ""


class Issuer:
    """Three keys of three kinds, and one more that nobody configured."""

    @cached_property
    def keys(self) -> dict[str, Any]:
        return {
            "ed": ed25519.Ed25519PrivateKey.generate(),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "rsa": rsa.generate_private_key(65537, 2048),
        }

    @cached_property
    def stranger(self) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.generate()

    def publish(self, file: Path) -> None:
        entries = [{**_jwk(name, key), "kid": name, "use": "sig"} for name, key in self.keys.items()]
        file.write_text(json.dumps({"keys": entries}))

    def sign(self, kid: str = "ed", *, header: Mapping[str, Any] | None = None, key: Any = None, **claims: Any) -> str:
        """A token; claims that are None are left out."""
        merged = {key: value for key, value in {**self.claims(), **claims}.items() if value is not None}
        return jwt.encode(merged, key or self.keys[kid], _ALGORITHM[kid], headers={"kid": kid, **(header or {})})

    def by_hand(self) -> str:
        """A good token made as the attacks are: what they are refused for is not how they are made."""
        return _by_hand(_HEAD, self.claims(), self.keys["ed"])

    @staticmethod
    def claims() -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": ISSUER, "aud": AUDIENCE, "exp": now + 600, "nbf": now - 5, "role": "submitter", "purpose": "tests",
            "sub": "a-client",
        }  # fmt: skip


_ALGORITHM = {"ed": "EdDSA", "ec": "ES256", "rsa": "RS256"}
_MODULE = {"ed": jwt.algorithms.OKPAlgorithm, "ec": jwt.algorithms.ECAlgorithm, "rsa": jwt.algorithms.RSAAlgorithm}


def _jwk(kid: str, key: Any) -> dict[str, Any]:
    return dict(_MODULE[kid].to_jwk(key.public_key(), as_dict=True))


def attacks(issuer: Issuer, *, valid: str, revoked: str, expired: str) -> Iterator[Attack]:
    """Every attack; `valid` is a secret that is accepted as it stands, the others no longer are."""
    for name, token in [*_signed(issuer), *_unsigned(issuer), *_claims(issuer), *_headers(issuer), *_broken(issuer)]:
        yield Attack(name, _bearer(token.encode()))
    for name, secret in _secrets(valid, revoked, expired):
        yield Attack(name, _bearer(secret))
    yield from _elsewhere(valid, issuer.sign())


def _signed(issuer: Issuer) -> Iterator[tuple[str, str]]:
    """Signed, but not by the key that it names."""
    for kid, key in issuer.keys.items():
        public = key.public_key()
        shapes = [
            public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            json.dumps(_jwk(kid, key)).encode(),
            b"",
        ]
        for number, shape in enumerate(shapes):
            for algorithm in ("HS256", "HS384", "HS512"):
                yield f"{algorithm} with public key {kid} as secret {number}", _hmac(issuer, algorithm, kid, shape)
        for other in issuer.keys.keys() - {kid}:
            yield f"signed by {other}, names {kid}", issuer.sign(other, header={"kid": kid})
    for kid in (None, "", "stranger", "ED", "ed ", "../ed", "/dev/null", "ed\x00", "' or 1=1 --", 1, True, [], {}):
        yield f"kid {kid!r}", _by_hand({"alg": "EdDSA", "kid": kid}, issuer.claims(), issuer.stranger)
        yield f"kid {kid!r}, right key", _by_hand({"alg": "EdDSA", "kid": kid}, issuer.claims(), issuer.keys["ed"])
    yield "no kid", _by_hand({"alg": "EdDSA"}, issuer.claims(), issuer.keys["ed"])
    yield "a stranger's key", issuer.sign(key=issuer.stranger)


def _unsigned(issuer: Issuer) -> Iterator[tuple[str, str]]:
    spellings = ["none", "None", "NONE", "nOnE", "noNe", " none", "none ", "", "null", None, 0, False, [], "no\uff4ee"]
    spellings += [
        "HS256",
        "RS512",
        "PS256",
        "ES512",
        "ES256K",
        "eddsa",
        "EDDSA",
        "Ed25519",
        ["EdDSA"],
        {"alg": "EdDSA"},
    ]
    for alg in spellings:
        head = _part({"alg": alg, "kid": "ed", "typ": "JWT"}) + "." + _part(issuer.claims())
        yield f"alg {alg!r}, no signature", f"{head}."
        yield f"alg {alg!r}, a signature", f"{head}.{_text(b'x' * 64)}"
        signed = _by_hand({"alg": alg, "kid": "ed", "typ": "JWT"}, issuer.claims(), issuer.keys["ed"])
        yield f"alg {alg!r}, rightly signed", signed


def _claims(issuer: Issuer) -> Iterator[tuple[str, str]]:
    now = int(time.time())
    for audience in ("other", "", "INSIGHT-MESH", "insight-mesh ", ["other"], [], [1], 1, {"aud": AUDIENCE}, True):
        yield f"aud {audience!r}", _by_hand(_HEAD, issuer.claims() | {"aud": audience}, issuer.keys["ed"])
    for who in ("https://other.example", "", ISSUER + "/", ISSUER.upper(), [ISSUER], 1, {"iss": ISSUER}):
        yield f"iss {who!r}", _by_hand(_HEAD, issuer.claims() | {"iss": who}, issuer.keys["ed"])
    for name in ("iss", "aud", "exp", "nbf", "role", "purpose"):
        yield f"no {name}", issuer.sign(**{name: None})
        yield f"{name} is null", _by_hand(_HEAD, issuer.claims() | {name: None}, issuer.keys["ed"])
    infinite = (float("inf"), float("-inf"), float("nan"))
    for exp in (0, -1, now - 31, now - 86400, now + 3601 + 5, now + 10**9, 10**30, str(now + 60), True, *infinite, []):
        yield f"exp {exp!r}", _by_hand(_HEAD, issuer.claims() | {"exp": exp}, issuer.keys["ed"])
    for nbf in (now + 31 + 5, now + 590, now - 86400, 0, -1, str(now - 5), False, 10**30, *infinite, {}):
        yield f"nbf {nbf!r}", _by_hand(_HEAD, issuer.claims() | {"nbf": nbf}, issuer.keys["ed"])
    yield "exp before nbf", issuer.sign(exp=now - 10, nbf=now - 5)
    yield "iat in the future", issuer.sign(iat=now + 500)
    for role in ("admin", "", "Submitter", "submitter ", ["submitter"], {"submitter": 1}, 1, None):
        yield f"role {role!r}", _by_hand(_HEAD, issuer.claims() | {"role": role}, issuer.keys["ed"])
    for purpose in ("", "  ", "x" * 201, "a\nb", 1, ["tests"]):
        yield f"purpose {purpose!r}", _by_hand(_HEAD, issuer.claims() | {"purpose": purpose}, issuer.keys["ed"])
    for subject in ("", "a b", "x" * 101, "a\n", "é", 1, ["a"]):
        yield f"sub {subject!r}", _by_hand(_HEAD, issuer.claims() | {"sub": subject}, issuer.keys["ed"])


def _headers(issuer: Issuer) -> Iterator[tuple[str, str]]:
    strange = _jwk("ed", issuer.stranger)
    for extra in (
        {"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"jku": "http://127.0.0.1/k"},
        {"x5u": "http://127.0.0.1/c"}, {"x5c": ["AAAA"]}, {"jwk": strange}, {"enc": "A256GCM"}, {"zip": "DEF"},
        {"cty": "JWT"}, {"typ": "JWE"}, {"typ": 1}, {"typ": ["JWT"]}, {"anything": 1},
    ):  # fmt: skip
        yield f"header {extra!r}", _by_hand(_HEAD | extra, issuer.claims(), issuer.keys["ed"])
    for injected in (
        {"jwk": strange},
        {"jwk": strange, "kid": "stranger"},
        {"jku": "http://127.0.0.1/k", "kid": "s"},
    ):
        yield (
            f"signed by the key it brings, {sorted(injected)}",
            _by_hand(_HEAD | injected, issuer.claims(), issuer.stranger),
        )


def _broken(issuer: Issuer) -> Iterator[tuple[str, str]]:
    good = issuer.sign()
    head, body, signature = good.split(".")
    yield from ((f"cut to {size}", good[:size]) for size in range(0, len(good), 23))
    yield from ((f"{cut} characters short", good[:-cut]) for cut in (1, 2, 3, 10))
    for name, claims in (
        ("role", {"role": "auditor"}),
        ("exp", {"exp": int(time.time()) + 3000}),
        ("sub", {"sub": "b"}),
    ):
        yield f"tampered {name}", f"{head}.{_part(issuer.claims() | claims)}.{signature}"
    for place in range(0, len(signature) - 1, 9):
        other = "A" if signature[place] != "A" else "B"
        yield f"signature changed at {place}", f"{head}.{body}.{signature[:place]}{other}{signature[place + 1 :]}"
    yield "four parts", f"{good}.{signature}"
    yield "five parts", f"{head}.{body}.{signature}.{signature}.{signature}"
    yield "two parts", f"{head}.{body}"
    yield "dots", ".."
    yield "empty header", f".{body}.{signature}"
    yield "header is a list", f"{_part([])}.{body}.{signature}"
    yield "header is no JSON", f"{_text(b'{')}.{body}.{signature}"
    yield "claims are a list", _by_hand(_HEAD, [], issuer.keys["ed"])
    yield "claims are nested deeply", f"{head}.{_text(b'[' * 2800)}.{signature}"
    yield "header is nested deeply", f"{_text(b'[' * 2800)}.{body}.{signature}"
    yield "too long", issuer.sign(purpose="x" * 200, filler="x" * 4096)
    yield "not base64", f"{head}.{body}.***"


def _secrets(valid: str, revoked: str, expired: str) -> Iterator[tuple[str, bytes]]:
    yield "revoked", revoked.encode()
    yield "expired", expired.encode()
    yield from ((f"never issued {number}", new_secret().encode()) for number in range(10))
    yield "another prefix", b"mash_" + valid[5:].encode()
    yield "prefix in capitals", b"MESH_" + valid[5:].encode()
    yield "no prefix", valid[5:].encode()
    yield "its hash", hashlib.sha256(valid.encode()).hexdigest().encode()
    yield "its hash in bytes", hashlib.sha256(valid.encode()).digest().replace(b"\r", b"").replace(b"\n", b"")
    for place in range(5, len(valid), 7):
        changed = "a" if valid[place] != "a" else "b"
        yield f"changed at {place}", (valid[:place] + changed + valid[place + 1 :]).encode()
    yield "longer", valid.encode() + b"0"
    yield "shorter", valid[:-1].encode()
    yield "twice", (valid + " " + valid).encode()
    yield "with a comma", (valid + ", x").encode()
    yield "other alphabet", valid.replace(valid[10], "\N{CYRILLIC SMALL LETTER A}").encode()
    yield "latin-1", b"mesh_" + b"\xe9" * 49
    yield "nothing", b""
    yield "spaces", b"   "
    yield "a star", b"*"
    yield "null", b"null"
    yield "huge", b"mesh_" + b"a" * 12_000
    yield "too huge", b"mesh_" + b"a" * 17_000


def _elsewhere(secret: str, token: str) -> Iterator[Attack]:
    """A good token where none is looked for."""
    for name, good in (("secret", secret), ("signed", token)):
        value = good.encode()
        yield Attack(f"{name} twice", [*_bearer(value), *_bearer(value)])
        yield Attack(f"{name} beside another", [*_bearer(value), *_bearer(b"x")])
        yield Attack(f"{name} after another", [*_bearer(b"x"), *_bearer(value)])
        yield Attack(f"{name} in the address", [], f"?access_token={good}")
        yield Attack(f"{name} in the address, too", _bearer(value), f"?a=1&Access_Token={good}")
        yield Attack(f"{name} as token=", [], f"?token={good}")
        yield Attack(f"{name} in a cookie", [(b"Cookie", b"access_token=" + value)])
        for scheme in (b"Basic", b"Token", b"Digest", b"JWT", b"Bearer:", b"BearerBearer", b""):
            yield Attack(f"{name} as {scheme!r}", [(b"Authorization", (scheme + b" " + value).strip())])
        yield Attack(f"{name} without a space", [(b"Authorization", b"Bearer" + value)])
        yield Attack(f"{name} behind two spaces", [(b"Authorization", b"Bearer  " + value)])
        for header in (b"X-Authorization", b"Proxy-Authorization", b"X-Forwarded-Authorization", b"X-Api-Key"):
            yield Attack(f"{name} in {header!r}", [(header, b"Bearer " + value)])
    yield Attack("no header at all", [])


_HEAD = {"alg": "EdDSA", "kid": "ed", "typ": "JWT"}


def _bearer(token: bytes) -> Headers:
    return [(b"Authorization", b"Bearer " + token)]


def _by_hand(header: Any, claims: Any, key: ed25519.Ed25519PrivateKey) -> str:
    """Signed with Ed25519 whatever header and claims say: a library would refuse to make most of these."""
    text = f"{_part(header)}.{_part(claims)}"
    return f"{text}.{_text(key.sign(text.encode()))}"


def _hmac(issuer: Issuer, algorithm: str, kid: str, secret: bytes) -> str:
    text = f"{_part({'alg': algorithm, 'kid': kid, 'typ': 'JWT'})}.{_part(issuer.claims())}"
    return f"{text}.{_text(hmac.digest(secret, text.encode(), f'sha{algorithm[2:]}'))}"


def _part(value: Any) -> str:
    return _text(json.dumps(value).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
