"""How a benchmark states its figures: a table for people, one JSON list for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its bar.

    Attributes:
        at: whether the bar is the most or the least that will do.
        peers: the same figure of others, measured in the same run.
    """

    name: str
    value: float
    unit: str
    bar: float | None
    at: Literal["most", "least"] = "most"
    peers: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        if self.bar is None:
            return None
        return self.value <= self.bar if self.at == "most" else self.value >= self.bar


def arguments(description: str) -> argparse.Namespace:
    """The options that every benchmark takes: `--quick` and `--json`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller sizes, no clone")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON list")
    return parser.parse_args()


def show(figures: Sequence[Figure], *, as_json: bool, title: str) -> None:
    """Print all figures."""
    if as_json:
        print(json.dumps([asdict(figure) for figure in figures], indent=2))
        return
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for head in ("figure", "value", "unit", "bar", "reached", "peers"):
        table.add_column(head, justify="right" if head in ("value", "bar") else "left", no_wrap=head != "peers")
    words = {True: "yes", False: "no", None: ""}
    for figure in figures:
        bar = "" if figure.bar is None else f"{'<=' if figure.at == 'most' else '>='} {figure.bar:g}"
        peers = ", ".join(f"{name} {value:.4g}" for name, value in figure.peers.items())
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, bar, words[figure.reached], peers)
    Console(width=160, highlight=False).print(table)
