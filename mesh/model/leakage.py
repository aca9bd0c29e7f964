"""One column that alone tells the label is not a feature but the answer.

A column is judged by its own AUC over the training rows: numbers by their value in either direction, missing first
by being missing; categories by the share of positives they had in the other half of the rows, so that a column of
many categories cannot look good by being learned by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.definition import ModelDefinition
from mesh.model.encoding import CATEGORY, Feature
from mesh.model.metrics import auc

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LIMIT = 0.98
"""AUC of one column above which it is refused."""


def refuse_leaks(definition: ModelDefinition, alone: Mapping[str, float]) -> None:
    """Refuse columns that give the label away.

    Args:
        alone: AUC of each column alone (see `single_aucs`).

    Raises:
        ModelError: naming the columns and their AUC.
    """
    leaks = {name: value for name, value in alone.items() if value > LIMIT}
    if leaks:
        listed = ", ".join(f"{name} (AUC {value:.3f})" for name, value in leaks.items())
        raise ModelError(
            f"{definition.model}: {listed} tell the label alone, which no honest feature does. If a column is known "
            f"only after the decision, list it under `exclude` with that reason. Allowed: AUC up to {LIMIT} each."
        )


def single_aucs(features: Sequence[Feature], matrix: Floats, truth: Floats) -> dict[str, float]:
    """AUC of each column alone, by name."""
    return {feature.name: single_auc(feature, matrix[:, place], truth) for place, feature in enumerate(features)}


def single_auc(feature: Feature, values: Floats, truth: Floats) -> float:
    """AUC of one column alone, 0.5 to 1."""
    import numpy as np

    missing = np.isnan(values)
    if feature.kind == CATEGORY:
        values = _rates_of_other_half(np.where(missing, len(feature.categories), values).astype(np.int64), truth)
        return max(auc(truth, values), 0.5)
    ends = (-np.inf, np.inf) if missing.any() else (0.0,)
    areas = [auc(truth, np.where(missing, end, values)) for end in ends]
    return max(max(area, 1.0 - area) for area in areas)


def _rates_of_other_half(codes: npt.NDArray[np.int64], truth: Floats) -> Floats:
    import numpy as np

    rates = np.empty(len(codes))
    half = np.arange(len(codes)) % 2 == 0
    prior = float(truth.mean())
    for mine in (half, ~half):
        count = np.bincount(codes[~mine], minlength=int(codes.max()) + 1)
        hits = np.bincount(codes[~mine], weights=truth[~mine], minlength=int(codes.max()) + 1)
        rates[mine] = ((hits + prior) / (count + 1.0))[codes[mine]]
    return rates
