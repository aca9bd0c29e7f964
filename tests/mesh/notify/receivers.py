"""Real receivers on loopback: a mail server, and a web server that takes hooks."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Mailbox:
    """A mail server; `refuse` is what it answers to the next messages, one after the other."""

    host: str
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuse: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"smtp://{self.host}:{self.port}"

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse.pop(0)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        assert envelope.rcpt_tos == [mail["To"]]
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_server(host: str = "127.0.0.1", **options: Any) -> Iterator[Mailbox]:
    """Options as aiosmtpd's Controller takes them: tls_context, authenticator, ..."""
    mailbox = Mailbox(host)
    with socket.socket() as probe:  # the server does not take 0 for any free port
        probe.bind((host, 0))
        mailbox.port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname=host, port=mailbox.port, **options)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@dataclass(frozen=True)
class Post:
    """One request that arrived."""

    path: str
    headers: dict[str, str]
    content: bytes


@dataclass
class Hooks:
    """A web server; `answers` are the statuses of the next requests, 204 once they are used up."""

    port: int = 0
    posts: list[Post] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def url(self, path: str = "/mesh") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextmanager
def web_server() -> Iterator[Hooks]:
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            hooks.posts.append(Post(self.path, dict(self.headers), content))
            self.send_response(hooks.answers.pop(0) if hooks.answers else 204)
            self.send_header("Location", hooks.url("/elsewhere"))
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hooks.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hooks
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
