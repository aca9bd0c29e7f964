"""Challengers in shadow: what the versions that are not champion would have said of the same rows.

Nobody acts on these scores. They show where another version would flag other rows before it is given the chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError
from mesh.model.bundle import LoadedModel
from mesh.model.column_sources import challenger_sources
from mesh.model.derived import Made, Making
from mesh.model.frame import quote, scoring_frame
from mesh.model.registry import Registry, registered_name
from mesh.model.scoring import score

if TYPE_CHECKING:
    import pyarrow as pa

NEWEST = 3
"""How many challengers score in shadow: the newest in service. Each costs as much as the champion."""

CHAMPION_COLUMNS = {
    "champion_version": "model_version",
    "champion_probability": "probability",
    "champion_flagged": "flagged",
}
"""Column of this product: the column of the score product that it comes from."""


def live(challengers: tuple[int, ...]) -> tuple[int, ...]:
    """The challengers that score, newest first, of all that are in service."""
    return challengers[:NEWEST]


def make_challenger_scores(making: Making) -> Made:
    """Score the input with every live challenger, beside what the champion said in the release of its scores.

    A challenger that cannot score the rows of today is left out, which the release tells: one old version must not hold
    up the others.
    """
    import pyarrow as pa

    definition, context = making.definition, making.context
    name = registered_name(definition, context.domain)
    registry = Registry.of(context)
    standing = registry.standing(name)
    rows = scoring_frame(making.con, definition, relation_for=making.relation_for)
    parts, left_out, used = [], {}, set()
    for version in live(standing.challengers):
        try:
            model = registry.load(name, version)
            parts.append(_scored(model, rows, context.threads))
            used |= {feature.name for feature in model.card.features}
        except ModelError as error:
            left_out[str(version)] = str(error)
    scores = pa.concat_tables(parts) if parts else _empty(definition.key, rows.schema.field(definition.key).type)
    details: dict[str, Any] = {
        "model_name": name,
        "challengers": ", ".join(map(str, live(standing.challengers))) or "none",
        "left_out": left_out,
        "not_in_shadow": len(standing.challengers) - len(live(standing.challengers)),
    }
    by = tuple((version, standing.sha256[version]) for version in live(standing.challengers))
    lineage = challenger_sources(definition, used, CHAMPION_COLUMNS)
    return Made(_beside_champion(making, scores), details, by, lineage)


def _scored(model: LoadedModel, rows: pa.Table, threads: int) -> pa.Table:
    import pyarrow as pa

    scores = score(model, rows, threads=threads, reasons=False)
    for column, value in (("model_version", str(model.version)), ("model_name", model.name)):
        scores = scores.append_column(column, pa.repeat(pa.scalar(value), rows.num_rows))
    return scores


def _empty(key: str, kind: pa.DataType) -> pa.Table:
    import pyarrow as pa

    fields = {
        key: kind,
        "probability": pa.float64(),
        "score": pa.int32(),
        "band": pa.string(),
        "flagged": pa.bool_(),
        "model_version": pa.string(),
        "model_name": pa.string(),
    }
    return pa.schema(list(fields.items())).empty_table()


def _beside_champion(making: Making, scores: pa.Table) -> pa.Table:
    """Each row with what the champion said; a row that the champion has not scored has none."""
    key = quote(making.definition.key)
    beside = ", ".join(f"c.{quote(source)} as {quote(name)}" for name, source in CHAMPION_COLUMNS.items())
    making.con.register("shadow_scores", scores)
    try:
        return making.con.execute(
            f"select s.*, {beside} from shadow_scores s "
            f"left join {making.relation_for(making.definition.output)} c on c.{key} = s.{key}"
        ).to_arrow_table()
    finally:
        making.con.unregister("shadow_scores")
