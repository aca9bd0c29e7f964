"""What a model is, before any data: the frozen form of `data_products/<domain>/models/<name>.yaml`.

The form carries names only - products, columns, shares - so that it can be hashed: two definitions with the same
`digest` train the same model on the same releases. `mesh.model.reading` turns YAML into it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mesh.model.gates import STAND_IN, Gate

ALGORITHMS = ("lightgbm",)
AUTOMATIC, NONE = "automatic", "none"
FEATURE_SELECTIONS = (AUTOMATIC, NONE)

CHALLENGERS, FAIRNESS, MONITORING = "challengers", "fairness", "monitoring"
ROLES = (CHALLENGERS, FAIRNESS, MONITORING)
"""What further products of a model may be: see `mesh.model.derived`."""

Moment = int | str
"""A value of the time column: an integer such as a year, or an ISO date or timestamp."""


@dataclass(frozen=True)
class Label:
    """Where the truth comes from. `product` is None when the label is a column of the input product itself."""

    column: str
    positive: tuple[str, ...]
    key: str
    product: str | None = None
    known_at: str | None = None


@dataclass(frozen=True)
class Split:
    """How the time column parts training rows from test rows; training rows are always strictly earlier.

    Either `test_share` (the latest share of the labelled rows, 0 to 1) or both bounds (inclusive) are set.
    """

    test_share: float | None = None
    train_to: Moment | None = None
    test_from: Moment | None = None


@dataclass(frozen=True)
class Groups:
    """Which groups of people a model is compared on, and where they are: a product with one row per key.

    Figures on fewer than `least_rows` rows are not judged and never published.
    """

    product: str
    key: str
    columns: tuple[str, ...]
    least_rows: int = 50


@dataclass(frozen=True)
class ModelDefinition:
    """One model: its input, label, split, features left out, capacity, algorithm and the products it feeds.

    `output` is the product of its scores; `outputs` names further products by their role (see `mesh.model.derived`);
    `gates` are what a challenger must pass (see `mesh.model.gates`).
    """

    model: str
    description: str
    input: str
    key: str
    label: Label
    time: str
    split: Split
    capacity: float
    output: str
    algorithm: str = "lightgbm"
    seed: int = 1
    feature_selection: str = NONE
    exclude: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    parameters: Mapping[str, float | int | bool] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    groups: Groups | None = None
    gates: tuple[Gate, ...] = STAND_IN
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("exclude", "parameters", "reasons", "outputs"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def reserved(self) -> frozenset[str]:
        """Columns of the input that can never be features: key, time, protected, excluded, groups, the label's own."""
        names = {self.key, self.time, *self.exclude, *self.protected, *(self.groups.columns if self.groups else ())}
        if self.label.product is None:
            names |= {self.label.column, self.label.key}
            names |= {self.label.known_at} if self.label.known_at else set()
        return frozenset(names)

    @property
    def products(self) -> tuple[str, ...]:
        """The published products that training reads, input first; the last tells the groups that it is measured on."""
        named = (self.input, self.label.product, self.groups.product if self.groups else None)
        return tuple(dict.fromkeys(product for product in named if product is not None))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is said here, whatever the file's layout and comments."""
        plain = {item.name: _plain(getattr(self, item.name)) for item in dataclasses.fields(self) if item.compare}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
