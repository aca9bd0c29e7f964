"""What the features of a row are, before any data: the frozen form of `data_products/<domain>/features/<product>.yaml`.

One declaration serves both sides. In batch it becomes SQL over all rows (`mesh.features.sql`, thin dbt macros); online
the same expressions become a Python function of one row (`mesh.features.rows`), and aggregates are read from a store.

The law of time: an aggregate counts facts strictly earlier than the row's own time. A row never counts for itself, and
rows of one microsecond do not see each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mesh.features.types import INTEGER, TEXT, Type, decimal

SUBMISSION = "submission"
"""What `of` names where the row is not a published one but what somebody sends."""

FORMS = ("plain", "clean", "lower", "upper", "postcode")
"""How delivered text is written before anything else is done with it; `plain` leaves it as it is."""

UNBOUNDED = "unbounded"
SUM_DIGITS = 18

COUNT, PERIODS, LIST = "count", "periods", "list"
TAKES = (COUNT, PERIODS, LIST)
OTHER, SAME = "other", "same"
SIDES = (OTHER, SAME)


@dataclass(frozen=True)
class Written:
    """An expression as somebody wrote it; file, line and `place` (the field) are for errors alone."""

    text: str
    place: str = field(default="", compare=False)
    line: int | None = field(default=None, compare=False)
    file: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class SubmittedField:
    """One thing that is sent with a row.

    Attributes:
        form: how text is written, one of `FORMS`.
        identifier: the kind of identifier, where it is one: it is never kept, `<name>_token` and `<name>_status` are.
        parts: the delivered fields that make it up, where they are not one of its own name.
    """

    name: str
    type: Type
    form: str = "clean"
    identifier: str | None = None
    parts: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, Type], ...]:
        """The columns that the row has of it."""
        if self.identifier is None:
            return ((self.name, self.type),)
        return ((f"{self.name}_token", TEXT), (f"{self.name}_status", TEXT))


@dataclass(frozen=True)
class Event:
    """A timeline beside the rows: a published product's rows at their `time`, where `where` holds.

    Its rows belong to an entity whose key columns they carry themselves. With `row` they are about a row instead (the
    column that holds its key) and belong to that row's entities; `first` keeps only the earliest about each row.
    """

    name: str
    product: str
    time: str
    where: Written | None = None
    row: str | None = None
    first: bool = False


@dataclass(frozen=True)
class LookupValue:
    """The least (`min`) or greatest (`max`) of a column over all rows of one key."""

    name: str
    function: str
    column: str


@dataclass(frozen=True)
class Lookup:
    """Facts of what a row names: values over the rows of `product` whose column `key` is the row's column `row_key`."""

    name: str
    product: str
    key: str
    row_key: str
    values: tuple[LookupValue, ...]


@dataclass(frozen=True)
class Window:
    """The number of an entity's earlier rows in each span or, with `sum`, the sum of a column over them."""

    name: str
    sum: str | None = None


@dataclass(frozen=True)
class Distinct:
    """How many different values of `column` an entity's earlier rows have."""

    name: str
    column: str


@dataclass(frozen=True)
class EventCount:
    """How many events of an entity lie in a span."""

    name: str
    event: str
    span: str


@dataclass(frozen=True)
class Entity:
    """What rows share: those with the same values of `key` belong together; a row with a part missing to none."""

    name: str
    key: tuple[str, ...]
    spans: tuple[str, ...]
    windows: tuple[Window, ...] = ()
    distinct: tuple[Distinct, ...] = ()
    events: tuple[EventCount, ...] = ()
    since_first: bool = False


@dataclass(frozen=True)
class Overlap:
    """What is known of an entity's earlier rows whose period shares a day with this row's.

    Rows of one label and period are one. `side` tells whether rows of `other` labels or of the `same` are looked at;
    `take` is how many different labels (`count`), how many periods (`periods`), or the labels in order with commas
    (`list`). A number is missing where the key or an end of the period is, and otherwise 0 where there is nothing; a
    list of nothing is missing.
    """

    name: str
    entity: str
    start: str
    end: str
    label: str
    side: str
    take: str


@dataclass(frozen=True)
class Aggregate:
    """One value of the flat list that the online side gives and the batch side has as columns.

    `of` is the entity or overlap that it comes from, `part` the window, distinct or event, `span` the window's.
    """

    name: str
    type: Type
    of: str
    part: str = ""
    span: str | None = None


@dataclass(frozen=True)
class Case:
    """A case of a book: where `when` holds, the `values` count, by the name of their field."""

    when: Written | None
    values: Mapping[str, Written] = field(hash=False)


@dataclass(frozen=True)
class BookRule:
    """A rule of a book: where `when` holds, a row for which `breach` holds too breaks it."""

    id: str
    says: str
    when: Written | None
    breach: Written


@dataclass(frozen=True)
class BookFile:
    """What one file of a book says of the rows whose `by` column has the value `value`."""

    path: Path = field(compare=False)
    value: str
    fields: Mapping[str, Written] = field(hash=False)
    cases: Mapping[str, tuple[Case, ...]] = field(hash=False)
    rules: Mapping[str, tuple[BookRule, ...]] = field(hash=False)


@dataclass(frozen=True)
class Book:
    """Files of rates, cases and rules, one for each value of the column `by`.

    Attributes:
        texts: fields that only people read.
        fields: fields that hold an expression.
        cases: fields that hold a list of `when` and values; the first whose `when` holds counts.
        rules: fields that hold a list of `id`, `says`, `when` and `breach`.
    """

    name: str
    pattern: str
    by: str
    texts: tuple[str, ...]
    fields: tuple[str, ...]
    cases: Mapping[str, tuple[str, ...]] = field(hash=False)
    rules: tuple[str, ...] = ()
    files: tuple[BookFile, ...] = ()


@dataclass(frozen=True)
class FromBook:
    """A value that the book's file for a row gives.

    Attributes:
        part: the field, list of cases or list of rules.
        take: of cases, which value; of rules, None: the ids of those that are broken, with commas.
        otherwise: the value of rows that no file is about, and of those for which no case holds.
    """

    book: str
    part: str
    take: str | None = None
    otherwise: Written | None = None


@dataclass(frozen=True)
class Computed:
    """A named value of a row: an expression over names that stand before it, or what a book says."""

    name: str
    value: Written | FromBook
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Features:
    """One declaration of features.

    Attributes:
        product: what is computed, `domain/name`. Its contract gives the columns, their order and their types.
        of: the product whose rows it is computed for, or `SUBMISSION`.
        row: the columns of such a row with their types, as its contract or the submission gives them.
        key, time: the columns that tell rows apart, and the one that says when.
        published: the product's columns of a type that features can have.
        columns_in_order: all its columns.
        carried: columns of the product that tell where a row came from; batch only.
        values: steps on the way, which are not published.
        columns: the published columns that are computed; every other column is the row's own or an aggregate of its
            name.
    """

    product: str
    of: str
    key: tuple[str, ...]
    time: str
    row: Mapping[str, Type] = field(hash=False)
    published: Mapping[str, Type] = field(hash=False)
    columns_in_order: tuple[str, ...]
    submission: tuple[SubmittedField, ...] = ()
    spans: Mapping[str, int | None] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Each span in microseconds; None is all time."""
    events: tuple[Event, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    entities: tuple[Entity, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    books: tuple[Book, ...] = ()
    values: tuple[Computed, ...] = ()
    columns: tuple[Computed, ...] = ()
    carried: tuple[str, ...] = ()
    lookup_types: Mapping[str, Type] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """The type of each value of each lookup, by `<lookup>.<value>`."""
    products: Mapping[str, Mapping[str, Type]] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """The columns of each product that is read, for conditions on its rows."""
    path: Path | None = field(default=None, compare=False)

    def entity(self, name: str) -> Entity:
        """The entity of that name."""
        return next(entity for entity in self.entities if entity.name == name)

    def event(self, name: str) -> Event:
        """The timeline of that name."""
        return next(event for event in self.events if event.name == name)

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """Every aggregate, in the order in which the online side gives their values."""
        return (*(found for entity in self.entities for found in self.of_entity(entity)), *self._overlapping())

    def of_entity(self, entity: Entity) -> Iterator[Aggregate]:
        """The aggregates of an entity: windows by name and span, days since the first, distinct values, events."""
        for window in entity.windows:
            kind = INTEGER if window.sum is None else decimal(SUM_DIGITS, self.row[window.sum].places)
            for span in entity.spans:
                yield Aggregate(f"{entity.name}_{window.name}_{span}", kind, entity.name, window.name, span)
        if entity.since_first:
            yield Aggregate(f"{entity.name}_days_since_first", INTEGER, entity.name, "since_first")
        for distinct in entity.distinct:
            yield Aggregate(f"{entity.name}_{distinct.name}", INTEGER, entity.name, distinct.name)
        for event in entity.events:
            yield Aggregate(f"{entity.name}_{event.name}", INTEGER, entity.name, event.name, event.span)

    def _overlapping(self) -> Iterator[Aggregate]:
        for overlap in self.overlaps:
            yield Aggregate(overlap.name, TEXT if overlap.take == LIST else INTEGER, overlap.name)
