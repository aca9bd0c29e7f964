"""Products that are made of a model and what became of its scores: one maker per role of the definition's `outputs`.

A maker reads published products only, through the relations it is given, and returns the whole table; it is then
audited against a contract and published like any other candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.lineage import ColumnSource
from mesh.model.context import TrainingContext
from mesh.model.definition import CHALLENGERS, FAIRNESS, MONITORING, ROLES, ModelDefinition

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from mesh.model.frame import RelationFor


RelationAt = Callable[[str, int], str]
"""Maps a product and the number of a release to the relation that it served."""


def _no_earlier(product: str, release: int) -> str:
    raise ModelError(f"{product}@{release} cannot be read here: only what is served now.")


@dataclass(frozen=True)
class Making:
    """What a maker is given: where to read, which model, and where it stands.

    `context.releases` and `context.contracts` are those of the product's own inputs, `details` what the records of
    these releases say of how they were made. `relation_at` gives a product as an earlier release had it.
    """

    con: duckdb.DuckDBPyConnection
    definition: ModelDefinition
    context: TrainingContext
    relation_for: RelationFor
    relation_at: RelationAt = _no_earlier
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """What a maker gives: the table, facts worth keeping with the release, and where versions of the model other than
    its champion scored, their numbers and the hashes of their bundles.

    `lineage` says of columns which columns of products they come from, `table` being a product (`domain/name`); a
    column that it does not name is told as worked out from the inputs as a whole. `told` is Markdown for whoever
    looks at the asset; `charts` writes pictures into a new folder, for the MLflow run `run_id`.
    """

    table: pa.Table
    details: Mapping[str, Any] = field(default_factory=dict)
    scored_by: tuple[tuple[int, str], ...] | None = None
    lineage: Mapping[str, tuple[ColumnSource, ...]] = field(default_factory=dict)
    told: str = ""
    charts: Callable[[Path], None] | None = None
    run_id: str = ""


Maker = Callable[[Making], Made]


def maker(role: str) -> Maker:
    """The maker of a role.

    Raises:
        ModelError: there is none.
    """
    if role == FAIRNESS:
        from mesh.model.fairness_table import make_fairness

        return make_fairness
    if role == CHALLENGERS:
        from mesh.model.challengers import make_challenger_scores

        return make_challenger_scores
    if role == MONITORING:
        from mesh.model.monitoring import make_monitoring

        return make_monitoring
    raise ModelError(f"No product of a model has the role {role}. Allowed: {', '.join(ROLES)}.")
