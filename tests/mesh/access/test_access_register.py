"""Bearer tokens: what a secret is, what is kept of it, and for how long it is good."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from pydantic import SecretStr

from mesh.access.bearer import new_secret, well_formed
from mesh.access.callers import Callers
from mesh.access.jwts import Refused
from mesh.access.register import Issued, issue, mirror, mirror_file, parse_validity, read_tokens, revoke
from mesh.errors import NotFound, SettingsError, UsageError
from mesh.session import Mesh
from mesh.settings import Settings
from tests.conftest import ROOT


def _issue(mesh: Mesh, **changed: object) -> Issued:
    given = {"role": "auditor", "purpose": "yearly audit", "valid": timedelta(days=1)} | changed
    return issue(mesh.postgres, mesh.settings, **given)  # type: ignore[arg-type]


def test_a_secret_has_256_random_bits_and_knows_its_own_typing_errors() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        assert re.fullmatch("mesh_[0-9A-Za-z]{49}", secret)
        assert 62 ** len(secret[5:-6]) > 2**256
        assert well_formed(secret.encode())
    changed = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    swapped = next(s[:9] + s[10] + s[9] + s[11:] for s in secrets if s[9] != s[10])
    assert [well_formed(text.encode()) for text in (changed, swapped, secret[:-1], secret + "0", "")] == [False] * 5


def test_a_secret_is_kept_nowhere(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()
    made = _issue(mesh, bearer="an auditor")
    (kept,) = read_tokens(mesh.postgres)
    assert (kept.id, kept.role, kept.purpose, kept.bearer) == (made.id, "auditor", "yearly audit", "an auditor")
    body = made.secret[5:].encode()
    files = [file.read_bytes() for file in mesh.settings.home.rglob("*") if file.is_file()]
    assert files
    assert not any(body in held for held in files)
    assert body.decode() not in repr(made) + repr(kept)
    assert mirror_file(mesh.settings).stat().st_mode & 0o777 == 0o600


def test_the_register_only_grows(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()
    made = _issue(mesh)
    revoke(mesh.postgres, mesh.settings, made.id, why="lost")
    revoke(mesh.postgres, mesh.settings, made.id, why="again")
    (kept,) = read_tokens(mesh.postgres)
    assert (kept.state(datetime.now(UTC)), kept.why) == ("revoked", "lost")
    for statement in ("update mesh.token_event set role = 'operator'", "delete from mesh.token_event",
                      "truncate mesh.token_event", "delete from mesh.service_access"):  # fmt: skip
        with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), mesh.postgres.cursor() as cursor:
            cursor.execute(statement)


def test_a_token_ends_at_its_time_and_when_it_is_revoked(make_mesh: Callable[..., Mesh]) -> None:
    mesh, now = make_mesh(), [datetime.now(UTC).timestamp()]
    made, other = _issue(mesh), _issue(mesh)
    callers = Callers(mesh.settings, clock=lambda: now[0])
    assert callers.identify(b"bearer " + made.secret.encode()).token == made.id
    now[0] = made.expires_at.timestamp()
    with pytest.raises(Refused, match="expired"):
        callers.identify(b"Bearer " + made.secret.encode())
    assert not callers.refresh()
    now[0] -= 100
    revoke(mesh.postgres, mesh.settings, other.id, why="lost")
    assert callers.refresh()
    with pytest.raises(Refused, match="revoked") as refused:
        callers.identify(b"Bearer " + other.secret.encode())
    assert refused.value.token == other.id
    assert not mirror(mesh.postgres, mesh.settings), "nothing is written where nothing has changed"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"role": "admin"}, r"no role 'admin'.*Allowed: submitter \(decide\); enquirer \(insights\); reviewer"),
        ({"purpose": " "}, "--purpose: what is the token for"),
        ({"valid": timedelta(days=366)}, "365 days at most"),
        ({"valid": timedelta(0)}, "at least a moment"),
    ],
)
def test_what_a_token_cannot_be_is_refused(
    make_mesh: Callable[..., Mesh], changed: dict[str, object], message: str
) -> None:
    mesh = make_mesh()
    with pytest.raises(UsageError, match=message):
        _issue(mesh, **changed)
    assert read_tokens(mesh.postgres) == ()


def test_a_length_of_time_is_read_and_bounded() -> None:
    settings = Settings(token_max_days=30)
    read = [parse_validity(text, settings) for text in ("90m", "12h", "30d", "4w")]
    assert read == [timedelta(minutes=90), timedelta(hours=12), timedelta(days=30), timedelta(days=28)]
    for text in ("", "30", "d", "0d", "-1d", "1.5d", "30 days", "1y", "9999999d"):
        with pytest.raises(UsageError, match="no length of time"):
            parse_validity(text, settings)
    with pytest.raises(UsageError, match=r"up to 30d \(MESH_TOKEN_MAX_DAYS\)"):
        parse_validity("31d", settings)


def test_no_token_is_revoked_that_is_not_there(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()
    with pytest.raises(NotFound, match="no token 't0'"):
        revoke(mesh.postgres, mesh.settings, "t0", why="lost")
    with pytest.raises(UsageError, match="--why"):
        revoke(mesh.postgres, mesh.settings, _issue(mesh).id, why="")


@pytest.mark.parametrize("body", ["{", "[{}]", '[{"id": "a"}]', "\xff"])
def test_a_damaged_mirror_is_refused(tmp_path: Path, body: str) -> None:
    settings = Settings(home=tmp_path)
    mirror_file(settings).parent.mkdir()
    mirror_file(settings).write_text(body, encoding="latin-1")
    mirror_file(settings).chmod(0o600)
    with pytest.raises(SettingsError, match="no mirror of the token register") as refused:
        Callers(settings)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("body", "changed", "message"),
    [
        ('{"keys": []}', {}, "holds no key"),
        ('{"keys": [{"kty": "oct", "kid": "a", "k": "' + "A" * 43 + '"}]}', {}, "key 'a' signs with HS256, which"),
        ('{"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}', {"jwt_algorithms": "HS256"}, "secret of at least 32"),
        ('{"keys": [{"kty": "oct", "k": "AAAA"}]}', {}, "is no key file"),
        ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AAAA"}]}', {}, "is no key file"),
        ("{", {}, "is no key file"),
        ("-----BEGIN PUBLIC KEY-----", {}, "is no key file"),
        ("{}", {"jwt_algorithms": "none"}, "Allowed: EdDSA, ES256, RS256, HS256"),
        ("{}", {"jwt_issuer": None}, "MESH_JWT_ISSUER and MESH_JWT_AUDIENCE"),
        ("{}", {"jwt_audience": None}, "MESH_JWT_ISSUER and MESH_JWT_AUDIENCE"),
    ],
)  # fmt: skip
def test_a_key_file_that_does_not_fit_is_refused(
    tmp_path: Path, body: str, changed: dict[str, object], message: str
) -> None:
    file = tmp_path / "keys"
    file.write_text(body)
    given = {"home": tmp_path, "jwt_keys": file, "jwt_issuer": "i", "jwt_audience": "a"} | changed
    with pytest.raises(SettingsError, match=message) as refused:
        Callers(Settings(**given))  # type: ignore[arg-type]
    assert "AAAA" not in str(refused.value)


def test_a_private_key_or_a_weak_one_is_no_key_to_check_by(tmp_path: Path) -> None:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    keys = {
        "private": jwt.algorithms.OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate()),
        "weak": jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()),
        "curve": jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()),
    }
    for kid, text in keys.items():
        file = tmp_path / kid
        file.write_text(json.dumps({"keys": [json.loads(text) | {"kid": kid}]}))
        with pytest.raises(SettingsError, match=f"key '{kid}' is not of an allowed kind"):
            Callers(Settings(home=tmp_path, jwt_keys=file, jwt_issuer="i", jwt_audience="a"))


def test_the_command_issues_lists_and_revokes(make_mesh: Callable[..., Mesh]) -> None:
    mesh = make_mesh()

    def run(*words: str) -> str:
        url = mesh.settings.postgres_url
        assert isinstance(url, SecretStr)
        environment = os.environ | {"MESH_HOME": str(mesh.settings.home), "MESH_POSTGRES_URL": url.get_secret_value()}
        done = subprocess.run(
            [str(Path(sys.executable).parent / "mesh"), *words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    told = run("token", "issue", "--role", "reviewer", "--purpose", "reviews", "--expires", "30d", "--name", "team one")
    secret = told.splitlines()[2]
    assert well_formed(secret.encode())
    (token,) = read_tokens(mesh.postgres)
    assert run("token", "revoke", token.id, "--why", "left").startswith(f"Token {token.id} is revoked")
    (listed,) = json.loads(run("token", "list", "--json"))
    assert (listed["state"], listed["bearer"], listed["why"]) == ("revoked", "team one", "left")
    assert secret not in json.dumps(listed)
    assert "no role 'king'" in run("token", "issue", "--role", "king", "--purpose", "x", "--expires", "1d")
