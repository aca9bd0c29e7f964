"""The lineage picture of a product: where each box stands and how the arrows run. Drawing is the template's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mesh.catalogue.gathering import Catalogue, Entry

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 184, 46, 56, 14, 4
BOW = 48
"""How far an arrow that passes a level is bent upwards, so that boxes on its way do not hide it."""
HEADROOM = 16
LETTERS = 22
MOST = 40
"""A picture of more boxes is reduced to the product's direct neighbours."""

BoxKind = Literal["product", "focus", "raw", "consumer"]


@dataclass(frozen=True)
class Box:
    """A product, raw table or consumer; `page` is where its link leads, if it has one. Pixels from the top left."""

    name: str
    label: str
    kind: BoxKind
    page: str | None
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """Boxes and the paths of arrows between them; `reduced` where only direct neighbours are drawn."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[str, ...]
    reduced: bool
    box_width: int = WIDTH
    box_height: int = HEIGHT


def picture(catalogue: Catalogue, entry: Entry) -> Picture:
    """What a product is made from, to its left, and what is made from it, to its right."""
    reads = {key: each.product.inputs for key, each in catalogue.entries.items()}
    read_by: dict[str, list[str]] = {}
    for key, inputs in reads.items():
        for upstream in inputs:
            read_by.setdefault(upstream, []).append(key)
    key = entry.product.key
    levels = {**{name: -depth for name, depth in _depths(key, reads).items()}, **_depths(key, read_by)}
    reduced = len(levels) > MOST
    if reduced:
        levels = {key: 0, **dict.fromkeys(reads[key], -1), **dict.fromkeys(read_by.get(key, ()), 1)}
    kinds: dict[str, BoxKind] = {name: "focus" if name == key else "product" for name in levels}
    arrows = {(upstream, name) for name in levels for upstream in reads[name] if upstream in levels}
    for table in entry.product.raw_tables:
        raw = f"{entry.product.build_schema}.{table}"
        levels[raw], kinds[raw] = -1, "raw"
        arrows.add((raw, key))
    for consumer in entry.consumers:
        name = f"{consumer.name} (consumer)"
        levels[name], kinds[name] = 1, "consumer"
        arrows.add((key, name))
    return _drawn(catalogue, levels, kinds, arrows, reduced)


def _depths(start: str, towards: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Every name that can be reached, by the longest way to it. There are no circles: the project has none."""
    order: list[str] = []
    seen: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        name, done = stack.pop()
        if done:
            order.append(name)
        elif name not in seen:
            seen.add(name)
            stack.append((name, True))
            stack += [(other, False) for other in towards.get(name, ())]
    depths = dict.fromkeys(seen, 0)
    for name in reversed(order):
        for other in towards.get(name, ()):
            depths[other] = max(depths[other], depths[name] + 1)
    return depths


def _drawn(
    catalogue: Catalogue,
    levels: Mapping[str, int],
    kinds: Mapping[str, BoxKind],
    arrows: set[tuple[str, str]],
    reduced: bool,
) -> Picture:
    columns: dict[int, list[str]] = {}
    for name in sorted(levels):
        columns.setdefault(levels[name], []).append(name)
    tallest = max(len(names) for names in columns.values())
    boxes: dict[str, Box] = {}
    for place, level in enumerate(sorted(columns)):
        names = sorted(columns[level], key=lambda name: (_height_of_inputs(name, arrows, boxes), name))
        top = EDGE + (tallest - len(names)) * (HEIGHT + DOWN) // 2
        for row, name in enumerate(names):
            entry = catalogue.entries.get(name)
            boxes[name] = Box(
                name=name,
                label=_label(name.rpartition(".")[2] if kinds[name] == "raw" else name),
                kind=kinds[name],
                page=entry.page if entry and kinds[name] == "product" else None,
                x=EDGE + place * (WIDTH + ACROSS),
                y=HEADROOM + top + row * (HEIGHT + DOWN),
            )
    return Picture(
        width=2 * EDGE + len(columns) * WIDTH + (len(columns) - 1) * ACROSS,
        height=HEADROOM + 2 * EDGE + tallest * (HEIGHT + DOWN) - DOWN,
        boxes=tuple(boxes.values()),
        arrows=tuple(_path(boxes[left], boxes[right]) for left, right in sorted(arrows)),
        reduced=reduced,
    )


def _height_of_inputs(name: str, arrows: set[tuple[str, str]], boxes: Mapping[str, Box]) -> float:
    """The middle of what leads to a box, so that arrows cross little."""
    found = [boxes[left].y for left, right in arrows if right == name and left in boxes]
    return sum(found) / len(found) if found else 0.0


def _path(left: Box, right: Box) -> str:
    start_x, start_y, end_x, end_y = left.x + WIDTH, left.y + HEIGHT // 2, right.x - 7, right.y + HEIGHT // 2
    middle, bow = ACROSS // 2, BOW if right.x - left.x > WIDTH + ACROSS else 0
    bend = f"{start_x + middle} {start_y - bow} {end_x - middle} {end_y - bow}"
    return f"M{start_x} {start_y}C{bend} {end_x} {end_y}"


def _label(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
