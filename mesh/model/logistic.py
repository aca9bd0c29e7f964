"""Penalised logistic regression: a model that fits on a page, with reasons that are its own terms.

It sees the same encoded matrix as the trees do and makes it linear: a number is bounded by what training saw,
standardised, and takes its mean where it is missing, which a term of its own marks; a category has a term per value
and one for missing or new. All terms are counted from their mean in training, so that the contribution of a feature
is coefficient x (value - mean): exact, and adding up to the margin.

It is stored as JSON text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.encoding import CATEGORY, Feature

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FORMAT = "mesh-logistic-1"


@dataclass(frozen=True)
class NumberTerm:
    """A number or yes-no column: log-odds per standard deviation, and for being missing."""

    name: str
    low: float
    high: float
    mean: float
    scale: float
    coefficient: float
    missing: float
    missing_share: float

    def add(self, values: Floats) -> Floats:
        """Log-odds that these values add, counted from the mean of training."""
        import numpy as np

        absent = np.isnan(values)
        z = (np.clip(np.where(absent, self.mean, values), self.low, self.high) - self.mean) / self.scale
        return np.where(absent, 0.0, z) * self.coefficient + (absent - self.missing_share) * self.missing


@dataclass(frozen=True)
class CategoryTerm:
    """A category: log-odds per value, the last for missing or new, counted from the mean of training."""

    name: str
    levels: tuple[float, ...]

    def add(self, values: Floats) -> Floats:
        import numpy as np

        codes = np.where(np.isnan(values), len(self.levels) - 1, values).astype(np.int64)
        added: Floats = np.asarray(self.levels)[codes]
        return added


@dataclass(frozen=True)
class Logistic:
    """A fitted model. `base` is the margin of a row that is average in every term."""

    base: float
    terms: tuple[NumberTerm | CategoryTerm, ...]

    def contributions(self, matrix: Floats) -> Floats:
        """Log-odds that each feature adds to each row's margin: rows x features, without the base value."""
        import numpy as np

        found = np.empty(matrix.shape)
        for place, term in enumerate(self.terms):
            found[:, place] = term.add(matrix[:, place])
        return found

    def margins(self, matrix: Floats) -> Floats:
        """Log-odds of each row; added up feature by feature, so that no chunk or thread changes a bit."""
        import numpy as np

        total = np.full(len(matrix), self.base)
        for place, term in enumerate(self.terms):
            total += term.add(matrix[:, place])
        return total

    def to_text(self) -> str:
        terms = [{"kind": "category" if isinstance(term, CategoryTerm) else "number", **asdict(term)}
                 for term in self.terms]  # fmt: skip
        return json.dumps({"format": FORMAT, "base": self.base, "terms": terms}, indent=1) + "\n"


def read_logistic(text: str, features: Sequence[Feature]) -> Logistic:
    """Read what `to_text` wrote, for the features of a model.

    Raises:
        ModelError: it is no such text, or belongs to other features.
    """
    model = _read(text)
    fits = [term.name for term in model.terms] == [feature.name for feature in features] and all(
        (isinstance(term, CategoryTerm) and len(term.levels) == len(feature.categories) + 1)
        if feature.kind == CATEGORY
        else isinstance(term, NumberTerm)
        for term, feature in zip(model.terms, features, strict=True)
    )
    if not fits:
        raise ModelError("The terms of a logistic model and its encoding know different features.")
    return model


def _load_pyfunc(path: str) -> _Pyfunc:
    """MLflow's way in: `mlflow.pyfunc.load_model` calls it with the path of the stored text."""
    with open(path, encoding="utf-8") as file:
        return _Pyfunc(_read(file.read()))


class _Pyfunc:
    """Takes the encoded matrix and answers uncalibrated, like the trees do."""

    def __init__(self, model: Logistic) -> None:
        self.model = model

    def predict(self, rows: Any, params: Any = None) -> Floats:
        import numpy as np

        margins = self.model.margins(np.asarray(rows, dtype=np.float64))
        chance: Floats = 1.0 / (1.0 + np.exp(-margins))
        return chance


def _read(text: str) -> Logistic:
    try:
        body: dict[str, Any] = json.loads(text)
        if body["format"] != FORMAT:
            raise ValueError
        return Logistic(_finite(body["base"]), tuple(_term(dict(item)) for item in body["terms"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError("The text of a logistic model cannot be read; train the model again.") from error


def _term(item: dict[str, Any]) -> NumberTerm | CategoryTerm:
    kind, name = item.pop("kind"), str(item.pop("name"))
    if kind == "category":
        return CategoryTerm(name, tuple(_finite(value) for value in item["levels"]))
    if kind != "number":
        raise ValueError
    term = NumberTerm(name, **{field: _finite(value) for field, value in item.items()})
    if term.scale <= 0 or term.low > term.high:
        raise ValueError
    return term


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return float(value)
