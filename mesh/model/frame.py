"""The rows a model learns from and the rows it scores, read by SQL in one total order.

A row without a known label is no training row: nobody looked at it, which does not make it innocent. Where a key
has several labels the one known last counts. What happened or became known after the definition's `as_of` is not read.

Beside the features a frame carries what training needs to know of a row, under names that begin with `_`: its label,
when that became known, whether the row was chosen at random, what it is worth.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.definition import ModelDefinition

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

LABEL = "_label"
"""Name of the label column of a training frame: 1 positive, 0 negative."""

KNOWN_AT, AT_RANDOM, VALUE, CHOSEN, OPEN = "_known_at", "_at_random", "_value", "_chosen", "_open"
"""When the label became known; whether the row was chosen at random; what a find is worth. Of a population: whether
anybody chose the row otherwise than at random, and whether it was chosen and has no label yet."""

ABOUT = (LABEL, KNOWN_AT, AT_RANDOM, VALUE, CHOSEN, OPEN)
"""Columns of a frame that are never features."""

RelationFor = Callable[[str], str]
"""Maps a product to the SQL relation that serves it, such as `inputs.insight.claim_features_v1`."""


def training_frame(
    con: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    *,
    relation_for: RelationFor,
    as_of: datetime | None = None,
) -> pa.Table:
    """The labelled rows: key, time, features, `_label` (int8), ordered by (time, key).

    Also `_known_at` where the definition names `label.known_at`, `_at_random` where it names `label.chosen_by`, and
    `_value` where it names a column of values.

    Args:
        as_of: drops labels that became known later (needs `label.known_at`) and rows that happened later; default the
            definition's own moment, and where it names none everything counts.

    Raises:
        ModelError: a column is missing, a feature has a type no model takes, or the key is not unique.
    """
    columns = feature_columns(con, definition, relation_for)
    as_of = as_of or definition.moment
    listed = [f"i.{quote(name)}" for name in (definition.key, definition.time, *columns)]
    listed.append(f"l._label as {quote(LABEL)}")
    if definition.label.known_at:
        listed.append(f"l._label_known as {quote(KNOWN_AT)}")
    if definition.label.chosen_by:
        listed.append(f"l._label_random as {quote(AT_RANDOM)}")
    if definition.value:
        listed.append(f"cast(i.{quote(definition.value)} as double) as {quote(VALUE)}")
    sql = f"""
        with labels as ({label_query(definition, relation_for)})
        select {", ".join(listed)}
        from {relation_for(definition.input)} as i
        join labels as l on cast(i.{quote(definition.key)} as varchar) = l._label_key
        where {happened(con, definition, relation_for, as_of)}
        order by i.{quote(definition.time)}, i.{quote(definition.key)}
    """
    table = read_query(con, sql, as_of)
    _check_rows(table, definition)
    return table


def population_frame(
    con: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    *,
    relation_for: RelationFor,
    as_of: datetime | None = None,
) -> pa.Table:
    """Every row that had happened by `as_of`, as `scoring_frame` gives it, with what became of it.

    `_open`: it was chosen, or is in the label product, and no label is known yet; where the label is a column of the
    input nobody can tell the two apart, and every row without a label is open. `_chosen`, where the definition names
    `label.chosen_by`: it was chosen, and never at random.

    Raises:
        ModelError: as for `training_frame`.
    """
    columns = feature_columns(con, definition, relation_for)
    as_of, label = as_of or definition.moment, definition.label
    listed = [f"i.{quote(name)}" for name in (definition.key, definition.time, *columns)]
    listed.append(f"(c._chosen_key is not null and l._label_key is null) as {quote(OPEN)}")
    if label.chosen_by:
        listed.append(f"coalesce(c._chosen_otherwise, false) as {quote(CHOSEN)}")
    relation = relation_for(label.product or definition.input)
    otherwise = f"bool_and(not {at_random_sql(definition)})" if label.chosen_by else "null"
    sql = f"""
        with labels as ({label_query(definition, relation_for)}),
        chosen as (
            select cast({quote(label.key)} as varchar) as _chosen_key, {otherwise} as _chosen_otherwise
            from {relation}
            group by all
        )
        select {", ".join(listed)}
        from {relation_for(definition.input)} as i
        left join chosen as c on cast(i.{quote(definition.key)} as varchar) = c._chosen_key
        left join labels as l on cast(i.{quote(definition.key)} as varchar) = l._label_key
        where {happened(con, definition, relation_for, as_of)}
        order by i.{quote(definition.time)}, i.{quote(definition.key)}
    """
    table = read_query(con, sql, as_of)
    _check_rows(table, definition)
    return table


def scoring_frame(
    con: duckdb.DuckDBPyConnection, definition: ModelDefinition, *, relation_for: RelationFor
) -> pa.Table:
    """Every row of the input, labelled or not: key, time, features, ordered by (time, key).

    Raises:
        ModelError: as for `training_frame`.
    """
    columns = feature_columns(con, definition, relation_for)
    table = read_rows(con, relation_for(definition.input), definition.key, definition.time, columns)
    _check_rows(table, definition)
    return table


def read_rows(con: duckdb.DuckDBPyConnection, relation: str, key: str, time: str, columns: Sequence[str]) -> pa.Table:
    """Key, time and columns of every row of a relation, ordered by (time, key).

    Raises:
        ModelError: a column is not there.
    """
    listed = ", ".join(quote(name) for name in (key, time, *columns))
    return read_query(con, f"select {listed} from {relation} order by {quote(time)}, {quote(key)}")


def feature_columns(
    con: duckdb.DuckDBPyConnection, definition: ModelDefinition, relation_for: RelationFor
) -> tuple[str, ...]:
    """The input's columns that are features, in the input's order.

    Raises:
        ModelError: a named column is not there, or a feature has a type no model takes.
    """
    described = con.execute(f"describe select * from {relation_for(definition.input)}").fetchall()
    types = {str(row[0]): str(row[1]) for row in described}
    needed = {definition.key: "key", definition.time: "time"}
    needed |= dict.fromkeys(definition.exclude, "exclude") | dict.fromkeys(definition.categorical, "categorical")
    if definition.label.product is None:
        needed |= {definition.label.column: "label.column", definition.label.key: "label.key"}
        needed |= {definition.label.known_at: "label.known_at"} if definition.label.known_at else {}
        needed |= {definition.label.chosen_by.column: "label.chosen_by"} if definition.label.chosen_by else {}
    if definition.value:
        needed[definition.value] = "costs.value" if definition.costs else "value"
    for name, where in needed.items():
        if name not in types:
            raise _unknown(definition, name, where, list(types))
    if definition.value and not types[definition.value].startswith(_NUMBERS):
        raise ModelError(
            f"{definition.model}: the column of values {definition.value} of {definition.input} is "
            f"{types[definition.value]}. Allowed: numbers."
        )
    if about := [name for name in types if name in ABOUT]:
        raise ModelError(f"{definition.model}: {definition.input} has a column {about[0]}, a name that training needs.")
    features = tuple(name for name in types if name not in definition.reserved)
    for name in definition.protected:
        # An absent protected column is fine (it is never a feature), a misspelt one would let the real one in.
        if name not in types and difflib.get_close_matches(name, features, 1, 0.85):
            raise _unknown(definition, name, "protected", list(types))
    if not features:
        raise ModelError(f"{definition.model}: {definition.input} has no column left to be a feature.")
    for name in features:
        if not types[name].startswith(_TYPES):
            raise ModelError(
                f"{definition.model}: column {name} of {definition.input} is {types[name]}, which is no feature type. "
                "Derive a number from it in the product, or list it under `exclude` with the reason. "
                "Allowed: numbers, booleans, text."
            )
    if stray := [name for name in definition.reasons if name not in features]:
        raise _unknown(definition, stray[0], "reasons", list(features))
    return features


def quote(name: str) -> str:
    """A column name as SQL."""
    return '"' + name.replace('"', '""') + '"'


_NUMBERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "FLOAT", "DOUBLE", "DECIMAL",
)  # fmt: skip
_TYPES = (*_NUMBERS, "BOOLEAN", "VARCHAR", "ENUM")


def label_query(definition: ModelDefinition, relation_for: RelationFor) -> str:
    """One row per key with a known label: `_label_key` as text, `_label` 1 or 0, since when it is known, whether it was
    chosen at random. Its parameter `$as_of` may be null.
    """
    label = definition.label
    relation = relation_for(label.product or definition.input)
    column, key = f"cast({quote(label.column)} as varchar)", f"cast({quote(label.key)} as varchar)"
    positive = _listed(label.positive)
    known = f"cast({quote(label.known_at)} as timestamp)" if label.known_at else "null"
    seen = f"and {known} <= coalesce(cast($as_of as timestamp), {known})" if label.known_at else ""
    # A row that was ever drawn at random was drawn, whatever else led to it.
    drawn = f"bool_or({at_random_sql(definition)}) over (partition by {key})" if label.chosen_by else "null"
    # Without a time of knowledge, or at the same instant, a positive label outranks a negative one.
    return f"""
        select {key} as _label_key, cast({column} in ({positive}) as tinyint) as _label, {known} as _label_known,
            {drawn} as _label_random
        from {relation}
        where {quote(label.column)} is not null {seen}
        qualify row_number() over (
            partition by {key} order by {known} desc nulls last, {column} in ({positive}) desc, {column}
        ) = 1
    """


def at_random_sql(definition: ModelDefinition) -> str:
    """The condition that a row of the label product was chosen at random."""
    chosen = definition.label.chosen_by
    assert chosen is not None
    return f"coalesce(cast({quote(chosen.column)} as varchar) in ({_listed(chosen.random)}), false)"


def happened(
    con: duckdb.DuckDBPyConnection, definition: ModelDefinition, relation_for: RelationFor, as_of: datetime | None
) -> str:
    """The condition that a row of the input had happened."""
    if as_of is None:
        return "true"
    time = f"i.{quote(definition.time)}"
    described = con.execute(f"describe select {time} from {relation_for(definition.input)} as i").fetchall()
    kind = str(described[0][1])
    if not kind.startswith(("DATE", "TIMESTAMP")):
        raise ModelError(
            f"{definition.model}: rows cannot be compared with `as_of`, because {definition.time} of "
            f"{definition.input} is {kind}. Allowed: a date or timestamp."
        )
    return f"cast({time} as timestamp) <= cast($as_of as timestamp)"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


def read_query(con: duckdb.DuckDBPyConnection, sql: str, as_of: datetime | None = None) -> pa.Table:
    """The rows of a query; where it fails, an error that quotes no value."""
    import duckdb

    if as_of is not None and as_of.tzinfo is not None:
        as_of = as_of.astimezone(UTC).replace(tzinfo=None)
    try:
        return con.execute(sql, {"as_of": as_of} if "$as_of" in sql else {}).to_arrow_table()
    except duckdb.Error as error:
        # The engine's own message may quote a value; the SQL may not.
        raise ModelError(f"The rows of a model cannot be read ({type(error).__name__}). SQL: {sql}") from None


def _check_rows(table: pa.Table, definition: ModelDefinition) -> None:
    import pyarrow.compute as pc

    for name in (definition.key, definition.time):
        if missing := table.column(name).null_count:
            raise ModelError(f"{definition.model}: {missing} rows of {definition.input} have no {name}.")
    if (distinct := pc.count_distinct(table.column(definition.key)).as_py()) < table.num_rows:
        raise ModelError(
            f"{definition.model}: {table.num_rows - distinct} rows of {definition.input} repeat a {definition.key}; "
            "the input of a model has one row per key."
        )


def _unknown(definition: ModelDefinition, name: str, where: str, there: list[str]) -> ModelError:
    near = difflib.get_close_matches(name, there, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ModelError(
        f"{definition.model}: `{where}` names {name}, which is no column of {definition.input} that it may name.{hint} "
        f"Allowed: {', '.join(there)}."
    )
