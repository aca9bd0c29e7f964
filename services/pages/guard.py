"""What holds for every answer, whatever page gave it: who may ask, how, and what a browser may do with it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A site elsewhere can let its own name point to 127.0.0.1; then the browser sends that name, which is refused.
HOSTS = ["127.0.0.1", "localhost"]
POLICY = "Content-Security-Policy"
"""A page may bring its own; every other header is the same for all."""
METHODS = ("GET", "HEAD")
HEADERS = {
    POLICY: (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Keys of rows do not belong into the cache of a browser.
    "Cache-Control": "no-store",
}


def guarded(app: ASGIApp) -> ASGIApp:
    """The application behind its guard: refusals carry the headers too."""
    return _Guard(TrustedHostMiddleware(app, allowed_hosts=HOSTS, www_redirect=False))


class _Guard:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = headers.get(POLICY)
                headers.update(HEADERS | ({POLICY: own} if own else {}))
            await send(message)

        if scope["method"] in METHODS:
            await self.app(scope, receive, send_guarded)
            return
        refusal = PlainTextResponse("These pages can only be read.", 405, {"Allow": ", ".join(METHODS)})
        await refusal(scope, receive, send_guarded)
