"""How much a service takes: per request, per bearer and at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mesh.access.grants import OPEN, PERMISSIONS
from mesh.settings import Settings
from services.guard.problem import Problem, retry

MAX_HEADERS = 64
MAX_HEADER_BYTES = 16 * 1024
HOSTS = frozenset({b"127.0.0.1", b"localhost", b"[::1]"})
"""A site elsewhere can let its own name point to 127.0.0.1; then the browser sends that name, which is refused."""


@dataclass(frozen=True)
class Limits:
    """What a service takes.

    Attributes:
        rate: requests a second and bearer; twice as many may come at once after a pause.
        concurrent: requests at work at once; those beyond are refused before anything of them is looked at.
        body_seconds: from the head of a request to the end of its body.
        seconds: from the end of the body to the beginning of the answer.
    """

    rate: float = 10_000
    concurrent: int = 256
    body_bytes: int = 64 * 1024
    body_seconds: float = 5
    seconds: float = 10

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            settings.service_rate, settings.service_concurrent, settings.service_body_bytes,
            settings.service_body_seconds, settings.service_seconds,
        )  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """What a route needs and takes; None is what the service's limits say."""

    permission: str
    body_bytes: int | None = None
    body_seconds: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A route as the guard knows it, with nothing left to look up."""

    name: str
    permission: str
    body_bytes: int
    body_seconds: float
    seconds: float


class Routes:
    """The routes of a service: which there are and what each needs. What is not declared is not served."""

    def __init__(self, declared: Mapping[tuple[str, str], str | Rule], limits: Limits) -> None:
        """Raises:
        ValueError: a route names a permission that does not exist.
        """
        self._exact: dict[tuple[str, str], Route] = {}
        self._templates: list[tuple[str, re.Pattern[str], Route]] = []
        for (method, path), given in declared.items():
            rule = given if isinstance(given, Rule) else Rule(given)
            if rule.permission != OPEN and rule.permission not in PERMISSIONS:
                allowed = ", ".join((*PERMISSIONS, OPEN))
                raise ValueError(f"{method} {path}: no permission {rule.permission!r}. Allowed: {allowed}.")
            route = Route(
                f"{method} {path}",
                rule.permission,
                rule.body_bytes or limits.body_bytes,
                rule.body_seconds or limits.body_seconds,
                rule.seconds or limits.seconds,
            )
            if "{" in path:
                parts = re.split(r"\{(\w+)\}", path)
                form = "".join(
                    re.escape(part) if place % 2 == 0 else f"(?P<{part}>[^/]+)" for place, part in enumerate(parts)
                )
                self._templates.append((method, re.compile(form), route))
            else:
                self._exact[method, path] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        """The route of a request and what stands in its template's places.

        Raises:
            Problem: there is none.
        """
        found = self._exact.get((method, path))
        if found is not None:
            return found, {}
        allowed = {other for other, known in self._exact if known == path}
        for other, form, route in self._templates:
            match = form.fullmatch(path)
            if match and other == method:
                return route, match.groupdict()
            if match:
                allowed.add(other)
        if allowed:
            listed = ", ".join(sorted(allowed))
            raise Problem(
                405,
                "method",
                f"This path does not take that method. Allowed: {listed}.",
                ((b"allow", listed.encode()),),
            )
        raise Problem(404, "no-such-path", "There is nothing at this path.")


class Buckets:
    """A token bucket for every bearer (budget): full at first, filled at a steady rate."""

    def __init__(self, rate: float) -> None:
        self._rate, self._size = rate, max(1.0, 2 * rate)
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, budget: str, now: float) -> None:
        """Take one request.

        Raises:
            Problem: the bucket is empty; the header says when to come again.
        """
        level, before = self._levels.get(budget, (self._size, now))
        level = min(self._size, level + (now - before) * self._rate)
        if level < 1:
            raise Problem(
                429, "too-many-requests", "This bearer asks more often than it may.", retry((1 - level) / self._rate)
            )
        self._levels[budget] = (level - 1, now)

    def forget(self, now: float) -> None:
        """Drop the buckets that are full again by now: they are as good as new ones."""
        idle = [key for key, (level, at) in self._levels.items() if level + (now - at) * self._rate >= self._size]
        for key in idle:
            del self._levels[key]


@dataclass(frozen=True, slots=True)
class Head:
    """What the headers of a request say to the guard.

    Attributes:
        length: of the body, where it is told beforehand.
        body: whether there is one.
    """

    authorization: bytes | None
    length: int
    body: bool


def check_head(headers: list[tuple[bytes, bytes]]) -> Head:
    """What the guard needs to know of the headers.

    Raises:
        Problem: too many or too long headers, a foreign host, or one of those that must be there once is there twice.
    """
    if len(headers) > MAX_HEADERS:
        raise Problem(431, "headers", f"Too many headers. Allowed: {MAX_HEADERS}.")
    size = 0
    host = authorization = length = None
    chunked = False
    for name, value in headers:
        size += len(name) + len(value)
        if name == b"host":
            host = _once(host, value)
        elif name == b"authorization":
            authorization = _once(authorization, value)
        elif name == b"content-length":
            length = _once(length, value)
        elif name == b"transfer-encoding":
            chunked = True
    if size > MAX_HEADER_BYTES:
        raise Problem(431, "headers", f"The headers are too long. Allowed: {MAX_HEADER_BYTES} bytes in all.")
    if host is None or (host not in HOSTS and _name(host) not in HOSTS):
        raise Problem(400, "host", "The Host header names another host. Allowed: 127.0.0.1, localhost, [::1].")
    if length is not None and not (length.isdigit() and len(length) < 19):
        raise Problem(400, "headers", "The Content-Length is no number.")
    size = 0 if length is None else int(length)
    return Head(authorization, size, chunked or size > 0)


def _once(before: bytes | None, value: bytes) -> bytes:
    if before is not None:
        raise Problem(400, "headers", "Host, Authorization and Content-Length may be given once only.")
    return value


def _name(host: bytes) -> bytes:
    name, colon, port = host.rpartition(b":")
    return name if colon and port.isdigit() else host
