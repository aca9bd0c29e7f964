"""The part of a model that is not trees: how columns become numbers and margins become answers.

It is stored as `encoding.json` beside the trees, so that a score needs nothing but the bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mesh.errors import ModelError
from mesh.model.calibration import Bands, Calibration
from mesh.model.definition import LIGHTGBM
from mesh.model.encoding import Feature

FORMAT = 1


@dataclass(frozen=True)
class ModelCard:
    """Everything a scorer needs besides the trees. `name` is `<domain>.<model>`, `key` the key column of its rows.

    `costs` tells, where the definition gave costs and no share, how the share that is flagged came about: the cost of a
    review, the column of values, the share that paid best on the validation rows.
    """

    name: str
    key: str
    features: tuple[Feature, ...]
    calibration: Calibration
    bands: Bands
    reasons: Mapping[str, str]
    seed: int
    definition: str
    algorithm: str = LIGHTGBM
    costs: Mapping[str, float | str] | None = None

    def to_json(self) -> bytes:
        """Canonical bytes: the same card gives the same file."""
        costs = None if self.costs is None else dict(self.costs)
        body = {"format": FORMAT, **asdict(self), "reasons": dict(self.reasons), "costs": costs}
        return (json.dumps(body, sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()

    @classmethod
    def from_json(cls, raw: bytes) -> ModelCard:
        """Read `encoding.json`, whose hash has been verified.

        Raises:
            ModelError: it was written by another version of the mesh.
        """
        body: dict[str, Any] = json.loads(raw)
        if body.pop("format", None) != FORMAT:
            raise ModelError(f"The model bundle has another format than {FORMAT}; train the model again.")
        features = tuple(Feature(**{**item, "categories": tuple(item["categories"])}) for item in body.pop("features"))
        bands = body.pop("bands")
        return cls(
            features=features,
            calibration=Calibration(**body.pop("calibration")),
            bands=Bands(**{**bands, "percentiles": tuple(bands["percentiles"])}),
            **body,
        )
