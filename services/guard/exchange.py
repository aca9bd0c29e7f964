"""One request and its answer, as they pass through the guard."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mesh.access.grants import LOOKS, Caller
from mesh.access.trail import Event, Trail, TrailBroken
from services.guard.limits import Route
from services.guard.problem import HEADERS, Problem, new_correlation, retry

NO_RECORD_SECONDS = 5

_log = logging.getLogger(__name__)


class Exchange:
    """The limits of one request's body and time, and the record of one look.

    Attributes:
        admitted: the application has it.
        started: an answer has begun; there is nothing to refuse it with any more.
        overdue: it was cancelled because its time was over.
        problem: what the guard ended it with while the application had it.
    """

    __slots__ = (
        "_body", "_got", "_places", "_reading", "_receive", "_trail", "admitted", "caller", "deadline", "overdue",
        "problem", "route", "scope", "send_raw", "started", "task",
    )  # fmt: skip

    def __init__(self, trail: Trail, scope: Scope, receive: Receive, send: Send, seconds: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task: asyncio.Task[Any] = task
        self.deadline = time.monotonic() + seconds
        self.scope = scope
        self.send_raw = send
        self.route: Route | None = None
        self.caller: Caller | None = None
        self.problem: Problem | None = None
        self.admitted = self.overdue = self.started = False
        self._trail = trail
        self._receive = receive
        self._places: Mapping[str, str] = {}
        self._got = 0
        self._body = True
        self._reading = False

    def take(self, route: Route, places: Mapping[str, str], *, body: bool) -> None:
        """From here on it is a request to this route."""
        self.route, self._places, self._body = route, places, body
        self.deadline = time.monotonic() + (route.body_seconds if body else route.seconds)

    async def receive(self) -> Message:
        """The application's `receive`.

        Raises:
            Problem: the body is larger than the route takes.
        """
        assert self.route is not None
        self._reading = True
        message = await self._receive()
        self._reading = False
        if message["type"] == "http.request" and self._body:
            self._got += len(message.get("body", b""))
            if self._got > self.route.body_bytes:
                raise self.too_large()
            if not message.get("more_body", False):
                self._body = False
                self.deadline = time.monotonic() + self.route.seconds
        return message

    async def send(self, message: Message) -> None:
        """The application's `send`: an answer begins once its look is on record, and goes on while it moves."""
        if self.problem is not None:
            return  # the guard answers, once the application is done
        assert self.route is not None
        if message["type"] == "http.response.start":
            if self.route.permission in LOOKS:
                await self._record(message["status"])
                if self.problem is not None:
                    return
            self.started = True
            message["headers"] = [*message.get("headers", ()), *HEADERS]
        await self.send_raw(message)
        if not self._body:
            self.deadline = time.monotonic() + self.route.seconds

    def too_large(self) -> Problem:
        assert self.route is not None
        self.problem = Problem(413, "body-too-large", f"The body is too large. Allowed: {self.route.body_bytes} bytes.")
        return self.problem

    def too_late(self) -> Problem:
        if self._reading and self._body:
            self.problem = Problem(408, "body-too-slow", "The body did not arrive in the time that it may take.")
        else:
            self.problem = Problem(504, "too-slow", "The answer was not there in the time that it may take.")
        return self.problem

    async def _record(self, status: int) -> None:
        caller, route = self.caller, self.route
        assert caller is not None
        assert route is not None
        subjects = self.scope.get("mesh.looked_at") or list(self._places.values())
        if status < 400 and not subjects:
            _log.error(
                "%s told nobody what was looked at (scope['mesh.looked_at']); its answer is held back.", route.name
            )
            self.problem = Problem(500, "not-on-record", "The look could not be put on record, so nothing is shown.")
            return
        outcome = "given" if status < 400 else "not given"
        event = Event(outcome, status, route.name, caller.token, caller.bearer, caller.role, caller.purpose)
        correlation = self.scope.setdefault("mesh.correlation", new_correlation())
        try:
            await self._trail.looked(event, correlation, subjects)
        except TrailBroken as error:
            self.problem = Problem(503, "not-on-record", str(error), retry(NO_RECORD_SECONDS))
