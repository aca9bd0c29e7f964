"""The application: all pages behind one guard."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from mesh.session import Mesh
from services.pages import catalogue, failing, home, models
from services.pages.guard import guarded
from services.pages.site import Site

STATIC = Path(__file__).parent / "static"


def create_app(mesh: Mesh) -> ASGIApp:
    """The pages of one mesh, as an ASGI application. Starts Postgres where it does not run yet."""
    site = Site(mesh)
    routes = [
        *home.routes(site),
        *failing.routes(site),
        *models.routes(site),
        *catalogue.routes(site),
        Route("/health", health),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        told = "There is no such page." if error.status_code == 404 else error.detail
        return site.render("error.html", error.status_code, told=told)

    return guarded(Starlette(routes=routes, exception_handlers={HTTPException: refused}))


async def health(_request: Request) -> Response:
    """Says that the process answers; it looks at nothing."""
    return PlainTextResponse("OK")
