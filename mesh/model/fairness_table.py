"""The product of the role `fairness`: how the published scores treat groups, as aggregates that point at nobody.

A flag rate is of all scores. What needs a truth is of the rows that are later than everything the model learned from,
as it knows the answer on the others. Time to a decision runs from the model's time column to the first time the label
was known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model.column_sources import fairness_sources
from mesh.model.definition import ModelDefinition
from mesh.model.derived import Made, Making
from mesh.model.fairness import GroupFigure, group_figures
from mesh.model.fairness_report import told
from mesh.model.frame import at_random_sql, label_query, quote
from mesh.model.groups import KEY, read_groups
from mesh.model.sampling import stands_for

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

VERSION = "model_version"
TIMES = ("DATE", "TIMESTAMP")


def make_fairness(making: Making) -> Made:
    """One row per model version, protected column, group and figure.

    Raises:
        ModelError: there are no scores, or they are of a version whose training is not on record.
    """
    definition, con = making.definition, making.con
    groups = read_groups(con, definition, relation_for=making.relation_for)
    if groups is None or definition.groups is None:
        raise ModelError(f"{definition.model}: fairness needs groups to compare. Name them under `groups`.")
    name = f"{making.context.domain}.{definition.model}"
    version = _version(making)
    learned = _learned_to(making, name, version)
    sql = _sql(making, definition, len(learned))
    given: dict[str, str | None] = {f"learned_{place}": moment for place, moment in enumerate(learned)}
    given |= {"as_of": None} if "$as_of" in sql else {}
    con.register("_groups", groups)
    try:
        rows = con.execute(sql, given).to_arrow_table()
    finally:
        con.unregister("_groups")
    found = group_figures(
        rows.column("flagged").to_numpy(),
        rows.select(list(definition.groups.columns)),
        truth=rows.column("truth").to_numpy(),
        weight=_weights(definition, rows),
        days=rows.column("days").to_numpy(),
        least_rows=definition.groups.least_rows,
    )
    table = _table(found, definition.groups.least_rows, name, version)
    judged = [one for one in found if one.judged]
    details = {
        "model_name": name, "model_version": version, "learned_to": list(learned), "figures": len(found),
        "judged": len(judged), "differing": sum(one.differs for one in judged),
    }  # fmt: skip
    return Made(table, details, lineage=fairness_sources(definition))


def _version(making: Making) -> str:
    """The one version whose scores are published."""
    output = making.definition.output
    relation = making.relation_for(output)
    described = making.con.execute(f"select * from {relation} limit 0").description
    if VERSION not in {str(column[0]) for column in described}:
        raise ModelError(f"{output} has no column {VERSION}, so it is not known whose scores they are. Add it there.")
    versions = making.con.execute(f"select distinct {VERSION} from {relation}").fetchall()
    if len(versions) != 1:
        raise ModelError(f"{output} holds scores of {len(versions)} model versions. Allowed: one.")
    return str(versions[0][0])


def _learned_to(making: Making, name: str, version: str) -> tuple[str, ...]:
    """The times of the last rows that the version was fitted to and stopped by, as the ledger has them."""
    from mesh.model.registry import Registry

    standing = Registry.of(making.context).standing(name)
    if not version.isdecimal() or int(version) not in standing.sha256:
        raise ModelError(f"{making.definition.output} holds scores of {name} version {version}, which is in no ledger.")
    learned = standing.registration(int(version)).evidence.get("learned_to")
    if not learned:
        raise ModelError(f"{name} version {version}: it is not on record which rows it learned from. Train it again.")
    return tuple(map(str, learned))


def _sql(making: Making, definition: ModelDefinition, moments: int) -> str:
    """One row per score: `flagged`, `truth` and `days` (NaN where there is none), how it was chosen, and the groups."""
    label, relation_for = definition.label, making.relation_for
    given = relation_for(definition.input)
    time, key = f"i.{quote(definition.time)}", quote(definition.key)
    described = making.con.execute(f"describe select {quote(definition.time)} from {given}").fetchall()
    kind = str(described[0][1])
    days, first = "cast('nan' as double)", "null"
    if label.known_at and kind.startswith(TIMES):
        first = f"min(cast({quote(label.known_at)} as timestamp))"
        days = f"coalesce(date_diff('second', cast({time} as timestamp), d.decided_at) / 86400.0, 'nan')"
    otherwise = f"bool_and(not {at_random_sql(definition)})" if label.chosen_by else "null"
    decided = f"""
        select cast({quote(label.key)} as varchar) as _decided_key, {first} as decided_at, {otherwise} as otherwise
        from {relation_for(label.product or definition.input)} group by all"""
    unseen = " and ".join(f"{time} > cast($learned_{place} as {kind})" for place in range(moments))
    listed = ", ".join(f"g.{quote(column)}" for column in (definition.groups.columns if definition.groups else ()))
    return f"""
        with labels as ({label_query(definition, relation_for)}), decided as ({decided})
        select
            s.flagged,
            {unseen} as later,
            case when {unseen} then coalesce(cast(l._label as double), 'nan') else 'nan' end as truth,
            coalesce({unseen} and l._label_random, false) as drawn,
            coalesce({unseen} and d.otherwise, false) as otherwise,
            cast({days} as double) as days,
            {listed}
        from {relation_for(definition.output)} as s
        join {given} as i on s.{key} = i.{key}
        left join labels as l on l._label_key = cast(s.{key} as varchar)
        left join decided as d on d._decided_key = cast(s.{key} as varchar)
        left join _groups as g on g.{KEY} = cast(s.{key} as varchar)
        order by s.{key}
    """


def _weights(definition: ModelDefinition, rows: pa.Table) -> npt.NDArray[np.float64]:
    """What a reviewed row counts for, see `mesh.model.sampling`."""
    import numpy as np

    later, drawn, otherwise = (np.asarray(rows.column(name).to_numpy()) for name in ("later", "drawn", "otherwise"))
    drawn = drawn & ~np.isnan(rows.column("truth").to_numpy())
    chosen = definition.label.chosen_by
    if chosen is None or not drawn.any():
        return np.ones(rows.num_rows)
    counts = {"population": int(later.sum()), "otherwise": int(otherwise.sum()), "drawn": int(drawn.sum())}
    return np.where(drawn, *stands_for(chosen, **counts))


def _table(figures: tuple[GroupFigure, ...], least: int, name: str, version: str) -> pa.Table:
    import pyarrow as pa

    rows = [{"model_name": name, "model_version": version, **told(one, least)} for one in figures]
    words = ("model_name", "model_version", "attribute", "group_name", "figure", "verdict")
    counts = ("group_rows", "sample_rows")
    kinds = {**dict.fromkeys(words, pa.string()), **dict.fromkeys(counts, pa.int64())}
    # Named, because a column without a single value would have no type.
    return pa.Table.from_pylist(rows, pa.schema([(column, kinds.get(column, pa.float64())) for column in rows[0]]))
