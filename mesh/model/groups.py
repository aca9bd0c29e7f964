"""The groups of people a model is measured on, kept apart from everything it learns from.

They are read from a product of their own, by key, after the trees are grown; no feature can be one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.definition import ModelDefinition
from mesh.model.encoding import encode
from mesh.model.fairness import GroupFigure, group_figures
from mesh.model.frame import AT_RANDOM, RelationFor, quote
from mesh.model.proxies import Proxy, proxies
from mesh.model.split import TEST

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from mesh.model.training import TrainedModel

KEY = "_key"
"""Name of the key in a table of groups, as text."""


@dataclass(frozen=True)
class Fairness:
    """What a training tells of groups: their figures on rows it never saw, and which features stand in for them."""

    figures: tuple[GroupFigure, ...]
    proxies: tuple[Proxy, ...]


def read_groups(
    con: duckdb.DuckDBPyConnection, definition: ModelDefinition, *, relation_for: RelationFor
) -> pa.Table | None:
    """`_key` and the columns of groups as text, ordered by key; None where the definition names no groups.

    Raises:
        ModelError: a column is not there, or a key has more than one row.
    """
    import pyarrow.compute as pc

    groups = definition.groups
    if groups is None:
        return None
    relation = relation_for(groups.product)
    there = [str(row[0]) for row in con.execute(f"describe select * from {relation}").fetchall()]
    for name in (groups.key, *groups.columns):
        if name not in there:
            raise ModelError(
                f"{definition.model}: `groups` names {name}, which is no column of {groups.product}. "
                f"Allowed: {', '.join(there)}."
            )
    listed = ", ".join(f"cast({quote(name)} as varchar) as {quote(name)}" for name in groups.columns)
    table = con.execute(
        f"select cast({quote(groups.key)} as varchar) as {KEY}, {listed} from {relation} order by 1"
    ).to_arrow_table()
    if (repeated := table.num_rows - pc.count_distinct(table.column(KEY)).as_py()) > 0:
        raise ModelError(f"{definition.model}: {repeated} rows of {groups.product} repeat a {groups.key}.")
    return table


def measure(
    trained: TrainedModel, definition: ModelDefinition, population: pa.Table, groups: pa.Table, threads: int
) -> Fairness:
    """The figures of a fresh model: whom it would flag among all rows, and how right it is on the later labelled ones.

    Where rows were drawn at random for review, each counts for those that nobody looked at (see `mesh.model.sampling`).

    Args:
        population: every row (see `scoring_frame`); a row that `groups` does not know is in no known group.
        groups: see `read_groups`.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    assert definition.groups is not None
    card, least = trained.model.card, definition.groups.least_rows
    matrix = encode(population, card.features)
    margins = trained.model.margins(matrix, threads=threads)
    told = groups_of(groups, population.column(definition.key))
    keys = pc.cast(population.column(definition.key), pa.string()).combine_chunks()
    later = pc.cast(trained.test_rows.column(definition.key), pa.string())
    places = np.asarray(pc.index_in(later, value_set=keys))
    truth, weight = np.full(population.num_rows, np.nan), np.ones(population.num_rows)
    truth[places] = trained.test_truth
    if sample := trained.samples.get(TEST):
        drawn = np.asarray(trained.test_rows.column(AT_RANDOM).to_numpy(), dtype=bool)
        weight[places] = np.where(drawn, sample.weight, sample.weight_otherwise)
    figures = group_figures(card.bands.flagged(margins), told, truth=truth, weight=weight, least_rows=least)
    return Fairness(figures, proxies(card.features, matrix, margins, told, least))


def groups_of(groups: pa.Table, keys: Any) -> pa.Table:
    """The groups of rows by their keys, in their order; missing where `groups` does not know a key."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = groups.column(KEY).combine_chunks()
    return groups.take(pc.index_in(pc.cast(keys, pa.string()), value_set=known)).drop_columns([KEY])
