"""YAML to `Features`; every error names the file, the line, the field, what is wrong and what is allowed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mesh.access.identifiers import KINDS
from mesh.features.books import read_books, written
from mesh.features.definition import (
    COUNT,
    FORMS,
    SIDES,
    SUBMISSION,
    TAKES,
    UNBOUNDED,
    Computed,
    Distinct,
    Entity,
    Event,
    EventCount,
    Features,
    FromBook,
    Lookup,
    LookupValue,
    Overlap,
    SubmittedField,
    Window,
    Written,
)
from mesh.features.types import ALLOWED, DATE, TEXT, TIMESTAMP, Type, type_of
from mesh.model.reading import COLUMN, PRODUCT, SHAPES, Reader

SPAN = re.compile(r"[a-z0-9][a-z0-9_]*")
PART = re.compile(r"[a-z][a-z0-9_]*")
FILES = re.compile(r"[A-Za-z0-9_*./-]+")
LENGTH = re.compile(r"([1-9][0-9]{0,4}) (second|minute|hour|day|week)s?")
SUMMED = re.compile(r"sum\(([A-Za-z_][A-Za-z0-9_]*)\)")
LOOKED_UP = re.compile(r"(min|max)\(([A-Za-z_][A-Za-z0-9_]*)\)")
SHAPES.update({SPAN: "lower case letters, digits and _", PART: "lower case letters, digits and _, a letter first"})
MICROSECONDS = {"second": 10**6, "minute": 60 * 10**6, "hour": 3600 * 10**6, "day": 86400 * 10**6}
MICROSECONDS["week"] = 7 * MICROSECONDS["day"]
FIELDS = (
    "features", "of", "key", "time", "submission", "spans", "events", "lookups", "entities", "overlaps", "books",
    "values", "columns", "carried",
)  # fmt: skip

Types = Mapping[str, Type | None]
"""The columns of a product; None is a type that features cannot read."""


def read_features(path: Path, product: Callable[[str], Types | None]) -> Features:
    """Read one declaration.

    Args:
        product: the columns of a product with their types; None where nobody publishes it.

    Raises:
        ProjectError: the first thing that is wrong.
    """
    return FeatureReader(path, product).declaration()


class FeatureReader(Reader):
    """A declaration of features, held against the contracts of the products that it names."""

    holds, fields = "declaration of features", FIELDS

    def __init__(self, path: Path, product: Callable[[str], Types | None]) -> None:
        super().__init__(path)
        self.of_product = product
        self.products: dict[str, dict[str, Type]] = {}
        self.row: dict[str, Type] = {}
        self.names: dict[str, str] = {}

    def declaration(self) -> Features:
        root = self.root
        self.known(root, "", FIELDS)
        name, of = self.text(root, "features", PRODUCT), self.text(root, "of")
        published = self.typed(root, "features", "", name)
        submission = self.submission(of)
        self.row = dict(
            (column for field in submission for column in field.columns)
            if submission
            else self.typed(root, "of", "", of)
        )
        self.names = dict.fromkeys(self.row, "a column of the row")
        time = self.text(root, "time", COLUMN)
        self.is_a(root, "time", "", time, (TIMESTAMP,))
        key = self.names_of_row(root, "key", "")
        spans, events, lookups = self.spans(), self.events(), self.lookups()
        entities = self.entities(spans, events)
        overlaps = self.overlaps(entities)
        books = read_books(self)
        features = Features(
            product=name, of=of, key=key, time=time, row=self.row, published=published,
            columns_in_order=tuple(self.of_product(name) or ()), submission=submission,
            spans=spans, events=events, lookups=lookups, entities=entities, overlaps=overlaps, books=books,
            lookup_types={
                f"{lookup.name}.{value.name}": self.products[lookup.product][value.column]
                for lookup in lookups for value in lookup.values
            },
            products=self.products, path=self.path,
        )  # fmt: skip
        self.taken(features)
        features = dataclasses.replace(
            features, values=self.computed("values"), columns=self.computed("columns"), carried=self.carried()
        )
        self.complete(features)
        return features

    # -- the row -------------------------------------------------------------------------------------------------

    def typed(self, node: Any, name: str, within: str, product: str) -> dict[str, Type]:
        """The columns of a product that features can read."""
        if not PRODUCT.fullmatch(product):
            raise self.error(node, name, within, "does not fit", "domain/product")
        found = self.of_product(product)
        if found is None:
            raise self.error(node, name, within, f"names {product}, which nobody publishes or it may not read")
        return self.products.setdefault(product, {column: kind for column, kind in found.items() if kind is not None})

    def submission(self, of: str) -> tuple[SubmittedField, ...]:
        if of != SUBMISSION:
            if SUBMISSION in self.root:
                raise self.error(self.root, SUBMISSION, "", "stands beside the rows of a product", "of: submission")
            return ()
        node, found = self.of_names(self.root, SUBMISSION), []
        for name in node:
            found.append(self.submitted(node, self.column(node, name, "submission.")))
        return tuple(found)

    def submitted(self, node: Any, name: str) -> SubmittedField:
        if isinstance(node[name], str):
            return SubmittedField(name, self.type(node, name, "submission."))
        told = self.mapping(node, name, ("type", "form", "identifier", "from"), "submission.")
        at = f"submission.{name}."
        if "identifier" in told:
            if "type" in told or "form" in told:
                wrong = "type" if "type" in told else "form"
                raise self.error(told, wrong, at, "stands beside an identifier, which brings its own")
            parts = self.columns(told, "from", at)
            return SubmittedField(name, TEXT, "plain", self.choice(told, "identifier", KINDS, at), parts)
        if "from" in told:
            raise self.error(told, "from", at, "is only for an identifier", "identifier")
        kind = self.type(told, "type", at)
        if "form" in told and kind != TEXT:
            raise self.error(told, "form", at, "is only for text", "type: text")
        return SubmittedField(name, kind, self.choice(told, "form", FORMS, at) if "form" in told else "clean")

    def type(self, node: Any, name: str, within: str) -> Type:
        kind = type_of(self.text(node, name, within=within))
        if kind is None:
            raise self.error(node, name, within, "is no type", ALLOWED)
        return kind

    def is_a(self, node: Any, name: str, within: str, column: str, kinds: Iterable[Type]) -> None:
        """Refuse a column that the row does not have or that is of another type."""
        found = self.row.get(column)
        if found is None:
            raise self.error(node, name, within, f"names {column}, which the row does not have", ", ".join(self.row))
        if kinds and found not in kinds:
            raise self.error(node, name, within, f"names {column}, which is {found}", ", ".join(map(str, kinds)))

    def names_of_row(self, node: Any, name: str, within: str) -> tuple[str, ...]:
        """One column or several, all of the row."""
        value = self.present(node, name, within)
        found = (value,) if isinstance(value, str) else self.columns(node, name, within)
        for column in found:
            self.is_a(node, name, within, column, ())
        if not found:
            raise self.error(node, name, within, "names no column", "a column, or several in [ ]")
        return tuple(map(str, found))

    # -- facts beside the row ------------------------------------------------------------------------------------

    def of_names(self, node: Any, name: str) -> Any:
        """A mapping whose keys are names of one's own; empty where it is left out."""
        if name not in node:
            return {}
        if not isinstance(node[name], dict):
            raise self.error(node, name, "", "is not a mapping", "name: ...")
        return node[name]

    def spans(self) -> dict[str, int | None]:
        node, found = self.of_names(self.root, "spans"), {}
        for name in node:
            if not isinstance(name, str) or not SPAN.fullmatch(name):
                raise self.error(node, name, "spans.", "is no name", SHAPES[SPAN])
            length = self.text(node, name, within="spans.")
            told = LENGTH.fullmatch(length)
            if told is None and length != UNBOUNDED:
                raise self.error(node, name, "spans.", "is no length of time", f"such as 1 hour, 30 days, {UNBOUNDED}")
            found[name] = int(told[1]) * MICROSECONDS[told[2]] if told else None
        return found

    def part(self, node: Any, name: Any, within: str) -> str:
        if not isinstance(name, str) or not PART.fullmatch(name):
            raise self.error(node, name, within, "is no name", SHAPES[PART])
        return str(name)

    def events(self) -> tuple[Event, ...]:
        node, found = self.of_names(self.root, "events"), []
        for name in node:
            at = f"events.{self.part(node, name, 'events.')}."
            told = self.mapping(node, name, ("product", "time", "where", "row", "take"), "events.")
            product = self.text(told, "product", within=at)
            columns = self.typed(told, "product", at, product)
            time = self.its(told, "time", at, columns)
            if columns[time] != TIMESTAMP:
                raise self.error(told, "time", at, f"names {time}, which is {columns[time]}", "a timestamp")
            if "take" in told and (self.choice(told, "take", ("first",), at) and "row" not in told):
                raise self.error(told, "take", at, "is only for events about a row", "row")
            row = self.its(told, "row", at, columns) if "row" in told else None
            where = written(self, told, "where", at) if "where" in told else None
            found.append(Event(name, product, time, where, row, "take" in told))
        return tuple(found)

    def its(self, node: Any, name: str, within: str, columns: Mapping[str, Type], value: str | None = None) -> str:
        """A column of another product."""
        column = value if value is not None else self.text(node, name, COLUMN, within)
        if column not in columns:
            raise self.error(node, name, within, f"names {column}, which is no column there", ", ".join(columns))
        return column

    def lookups(self) -> tuple[Lookup, ...]:
        node, found = self.of_names(self.root, "lookups"), []
        for name in node:
            at = f"lookups.{self.part(node, name, 'lookups.')}."
            told = self.mapping(node, name, ("product", "key", "row_key", "values"), "lookups.")
            product = self.text(told, "product", within=at)
            columns = self.typed(told, "product", at, product)
            key = self.its(told, "key", at, columns)
            row_key = self.text(told, "row_key", COLUMN, at) if "row_key" in told else key
            self.is_a(told, "row_key" if "row_key" in told else "key", at, row_key, (columns[key],))
            values = []
            for value in self.of_names(told, "values"):
                self.part(told["values"], value, f"{at}values.")
                text = self.text(told["values"], value, within=f"{at}values.")
                asked = LOOKED_UP.fullmatch(text)
                if asked is None:
                    raise self.error(told["values"], value, f"{at}values.", "does not fit", "min(column), max(column)")
                self.its(told["values"], value, f"{at}values.", columns, asked[2])
                values.append(LookupValue(value, asked[1], asked[2]))
            found.append(Lookup(name, product, key, row_key, tuple(values)))
        return tuple(found)

    # -- entities ------------------------------------------------------------------------------------------------

    def entities(self, spans: Mapping[str, int | None], events: Iterable[Event]) -> tuple[Entity, ...]:
        node, timelines = self.of_names(self.root, "entities"), {event.name: event for event in events}
        return tuple(self.entity(node, self.part(node, name, "entities."), spans, timelines) for name in node)

    def entity(self, node: Any, name: str, spans: Mapping[str, int | None], timelines: Mapping[str, Event]) -> Entity:
        at = f"entities.{name}."
        told = self.mapping(node, name, ("key", "spans", "windows", "since_first", "distinct", "events"), "entities.")
        key = self.names_of_row(told, "key", at)
        asked = told.get("spans", list(spans))
        if not isinstance(asked, list) or not all(span in spans for span in asked):
            raise self.error(told, "spans", at, "is not a list of spans", ", ".join(spans))
        windows = tuple(
            self.window(told["windows"], window, f"{at}windows.") for window in self.of_names(told, "windows")
        )
        distinct = []
        for other in self.of_names(told, "distinct"):
            self.part(told["distinct"], other, f"{at}distinct.")
            column = self.text(told["distinct"], other, COLUMN, f"{at}distinct.")
            self.is_a(told["distinct"], other, f"{at}distinct.", column, (TEXT,))
            distinct.append(Distinct(other, column))
        counts = []
        for event in self.of_names(told, "events"):
            within = f"{at}events.{self.part(told['events'], event, f'{at}events.')}."
            given = self.mapping(told["events"], event, ("event", "span"), f"{at}events.")
            timeline = timelines[self.choice(given, "event", tuple(timelines), within)]
            lacks = [] if timeline.row else [column for column in key if column not in self.products[timeline.product]]
            if lacks:
                what = f"{timeline.product} has no {', '.join(lacks)} to tell whose it is"
                raise self.error(given, "event", within, what, f"an event of `row`, or with {', '.join(key)}")
            counts.append(EventCount(event, timeline.name, self.choice(given, "span", tuple(spans), within)))
        if "since_first" in told:
            self.choice(told, "since_first", ("days",), at)
        return Entity(name, key, tuple(asked), windows, tuple(distinct), tuple(counts), "since_first" in told)

    def window(self, node: Any, name: Any, within: str) -> Window:
        self.part(node, name, within)
        text = self.text(node, name, within=within)
        summed = SUMMED.fullmatch(text)
        if summed is None and text != COUNT:
            raise self.error(node, name, within, "does not fit", "count, sum(column)")
        if summed is not None:
            self.is_a(node, name, within, summed[1], ())
            if not self.row[summed[1]].numeric:
                raise self.error(node, name, within, f"sums {summed[1]}, which is {self.row[summed[1]]}", "a number")
        return Window(name, summed[1] if summed else None)

    def overlaps(self, entities: Iterable[Entity]) -> tuple[Overlap, ...]:
        node, names, found = self.of_names(self.root, "overlaps"), tuple(one.name for one in entities), []
        for name in node:
            at = f"overlaps.{self.part(node, name, 'overlaps.')}."
            told = self.mapping(node, name, ("entity", "period", "label", "side", "take"), "overlaps.")
            period = self.columns(told, "period", at)
            if len(period) != 2:
                raise self.error(told, "period", at, "is not two columns", "[first day, last day]")
            for day in period:
                self.is_a(told, "period", at, day, (DATE,))
            label = self.text(told, "label", COLUMN, at)
            self.is_a(told, "label", at, label, (TEXT,))
            entity = self.choice(told, "entity", names, at)
            side, take = self.choice(told, "side", SIDES, at), self.choice(told, "take", TAKES, at)
            found.append(Overlap(name, entity, *period, label, side, take))
        return tuple(found)

    # -- what is computed ----------------------------------------------------------------------------------------

    def taken(self, features: Features) -> None:
        """Note every name there is; two things of one name would leave open which is meant."""
        facts = [
            *((found.name, f"entities.{found.of}" if found.part else "overlaps") for found in features.aggregates),
            *((name, f"lookups.{name.partition('.')[0]}") for name in features.lookup_types),
        ]
        for name, what in facts:
            self.name(self.root, what.partition(".")[0], "", name, what)

    def name(self, node: Any, field: str, within: str, name: str, what: str) -> None:
        # In SQL a value of a lookup is a column too.
        plain = name.replace(".", "_")
        if plain in self.names:
            raise self.error(
                node, field, within, f"gives {plain} a second time: it is {self.names[plain]}", "a new name"
            )
        self.names[plain] = what

    def computed(self, section: str) -> tuple[Computed, ...]:
        node, found = self.of_names(self.root, section), []
        for name in node:
            self.column(node, name, f"{section}.")
            self.name(node, name, f"{section}.", name, f"under {section}")
            found.append(Computed(name, self.value(node, name, f"{section}."), node.lc.key(name)[0] + 1))
        return tuple(found)

    def value(self, node: Any, name: str, within: str) -> Written | FromBook:
        if not isinstance(node[name], dict):
            return written(self, node, name, within)
        told = self.mapping(node, name, ("book", "field", "cases", "rules", "take", "otherwise"), within)
        parts = [kind for kind in ("field", "cases", "rules") if kind in told]
        at = f"{within}{name}."
        if len(parts) != 1:
            raise self.error(node, name, within, "does not say what to take from the book", "field, cases, rules")
        if ("take" in told) != (parts == ["cases"]):
            raise self.error(node, name, within, "names a value to take, or none, where it should not", "cases, take")
        return FromBook(
            book=self.text(told, "book", within=at),
            part=self.text(told, parts[0], within=at),
            take=self.text(told, "take", within=at) if "take" in told else None,
            otherwise=written(self, told, "otherwise", at) if "otherwise" in told else None,
        )

    def carried(self) -> tuple[str, ...]:
        return self.columns(self.root, "carried")

    def complete(self, features: Features) -> None:
        """The contract and the declaration have the same columns."""
        made = {column.name for column in features.columns}
        there = self.of_product(features.product) or {}
        for name in features.carried:
            if name not in there:
                raise self.error(self.root, "carried", "", f"names {name}, which the contract does not have")
        for column in features.columns:
            if column.name not in features.published:
                allowed = ", ".join(features.published)
                raise self.error(self.root["columns"], column.name, "columns.", "is not in the contract", allowed)
        facts = {*features.row, *(found.name for found in features.aggregates)}
        for name, kind in there.items():
            if name in features.carried:
                continue
            if kind is None:
                raise self.error(
                    self.root, "features", "", f"has a column {name} of a type that features lack", ALLOWED
                )
            if name not in made and name not in facts:
                what = f"promises {name} in its contract, which is neither the row's nor computed"
                raise self.error(self.root, "columns" if "columns" in self.root else "features", "", what)
