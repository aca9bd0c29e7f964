"""`/catalogue/...`: the catalogue, made anew when a contract, a release, an audit or a look at values came since."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from mesh import catalogue
from mesh.catalogue.site import INDEX, POLICY
from mesh.errors import NotFound
from mesh.session import Mesh
from services.pages.site import Site

# Its pages bring their own style and script and name them by digest; all else of the guard holds for them too.
HEADERS: Mapping[str, str] = MappingProxyType({"Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'"})


def routes(site: Site) -> list[Route]:
    pages = _Pages()
    return [
        Route("/catalogue", lambda _request: RedirectResponse(f"/catalogue/{INDEX}")),
        Route("/catalogue/", lambda _request: RedirectResponse(f"/catalogue/{INDEX}")),
        site.answer("/catalogue/{path:path}", pages.answer),
    ]


class _Pages:
    """The catalogue as it was made last; pages are rendered when they are asked for, and kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stamp = ""
        self._site: catalogue.Site | None = None
        self._pages: dict[str, str | None] = {}

    def answer(self, mesh: Mesh, request: Request) -> Response:
        path = str(request.path_params["path"])
        with self._lock:
            stamp = catalogue.stamp(mesh)
            if self._site is None or stamp != self._stamp:
                self._site, self._pages = catalogue.Site(catalogue.gather(mesh)), {}
                self._stamp = stamp
            if path not in self._pages and path in self._site.paths:
                self._pages[path] = self._site.page(path)
            text = self._pages.get(path)
        if text is None:
            raise NotFound("There is no such page in the catalogue. It starts at /catalogue/index.html.")
        return HTMLResponse(text, headers=dict(HEADERS))
