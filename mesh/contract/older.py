"""Contracts of v3.0 of the standard in the words of v3.1, which renamed and retyped a few of them.

Only what has one meaning in both is translated; what is left is held against the schema of v3.1.0 like all the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mesh.contract.reading import Document, Path_

OLDER_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2")
RULES = {
    "rowCount": "rowCount",
    "duplicateCount": "duplicateValues",
    "duplicates": "duplicateValues",
    "unique": "duplicateValues",
    "nullCount": "nullValues",
    "nullCheck": "nullValues",
    "null": "nullValues",
    "notNull": "nullValues",
    "validValues": "invalidValues",
    "invalidValues": "invalidValues",
}
"""A `rule` of v3.0 by the `metric` of v3.1 that counts the same rows."""

NONE_ALLOWED = ("unique", "nullCheck", "notNull", "validValues")
"""Rules that need no operator in v3.0: their own name says that no row may fail."""

BOUNDS = (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum"))


def in_newer_words(document: Document) -> None:
    """Rewrite the data of a contract of v3.0 in place; the new keys stand on the lines of the old ones."""
    if document.data.get("apiVersion") not in OLDER_VERSIONS:
        return
    for path, part in list(_mappings(document.data, ())):
        if path and path[-1] == "logicalTypeOptions":
            _bounds(document, path, part)
        elif path[-2:-1] == ("quality",):
            _rule(document, path, part)


def _mappings(value: Any, path: Path_) -> Iterator[tuple[Path_, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            yield from _mappings(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _mappings(inner, (*path, i))


def _bounds(document: Document, path: Path_, options: dict[str, Any]) -> None:
    """`exclusiveMaximum: true` beside `maximum: 5` is `exclusiveMaximum: 5` since v3.1."""
    for exclusive, bound in BOUNDS:
        if options.get(exclusive) is True and bound in options:
            options[exclusive] = options.pop(bound)
        elif options.get(exclusive) is False:
            del options[exclusive]


def _rule(document: Document, path: Path_, given: dict[str, Any]) -> None:
    from mesh.contract.model import OPERATORS

    metric = RULES.get(str(given.get("rule")))
    if metric is None or "metric" in given or given.get("type", "library") != "library":
        return
    if not any(name in given for name in OPERATORS) and given["rule"] in NONE_ALLOWED:
        given["mustBe"] = 0
    given["metric"] = metric
    document.lines[*path, "metric"] = document.line((*path, "rule"))
    if "validValues" in given and metric == "invalidValues":
        given.setdefault("arguments", {})["validValues"] = given.pop("validValues")
        for place, line in list(document.lines.items()):
            if place[: len(path) + 1] == (*path, "validValues"):
                document.lines[*path, "arguments", *place[len(path) :]] = line
    del given["rule"]
