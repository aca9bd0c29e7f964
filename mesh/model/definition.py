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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mesh.model.gates import STAND_IN, Gate
from mesh.model.watching import Monitoring

LIGHTGBM, LOGISTIC = "lightgbm", "logistic"
ALGORITHMS = (LIGHTGBM, LOGISTIC)
AUTOMATIC, NONE = "automatic", "none"
FEATURE_SELECTIONS = (AUTOMATIC, NONE)

CHALLENGERS, FAIRNESS, MONITORING = "challengers", "fairness", "monitoring"
ROLES = (CHALLENGERS, FAIRNESS, MONITORING)
"""What further products of a model may be: see `mesh.model.derived`."""

Moment = int | str
"""A value of the time column: an integer such as a year, or an ISO date or timestamp."""


LOSS, AVERAGE_PRECISION = "loss", "average_precision"
OBJECTIVES = (LOSS, AVERAGE_PRECISION)


REST, ALL = "rest", "all"
AMONG = (REST, ALL)


@dataclass(frozen=True)
class ChosenBy:
    """How a row came to be looked at: the label product's column that says so, and its values that mean at random.

    `random_among` says what the draw was made of: the rows that nothing else chose (`rest`), or all, whatever else
    points at them (see `mesh.model.sampling`).
    """

    column: str
    random: tuple[str, ...]
    random_among: str = REST


@dataclass(frozen=True)
class Label:
    """Where the truth comes from. `product` is None when the label is a column of the input product itself."""

    column: str
    positive: tuple[str, ...]
    key: str
    product: str | None = None
    known_at: str | None = None
    chosen_by: ChosenBy | None = None


@dataclass(frozen=True)
class Search:
    """How parameters are looked for: so many trials, within `(parameter, least, most)`, judged by `objective`.

    The budget counts trials and not minutes, so that a slower machine finds the same model.
    """

    trials: int
    space: tuple[tuple[str, float, float], ...] = ()
    objective: str = LOSS


@dataclass(frozen=True)
class Costs:
    """What a review costs, and the input's column that says what a find is worth, both in the same money."""

    review: float
    value: str


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
    `gates` are what a challenger must pass (see `mesh.model.gates`), `monitoring` is how the model is watched (see
    `mesh.model.watching`). `capacity` is the share of rows that can be
    reviewed; with `costs` it is the most that may be, and the share that pays best is found in training. `value` is the
    input's column that money figures add up. `as_of` is a moment: what happened or became known later is not used.
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
    algorithm: str = LIGHTGBM
    seed: int = 1
    feature_selection: str = NONE
    exclude: Mapping[str, str] = field(default_factory=dict)
    protected: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    parameters: Mapping[str, float | int | bool] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict, metadata={"trains": False})
    groups: Groups | None = None
    gates: tuple[Gate, ...] = STAND_IN
    as_of: str | None = None
    search: Search | None = None
    costs: Costs | None = None
    value: str | None = None
    monitoring: Monitoring = field(default=Monitoring(), metadata={"trains": False})
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
            names |= {self.label.chosen_by.column} if self.label.chosen_by else set()
        return frozenset(names)

    @property
    def products(self) -> tuple[str, ...]:
        """The published products that training reads, input first; the last tells the groups that it is measured on."""
        named = (self.input, self.label.product, self.groups.product if self.groups else None)
        return tuple(dict.fromkeys(product for product in named if product is not None))

    @property
    def digest(self) -> str:
        """SHA-256 of everything that is said here of the model, whatever the file's layout and comments.

        How it is watched makes no other model.
        """
        said = [one for one in dataclasses.fields(self) if one.compare and one.metadata.get("trains", True)]
        plain = {item.name: _plain(getattr(self, item.name)) for item in said}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    @property
    def moment(self) -> datetime | None:
        """`as_of` as the last instant that counts, without a zone (UTC); a day means all of it."""
        if self.as_of is None:
            return None
        at = datetime.fromisoformat(self.as_of)
        if at.tzinfo is not None:
            at = at.astimezone(UTC).replace(tzinfo=None)
        whole_day = len(self.as_of) == len(date.min.isoformat())
        return at + timedelta(days=1, microseconds=-1) if whole_day else at


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
