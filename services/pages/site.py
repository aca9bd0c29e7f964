"""What pages share: templates, errors told without values, and a mesh that can only be read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from mesh.errors import MeshError, NotFound, ServiceError, UsageError
from mesh.session import Mesh

TEMPLATES = Path(__file__).parent / "templates"
STATUSES: tuple[tuple[type[MeshError], int], ...] = ((NotFound, 404), (UsageError, 404), (ServiceError, 503))

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Page:
    """A template and what goes into it."""

    template: str
    facts: Mapping[str, Any] = field(hash=False)


View = Callable[[Mesh, Request], Page]


class Site:
    """Renders pages of one mesh."""

    def __init__(self, mesh: Mesh) -> None:
        # Once, as the owner: it starts the embedded server. From here on every request reads as an observer.
        self._postgres = mesh.postgres
        self._settings = mesh.settings
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        self._templates.filters |= {"number": _number, "moment": _moment, "rows": _rows}

    def route(self, path: str, view: View) -> Route:
        """A route that shows what a view gives, or its error as a page."""

        def rendered(mesh: Mesh, request: Request) -> Response:
            page = view(mesh, request)
            return self.render(page.template, **page.facts)

        return self.answer(path, rendered)

    def answer(self, path: str, give: Callable[[Mesh, Request], Response]) -> Route:
        """A route that gives an answer of its own, or its error as a page."""

        def endpoint(request: Request) -> Response:
            try:
                # Files are read anew for every request: a contract may have been edited since.
                return give(Mesh.observing(self._settings, self._postgres), request)
            except MeshError as error:
                status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
                return self.render("error.html", status, told=str(error))
            except Exception as error:
                # Neither the page nor the log gets the text of a foreign error: it could quote a row.
                _log.error("%s: unexpected %s", path, type(error).__name__)
                told = f"Unexpected {type(error).__name__}. This is a fault of the mesh; please report it."
                return self.render("error.html", 500, told=told)

        return Route(path, endpoint)

    def render(self, template: str, status: int = 200, **facts: Any) -> Response:
        """A template as an answer. Every value in it is escaped."""
        return HTMLResponse(self._templates.get_template(template).render(**facts), status)


def _number(value: int | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,}"


def _rows(value: int) -> str:
    return f"{value:,} row" + ("" if value == 1 else "s")


def _moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "never"
