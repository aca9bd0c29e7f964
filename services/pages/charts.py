"""Small line and interval charts as numbers that a template writes into SVG: no page needs a script for them.

A chart knows nothing of models. Places are in units of its view box, which a browser scales to the width it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 440, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 34
TICKS = 4
MOST_LABELS = 6
ROW = 26
"""Height of a group in a chart of intervals."""


@dataclass(frozen=True)
class Point:
    """A figure at a place of the axis, with its interval; `kind` says how it is drawn."""

    at: str
    value: float
    kind: str
    low: float | None = None
    high: float | None = None
    marked: bool = False
    told: str = ""


@dataclass(frozen=True)
class Mark:
    """A point as it is drawn: place, ends of its interval, and a path of its shape."""

    x: float
    y: float
    low: float | None
    high: float | None
    kind: str
    marked: bool
    told: str


@dataclass(frozen=True)
class Line:
    kind: str
    points: str


@dataclass(frozen=True)
class Label:
    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Everything a template draws. `bounds` and `lines` are polylines; a label's place is along its axis."""

    title: str
    told: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    across: tuple[Label, ...]
    up: tuple[Label, ...]
    bounds: tuple[Line, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]


def line_chart(
    title: str,
    told: str,
    points: Sequence[Point],
    *,
    order: Sequence[str],
    bounds: Mapping[str, Mapping[str, float]],
    digits: str = "g",
) -> Chart:
    """Values over an ordered axis, one line per kind, with bounds that may differ from place to place.

    Args:
        order: the places of the axis.
        bounds: per name of a bound its value at places. digits: how a tick is written.
    """
    values = [value for point in points for value in (point.value, point.low, point.high) if value is not None]
    values += [value for line in bounds.values() for value in line.values()]
    ticks = nice_ticks(min(values), max(values))
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    inside = (right - LEFT) / max(len(order), 1)
    places = {name: round(LEFT + inside * (number + 0.5), 1) for number, name in enumerate(order)}
    reach = ticks[-1] - ticks[0]

    def up(value: float) -> float:
        return round(bottom - (value - ticks[0]) / reach * (bottom - TOP), 1)

    every = max(1, ceil(len(order) / MOST_LABELS))
    kinds = list(dict.fromkeys(point.kind for point in points))
    return Chart(
        title=title,
        told=told,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=right,
        top=TOP,
        bottom=bottom,
        across=tuple(Label(places[name], name) for number, name in enumerate(order) if number % every == 0),
        up=tuple(Label(up(tick), f"{tick:{digits}}") for tick in ticks),
        bounds=tuple(
            Line(name, _path((places[at], up(value)) for at, value in line.items())) for name, line in bounds.items()
        ),
        lines=tuple(
            Line(kind, _path((places[one.at], up(one.value)) for one in _in_order(points, kind, order)))
            for kind in kinds
        ),
        marks=tuple(
            Mark(
                places[one.at],
                up(one.value),
                None if one.low is None else up(one.low),
                None if one.high is None else up(one.high),
                one.kind,
                one.marked,
                one.told,
            )
            for one in points
        ),
    )


def interval_chart(title: str, told: str, points: Sequence[Point], *, digits: str = "g", names: int = 120) -> Chart:
    """One row per place of the axis, values to the right, each with its interval.

    Args:
        names: the room for the names of rows.
    """
    order = list(dict.fromkeys(point.at for point in points))
    values = [value for point in points for value in (point.value, point.low, point.high) if value is not None]
    ticks = nice_ticks(min([0.0, *values]), max(values))
    bottom, right = TOP + ROW * len(order), WIDTH - RIGHT - 12
    reach = ticks[-1] - ticks[0]
    places = {name: TOP + ROW * number + ROW // 2 for number, name in enumerate(order)}

    def along(value: float) -> float:
        return round(names + (value - ticks[0]) / reach * (right - names), 1)

    return Chart(
        title=title,
        told=told,
        width=WIDTH,
        height=bottom + BOTTOM,
        left=names,
        right=right,
        top=TOP,
        bottom=bottom,
        across=tuple(Label(along(tick), f"{tick:{digits}}") for tick in ticks),
        up=tuple(Label(place, name) for name, place in places.items()),
        bounds=(),
        lines=(),
        marks=tuple(
            Mark(
                along(one.value),
                places[one.at],
                None if one.low is None else along(one.low),
                None if one.high is None else along(one.high),
                one.kind,
                one.marked,
                one.told,
            )
            for one in points
        ),
    )


def nice_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers from at most `low` to at least `high`, nought among them where it is near."""
    if low >= 0 and low < high / 2:
        low = 0.0
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / TICKS
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def _in_order(points: Iterable[Point], kind: str, order: Sequence[str]) -> list[Point]:
    return sorted((one for one in points if one.kind == kind), key=lambda one: order.index(one.at))


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)
