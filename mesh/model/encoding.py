"""Columns to numbers, the same way at training and at scoring.

The encoding is learned once, from training rows, and travels with the model. Numbers and booleans pass as they are,
missing stays missing where training saw it missing (LightGBM has a branch for it). A category becomes its place in a
sorted list; a category that training did not know is missing too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Matrix = npt.NDArray[np.float64]

NUMBER, BOOLEAN, CATEGORY = "number", "boolean", "category"

MIN_ROWS_PER_CATEGORY = 10
"""A rarer category teaches nothing, and its name could point at a person; it counts as missing."""

MAX_CATEGORIES = 1000


@dataclass(frozen=True)
class Feature:
    """One input of a model: its column, how it is encoded, its training median and whether training saw it missing.

    The trees know no branch for a number that was never missing and would read a missing one as nought; it takes the
    median instead, which speaks neither for nor against.
    """

    name: str
    kind: str
    categories: tuple[str, ...] = ()
    median: float = 0.0
    gaps: bool = True


def learn_features(table: pa.Table, names: Sequence[str], categorical: Sequence[str]) -> tuple[Feature, ...]:
    """The encoding of the named columns of training rows.

    Raises:
        ModelError: a text column is nearly an identifier, so that it can only be learned by heart.
    """
    return tuple(_learn(name, table.column(name), name in categorical) for name in names)


def encode(table: pa.Table, features: Sequence[Feature]) -> Matrix:
    """A matrix of rows x features, float64, C order, NaN where missing.

    Raises:
        ModelError: a column is missing or has another type than the model was trained on.
    """
    import numpy as np

    matrix = np.empty((table.num_rows, len(features)), dtype=np.float64)
    for place, feature in enumerate(features):
        if feature.name not in table.column_names:
            raise ModelError(f"The model needs the column {feature.name}, which these rows do not have.")
        matrix[:, place] = _numbers(table.column(feature.name), feature)
    return matrix


def _learn(name: str, column: pa.ChunkedArray, categorical: bool) -> Feature:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    boolean = pa.types.is_boolean(column.type)
    if not categorical and (boolean or _is_number(column.type)):
        values = _as_float(column)
        known = values[~np.isnan(values)]
        median = float(np.median(known)) if known.size else 0.0
        return Feature(name, BOOLEAN if boolean else NUMBER, median=median, gaps=known.size < values.size)
    counts = pc.value_counts(_as_text(column).drop_null())
    enough = [str(item["values"]) for item in counts.to_pylist() if item["counts"] >= MIN_ROWS_PER_CATEGORY]
    rows = len(column) - column.null_count
    if len(enough) > MAX_CATEGORIES or (len(counts) > MAX_CATEGORIES and len(counts) > rows / 2):
        raise ModelError(
            f"Feature {name} has {len(counts)} categories in {rows} rows: that is an identifier, which a model learns "
            "by heart. List it under `exclude` with the reason, or derive a count or a group from it in the product."
        )
    return Feature(name, CATEGORY, categories=tuple(sorted(enough)))


def _numbers(column: pa.ChunkedArray, feature: Feature) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if feature.kind == CATEGORY:
        # Without skip_nulls a missing value would look for a null in the list; it finds none either way.
        codes = pc.index_in(_as_text(column), value_set=pa.array(feature.categories, pa.string()), skip_nulls=True)
        return _as_float(codes)
    fits = pa.types.is_boolean(column.type) if feature.kind == BOOLEAN else _is_number(column.type)
    if not fits and not pa.types.is_null(column.type):
        raise ModelError(f"Feature {feature.name} was a {feature.kind} at training and is {column.type} here.")
    values = _as_float(column)
    return values if feature.gaps else np.where(np.isnan(values), feature.median, values)


def _as_float(column: pa.ChunkedArray) -> Any:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    floats = pc.cast(column, pa.float64(), safe=False)
    values = np.array(pc.fill_null(floats, float("nan")).to_numpy(), dtype=np.float64)
    values[np.isinf(values)] = np.nan
    return values


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.cast(column, pa.string())


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
