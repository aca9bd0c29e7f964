"""A declaration with every expression checked: what SQL and Python are written from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mesh.errors import ProjectError
from mesh.features import tree
from mesh.features.definition import BookFile, Computed, Features, FromBook, Written
from mesh.features.expressions import ExpressionError, chosen, filling, read
from mesh.features.tree import NULL, Node, all_of
from mesh.features.types import BOOLEAN, TEXT, Type


@dataclass(frozen=True)
class Rule:
    """A rule that a book file has for the rows it is about: broken where `broken` is true."""

    id: str
    broken: Node


@dataclass(frozen=True)
class Value:
    """A named value of a row.

    Attributes:
        node: the expression of rows that no book file is about, or of every row.
        by, files: for a value from a book: the column that tells which file, and each file's expression.
        rules: in place of `files`, the rules of each file: the value is the ids of those broken, with commas.
        level: 1 and more: how many values it is made of, one after another.
    """

    name: str
    type: Type
    node: Node
    by: Node | None = None
    files: Mapping[str, Node] = field(default_factory=dict, hash=False)
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict, hash=False)
    level: int = 1

    def reads(self) -> set[str]:
        """Every name that it looks at."""
        parts = [self.node, *([self.by] if self.by else []), *self.files.values()]
        parts += [rule.broken for rules in self.rules.values() for rule in rules]
        return {name for part in parts for name in part.names}


@dataclass(frozen=True)
class CheckedFeatures:
    """A declaration whose expressions are checked.

    Attributes:
        values: steps and columns in the order in which they can be worked out.
        published: the contract's columns in its order, those that are carried left out.
        wheres: the condition of each event that has one, over its product's columns.
    """

    features: Features
    values: tuple[Value, ...]
    published: tuple[str, ...]
    wheres: Mapping[str, Node] = field(hash=False)


def check(features: Features) -> CheckedFeatures:
    """Check every expression of a declaration and of its books.

    Raises:
        ProjectError: the first that cannot be taken, with its file, line and field.
    """
    names: dict[str, Type] = dict(features.row)
    names.update((found.name, found.type) for found in features.aggregates)
    names.update(features.lookup_types)
    levels: dict[str, int] = {}
    values: list[Value] = []
    for computed in (*features.values, *features.columns):
        value = _value(features, computed, names, features.published.get(computed.name))
        level = 1 + max((levels.get(name, 0) for name in value.reads()), default=0)
        values.append(_at(value, level))
        levels[value.name] = level
        names[value.name] = value.type
    for name, kind in features.published.items():
        if name not in features.carried and names[name] != kind:
            raise ProjectError(
                f"has {name} as {names[name]}, where the contract promises {kind}.", file=features.path,
                field="columns", allowed=f"an expression for {name} under columns",
            )  # fmt: skip
    wheres = {
        event.name: read(event.where, features.products[event.product], BOOLEAN)
        for event in features.events
        if event.where is not None
    }
    published = tuple(name for name in features.published if name not in features.carried)
    return CheckedFeatures(features, tuple(values), published, wheres)


def _at(value: Value, level: int) -> Value:
    return Value(value.name, value.type, value.node, value.by, value.files, value.rules, level)


def _value(features: Features, computed: Computed, names: Mapping[str, Type], to: Type | None) -> Value:
    given = computed.value
    if isinstance(given, Written):
        node = read(given, names, to)
        if node.type.kind in ("quotient", "nothing"):
            raise ProjectError(
                f"is {node.type}, which has no type yet.", file=given.file, line=given.line, field=given.place,
                allowed="cast(... as decimal(18, 6)), divide(a, b)",
            )  # fmt: skip
        return Value(computed.name, node.type, node)
    return _from_book(features, computed, given, names, to)


def _from_book(
    features: Features, computed: Computed, given: FromBook, names: Mapping[str, Type], to: Type | None
) -> Value:
    book = next((one for one in features.books if one.name == given.book), None)

    def wrong(what: str, allowed: str) -> ProjectError:
        section = "columns" if computed in features.columns else "values"
        return ProjectError(
            what, file=features.path, line=computed.line, field=f"{section}.{computed.name}", allowed=allowed
        )  # fmt: skip

    if book is None:
        raise wrong(f"names a book {given.book}.", ", ".join(one.name for one in features.books) or "none here")
    by = read(Written(book.by), names)
    otherwise = NULL if given.otherwise is None else read(given.otherwise, names)
    if given.part in book.rules:
        rules = {file.value: _rules(file, given.part, names) for file in book.files}
        return Value(computed.name, TEXT, Node(tree.CONSTANT, TEXT, value=""), by, rules=rules)
    if given.part in book.fields:
        files = {file.value: read(file.fields[given.part], names) for file in book.files}
    elif given.part in book.cases and given.take in book.cases[given.part]:
        files = {file.value: _cases(file, given.part, str(given.take), names, otherwise) for file in book.files}
    else:
        parts = [*book.fields, *(f"{part}: {', '.join(values)}" for part, values in book.cases.items()), *book.rules]
        raise wrong(f"takes {given.part} from a book that does not have it.", "; ".join(parts))
    try:
        kind = to or chosen([tree.TRUE] * len(files), [*files.values(), otherwise]).type
        typed = {value: filling(node, kind) for value, node in files.items()}
        return Value(computed.name, kind, filling(otherwise, kind), by, files=typed)
    except ExpressionError as error:
        raise wrong(f"{error.what} in the files of {book.name}.", error.allowed) from None


def _cases(file: BookFile, part: str, take: str, names: Mapping[str, Type], otherwise: Node) -> Node:
    cases = file.cases[part]
    conditions = [tree.TRUE if case.when is None else read(case.when, names, BOOLEAN) for case in cases]
    values = [read(case.values[take], names) for case in cases]
    if not cases:
        return otherwise
    try:
        return chosen(conditions, [*values, otherwise])
    except ExpressionError as error:
        first = cases[0].values[take]
        raise ProjectError(
            f"{error.what}.", file=first.file, line=first.line, field=part, allowed=error.allowed
        ) from None


def _rules(file: BookFile, part: str, names: Mapping[str, Type]) -> tuple[Rule, ...]:
    found = []
    for rule in file.rules[part]:
        when = None if rule.when is None else read(rule.when, names, BOOLEAN)
        found.append(Rule(rule.id, all_of(when, read(rule.breach, names, BOOLEAN))))
    return tuple(found)
