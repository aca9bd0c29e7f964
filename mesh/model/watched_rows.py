"""The rows that monitoring looks at: what the model learned from, and every row of now by period and stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.model.bundle import LoadedModel
from mesh.model.definition import ModelDefinition
from mesh.model.derived import Making
from mesh.model.frame import label_query, quote, read_query
from mesh.model.watching import MONTH, Figure

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

LEARNED, TESTED, NEW = "learned", "tested", "new"
STAGES = (LEARNED, TESTED, NEW)

PERIODS = 24
"""Periods that are told, the latest."""

REFERENCE_ROWS = 200_000
"""Rows of the reference, at most; beyond it a share of the keys, always the same."""

PERIOD, STAGE, TRUTH, KNOWN_THEN, DELAY = "_period", "_stage", "_truth", "_known_then", "_delay"


@dataclass
class WatchedRows:
    """The reference and the rows of now. `margins` is filled group by group, in the order of `table`."""

    reference: pa.Table
    table: pa.Table
    period: npt.NDArray[Any]
    stage: npt.NDArray[Any]
    truth: Floats
    outcome_stage: npt.NDArray[Any]
    delay: Floats
    has_delay: bool
    seed: int
    margins: Floats

    @property
    def number(self) -> int:
        return int(self.table.num_rows)

    def part(self, place: Bools) -> pa.Table:
        """The rows of a group."""
        import pyarrow as pa

        return self.table.filter(pa.array(place))

    def groups(self) -> Iterator[tuple[tuple[str, str], Bools]]:
        """Rows by period and stage."""
        yield from self._by(self.stage)

    def outcome_groups(self) -> Iterator[tuple[tuple[str, str], Bools]]:
        """Rows with an outcome by period and the stage of the outcome."""
        yield from self._by(self.outcome_stage)

    def outcomes_of(self, stage: str) -> Bools:
        """Rows whose outcome is of this stage."""
        found: Bools = self.outcome_stage == stage
        return found

    def labelling(self, place: Bools) -> list[Figure]:
        """How many of a group's rows have an outcome, and after how many days half of them were known."""
        import numpy as np

        known = place & ~np.isnan(self.truth)
        found = [Figure("label_coverage", "outcome", float(known.sum() / place.sum()), int(place.sum()))]
        if self.has_delay and known.any():
            found.append(Figure("label_delay_days", "outcome", float(np.median(self.delay[known])), int(known.sum())))
        return found

    def _by(self, stages: npt.NDArray[Any]) -> Iterator[tuple[tuple[str, str], Bools]]:
        for period in sorted(set(self.period.tolist()), key=_in_order):
            for stage in STAGES:
                place = (self.period == period) & (stages == stage)
                if place.any():
                    yield (period, stage), place


@dataclass(frozen=True)
class Trained:
    """What a model learned from: the releases by product, the last time of a row it learned, as text, and its run."""

    releases: Mapping[str, int]
    learned_to: str
    run_id: str = ""


def watched_rows(making: Making, model: LoadedModel, trained: Trained) -> WatchedRows:
    """Read the reference and the rows of now."""
    import numpy as np

    definition, con = making.definition, making.con

    def then(key: str) -> str:
        return making.relation_at(key, trained.releases[key])

    names = [feature.name for feature in model.card.features]
    features = ", ".join(f"i.{quote(name)}" for name in names)
    key, time = f"i.{quote(definition.key)}", f"i.{quote(definition.time)}"
    kind = _kind(making, definition.time)
    last = "'" + trained.learned_to.replace("'", "''") + "'"
    earlier = f"{time} <= cast({last} as {kind})"
    learned = f"from {then(definition.input)} i where {earlier}"
    number = _number(con, f"select count(*) {learned}")
    every = -(-number // REFERENCE_ROWS) if number else 1
    reference = read_query(con, f"select {features} {learned} and hash({key}) % {every} = 0 order by {key}")

    period = _period(time, kind, definition.monitoring.period)
    known = definition.label.known_at
    timed = known is not None and kind.startswith(("TIMESTAMP", "DATE"))
    delay = f"date_diff('second', cast({time} as timestamp), k._known) / 86400.0" if timed else "cast(null as double)"
    table = read_query(
        con,
        f"""
        with labels as ({label_query(definition, making.relation_for)}),
        labels_then as ({label_query(definition, then)}),
        known as ({_known(making)}),
        then_there as (select cast({quote(definition.key)} as varchar) as _key from {then(definition.input)}),
        recent as (
            select distinct {period} as _period, {_order(time, kind)} as _order
            from {making.relation_for(definition.input)} i
        ),
        told as (
            select _period from recent group by _period order by max(_order) desc limit {PERIODS}
        )
        select {features}, {period} as {PERIOD},
            case when t._key is null then '{NEW}' when {earlier} then '{LEARNED}' else '{TESTED}' end as {STAGE},
            cast(l._label as double) as {TRUTH}, {_learned_by(definition)} as {KNOWN_THEN}, {delay} as {DELAY}
        from {making.relation_for(definition.input)} i
        join told on told._period = {period}
        left join then_there t on t._key = cast({key} as varchar)
        left join labels l on l._label_key = cast({key} as varchar)
        left join labels_then b on b._label_key = cast({key} as varchar)
        left join known k on k._known_key = cast({key} as varchar)
        order by {time}, {key}
        """,
    )
    stage = np.asarray(table.column(STAGE).to_pylist(), dtype=object)
    truth = np.asarray(table.column(TRUTH).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    then_known = np.asarray(table.column(KNOWN_THEN).to_numpy(), dtype=bool)
    outcome = np.where(then_known, stage, NEW)
    outcome[np.isnan(truth)] = ""
    return WatchedRows(
        reference=reference,
        table=table.select(names),
        period=np.asarray(table.column(PERIOD).to_pylist(), dtype=object),
        stage=stage,
        truth=truth,
        outcome_stage=outcome,
        delay=np.asarray(table.column(DELAY).fill_null(float("nan")).to_numpy(), dtype=np.float64),
        has_delay=timed,
        seed=definition.seed,
        margins=np.zeros(table.num_rows),
    )


def _learned_by(definition: ModelDefinition) -> str:
    """SQL that holds where an outcome was there at training, for a definition with a moment only if known by then."""
    there = "b._label_key is not null"
    moment = definition.moment
    return there if moment is None else f"{there} and k._known <= timestamp '{moment.isoformat(sep=' ')}'"


def _kind(making: Making, column: str) -> str:
    relation = making.relation_for(making.definition.input)
    row = making.con.execute(f"describe select {quote(column)} from {relation}").fetchone()
    assert row is not None
    return str(row[1])


def _period(time: str, kind: str, period: str) -> str:
    """SQL of a row's period as text: a month, an ISO week, or the value itself where it is a number such as a year."""
    if not kind.startswith(("TIMESTAMP", "DATE")):
        return f"cast({time} as varchar)"
    return f"strftime({time}, '{'%Y-%m' if period == MONTH else '%G-W%V'}')"


def _order(time: str, kind: str) -> str:
    return time if kind.startswith(("TIMESTAMP", "DATE")) else f"cast({time} as double)"


def _known(making: Making) -> str:
    """When the outcome of each key became known."""
    label = making.definition.label
    relation = making.relation_for(label.product or making.definition.input)
    at = f"max(cast({quote(label.known_at)} as timestamp))" if label.known_at else "cast(null as timestamp)"
    return f"select cast({quote(label.key)} as varchar) as _known_key, {at} as _known from {relation} group by all"


def _number(con: Any, sql: str) -> int:
    row = con.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _in_order(period: str) -> tuple[float, str]:
    """Years as numbers, everything else as text."""
    return (float(period), "") if period.lstrip("-").isdecimal() else (0.0, period)
