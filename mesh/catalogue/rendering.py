"""Templates, style and script of the pages, and what a page may do.

What a page may do is in its Content-Security-Policy: nothing comes from elsewhere, and no script or style runs but the
two whose digests it names. Descriptions, reasons and names are foreign text, and every one of them is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from mesh.access.clearance import classified
from mesh.contract import Contract, ServiceLevel
from mesh.contract.evolution.nested import inside

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **facts: Any) -> str:
    """A page as HTML; a fact that the template needs and does not get is an error."""
    text: str = _templates().get_template(template).render(style=STYLE, script=SCRIPT, policy=POLICY, **facts)
    return text


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "number": _number, "moment": _moment, "machine": _machine, "level": _level,
        "classified": classified,
    }  # fmt: skip
    environment.globals |= {"anchor": anchor, "owner_anchor": owner_anchor, "inside": inside}
    return environment


def owner_anchor(owner: str) -> str:
    """The place of an owner on the first page."""
    return f"owner-{'-'.join(owner.split())}"


def anchor(table: str, column: str) -> str:
    """The place of a column on its product's page."""
    return f"column-{table}.{column}"


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


STYLE, SCRIPT = _read("style.css"), _read("script.js")
POLICY = (
    f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""What a browser lets the pages do. By digest and not by origin: pages that are opened as files have none."""


def about(contract: Contract) -> Mapping[str, str]:
    """What the contract says of its purpose, use and limits."""
    given = contract.odcs.description
    parts = {name: getattr(given, name, None) for name in ("purpose", "usage", "limitations")} if given else {}
    return {name: " ".join(str(text).split()) for name, text in parts.items() if text}


def _number(value: int | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,}"


def _moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC" if value else "never"


def _machine(value: datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}"


def _level(level: ServiceLevel) -> str:
    """The value of a service level as people say it."""
    names = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week", "y": "year"}
    if level.unit is None or isinstance(level.value, bool):
        return str(level.value)
    unit = names.get(level.unit, level.unit)
    return f"{level.value} {unit}" + ("s" if level.value != 1 and unit in names.values() else "")
