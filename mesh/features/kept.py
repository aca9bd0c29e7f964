"""What the online side keeps of each entity, and the hashes by which it is found.

A declaration says what is known of a row; this says what has to be remembered for it. The store, the live rows and the
kernels go by these shapes and know no declaration.

Keys and values are told apart by 64 bits of their MD5, which DuckDB and Python have alike. Among ten million values of
one kind two share a hash with a chance of three in a million; a value of an entity meets only that entity's others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mesh.errors import ProjectError
from mesh.features.definition import COUNT, LIST, OTHER, SUBMISSION, Entity, Features, Overlap
from mesh.features.types import Type

Words = npt.NDArray[np.int64]
LONGEST_SUM = 18
NO_SPAN = -1
UNSIGNED = (1 << 64) - 1


def digest(text: str) -> bytes:
    """The 8 bytes that stand for a text: as a little-endian number, DuckDB's `md5_number_lower`."""
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[8:]


def number(hashed: bytes) -> int:
    """A digest as the signed number that stands for a value; never 0, which stands for none."""
    return int.from_bytes(hashed, "little", signed=True) or 1


def composed(digests: Sequence[bytes]) -> bytes:
    """The digest of several values together."""
    if len(digests) == 1:
        return digests[0]
    return digest(",".join(str(int.from_bytes(one, "little")) for one in digests))


def as_text(value: Any) -> str:
    """A value as it is hashed; in SQL it is `text_sql`."""
    return value if type(value) is str else str(int(value))


def text_sql(column: str, kind: Type) -> str:
    """The same text in DuckDB."""
    return column if kind.kind == "text" else f"cast({number_sql(column, kind)} as varchar)"


def number_sql(column: str, kind: Type) -> str:
    """A column as `mesh.features.types` has it in Python; texts and truth values as they are."""
    match kind.kind:
        case "timestamp":
            return f"epoch_us({column})"
        case "date":
            return f"cast({column} - date '1970-01-01' as integer)"
        case "decimal":
            if kind.digits <= LONGEST_SUM:
                # In more than 64 bits: DuckDB stops the whole table where a product does not fit.
                wide = f"decimal({max(19, kind.digits + kind.places)}, {kind.places})"
                return f"cast(cast({column} as {wide}) * {10**kind.places} as bigint)"
            # A product would need more digits than there are.
            return f"cast(replace(cast({column} as varchar), '.', '') as hugeint)"
        case "boolean":
            return f"cast({column} as integer)"
    return column


def period_value(label: int, start: int, end: int) -> int:
    """The number that stands for a label with a period; of one label, no two periods have the same."""
    mixed = (label + (start << 32) + end) & UNSIGNED or 1
    return mixed - (1 << 64) if mixed >> 63 else mixed


@dataclass(frozen=True)
class Period:
    """The columns of a row's period: label, first and last day."""

    label: str
    start: str
    end: str


@dataclass(frozen=True)
class Kept:
    """What is remembered of one kind of entity.

    Attributes:
        sums: summed columns, each with the number that a sum must stay below.
        distinct: columns whose different values are counted.
        period: where rows with overlapping periods are looked for; it is then one more distinct value.
        events: the timelines that are counted; `asked` which of them in which span.
        spans: in microseconds, NO_SPAN for all time.
    """

    name: str
    key: tuple[str, ...]
    sums: tuple[tuple[str, int], ...] = ()
    distinct: tuple[str, ...] = ()
    period: Period | None = None
    events: tuple[str, ...] = ()
    spans: tuple[int, ...] = ()
    asked: tuple[tuple[int, int], ...] = ()

    @property
    def values(self) -> int:
        """The number of distinct values of a row, its period among them."""
        return len(self.distinct) + (self.period is not None)

    @property
    def node_words(self) -> int:
        """The width of a node (see `kernels`)."""
        return 5 + len(self.sums) + 2 * self.values + (3 if self.period else 0)

    @property
    def given_words(self) -> int:
        return len(self.sums) + self.values + 3

    @cached_property
    def config(self) -> Words:
        """The shape as the kernels take it."""
        shape = [
            len(self.sums), self.values, self.period is not None, len(self.events), len(self.spans), len(self.asked),
            *self.spans, *(limit for _, limit in self.sums), *(one for pair in self.asked for one in pair),
        ]  # fmt: skip
        return np.array(shape, np.int64)

    @property
    def out_words(self) -> int:
        """The room that the kernel needs for its results."""
        sums = len(self.sums) * len(self.spans)
        return len(self.spans) + sums + self.values + 1 + len(self.asked) + 2 * sums

    @cached_property
    def nothing(self) -> Words:
        """The block of an entity that the store does not know."""
        return np.zeros((3 + self.values + len(self.events)) >> 1, np.int64)

    def shape(self) -> dict[str, Any]:
        """What a store must have been built for to serve this; spans can change without it."""
        period = self.period and [self.period.label, self.period.start, self.period.end]
        sums = [column for column, _ in self.sums]
        return {
            "key": self.key, "sums": sums, "distinct": self.distinct, "period": period, "events": self.events,
        }  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """Where the aggregates of one entity or overlap are found: `places` in the results of `kept`, or an overlap."""

    kept: int
    places: tuple[int, ...] = ()
    overlap: Overlap | None = None


@dataclass(frozen=True)
class Keeping:
    """All that is kept for a declaration.

    Attributes:
        hashed: the columns that are hashed, in the row's order.
        answers: one for each entity, then one for each overlap, in the order of the declaration's aggregates.
    """

    features: Features
    kept: tuple[Kept, ...]
    answers: tuple[Answer, ...]

    @property
    def rows_product(self) -> str:
        """The product whose published rows are the earlier ones."""
        return self.features.product if self.features.of == SUBMISSION else self.features.of

    @cached_property
    def hashed(self) -> tuple[str, ...]:
        """The columns of keys, of distinct values and of labels."""
        wanted = {column for kept in self.kept for column in (*kept.key, *kept.distinct)} | set(self.features.key)
        wanted |= {kept.period.label for kept in self.kept if kept.period}
        wanted |= {lookup.row_key for lookup in self.features.lookups}
        return tuple(name for name in self.features.row if name in wanted)

    @cached_property
    def told(self) -> tuple[str, ...]:
        """The columns whose values can be told, not only counted: distinct ones and labels."""
        wanted = {column for kept in self.kept for column in kept.distinct}
        wanted |= {kept.period.label for kept in self.kept if kept.period}
        return tuple(name for name in self.hashed if name in wanted)

    @cached_property
    def about_rows(self) -> tuple[str, ...]:
        """The timelines that are about rows, which may be known before the row is."""
        used = {name for kept in self.kept for name in kept.events}
        return tuple(event.name for event in self.features.events if event.row and event.name in used)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that decides what a store holds."""
        features = self.features
        said = {
            "product": self.rows_product, "key": features.key, "time": features.time,
            "types": {name: str(kind) for name, kind in features.row.items()},
            "kept": [(kept.name, kept.shape()) for kept in self.kept],
            "events": [
                [one.name, one.product, one.time, one.where.text if one.where else "", one.row, one.first]
                for one in features.events
            ],
            "lookups": [
                [one.name, one.product, one.key, one.row_key, [(v.name, v.function, v.column) for v in one.values]]
                for one in features.lookups
            ],
        }  # fmt: skip
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def keeping(features: Features) -> Keeping:
    """What has to be kept for a declaration.

    Raises:
        ProjectError: a summed column has more digits than a sum can be kept of.
    """
    kept: list[Kept] = []
    answers: list[Answer] = []
    place_of: dict[tuple[str, Period | None], int] = {}
    for entity in features.entities:
        periods = _unique(_period(one) for one in features.overlaps if one.entity == entity.name)
        first, places = _of_entity(features, entity, periods[0] if periods else None)
        answers.append(Answer(len(kept), places))
        for period in periods or [None]:
            place_of[entity.name, period] = len(kept)
            # One kind of entity has one kind of period: each further one is kept beside it.
            kept.append(
                first if period is first.period else Kept(f"{entity.name}:{len(kept)}", entity.key, period=period)
            )
    for overlap in features.overlaps:
        answers.append(Answer(place_of[overlap.entity, _period(overlap)], overlap=overlap))
    return Keeping(features, tuple(kept), tuple(answers))


def _of_entity(features: Features, entity: Entity, period: Period | None) -> tuple[Kept, tuple[int, ...]]:
    sums = _unique(window.sum for window in entity.windows if window.sum is not None)
    for column in sums:
        if features.row[column].digits > LONGEST_SUM:
            raise ProjectError(
                f"sums {column}, which has {features.row[column].digits} digits.", file=features.path,
                field=f"entities.{entity.name}", allowed=f"columns of at most {LONGEST_SUM} digits",
            )  # fmt: skip
    spans = list(entity.spans) if entity.windows else []
    distinct = _unique(one.column for one in entity.distinct)
    events = _unique(one.event for one in entity.events)
    values = len(distinct) + (period is not None)
    after = len(spans) * (1 + len(sums))
    places: list[int] = []
    for window in entity.windows:
        column = 0 if window.sum is None else 1 + sums.index(window.sum)
        places += [column * len(spans) + span for span in range(len(spans))]
    if entity.since_first:
        places.append(after + values)
    places += [after + distinct.index(one.column) for one in entity.distinct]
    places += [after + values + 1 + place for place in range(len(entity.events))]
    return (
        Kept(
            entity.name, entity.key, tuple((column, 10**LONGEST_SUM) for column in sums), tuple(distinct), period,
            tuple(events), tuple(_length(features, span) for span in spans),
            tuple((events.index(one.event), _length(features, one.span)) for one in entity.events),
        ),
        tuple(places),
    )  # fmt: skip


def _length(features: Features, span: str) -> int:
    length = features.spans[span]
    return NO_SPAN if length is None else length


def _period(overlap: Overlap) -> Period:
    return Period(overlap.label, overlap.start, overlap.end)


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def overlap_value(overlap: Overlap, labels: int, others: int, same: int, tell: Callable[[], Iterable[str]]) -> Any:
    """An overlap's value, from what the kernel counted; `tell` gives the texts of the labels it asks for."""
    if overlap.take == LIST:
        return ",".join(sorted(tell())) or None
    if overlap.take == COUNT:
        return labels if overlap.side == OTHER else min(same, 1)
    return others if overlap.side == OTHER else same
