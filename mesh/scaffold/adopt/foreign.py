"""A dbt project as plain data: what the mesh wants to know of it, whoever read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mesh.profile import Handling
from mesh.profile.names import snake

Layer = Literal["staging", "intermediate", "products"]
Outcome = Literal["taken over", "changed", "not taken over"]
OUTCOMES: tuple[Outcome, ...] = ("taken over", "changed", "not taken over")


@dataclass(frozen=True)
class Note:
    """One line of the report: what became of a thing in a file of the foreign project, and why."""

    outcome: Outcome
    file: str
    what: str
    why: str


@dataclass(frozen=True)
class ForeignColumn:
    """One column of a table or model. `type` is a DuckDB type; `assumed` where nothing said it."""

    name: str
    type: str
    description: str = ""
    tags: tuple[str, ...] = ()
    handling: Handling = field(default_factory=Handling)
    assumed: bool = False


@dataclass(frozen=True)
class ForeignTable:
    """What models read that no model makes: a seed or a source. `sample` is a file of its rows, where there is one."""

    name: str
    file: str
    description: str
    columns: tuple[ForeignColumn, ...]
    sample: Path | None = None


@dataclass(frozen=True)
class ForeignTest:
    """One test of a model.

    `arguments` are those of the generic test of this `name`; `query` is the SELECT of a singular one, with `${table}`
    for the model. `unclear` says why it cannot be understood.
    """

    name: str
    label: str
    file: str
    column: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    warning: bool = False
    where: str | None = None
    query: str | None = None
    unclear: str | None = None


@dataclass(frozen=True)
class ForeignModel:
    """One model that can be taken over.

    `sql` reads other models and the base models of tables by `ref()`; `columns` are those it was seen to have.
    `parents` are models, `tables` what it reads itself.
    """

    name: str
    file: str
    layer: Layer
    sql: str
    description: str
    columns: tuple[ForeignColumn, ...]
    parents: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    tests: tuple[ForeignTest, ...] = ()
    tags: tuple[str, ...] = ()
    owner: str | None = None
    rows: int = 0


@dataclass(frozen=True)
class ForeignProject:
    """A dbt project, parents before children. `macros` are files by name; `notes` what was seen on the way."""

    name: str
    models: tuple[ForeignModel, ...]
    tables: tuple[ForeignTable, ...]
    macros: Mapping[str, str]
    notes: tuple[Note, ...]


def base_model(domain: str, table: str) -> str:
    """The model that gives a delivered table its types: what `source()` and `ref()` of a seed become."""
    return f"base_{domain}__{snake(table).removeprefix('raw_')}"
