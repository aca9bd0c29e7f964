"""A declaration as one Python function of one row: what the decision service calls for every submission.

The function is written as source and compiled once. It takes plain tuples in the declaration's order, reckons on whole
numbers (see `mesh.features.types`), and gives the published columns in the contract's order - the same values, to the
last bit, that the SQL of the same declaration gives for the row in batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mesh.features.compiled import CheckedFeatures, Value, check
from mesh.features.definition import Features
from mesh.features.python import RUNTIME, Source
from mesh.features.types import Type

Values = Sequence[Any]


@dataclass(frozen=True)
class RowFunction:
    """The columns of a row, worked out.

    Attributes:
        row, aggregates, lookups: the names of what it takes, in order; a lookup's is `<lookup>.<value>`.
        columns, types: what it gives, in order.
        source: the Python that it was compiled from.
    """

    row: tuple[str, ...]
    aggregates: tuple[str, ...]
    lookups: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[Type, ...]
    source: str
    function: Callable[[Values, Values, Values], tuple[Any, ...]]

    def __call__(self, row: Values, aggregates: Values = (), lookups: Values = ()) -> tuple[Any, ...]:
        """The published columns of one row; every value as `mesh.features.types` has it."""
        return self.function(row, aggregates, lookups)


def compile_row(features: Features | CheckedFeatures) -> RowFunction:
    """The function of a declaration.

    Raises:
        ProjectError: an expression cannot be taken.
    """
    checked = features if isinstance(features, CheckedFeatures) else check(features)
    declared = checked.features
    given = {
        "row": tuple(declared.row),
        "aggregates": tuple(found.name for found in declared.aggregates),
        "lookups": tuple(declared.lookup_types),
    }
    # Only what is used gets a name of its own.
    used = {name for value in checked.values for name in value.reads()} | set(checked.published)
    places = {
        name.replace(".", "_"): f"{argument}[{place}]"
        for argument, names in given.items()
        for place, name in enumerate(names)
        if name.replace(".", "_") in used
    }
    names = {name: f"v{number}" for number, name in enumerate((*places, *(value.name for value in checked.values)))}
    source = Source(names)
    lines = [f"{names[name]} = {place}" for name, place in places.items()]
    for value in checked.values:
        lines += _lines(value, names[value.name], source)
    lines.append(f"return ({', '.join(names[name] for name in checked.published)},)")
    text = "def row_function(row, aggregates, lookups):\n" + "\n".join(f"    {line}" for line in lines) + "\n"
    scope = dict(RUNTIME)
    exec(compile(text, f"<features of {declared.product}>", "exec"), scope)
    return RowFunction(
        **given, columns=checked.published, types=tuple(declared.published[name] for name in checked.published),
        source=text, function=scope["row_function"],
    )  # fmt: skip


def _lines(value: Value, name: str, source: Source) -> list[str]:
    if value.by is None:
        return [f"{name} = {source.value(value.node)}"]
    by, lines, word = source.value(value.by), [], "if"
    for told, node in value.files.items():
        lines += [f"{word} {by} == {told!r}:", f"    {name} = {source.value(node)}"]
        word = "elif"
    if not value.rules:
        return [*lines, "else:", f"    {name} = {source.value(value.node)}"] if lines else [
            f"{name} = {source.value(value.node)}"
        ]  # fmt: skip
    lines = [f"{name} = []"]
    for told, rules in value.rules.items():
        tests = [f"    if {source.true(rule.broken)}: {name}.append({rule.id!r})" for rule in rules]
        lines += [f"{word} {by} == {told!r}:", *(tests or ["    pass"])]
        word = "elif"
    return [*lines, f"{name} = ','.join({name})"]
