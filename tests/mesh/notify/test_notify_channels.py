"""The two channels against real servers: what arrives, what is told of a failure, and what is never done."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from pydantic import SecretStr

from mesh.errors import SettingsError
from mesh.notify.channels import NO_SENDER, NO_SMTP, Channels
from mesh.notify.outbox import Failure, Message
from mesh.settings import Settings, get_settings
from tests.conftest import ROOT
from tests.mesh.notify.receivers import Hooks, Mailbox, mail_server

BODY = {"event": "release:shop/orders@1", "subject": "[Insight Mesh] shop/orders: new", "text": "Line.\n\nEnd – ok\n"}


def channels(**settings: object) -> Channels:
    given = {name: SecretStr(str(value)) if name != "mail_from" else value for name, value in settings.items()}
    return Channels(Settings(project=ROOT, **given))  # type: ignore[arg-type]


def hook(url: str, number: int = 1) -> Message:
    return Message(f"release:shop/orders@{number}", "shop/orders", "webhook", url, BODY)


def mail(address: str = "ann@example.org", number: int = 1) -> Message:
    return Message(f"release:shop/orders@{number}", "shop/orders", "email", address, BODY)


def test_a_webhook_is_json_with_a_key_and_a_signature(hooks: Hooks) -> None:
    with channels(webhook_secret="s3cret") as out:
        assert out.send(hook(hooks.url("/mesh?x=1"))) is None
    [post] = hooks.posts
    assert (post.path, json.loads(post.content)) == ("/mesh?x=1", BODY)
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Idempotency-Key"] == hook(hooks.url("/mesh?x=1")).key
    expected = hmac.new(b"s3cret", post.content, hashlib.sha256).hexdigest()
    assert post.headers["X-Hub-Signature-256"] == f"sha256={expected}"


def test_without_a_secret_there_is_no_signature(hooks: Hooks) -> None:
    with channels() as out:
        assert out.send(hook(hooks.url())) is None
    assert not [name for name in hooks.posts[0].headers if "ignature" in name]


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_whatever_is_not_a_success_is_a_failure_and_no_redirect_is_followed(hooks: Hooks, status: int) -> None:
    hooks.answers = [status]
    with channels() as out:
        assert out.send(hook(hooks.url())) == Failure(f"HTTP {status}")
        assert out.send(hook(hooks.url())) is None
    assert [post.path for post in hooks.posts] == ["/mesh", "/mesh"]


def test_a_server_that_does_not_answer_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.notify.channels.PATIENCE_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent, channels() as out:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert out.send(hook(f"{url}/one")) == Failure("timeout")
        asked = silent.accept()[0]
        started = time.monotonic()
        assert out.send(hook(f"{url}/two")) == Failure("timeout")
        assert time.monotonic() - started < 0.3
        silent.settimeout(0.1)
        with pytest.raises(TimeoutError):
            silent.accept()
        asked.close()


def test_one_server_that_is_down_says_nothing_of_another(hooks: Hooks) -> None:
    with channels() as out:
        assert out.send(hook("http://127.0.0.1:1/secret")) == Failure("not reachable")
        assert out.send(hook(hooks.url())) is None


def test_an_email_says_it_was_made_by_a_machine_and_has_a_lasting_id(mailbox: Mailbox) -> None:
    with channels(smtp_url=mailbox.url, mail_from="Insight Mesh <mesh@example.org>") as out:
        assert out.send(mail()) is None
        assert out.send(mail("bob@example.org")) is None
        assert out.send(mail()) is None
    assert [one["To"] for one in mailbox.mails] == ["ann@example.org", "bob@example.org", "ann@example.org"]
    first, second, third = mailbox.mails
    assert {name: first[name] for name in ("From", "To", "Subject", "Auto-Submitted")} == {
        "From": "Insight Mesh <mesh@example.org>",
        "To": "ann@example.org",
        "Subject": "[Insight Mesh] shop/orders: new",
        "Auto-Submitted": "auto-generated",
    }
    assert first.get_content().splitlines() == BODY["text"].splitlines()
    assert first["Message-ID"] == f"<{mail().key}@example.org>" == third["Message-ID"]
    assert first["Message-ID"] != second["Message-ID"]


def test_a_refused_mailbox_is_final_and_a_busy_server_is_not(mailbox: Mailbox) -> None:
    mailbox.refuse = ["451 busy", "554 spam"]
    with channels(smtp_url=mailbox.url, mail_from="mesh@example.org") as out:
        assert out.send(mail("nobody@example.org")) == Failure("recipient refused, 550", final=True)
        assert out.send(mail()) == Failure("SMTP 451")
        assert out.send(mail()) == Failure("SMTP 554", final=True)
        assert out.send(mail()) is None


def test_a_connection_that_was_dropped_is_made_anew(mailbox: Mailbox) -> None:
    with channels(smtp_url=mailbox.url, mail_from="mesh@example.org") as out:
        assert out.send(mail()) is None
        assert out._smtp is not None
        assert out._smtp.sock is not None
        out._smtp.sock.shutdown(2)
        assert out.send(mail()) is None
    assert len(mailbox.mails) == 2


def test_without_a_mail_server_or_a_sender_the_setting_is_named() -> None:
    with channels() as out:
        assert out.send(mail()) == NO_SMTP == Failure("no MESH_SMTP_URL", final=True)
    with channels(smtp_url="smtp://127.0.0.1:1") as out:
        assert out.send(mail()) == NO_SENDER == Failure("no MESH_MAIL_FROM", final=True)
    with channels(smtp_url="smtp://127.0.0.1:1", mail_from="mesh@example.org") as out:
        assert out.send(mail()) == Failure("not reachable")
        assert out.send(mail(number=2)) == Failure("not reachable")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 and 127.0.0.2 with its key, trusted by nobody."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(f"127.0.0.{number}")) for number in (1, 2)])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).add_extension(names, False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def login(_server: object, _session: object, _envelope: object, _how: str, given: LoginPassword) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (b"mesh@example.org", b"p@ss"), handled=False)


def test_a_password_is_told_to_an_encrypted_server_only(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mail_server("127.0.0.2", tls_context=tls(certificate), authenticator=login) as mailbox:
        url = mailbox.url.replace("//", "//mesh%40example.org:p%40ss@")
        with channels(smtp_url=url) as out:
            assert out.send(mail()) == Failure("certificate not accepted")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with channels(smtp_url=url.replace("p%40ss", "wrong")) as out:
            assert out.send(mail()) == Failure("login refused")
        with channels(smtp_url=url) as out:
            assert out.send(mail()) is None
        assert [one["From"] for one in mailbox.mails] == ["mesh@example.org"]
    with mail_server("127.0.0.2", authenticator=login, auth_require_tls=False) as mailbox:
        with channels(smtp_url=mailbox.url.replace("//", "//mesh%40example.org:p%40ss@")) as out:
            assert out.send(mail()) == Failure("no encryption offered, so no login")
        assert mailbox.mails == []


def test_smtps_is_encrypted_from_the_first_byte(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(ssl_context=tls(certificate)) as mailbox:
        with channels(smtp_url=mailbox.url.replace("smtp:", "smtps:"), mail_from="mesh@example.org") as out:
            assert out.send(mail()) is None
        assert len(mailbox.mails) == 1


@pytest.mark.parametrize("url", ["http://mail.example.org:s3cret", "smtp://", "smtp://u:s3cret@mail.example.org:x", ""])
def test_a_wrong_mail_server_is_refused_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_SMTP_URL", url)
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match=r"MESH_SMTP_URL: .*allowed is smtp://USER:PASSWORD@HOST:PORT") as error:
        get_settings()
    assert "s3cret" not in str(error.value)
