"""The guard: an ASGI application around another one.

What costs least comes first: how many are at work, the headers, the route, the bearer, the rate; then the body, as it
is read. Whatever is refused is answered here, and nothing of it reaches the application. Answers to looks (see
`mesh.access.grants.LOOKS`) leave only after the look is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mesh.access.callers import Callers
from mesh.access.grants import OPEN, Caller
from mesh.access.jwts import Refused
from mesh.access.keys import KeyRing
from mesh.access.register import FOLDER
from mesh.access.trail import Event, Trail
from mesh.errors import MeshError
from mesh.settings import Settings
from services.guard.exchange import Exchange
from services.guard.limits import Buckets, Limits, Routes, Rule, check_head
from services.guard.problem import Problem, answer, new_correlation, retry
from services.guard.upkeep import Upkeep
from services.guard.watch import Watch

OVERLOADED_SECONDS = 1
FORGET_SECONDS = 60
NOT_ACCEPTED = "A bearer token is needed, and there is none here that is accepted."
CHALLENGE = ((b"www-authenticate", b"Bearer"),)


class Guard:
    """Serves an application to those who may ask it.

    The application finds its caller in `scope["mesh.caller"]`. It may put the id that it gives the request into
    `scope["mesh.correlation"]`, puts the values that were looked at into `scope["mesh.looked_at"]` (a list) where they
    do not stand in the path, and may raise `Problem`. It takes part in the lifespan protocol, as Starlette's do.

    Attributes:
        counts: refusals by kind, for metrics.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[tuple[str, str], str | Rule],
        *,
        settings: Settings,
        keyring: KeyRing,
        limits: Limits | None = None,
        name: str = "service",
    ) -> None:
        """Args:
            routes: method and path template, and the permission that it needs (or a `Rule`); OPEN needs none.
            name: of the service; its trail has a folder of that name.

        Raises:
            SettingsError: the files that callers are known by are wrong.
        """
        self.limits = limits or Limits.of(settings)
        self.counts: Counter[str] = Counter()
        self.app = app
        self._settings, self._keyring = settings, keyring
        self._folder = settings.home / FOLDER / "trail" / name
        self._routes = Routes(routes, self.limits)
        self._callers = Callers(settings)
        self._buckets = Buckets(self.limits.rate)
        self._watch = Watch()
        self._trail: Trail | None = None
        self._upkeep: Upkeep | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def at_work(self) -> int:
        """How many requests are at work."""
        return len(self._watch.at_work)

    @property
    def trail(self) -> Trail:
        if self._trail is None:
            raise RuntimeError("The guard has not been started: serve it with the lifespan protocol on.")
        return self._trail

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Guard]:
        """The guard at work; a server does the same by the lifespan protocol.

        Raises:
            ServiceError: another process keeps the trail of this service.
        """
        self._start()
        try:
            yield self
        finally:
            await self._stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif len(self._watch.at_work) >= self.limits.concurrent and not self._may_always(scope):
            problem = Problem(
                503, "overloaded", "More requests are at work than the service takes.", retry(OVERLOADED_SECONDS)
            )
            await self._refuse(Exchange(self.trail, scope, receive, send, self.limits.body_seconds), problem)
        else:
            exchange = Exchange(self.trail, scope, receive, send, self.limits.body_seconds)
            self._watch.at_work.add(exchange)
            try:
                await self._serve(scope, exchange)
            finally:
                self._watch.at_work.discard(exchange)

    async def _serve(self, scope: Scope, exchange: Exchange) -> None:
        try:
            self._admit(scope, exchange)
            await self.app(scope, exchange.receive, exchange.send)
        except Problem as problem:
            await self._refuse(exchange, problem)
        except asyncio.CancelledError:
            if not exchange.overdue:
                raise
            exchange.task.uncancel()
            await self._refuse(exchange, exchange.too_late())
        else:
            if exchange.problem is not None:
                # The application has made an answer of its own out of what ended its reading.
                await self._refuse(exchange, exchange.problem)

    def _admit(self, scope: Scope, exchange: Exchange) -> None:
        head = check_head(scope["headers"])
        route, places = self._routes.find(scope["method"], scope["path"])
        exchange.take(route, places, body=head.body)
        if route.permission != OPEN:
            caller = exchange.caller = scope["mesh.caller"] = self._identify(head.authorization, scope["query_string"])
            if route.permission not in caller.permissions:
                raise Problem(403, "not-permitted", "The role of this bearer does not permit this.")
            self._buckets.take(caller.budget, time.monotonic())
        if head.length > route.body_bytes:
            raise exchange.too_large()
        exchange.admitted = True

    def _identify(self, header: bytes | None, query: bytes) -> Caller:
        # Addresses are logged on their way: a secret there is known to others by now.
        if query and b"access_token" in query.lower():
            raise Problem(401, "not-accepted", NOT_ACCEPTED, CHALLENGE, why="token in the address")
        if header is None:
            raise Problem(401, "not-accepted", NOT_ACCEPTED, CHALLENGE, why="no token")
        try:
            return self._callers.identify(header)
        except Refused as refused:
            # One answer for all causes: whoever tries tokens must not learn which are nearly right.
            raise Problem(
                401, "not-accepted", NOT_ACCEPTED, CHALLENGE, why=f"token: {refused.why}", token=refused.token
            ) from None

    async def _refuse(self, exchange: Exchange, problem: Problem) -> None:
        correlation = exchange.scope.setdefault("mesh.correlation", new_correlation())
        if not exchange.admitted or problem is exchange.problem:
            self.counts[problem.kind] += 1
            caller = exchange.caller
            event = Event(
                outcome=f"refused: {problem.why}",
                status=problem.status,
                route=None if exchange.route is None else exchange.route.name,
                token=problem.token if caller is None else caller.token,
                bearer=None if caller is None else caller.bearer,
                role=None if caller is None else caller.role,
                purpose=None if caller is None else caller.purpose,
            )
            self.trail.refused(event, correlation)
        if not exchange.started:
            exchange.started = True
            await answer(exchange.send_raw, problem, correlation, close=problem.status in (408, 413))

    def _may_always(self, scope: Scope) -> bool:
        """Whether the service lives is told in a crowd, too, or it would be ended for having much to do."""
        try:
            return self._routes.find(scope["method"], scope["path"])[0].permission == OPEN
        except Problem:
            return False

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        first: Message | None = await receive()
        try:
            self._start()
        except MeshError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return

        async def receive_again() -> Message:
            nonlocal first
            message, first = first, None
            return message or await receive()

        async def send_on(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                # Before the server hears of it: then it ends, whatever is still being done.
                await self._stop()
            await send(message)

        await self.app(scope, receive_again, send_on)

    def _start(self) -> None:
        self._trail = Trail(self._folder, self._keyring)
        self._upkeep = Upkeep(self._settings, self._callers, self._trail)
        self._tasks = [asyncio.create_task(self._watch.keep()), asyncio.create_task(self._forget())]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._trail is not None and self._upkeep is not None:
            await asyncio.to_thread(self._trail.finish)
            await asyncio.to_thread(self._upkeep.stop)
            await asyncio.to_thread(self._trail.close)

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(FORGET_SECONDS)
            self._buckets.forget(time.monotonic())
