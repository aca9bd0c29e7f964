"""`/`: every product and how its last audit went."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from mesh.release import last_audits
from mesh.session import Mesh
from services.pages.site import Page, Site


def routes(site: Site) -> list[Route]:
    return [site.route("/", home)]


def home(mesh: Mesh, _request: Request) -> Page:
    audits, served = last_audits(mesh.postgres), mesh.history().served
    products = [
        {
            "key": key,
            "owner": product.contract.owner,
            "release": served[key].release if key in served else None,
            "rows": sum(served[key].rows.values()) if key in served else None,
            "audit": audits.get(key),
        }
        for key, product in mesh.project.products.items()
    ]
    return Page("home.html", {"products": products})
