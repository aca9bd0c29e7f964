"""Products that are made of a model and what became of its scores: one maker per role of the definition's `outputs`.

A maker reads published products only, through the relations it is given, and returns the whole table; it is then
audited against a contract and published like any other candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.context import TrainingContext
from mesh.model.definition import FAIRNESS, ROLES, ModelDefinition

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from mesh.model.frame import RelationFor


@dataclass(frozen=True)
class Making:
    """What a maker is given: where to read, which model, and where it stands.

    `context.releases` and `context.contracts` are those of the product's own inputs.
    """

    con: duckdb.DuckDBPyConnection
    definition: ModelDefinition
    context: TrainingContext
    relation_for: RelationFor


@dataclass(frozen=True)
class Made:
    """What a maker gives: the table, and facts worth keeping with the release."""

    table: pa.Table
    details: Mapping[str, Any] = field(default_factory=dict)


Maker = Callable[[Making], Made]


def maker(role: str) -> Maker:
    """The maker of a role.

    Raises:
        ModelError: there is none.
    """
    if role == FAIRNESS:
        from mesh.model.fairness_table import make_fairness

        return make_fairness
    raise ModelError(f"No product of a model has the role {role}. Allowed: {', '.join(ROLES)}.")
