"""The pages of a catalogue, as text. Every page is whole in itself: style, script and picture stand in it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mesh.catalogue.gathering import Catalogue, Entry
from mesh.catalogue.picture import picture
from mesh.catalogue.rendering import POLICY, about, anchor, render
from mesh.contract import Contract, ServiceLevel, not_executed
from mesh.contract.evolution.nested import inside
from mesh.contract.service import AGES, of_the_release

__all__ = ["COLUMNS", "INDEX", "POLICY", "Site"]

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
            return self._first()
        if path == COLUMNS:
            return render("columns.html", catalogue=self.catalogue, root="", searching=False)
        return None

    def _first(self) -> str:
        return render(
            "index.html",
            catalogue=self.catalogue,
            root="",
            searching=True,
            index=self._index(),
            owners=self._owners(),
        )

    def _product(self, entry: Entry) -> str:
        results = {result.rule_id: result for result in entry.audit.results} if entry.audit else {}
        pages = {view: page for view in self._sources(entry) if (page := self._view_pages.get(view))}
        broken = {rule_id for rule_id, result in results.items() if not result.passed}
        return render(
            "product.html",
            catalogue=self.catalogue,
            root="../",
            searching=False,
            entry=entry,
            results=results,
            rules=sorted(entry.contract.rules, key=lambda rule: rule.id not in broken),
            broken=sum(rule.id in broken for rule in entry.contract.rules),
            # An age is told by when the next release is due: the page itself does not get older.
            kept={result.level: result for result in entry.levels if not of_the_release(result.level)},
            ruled={level for level in entry.contract.sla if _ruled(entry.contract, level)},
            releases=entry.records[:RELEASES_SHOWN],
            picture=picture(self.catalogue, entry),
            pages=pages,
            left_out=not_executed(entry.contract),
            about=about(entry.contract),
        )

    @staticmethod
    def _sources(entry: Entry) -> set[str]:
        return {source.table for columns in entry.lineage.values() for column in columns for source in column.sources}

    @cached_property
    def _view_pages(self) -> dict[str, str]:
        """The page of the product behind every published view."""
        served = (entry for entry in self.catalogue.entries.values() if entry.served is not None)
        return {view: entry.page for entry in served if entry.served for view in entry.served.views}

    def _owners(self) -> dict[str, list[Entry]]:
        """The products of every owner, by name."""
        found: dict[str, list[Entry]] = {}
        for entry in sorted(self.catalogue.entries.values(), key=lambda each: each.contract.owner or ""):
            if entry.contract.owner:
                found.setdefault(entry.contract.owner, []).append(entry)
        return found

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
                    [anchor(table.name, column.name), name, part.description.strip()]
                    for table in entry.contract.tables
                    for column in table.columns
                    for name, part in ((column.name, column), *inside(column))
                ],
            }
            for entry in self.catalogue.entries.values()
        ]


def _ruled(contract: Contract, level: ServiceLevel) -> bool:
    """True for a level that is a rule of the audit."""
    if level.name in AGES:
        return level.column is not None
    return any((rule.kind, rule.columns) == (level.name, (level.column,)) for rule in contract.rules)
