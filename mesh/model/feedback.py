"""What came back since the model was last trained: outcomes of decisions, as they enlarge the training set.

A run names them by number, release and time of decision, never by key: the run is read by more people than the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mesh.model.definition import ModelDefinition
from mesh.model.derived import RelationAt
from mesh.model.frame import LABEL, RelationFor, happened, label_query, quote, read_query

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

NOW = "_feedback_now"


@dataclass(frozen=True)
class Feedback:
    """How a training set differs from the one before.

    Attributes:
        labels: labelled rows now. before: those of the training before, None where there was none.
        new: rows that were not in it. gone: rows that it had and this one has not. changed: rows with another label.
        release: the release that the labels come from, and `since` the one they came from before.
        first, last: when the first and the last of the new ones became known, where the definition names that time.
    """

    labels: int
    before: int | None
    new: int
    gone: int
    changed: int
    release: str
    since: str | None
    first: datetime | None
    last: datetime | None

    def tags(self) -> dict[str, str]:
        """As a run says it."""
        found = {"labels": str(self.labels), "labels.release": self.release}
        if self.before is not None:
            counts = {"before": self.before, "new": self.new, "gone": self.gone, "changed": self.changed}
            found |= {f"labels.{name}": str(number) for name, number in counts.items()}
            found["labels.since"] = str(self.since)
        for name, moment in (("first", self.first), ("last", self.last)):
            if moment is not None:
                found[f"labels.new.{name}"] = moment.isoformat()
        return found


def feedback(
    con: duckdb.DuckDBPyConnection,
    definition: ModelDefinition,
    table: pa.Table,
    *,
    relation_for: RelationFor,
    relation_at: RelationAt,
    releases: Mapping[str, int],
    before: Mapping[str, int] | None,
) -> Feedback:
    """Compare a training frame with that of the training before.

    Args:
        table: the training frame of now.
        releases: what it was read from.
        before: what the training before read, None where this is the first.

    Raises:
        ModelError: the releases of before cannot be read any more.
    """
    source = definition.label.product or definition.input
    release = f"{source}@{releases[source]}"
    if before is None:
        return Feedback(table.num_rows, None, table.num_rows, 0, 0, release, None, None, None)
    learned = before

    def then(product: str) -> str:
        return relation_at(product, learned[product])

    key = quote(definition.key)
    con.register(NOW, table.select([definition.key, LABEL]))
    try:
        earlier = happened(con, definition, then, definition.moment)
        query = _compared(definition, then, relation_for, key, earlier)
        row = read_query(con, query, definition.moment).to_pylist()[0]
    finally:
        con.unregister(NOW)
    return Feedback(
        labels=table.num_rows,
        before=row["before"],
        new=row["new"],
        gone=row["gone"],
        changed=row["changed"],
        release=release,
        since=f"{source}@{before[source]}",
        first=row["first"],
        last=row["last"],
    )


def _compared(definition: ModelDefinition, then: RelationFor, relation_for: RelationFor, key: str, earlier: str) -> str:
    label = definition.label
    known = f"max(cast({quote(label.known_at)} as timestamp))" if label.known_at else "cast(null as timestamp)"
    return f"""
        with labels as ({label_query(definition, then)}),
        old as (
            select l._label_key as k, l._label as y from {then(definition.input)} i
            join labels l on l._label_key = cast(i.{key} as varchar)
            where {earlier}
        ),
        now as (select cast({key} as varchar) as k, {quote(LABEL)} as y from {NOW}),
        known as (
            select cast({quote(label.key)} as varchar) as k, {known} as at
            from {relation_for(label.product or definition.input)} group by all
        )
        select count(old.k) as before,
            count(*) filter (old.k is null) as new,
            count(*) filter (now.k is null) as gone,
            count(*) filter (old.y <> now.y) as changed,
            min(known.at) filter (old.k is null) as first,
            max(known.at) filter (old.k is null) as last
        from now full join old on old.k = now.k
        left join known on known.k = now.k
    """
