"""Labels that are still on their way, and rows too young to be judged.

A finding takes time, and a guilty one often longer than an innocent one. Among the newest rows those with a label are
the quick cases, so that the newest part of the rows looks more innocent than it is - exactly the part that tests the
model. Rows younger than nine tenths of the labels took are therefore put aside, where it shows that labels or finds
are missing among them; where none are missing, as after a delivery that closed everything, nothing is put aside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mesh.model.definition import ModelDefinition
from mesh.model.frame import KNOWN_AT, LABEL, OPEN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]

ARRIVED = 0.9
"""Share of labels that has arrived at the age from which a row is old enough."""

FEWER, ERRORS = 0.9, 3.0
"""Young rows lack labels where their share of labels, or of finds, is below so much of the older rows' share and by
more than so many standard errors."""

LEAST_ROWS = 30
DAY = 86_400e6


@dataclass(frozen=True)
class Lateness:
    """What is known of late labels; ages and delays in days, None where times are no moments or nobody says when.

    Attributes:
        population, labelled: rows of the input, and those with a known label.
        open: rows that wait for a label; `open_median_days` and `open_oldest_days` are their ages.
        delay_days: age by which nine tenths of the labels had arrived, of the slower of the two classes.
        too_young: labelled rows put aside because they are younger than that and labels are missing among them.
    """

    population: int
    labelled: int
    open: int
    open_median_days: float | None = None
    open_oldest_days: float | None = None
    delay_days: float | None = None
    too_young: int = 0


def put_aside(definition: ModelDefinition, table: pa.Table, population: pa.Table | None) -> tuple[pa.Table, Lateness]:
    """The labelled rows that are old enough, and what is known of late labels.

    Args:
        table: a training frame.
        population: everybody (see `population_frame`); None leaves only the labelled rows to compare with.
    """
    import numpy as np
    import pyarrow as pa

    everybody = table if population is None else population
    open_rows = np.zeros(everybody.num_rows, dtype=bool)
    if OPEN in everybody.column_names:
        open_rows = np.asarray(everybody.column(OPEN).to_numpy(), dtype=bool)
    found = Lateness(everybody.num_rows, table.num_rows, int(open_rows.sum()))
    times = _micros(table.column(definition.time))
    if times is None or KNOWN_AT not in table.column_names or not table.num_rows:
        return table, found
    known = _micros(table.column(KNOWN_AT))
    assert known is not None
    theirs = _micros(everybody.column(definition.time))
    assert theirs is not None
    moment = definition.moment
    now = float(np.nanmax(known)) if moment is None else float(np.datetime64(moment, "us").astype(np.int64))
    ages = (now - theirs[open_rows]) / DAY
    if ages.size:
        found = replace(
            found,
            open_median_days=round(float(np.median(ages)), 2),
            open_oldest_days=round(float(ages.max()), 2),
        )
    truth = np.asarray(table.column(LABEL).to_numpy(), dtype=np.float64)
    delay = _delay(times, known, truth)
    if delay is None:
        return table, found
    found = replace(found, delay_days=round(delay / DAY, 2))
    young = times > now - delay
    # Delays as long as the whole record tell when labels were delivered, not how long they take.
    if 2 * young.sum() > len(young) or not _missing(times, truth, theirs, now - delay):
        return table, found
    return table.filter(pa.array(~young)), replace(found, too_young=int(young.sum()))


def _delay(times: Floats, known: Floats, truth: Floats) -> float | None:
    """Delay by which nine tenths of the labels of the slower class arrive, by the older half of the rows.

    The newest rows have only had quick labels yet.
    """
    import numpy as np

    older = (times <= np.median(times)) & ~np.isnan(known)
    delays = [np.quantile((known - times)[older & (truth == one)], ARRIVED)
              for one in (0.0, 1.0) if (older & (truth == one)).sum() >= LEAST_ROWS]  # fmt: skip
    return max(float(max(delays)), 0.0) if delays else None


def _missing(times: Floats, truth: Floats, everybody: Floats, border: float) -> bool:
    """Whether labels or finds are rarer among the rows after the border than before it."""
    before, after = int((everybody <= border).sum()), int((everybody > border).sum())
    if not before or not after:
        return False
    for counted in (times, times[truth == 1]):
        usual = int((counted <= border).sum()) / before
        share = int((counted > border).sum()) / after
        error = (usual * (1 - min(usual, 1.0)) * (1 / before + 1 / after)) ** 0.5
        if share < FEWER * usual and usual - share > ERRORS * error:
            return True
    return False


def _micros(column: pa.ChunkedArray) -> Any:
    """Moments as microseconds, NaN where missing; None where the column holds no moments."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_temporal(column.type):
        return None
    zone = getattr(column.type, "tz", None)
    whole = pc.cast(pc.cast(column, pa.timestamp("us", tz=zone)), pa.int64())
    return np.asarray(pc.cast(whole, pa.float64(), safe=False).to_numpy(), dtype=np.float64)
