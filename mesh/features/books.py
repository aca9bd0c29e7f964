"""Books: files of rates, cases and rules that a domain team keeps as data, one for each value of a column.

The declaration says which fields such a file has; every expression in it is of the one language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.features.definition import Book, BookFile, BookRule, Case, Written
from mesh.model.reading import SHAPES, Reader

if TYPE_CHECKING:
    from mesh.features.reading import FeatureReader

ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_*/-]*\*[A-Za-z0-9_*/-]*\.yaml")
SHAPES[ID] = "letters, digits and _, a letter first"
RULE = ("id", "says", "when", "breach")


def read_books(reader: FeatureReader) -> tuple[Book, ...]:
    """The books that a declaration names, with all their files.

    Raises:
        ProjectError: the declaration or a file is wrong.
    """
    node = reader.of_names(reader.root, "books")
    return tuple(_book(reader, node, reader.part(node, name, "books.")) for name in node)


def _book(reader: FeatureReader, node: Any, name: str) -> Book:
    at = f"books.{name}."
    told = reader.mapping(node, name, ("files", "by", "texts", "fields", "cases", "rules"), "books.")
    pattern = reader.text(told, "files", within=at)
    if not PATTERN.fullmatch(pattern):
        raise reader.error(told, "files", at, "is no pattern below the domain's folder", "such as rates/*.yaml")
    by = reader.text(told, "by", within=at)
    reader.is_a(told, "by", at, by, ())
    given = told.get("cases") or {}
    if not isinstance(given, dict) or not all(isinstance(value, list) for value in given.values()):
        raise reader.error(told, "cases", at, "is not a mapping", "field: [values of a case]")
    cases = {str(field): reader.columns(given, field, f"{at}cases.") for field in given}
    shape = Book(
        name=name, pattern=pattern, by=by, cases=cases, texts=reader.columns(told, "texts", at),
        fields=reader.columns(told, "fields", at), rules=reader.columns(told, "rules", at),
    )  # fmt: skip
    folder = reader.path.resolve().parent.parent
    files = tuple(_File(path, shape).read() for path in sorted(folder.glob(pattern)))
    seen: dict[str, Path] = {}
    for file in files:
        if file.value in seen:
            what = f"says {file.value}, as {seen[file.value].name} does already"
            reader_of = _File(file.path, shape)
            raise reader_of.error(reader_of.root, by, "", what, f"one file for each {by}")
        seen[file.value] = file.path
    return Book(shape.name, pattern, by, shape.texts, shape.fields, cases, shape.rules, files)


class _File(Reader):
    """One file of a book."""

    def __init__(self, path: Path, book: Book) -> None:
        self.book = book
        self.fields = (book.by, *book.texts, *book.fields, *book.cases, *book.rules)
        self.holds = f"file of {book.name}"
        super().__init__(path)

    def read(self) -> BookFile:
        root, book = self.root, self.book
        self.known(root, "", self.fields)
        for name in self.fields:
            # An empty list says that there are none; a list left out may have been forgotten.
            self.present(root, name, "")
        for name in book.texts:
            self.text(root, name)
        return BookFile(
            path=self.path,
            value=self.text(root, book.by, ID),
            fields={name: written(self, root, name, "") for name in book.fields},
            cases={name: tuple(self.case(part, at, values) for part, at in self.parts(name, ("when", *values)))
                   for name, values in book.cases.items()},
            rules={name: self.rules(name) for name in book.rules},
        )  # fmt: skip

    def case(self, node: Any, at: str, values: tuple[str, ...]) -> Case:
        return Case(self.when(node, at), {name: written(self, node, name, at) for name in values})

    def rules(self, name: str) -> tuple[BookRule, ...]:
        found: list[BookRule] = []
        for node, at in self.parts(name, RULE):
            rule = BookRule(
                id=self.text(node, "id", ID, at), says=self.text(node, "says", within=at), when=self.when(node, at),
                breach=written(self, node, "breach", at),
            )  # fmt: skip
            if any(rule.id == other.id for other in found):
                raise self.error(node, "id", at, f"names {rule.id} twice", "an id of its own for each")
            found.append(rule)
        return tuple(found)

    def parts(self, name: str, keys: tuple[str, ...]) -> list[tuple[Any, str]]:
        value = self.root[name]
        if not isinstance(value, list):
            raise self.error(self.root, name, "", "is not a list", f"a list of {', '.join(keys)}")
        found = []
        for place, node in enumerate(value):
            at = f"{name}[{place}]."
            if not isinstance(node, dict):
                raise self.error(self.root, name, "", f"holds no mapping at {place}", ", ".join(keys))
            self.known(node, at, keys)
            found.append((node, at))
        return found

    def when(self, node: Mapping[str, Any], at: str) -> Written | None:
        return written(self, node, "when", at) if "when" in node else None


def written(reader: Reader, node: Any, name: Any, within: str) -> Written:
    """The expression that a field holds; a number is one too."""
    value = reader.present(node, name, within)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise reader.error(node, name, within, "is no expression", "an expression over columns, such as amount > 100")
    line = node.lc.key(name)[0] + 1 if hasattr(node, "lc") else None
    return Written(" ".join(value.split()), f"{within}{name}", line, reader.path)
