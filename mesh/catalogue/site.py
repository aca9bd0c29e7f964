"""The pages of a catalogue, as text. Every page is whole in itself: style, script and picture stand in it.

What a page may do is in its Content-Security-Policy: nothing comes from elsewhere, and no script or style runs but the
two whose digests it names. Descriptions, reasons and names are foreign text, and every one of them is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mesh.catalogue.gathering import Catalogue, Entry
from mesh.catalogue.picture import picture
from mesh.contract import Contract, ServiceLevel, not_executed
from mesh.contract.service import AGES, of_the_release

TEMPLATES = Path(__file__).parent / "templates"
INDEX, COLUMNS = "index.html", "columns.html"
RELEASES_SHOWN = 50


class Site:
    """Renders the pages of one catalogue, each when it is asked for."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._by_page = {entry.page: entry for entry in catalogue.entries.values()}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every page by its path in the site's folder; what leads to others comes last."""
        return (*sorted(self._by_page), COLUMNS, INDEX)

    def page(self, path: str) -> str | None:
        """A page as HTML, or None where there is none of this path."""
        if path in self._by_page:
            return self._product(self._by_page[path])
        if path == INDEX:
            return self._render("index.html", root="", index=self._index())
        if path == COLUMNS:
            return self._render("columns.html", root="")
        return None

    def _product(self, entry: Entry) -> str:
        results = {result.rule_id: result for result in entry.audit.results} if entry.audit else {}
        pages = {view: page for view in self._sources(entry) if (page := self._view_pages.get(view))}
        return self._render(
            "product.html",
            root="../",
            entry=entry,
            results=results,
            # An age is told by when the next release is due: the page itself does not get older.
            levels={result.level: result for result in entry.levels if not of_the_release(result.level)},
            ruled={level for level in entry.contract.sla if _ruled(entry.contract, level)},
            releases=entry.records[:RELEASES_SHOWN],
            picture=picture(self.catalogue, entry),
            pages=pages,
            left_out=not_executed(entry.contract),
            about=_about(entry),
        )

    @staticmethod
    def _sources(entry: Entry) -> set[str]:
        return {source.table for columns in entry.lineage.values() for column in columns for source in column.sources}

    @cached_property
    def _view_pages(self) -> dict[str, str]:
        """The page of the product behind every published view."""
        served = (entry for entry in self.catalogue.entries.values() if entry.served is not None)
        return {view: entry.page for entry in served if entry.served for view in entry.served.views}

    def _index(self) -> list[dict[str, Any]]:
        """What the search looks through: short keys, for it stands in the page."""
        return [
            {
                "p": entry.product.key,
                "u": entry.page,
                "d": entry.product.description.strip(),
                "o": entry.contract.owner,
                "t": list(entry.contract.odcs.tags or ()),
                "c": [
                    [anchor(table.name, column.name), column.name, column.description.strip()]
                    for table in entry.contract.tables
                    for column in table.columns
                ],
            }
            for entry in self.catalogue.entries.values()
        ]

    def _render(self, template: str, **facts: Any) -> str:
        text: str = self._templates.get_template(template).render(
            catalogue=self.catalogue, style=STYLE, script=SCRIPT, policy=POLICY, **facts
        )
        return text

    @cached_property
    def _templates(self) -> Any:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
            lstrip_blocks=True,
        )  # fmt: skip
        environment.filters |= {"number": _number, "moment": _moment, "machine": _machine, "level": _level}
        environment.globals["anchor"] = anchor
        return environment


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


def _about(entry: Entry) -> Mapping[str, str]:
    """What the contract says of its purpose, use and limits."""
    given = entry.contract.odcs.description
    parts = {name: getattr(given, name, None) for name in ("purpose", "usage", "limitations")} if given else {}
    return {name: " ".join(str(text).split()) for name, text in parts.items() if text}


def _ruled(contract: Contract, level: ServiceLevel) -> bool:
    """True for a level that is a rule of the audit."""
    if level.name in AGES:
        return level.column is not None
    return any((rule.kind, rule.columns) == (level.name, (level.column,)) for rule in contract.rules)


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
