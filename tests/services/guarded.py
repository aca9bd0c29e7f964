"""A small service behind a guard, served on loopback, and a client that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from mesh.access import KeyRing
from mesh.access.grants import OPEN
from mesh.settings import Settings
from services.guard import Guard, Limits, Problem, Rule

PATIENCE_SECONDS = 30
ROUTES = {
    ("POST", "/cases"): "decide",
    ("POST", "/cases/batch"): Rule("decide", body_bytes=5_000),
    ("POST", "/slow"): "decide",
    ("POST", "/conflict"): "decide",
    ("GET", "/cases/{id}"): "read_decision",
    ("POST", "/look"): "insights",
    ("POST", "/forgetful"): "insights",
    ("GET", "/health"): OPEN,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells its caller how long the body was, in every way that a guard must cope with."""
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", scope["method"] == "POST"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(float(body))
    if scope["path"] == "/conflict":
        raise Problem(409, "conflict", "The same case was handed in with another payload.")
    if scope["path"] == "/look":
        scope["mesh.looked_at"] = [body.decode()]
    caller = scope.get("mesh.caller")
    told = {"length": len(body), "role": caller and caller.role, "purpose": caller and caller.purpose}
    status = 404 if scope["path"] == "/cases/missing" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Service:
    port: int
    guard: Guard

    def send(self, *pieces: bytes, pause: float = 0) -> Answer:
        """Send raw bytes, piece by piece, and read the answer to its end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS) as line:
            for place, piece in enumerate(pieces):
                if place:
                    time.sleep(pause)
                with contextlib.suppress(ConnectionError):  # it may be refused before all is sent
                    line.sendall(piece)
            told = b""
            with contextlib.suppress(ConnectionError):
                while got := line.recv(65536):
                    told += got
        return parse(told)

    def ask(
        self,
        path: str,
        bearer: str | None = None,
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: Sequence[tuple[bytes, bytes]] = (),
        host: bytes = b"127.0.0.1",
    ) -> Answer:
        return self.send(head(path, bearer, len(body), method=method, headers=headers, host=host) + body)


def head(
    path: str,
    bearer: str | None = None,
    length: int | None = None,
    *,
    method: str = "POST",
    headers: Sequence[tuple[bytes, bytes]] = (),
    host: bytes = b"127.0.0.1",
) -> bytes:
    given = [(b"Host", host), (b"Connection", b"close"), *headers]
    if bearer:
        given.append((b"Authorization", b"Bearer " + bearer.encode()))
    given.append((b"Transfer-Encoding", b"chunked") if length is None else (b"Content-Length", str(length).encode()))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in given)
    return f"{method} {path} HTTP/1.1\r\n".encode() + lines + b"\r\n"


def parse(told: bytes) -> Answer:
    top, _, body = told.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(body.split(b"\r\n")[1::2])
    return Answer(int(first.split(" ")[1]) if told else 0, headers, body)


@contextlib.contextmanager
def serving(settings: Settings, limits: Limits | None = None) -> Iterator[Service]:
    """The service in a thread of this process, as a server runs it."""
    guard = Guard(app, ROUTES, settings=settings, keyring=KeyRing.load(settings), limits=limits)
    config = uvicorn.Config(guard, port=0, log_level="error", ws="none", lifespan="on", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield Service(server.servers[0].sockets[0].getsockname()[1], guard)
    finally:
        server.should_exit = True
        thread.join()


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.02)
