"""`/failures/DOMAIN/PRODUCT?rule=RULE`: the failing rows of the last audit, by key and place, without values."""

from __future__ import annotations

from starlette.requests import Request
from starlette.routing import Route

from mesh.failures import MASK, look
from mesh.session import Mesh
from services.pages.site import Page, Site

LIMIT = 50


def routes(site: Site) -> list[Route]:
    return [site.route("/failures/{domain}/{product}", failures)]


def failures(mesh: Mesh, request: Request) -> Page:
    key = f"{request.path_params['domain']}/{request.path_params['product']}"
    rule = request.query_params.get("rule") or None
    found = look(mesh, key, rule=rule, limit=LIMIT)
    served = mesh.history().served.get(key)
    return Page(
        "failures.html",
        {
            "found": found,
            "rule": rule,
            "owner": mesh.project.product(key).contract.owner,
            "release": served.release if served else None,
            "blocked": found.verdict == "failed",
            "quarantined": any(finding.quarantined for finding in found.findings),
            "rejected": any(finding.rejected for finding in found.findings),
            "mask": MASK,
        },
    )
