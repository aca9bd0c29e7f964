"""Scores with reasons for a table of rows, vectorised, the same bits whatever the thread count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel
from mesh.model.calibration import HIGH, LOW, MEDIUM
from mesh.model.encoding import encode
from mesh.model.reasons import explained

if TYPE_CHECKING:
    import pyarrow as pa


def score(model: LoadedModel, table: pa.Table, *, threads: int = 2, reasons: bool = True) -> pa.Table:
    """Score rows, in their order.

    Args:
        reasons: with the reason columns, which cost more than the rest.

    Returns:
        The key column, `probability` double, `score` int32 0-100 (percent of the reference population below),
        `band` high|medium|low, `flagged` bool (band high), `reason_1` to `reason_3` text, NULL where there are fewer.

    Raises:
        ModelError: a column is missing or has another type than at training.
    """
    import pyarrow as pa

    card = model.card
    if card.key not in table.column_names:
        raise ModelError(f"{card.name} scores rows by {card.key}, which these rows do not have.")
    matrix = encode(table, card.features)
    found = explained(model, matrix, threads) if reasons else None
    margins = found.margins if found is not None else model.margins(matrix, threads=threads)
    levels = pa.DictionaryArray.from_arrays(pa.array(card.bands.level(margins)), pa.array([LOW, MEDIUM, HIGH]))
    columns = {
        card.key: table.column(card.key),
        "probability": pa.array(card.calibration.probability(margins)),
        "score": pa.array(card.bands.score(margins)),
        "band": levels.cast(pa.string()),
        "flagged": pa.array(card.bands.flagged(margins)),
    }
    if found is not None:
        columns |= {f"reason_{place + 1}": column for place, column in enumerate(found.columns())}
    return pa.table(columns)
