"""The two ways out: a webhook (POST of JSON) and an email (SMTP).

What goes wrong is told in a few words of ours: an address may hold a secret, and what a server says may repeat it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from mesh.notify.outbox import Failure, Message
from mesh.settings import Settings

if TYPE_CHECKING:
    import requests

PATIENCE_SECONDS = 10
LOOPBACK = ("127.0.0.1", "::1", "localhost")
NO_SMTP = Failure("no MESH_SMTP_URL", final=True)
NO_SENDER = Failure("no MESH_MAIL_FROM", final=True)


class _Unencrypted(OSError):
    """A password would travel in plain text."""


class Channels:
    """Delivers messages, one after the other. A server that does not answer is asked once, not for every message."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http: requests.Session | None = None
        self._smtp: smtplib.SMTP | None = None
        self._down: dict[tuple[object, ...], Failure] = {}  # by server

    def __enter__(self) -> Channels:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            self._http.close()
        self._hang_up()

    def send(self, message: Message) -> Failure | None:
        """Deliver a message, or say why not."""
        try:
            return self._email(message) if message.channel == "email" else self._webhook(message)
        except Exception as error:
            # Whatever it is, the next message is not to wait for it.
            return Failure(type(error).__name__)

    def _webhook(self, message: Message) -> Failure | None:
        import requests

        server = _server(urlsplit(message.recipient))
        if server in self._down:
            return self._down[server]
        self._http = self._http or requests.Session()
        content = json.dumps(message.body).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "insight-mesh",
            "Idempotency-Key": message.key,
        }
        secret = self._settings.webhook_secret
        if secret is not None:
            digest = hmac.new(secret.get_secret_value().encode(), content, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={digest}"
        try:
            # Not read to its end: what a receiver answers is of no interest, however long it is.
            with self._http.post(message.recipient, data=content, headers=headers, timeout=PATIENCE_SECONDS,
                                 allow_redirects=False, stream=True) as answer:  # fmt: skip
                return None if 200 <= answer.status_code < 300 else Failure(f"HTTP {answer.status_code}")
        except requests.exceptions.SSLError:
            failure = Failure("certificate not accepted")
        except requests.exceptions.Timeout:
            failure = Failure("timeout")
        except requests.exceptions.ConnectionError:
            failure = Failure("not reachable")
        self._down[server] = failure
        return failure

    def _email(self, message: Message) -> Failure | None:
        if self._settings.smtp_url is None:
            return NO_SMTP
        url = urlsplit(self._settings.smtp_url.get_secret_value())
        sender = self._settings.mail_from or unquote(url.username or "")
        if "@" not in sender:
            return NO_SENDER
        if _server(url) in self._down:
            return self._down[_server(url)]
        mail = _mail(message, sender)
        for again in (False, True):
            known = self._smtp is not None
            try:
                self._smtp = self._smtp or _connect(url)
                self._smtp.send_message(mail)
                return None
            except smtplib.SMTPServerDisconnected:
                self._hang_up()
                if again or not known:
                    failure = Failure("not reachable")
                    break
                # It had been idle for too long; a new connection will do.
            except smtplib.SMTPRecipientsRefused as refused:
                code = refused.recipients[message.recipient][0]
                return Failure(f"recipient refused, {code}", final=code >= 500)
            except smtplib.SMTPAuthenticationError:
                failure = Failure("login refused")
                break
            except smtplib.SMTPResponseException as refused:
                return Failure(f"SMTP {refused.smtp_code}", final=refused.smtp_code >= 500)
            except OSError as error:  # the mother of smtplib's own errors too
                failure = Failure(_words(error))
                break
        self._hang_up()
        self._down[_server(url)] = failure
        return failure

    def _hang_up(self) -> None:
        if self._smtp is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self._smtp.quit()
            self._smtp = None


def _server(url: SplitResult) -> tuple[object, ...]:
    return url.scheme, url.hostname, url.port


def _connect(url: SplitResult) -> smtplib.SMTP:
    """A session with the mail server: encrypted where it can be, and always before a password is told."""
    host, context = str(url.hostname), ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=PATIENCE_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, url.port or 587, timeout=PATIENCE_SECONDS)
    try:
        server.ehlo()
        encrypted = url.scheme == "smtps"
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
            encrypted = True
        if url.username:
            if not encrypted and host not in LOOPBACK:
                raise _Unencrypted
            server.login(unquote(url.username), unquote(url.password or ""))
    except BaseException:
        server.close()
        raise
    return server


def _words(error: OSError) -> str:
    match error:
        case TimeoutError():
            return "timeout"
        case ssl.SSLError():
            return "certificate not accepted"
        case _Unencrypted():
            return "no encryption offered, so no login"
        case smtplib.SMTPNotSupportedError():
            return "no login offered"
        case _:
            return "not reachable"


def _mail(message: Message, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, message.recipient, message.body["subject"]
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.key}@{sender.rpartition('@')[2].rstrip('>')}>"
    mail["Auto-Submitted"] = "auto-generated"  # so that nobody's absence notice answers
    mail.set_content(message.body["text"])
    return mail
