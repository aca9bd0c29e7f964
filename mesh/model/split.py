"""Earlier rows to learn from, their tail to stop and calibrate on, strictly later rows to measure on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.definition import ModelDefinition, Moment
from mesh.model.frame import LABEL

if TYPE_CHECKING:
    import pyarrow as pa

TRAIN, VALIDATION, TEST = "train", "validation", "test"

VALIDATION_SHARE = 0.2
"""Share of the rows before the test part that stops and calibrates instead of teaching."""

MIN_POSITIVES = {TRAIN: 20, VALIDATION: 5, TEST: 1}
"""Below these a figure or a calibration would be chance."""


@dataclass(frozen=True)
class Part:
    """One part of the rows: how many, how many positive, and its first and last time as text."""

    rows: int
    positives: int
    first: str
    last: str


@dataclass(frozen=True)
class Rows:
    """The rows in the order (time, key) and the parts they fall into, which follow one another."""

    table: pa.Table
    parts: dict[str, Part]

    def place(self, part: str) -> slice:
        """Where a part lies in the table."""
        start = 0
        for name, found in self.parts.items():
            if name == part:
                return slice(start, start + found.rows)
            start += found.rows
        raise KeyError(part)


def split_rows(definition: ModelDefinition, table: pa.Table) -> Rows:
    """Sort by (time, key), drop rows between the bounds, and part the rest.

    Rows of one instant are never on both sides of the border between training and test.

    Raises:
        ModelError: a part would have too few rows or positives.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    table = table.sort_by([(definition.time, "ascending"), (definition.key, "ascending")])
    times = table.column(definition.time)
    if times.null_count or table.column(LABEL).null_count:
        raise ModelError(f"{definition.model}: a training row without {definition.time} or label cannot be placed.")
    if definition.split.test_share is not None:
        if not table.num_rows:
            raise ModelError(f"{definition.model}: there are no labelled rows. Wait for outcomes, or check `label`.")
        border = times[min(table.num_rows - 1, int(table.num_rows * (1 - definition.split.test_share)))]
        early, late = table.filter(pc.less(times, border)), table.filter(pc.greater_equal(times, border))
    else:
        assert definition.split.train_to is not None
        assert definition.split.test_from is not None
        last = _scalar(definition, definition.split.train_to, times.type)
        first = _scalar(definition, definition.split.test_from, times.type)
        early, late = table.filter(pc.less_equal(times, last)), table.filter(pc.greater_equal(times, first))
    tail = int(early.num_rows * VALIDATION_SHARE)
    pieces = {
        TRAIN: early.slice(0, early.num_rows - tail),
        VALIDATION: early.slice(early.num_rows - tail),
        TEST: late,
    }
    parts = {name: _part(definition, name, piece) for name, piece in pieces.items()}
    return Rows(pa.concat_tables([early, late]), parts)


def _part(definition: ModelDefinition, name: str, piece: pa.Table) -> Part:
    import pyarrow.compute as pc

    positives = int(pc.sum(piece.column(LABEL)).as_py() or 0)
    if positives < MIN_POSITIVES[name] or positives == piece.num_rows:
        raise ModelError(
            f"{definition.model}: the {name} part has {piece.num_rows} labelled rows, {positives} of them positive; it "
            f"needs at least {MIN_POSITIVES[name]} positive and one negative. Wait for outcomes, move the `split`, or "
            "check `label.positive`."
        )
    times = piece.column(definition.time)
    return Part(piece.num_rows, positives, str(times[0].as_py()), str(times[-1].as_py()))


def _scalar(definition: ModelDefinition, moment: Moment, kind: pa.DataType) -> pa.Scalar[Any]:
    import pyarrow as pa

    value: Any = moment
    try:
        if isinstance(moment, str):
            at = datetime.fromisoformat(moment)
            value = at.date() if pa.types.is_date(kind) else at
            # A day as the end of the training part means all of that day.
            if definition.split.train_to == moment and len(moment) == len(date.min.isoformat()):
                value = value if pa.types.is_date(kind) else at + timedelta(days=1, microseconds=-1)
        return pa.scalar(value, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
        raise ModelError(
            f"{definition.model}: a bound of `split` does not fit the column {definition.time}, which is {kind}."
        ) from error
