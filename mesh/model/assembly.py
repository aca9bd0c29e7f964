"""How scores become the rows of a product: the one definition of it, for those who publish and those who replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel
from mesh.model.frame import quote

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from mesh.contract import Table

SCORED = "scored"
"""The name under which the caller registers the scores before the query runs."""

Facts = Mapping[str, str | int]


@dataclass(frozen=True)
class Assembly:
    """The query that gives a score product's rows, and its parameters.

    `copied` names the columns that come from the scored product as they are, its key last.
    """

    query: str
    values: tuple[str | int, ...]
    copied: tuple[str, ...]


def facts_of(model: LoadedModel, input_release: int, input_contract_version: str) -> dict[str, str | int]:
    """What every row of a score product may say of how it was made."""
    return {
        "model_name": model.name,
        "model_version": str(model.version),
        "input_release": input_release,
        "input_contract_version": input_contract_version,
    }


def assemble(
    con: duckdb.DuckDBPyConnection, product: str, table: Table, scored: pa.Table, relation: str, key: str, facts: Facts
) -> Assembly:
    """The contract's columns, each from the scores, the facts of the model or the scored product itself.

    Args:
        relation: the scored product, as the connection sees it.
        key: the column that scores and scored rows share.

    Raises:
        ModelError: nothing gives a column of the contract.
    """
    described = con.execute(f"select * from {relation} limit 0").description
    of_input = {column[0] for column in described}
    columns: list[str] = []
    values: list[str | int] = []
    copied: list[str] = []
    for column in table.columns:
        if column.name in scored.column_names:
            source = f"s.{quote(column.name)}"
        elif column.name in facts:
            source = "?"
            values.append(facts[column.name])
        elif column.name in of_input:
            source = f"i.{quote(column.name)}"
            copied.append(column.name)
        else:
            raise ModelError(
                f"{product}: nothing gives column {column.name} of contracts/{product}.yaml. Allowed: "
                f"{', '.join([*scored.column_names, *facts])}, or a column of {relation.partition('.')[2]}."
            )
        columns.append(f"cast({source} as {column.physical_type}) as {quote(column.name)}")
    query = (
        f"select {', '.join(columns)} from {SCORED} s join {relation} i on i.{quote(key)} = s.{quote(key)} "
        f"order by s.{quote(key)}"
    )
    return Assembly(query, tuple(values), (*copied, key))
