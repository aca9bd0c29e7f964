"""Refusals as `application/problem+json` (RFC 9457). None of them repeats anything of the request."""

from __future__ import annotations

from http import HTTPStatus
from uuid import uuid4

import msgspec
from starlette.types import Send

HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
"""What every answer of a guarded service carries: it may hold personal data."""


_encode = msgspec.json.Encoder().encode


class Body(msgspec.Struct, frozen=True, rename="camel"):
    """A refusal, as it leaves."""

    type: str
    title: str
    status: int
    detail: str
    correlation_id: str


class Problem(Exception):
    """Why a request is refused.

    Attributes:
        kind: the last part of its type; the same for the same cause, for programs and metrics.
        why: for the record only, where the cause must not be told to whoever asked.
        token: the id of a token that is known and yet not accepted; for the record, too.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        *,
        why: str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers = status, kind, detail, headers
        self.why, self.token = why or kind, token

    def body(self, correlation: str) -> bytes:
        title = HTTPStatus(self.status).phrase
        return _encode(Body(f"urn:insight-mesh:problem:{self.kind}", title, self.status, self.detail, correlation))


def retry(seconds: float) -> tuple[tuple[bytes, bytes], ...]:
    """The header that says when to come again, in whole seconds and never zero."""
    return ((b"retry-after", str(max(1, -int(-seconds // 1))).encode()),)


def new_correlation() -> str:
    """An id by which a caller, a log and an operator speak of the same request."""
    return str(uuid4())


async def answer(send: Send, problem: Problem, correlation: str, *, close: bool = False) -> None:
    """Send a refusal as the whole answer.

    Args:
        close: end the connection, because what is left of the request will not be read.
    """
    body = problem.body(correlation)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        *HEADERS,
        *problem.headers,
        *([(b"connection", b"close")] if close else []),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
