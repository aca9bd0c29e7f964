"""Gates: what a challenger must show before it may become champion.

    gates:
      not_worse: [average_precision, recall_at_capacity]      # than the champion, on the same later rows
      most: {ece: 0.05, megabytes: 20, row_microseconds: 500}
      least: {recall_at_capacity: 0.5}
      groups: {flag_rate_ratio: [0.5, 2.0], false_positive_gap: 0.1}

Where the definition names no gate, a generous one stands in, which is there to catch accidents. A gate that the
definition names always binds; one that stands in does not stop the first champion, since somebody has to score. What
cannot be judged is never passed: it is told, and it holds where the gate was named or a champion is there to be
compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.fairness import NOT_KNOWN
from mesh.model.metrics import POPULATION

if TYPE_CHECKING:
    from mesh.model.comparison import Comparison

NOT_WORSE, MOST, LEAST, GROUPS = "not_worse", "most", "least", "groups"
SECTIONS = (NOT_WORSE, MOST, LEAST, GROUPS)
PASSED, FAILED, NOT_JUDGED = "passed", "failed", "not judged"

MEGABYTES, ROW_MICROSECONDS = "megabytes", "row_microseconds"
_HIGHER = (
    "auc",
    "average_precision",
    "precision_at_capacity",
    "recall_at_capacity",
    "recall_at_5_percent_false_positives",
    "money_caught_per_1000_reviews",
)
_LOWER = ("brier", "ece")
# Of the reviewed rows, and of all rows where some were drawn at random (see `mesh.model.sampling`).
HIGHER_IS_BETTER = (*_HIGHER, *(f"{POPULATION}{name}" for name in _HIGHER))
LOWER_IS_BETTER = (*_LOWER, *(f"{POPULATION}{name}" for name in _LOWER))

RATIO, GAP = "ratio", "gap"
GROUP_FIGURES = {
    "flag_rate": "flag_rate",
    "precision": "precision",
    "recall": "recall",
    "false_positive": "false_positive_rate",
}
"""Word of a gate on groups: the figure of `mesh.model.fairness` that it bounds."""

NAMES = {
    NOT_WORSE: (*HIGHER_IS_BETTER, *LOWER_IS_BETTER),
    MOST: (*LOWER_IS_BETTER, MEGABYTES, ROW_MICROSECONDS),
    LEAST: HIGHER_IS_BETTER,
    GROUPS: tuple(f"{word}_{kind}" for word in GROUP_FIGURES for kind in (RATIO, GAP)),
}


@dataclass(frozen=True)
class Gate:
    """One gate: a section of `gates`, the figure, its bounds, and whether the definition names it."""

    section: str
    figure: str
    low: float | None = None
    high: float | None = None
    named: bool = True

    @property
    def name(self) -> str:
        """Such as `not_worse.average_precision`."""
        return f"{self.section}.{self.figure}"


STAND_IN = (
    Gate(NOT_WORSE, "average_precision", named=False),
    Gate(NOT_WORSE, "recall_at_capacity", named=False),
    Gate(MOST, "ece", high=0.1, named=False),
    Gate(MOST, MEGABYTES, high=64.0, named=False),
    Gate(MOST, ROW_MICROSECONDS, high=50_000.0, named=False),
    Gate(GROUPS, "flag_rate_ratio", low=0.5, high=2.0, named=False),
    Gate(GROUPS, "false_positive_gap", high=0.1, named=False),
)


def with_stand_ins(named: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates of a definition: those it names, and those that stand in for what it does not."""
    own = tuple(named)
    names = {gate.name for gate in own}
    replaced = {NOT_WORSE} & {gate.section for gate in own}
    left = (gate for gate in STAND_IN if gate.name not in names and gate.section not in replaced)
    return tuple(sorted((*own, *left), key=lambda gate: SECTIONS.index(gate.section)))


@dataclass(frozen=True)
class Verdict:
    """What a gate said of a challenger. `holds` tells that it stands in the way of a promotion."""

    gate: str
    verdict: str
    told: str
    named: bool
    holds: bool

    def to_json(self) -> dict[str, Any]:
        return {"gate": self.gate, "verdict": self.verdict, "told": self.told, "named": self.named, "holds": self.holds}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Verdict:
        return cls(**body)


def judge(gates: Iterable[Gate], found: Comparison) -> tuple[Verdict, ...]:
    """Every gate's verdict on what was found of a challenger and its champion."""
    return tuple(_VERDICTS[gate.section](gate, found) for gate in gates)


def _not_worse(gate: Gate, found: Comparison) -> Verdict:
    if found.champion is None:
        return Verdict(gate.name, NOT_JUDGED, "there is no champion to compare with", gate.named, holds=False)
    if found.not_compared:
        return Verdict(gate.name, NOT_JUDGED, found.not_compared, gate.named, holds=True)
    if gate.figure not in found.differences:
        return Verdict(gate.name, NOT_JUDGED, _unknown(gate.figure), gate.named, holds=True)
    mine, theirs = found.challenger_figures[gate.figure], found.champion_figures[gate.figure]
    change = found.differences[gate.figure]
    # The interval lies wholly on the bad side: chance does not account for what was lost.
    worse = change.high < 0 if gate.figure in HIGHER_IS_BETTER else change.low > 0
    told = (
        f"{mine:.4f}, champion version {found.champion} {theirs:.4f} on the same {found.compared_rows} rows: "
        f"{change.value:+.4f} ({change.low:+.4f} to {change.high:+.4f})"
    )
    return Verdict(gate.name, FAILED if worse else PASSED, told, gate.named, holds=worse)


def _bounded(gate: Gate, found: Comparison) -> Verdict:
    value = found.measured.get(gate.figure)
    if value is None:
        told = found.not_measured or _unknown(gate.figure)
        return Verdict(gate.name, NOT_JUDGED, told, gate.named, _binds(gate, found))
    bad = (gate.high is not None and value > gate.high) or (gate.low is not None and value < gate.low)
    bound = f"at most {gate.high:g}" if gate.high is not None else f"at least {gate.low:g}"
    told = f"{value:.4g}, {bound}"
    return Verdict(gate.name, FAILED if bad else PASSED, told, gate.named, bad and _binds(gate, found))


def _unknown(figure: str) -> str:
    if figure.startswith(POPULATION):
        return f"{figure} is not known, as no row was drawn at random (`label.chosen_by`)"
    if figure.startswith("money"):
        return f"{figure} is not known, as the definition names no `value`"
    return f"{figure} was not measured"


def _groups(gate: Gate, found: Comparison) -> Verdict:
    word, _, kind = gate.figure.rpartition("_")
    # People of whom nothing is known are no group that the law protects; false identities are among them.
    judged = [
        one for one in found.groups if one.figure == GROUP_FIGURES[word] and one.judged and one.group != NOT_KNOWN
    ]
    if not judged:
        why = found.no_groups or f"no group has rows enough for its {word.replace('_', ' ')}"
        return Verdict(gate.name, NOT_JUDGED, why, gate.named, holds=gate.named)
    out = []
    for one in judged:
        size = one.ratio if kind == RATIO else abs(one.value - one.rest)
        # A group that chance may account for is not held against a model; its figures are in the evidence.
        if one.differs and (size is None or not (gate.low or 0.0) <= size <= (gate.high or 0.0)):
            out.append(f"{one.column} {one.group} {'without bound' if size is None else f'{size:.3f}'}")
    bound = f"{gate.low:g} to {gate.high:g}" if kind == RATIO else f"at most {gate.high:g}"
    groups = len({(one.column, one.group) for one in judged})
    told = f"{'; '.join(out)}, {bound}" if out else f"{groups} groups, {bound}"
    return Verdict(gate.name, FAILED if out else PASSED, told, gate.named, bool(out) and _binds(gate, found))


def _binds(gate: Gate, found: Comparison) -> bool:
    return gate.named or found.champion is not None


_VERDICTS = {NOT_WORSE: _not_worse, MOST: _bounded, LEAST: _bounded, GROUPS: _groups}
