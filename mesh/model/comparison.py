"""A challenger beside the champion, on the same later rows: rows that neither of them learned from.

The difference of each figure comes with an interval from a paired bootstrap: both sides are measured on the same
resamples, so that what is hard about the rows cancels out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel, bundle_files
from mesh.model.definition import ModelDefinition
from mesh.model.frame import LABEL, VALUE
from mesh.model.gates import MEGABYTES, ROW_MICROSECONDS
from mesh.model.metrics import POPULATION, RESAMPLES, Metric, paired
from mesh.model.scoring import score

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_OF_A_KIND = 10
"""Positive and negative rows below which a comparison would be chance."""

TIMED_ROWS = 15

WEIGHT = "_weight"
"""Column of compared rows, where some were drawn at random: how many rows of everybody each stands for."""

NO_GROUPS = "the definition names no groups of people"

Groups = Mapping[str, Sequence[str | None]]
"""Per protected column the group of each row, missing where it is not known."""


@dataclass(frozen=True)
class Opponent:
    """The champion, and up to when it learned: the last times of its training and validation rows, as text."""

    model: LoadedModel
    learned_to: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What was found of a challenger, and of the champion where there is one.

    Attributes:
        champion: its version; None where there is none.
        rows, positives: the challenger's later rows.
        compared_rows, left_out: those of them that the champion has not learned from, and the others.
        measured: of the challenger alone on its later rows, with size and time.
        challenger_figures, champion_figures, differences: on the compared rows; challenger less champion.
        not_compared, not_measured, no_groups: why not, where not.
        groups: figures per group (see `mesh.model.fairness`).
    """

    champion: int | None
    rows: int
    positives: int
    compared_rows: int = 0
    left_out: int = 0
    measured: Mapping[str, float] = field(default_factory=dict)
    challenger_figures: Mapping[str, float] = field(default_factory=dict)
    champion_figures: Mapping[str, float] = field(default_factory=dict)
    differences: Mapping[str, Metric] = field(default_factory=dict)
    not_compared: str = ""
    not_measured: str = ""
    no_groups: str = ""
    groups: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The evidence that goes on record: counts and figures, no value of a row."""
        return {
            "champion": self.champion,
            "rows": self.rows,
            "positives": self.positives,
            "compared_rows": self.compared_rows,
            "left_out": self.left_out,
            "measured": dict(self.measured),
            "figures": {"challenger": dict(self.challenger_figures), "champion": dict(self.champion_figures)},
            "differences": {name: asdict(change) for name, change in self.differences.items()},
            "not_compared": self.not_compared,
            "groups": [asdict(one) for one in self.groups],
            "no_groups": self.no_groups,
        }


def compare(
    definition: ModelDefinition,
    challenger: LoadedModel,
    rows: pa.Table,
    champion: Opponent | str | None,
    *,
    champion_version: int | None = None,
    groups: Groups | str = NO_GROUPS,
    threads: int = 2,
) -> Comparison:
    """Measure a challenger on its later rows, beside the champion.

    Args:
        rows: labelled rows that the challenger has not learned from: key, time, features, `_label`, and where they are
            known `_value` and `_weight`.
        champion: None where there is none; a text where it cannot be had, which says why.
        groups: of the same rows; a text where there are none, which says why.
    """
    import numpy as np

    truth = np.asarray(rows.column(LABEL).to_numpy(), dtype=np.float64)
    scored = score(challenger, rows, threads=threads, reasons=False)
    mine = np.asarray(scored["probability"].to_numpy(), dtype=np.float64)
    facts: dict[str, Any] = {"rows": rows.num_rows, "positives": int(truth.sum())}
    measured = _size_and_time(challenger, rows)
    if _enough(truth, 1):
        alone = _figures(rows, mine, mine, challenger.card.bands.capacity, definition.seed, resamples=0)
        measured |= {name: one[0] for name, one in alone.items()}
    else:
        facts["not_measured"] = f"{rows.num_rows} later rows, {int(truth.sum())} of them positive, are too few"
    facts["measured"] = measured
    facts |= _by_group(np.asarray(scored["flagged"].to_numpy(zero_copy_only=False)), rows, groups, definition)
    if champion is None:
        return Comparison(champion=None, **facts)
    if isinstance(champion, str):
        return Comparison(champion=champion_version, not_compared=champion, **facts)
    facts["champion"] = champion_version or champion.model.version
    try:
        fresh = later_than(rows, definition.time, champion.learned_to)
    except ModelError as error:
        return Comparison(not_compared=str(error), **facts)
    facts |= {"compared_rows": int(fresh.sum()), "left_out": int(len(fresh) - fresh.sum())}
    if not _enough(truth[fresh], LEAST_OF_A_KIND):
        why = (
            f"of {rows.num_rows} later rows the champion has not learned from {int(fresh.sum())}, "
            f"{int(truth[fresh].sum())} of them positive; at least {LEAST_OF_A_KIND} of each kind are needed"
        )
        return Comparison(not_compared=why, **facts)
    compared = rows.filter(fresh)
    try:
        other = score(champion.model, compared, threads=threads, reasons=False)
    except ModelError as error:
        return Comparison(not_compared=f"the champion cannot score these rows: {error}", **facts)
    theirs = np.asarray(other["probability"].to_numpy(), dtype=np.float64)
    found = _figures(compared, mine[fresh], theirs, challenger.card.bands.capacity, definition.seed)
    return Comparison(
        challenger_figures={name: one[0] for name, one in found.items()},
        champion_figures={name: one[1] for name, one in found.items()},
        differences={name: one[2] for name, one in found.items()},
        **facts,
    )


def _figures(
    rows: pa.Table, mine: Any, theirs: Any, capacity: float, seed: int, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float, Metric]]:
    """Of the rows as they are, and of everybody where the rows say how many each stands for."""
    truth = rows.column(LABEL).to_numpy()
    values = rows.column(VALUE).to_numpy() if VALUE in rows.column_names else None
    found = paired(truth, mine, theirs, capacity, seed, resamples, values=values)
    if WEIGHT in rows.column_names:
        weights = rows.column(WEIGHT).to_numpy()
        everybody = paired(truth, mine, theirs, capacity, seed, resamples, weights=weights, values=values)
        found |= {f"{POPULATION}{name}": one for name, one in everybody.items()}
    return found


def later_than(rows: pa.Table, time_column: str, learned_to: Sequence[str]) -> Any:
    """Which rows are later than all these times, as a boolean array.

    Raises:
        ModelError: the times are not of the column's type any more.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    times, kind = rows.column(time_column), rows.column(time_column).type
    fresh = np.ones(rows.num_rows, dtype=bool)
    for text in learned_to:
        try:
            value: Any = text
            if pa.types.is_integer(kind):
                value = int(text)
            elif pa.types.is_date(kind):
                value = date.fromisoformat(text)
            elif pa.types.is_timestamp(kind):
                value = datetime.fromisoformat(text)
            after = pc.greater(times, pa.scalar(value, kind))
        except (ValueError, pa.ArrowInvalid, pa.ArrowTypeError):
            raise ModelError(
                f"up to when the champion learned cannot be compared with {time_column}, which is {kind} now"
            ) from None
        fresh &= np.asarray(after.to_numpy(zero_copy_only=False), dtype=bool)
    return fresh


def _enough(truth: Any, least: int) -> bool:
    return bool(min(truth.sum(), len(truth) - truth.sum()) >= least)


def _size_and_time(model: LoadedModel, rows: pa.Table) -> dict[str, float]:
    """Megabytes of the bundle, and the median time to score one row in this process.

    The processor's time, not the clock's: a busy machine must not hold back a model.
    """
    size = sum(map(len, bundle_files(model.card, model.model_text).values())) / 1e6
    if not rows.num_rows:
        return {MEGABYTES: size}
    spent = []
    for place in range(TIMED_ROWS):
        one = rows.slice(place % rows.num_rows, 1)
        started = time.thread_time()
        score(model, one, threads=1, reasons=False)
        spent.append(time.thread_time() - started)
    return {MEGABYTES: size, ROW_MICROSECONDS: statistics.median(spent) * 1e6}


def _by_group(flagged: Any, rows: pa.Table, groups: Groups | str, definition: ModelDefinition) -> dict[str, Any]:
    if isinstance(groups, str) or not groups:
        return {"no_groups": groups or NO_GROUPS}
    from mesh.model.fairness import LEAST_ROWS, group_figures

    least = definition.groups.least_rows if definition.groups else LEAST_ROWS
    truth, weight = (rows.column(name).to_numpy() if name in rows.column_names else None for name in (LABEL, WEIGHT))
    return {"groups": group_figures(flagged, groups, truth=truth, weight=weight, least_rows=least)}
