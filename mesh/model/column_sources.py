"""Which columns of published products the columns of a model's further products are worked out from.

A maker is no query that could be traced, so what it reads is told here, by product: values that are counted, compared
or copied. What a join or a filter looks at is not listed, as for every other product; a key is neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mesh.lineage import ColumnSource
from mesh.lineage.columns import Kind
from mesh.model.definition import ModelDefinition

Sources = Mapping[str, tuple[ColumnSource, ...]]

FACTS = ("model_name", "model_version")


def challenger_sources(definition: ModelDefinition, features: Iterable[str], champion: Mapping[str, str]) -> Sources:
    """Scores come from every feature that a challenger uses; what the champion said is copied.

    Args:
        champion: column of the product: the column of the scores that it copies.
    """
    learned = _of(definition.input, features, "transformation")
    return {
        definition.key: _of(definition.input, [definition.key]),
        **dict.fromkeys(("probability", "score", "band", "flagged"), learned),
        **dict.fromkeys(FACTS, ()),
        **{name: _of(definition.output, [source]) for name, source in champion.items()},
    }


def fairness_sources(definition: ModelDefinition) -> Sources:
    """Figures come from the groups, what was flagged, what reviews found, and when and why there was one."""
    groups, label = definition.groups, definition.label
    assert groups is not None
    reviews = label.product or definition.input
    people = _of(groups.product, groups.columns, "aggregation")
    chosen = [label.chosen_by.column] if label.chosen_by else []
    found = _of(reviews, [label.column, *chosen], "aggregation")
    moments = _of(definition.input, [definition.time], "aggregation")
    moments += _of(reviews, [label.known_at] if label.known_at else [], "aggregation")
    compared = _ordered(people, _of(definition.output, ["flagged"], "aggregation"), found, moments)
    return {
        "model_name": (),
        "model_version": _of(definition.output, ["model_version"]),
        "attribute": (),
        "group_name": _of(groups.product, groups.columns, "transformation"),
        "figure": (),
        "group_rows": people,
        "group_share": people,
        **dict.fromkeys(
            ("sample_rows", "value", "low", "high", "rest_value", "ratio_to_rest", "p_value", "p_adjusted", "verdict"),
            compared,
        ),
    }


def monitoring_sources(definition: ModelDefinition, features: Sequence[str]) -> Sources:
    """Figures come from the features that the model uses, as they are and as they were, and from outcomes."""
    label = definition.label
    reviews = label.product or definition.input
    known = [label.known_at] if label.known_at else []
    judged = _ordered(_of(definition.input, features, "aggregation"), _of(reviews, [label.column], "aggregation"))
    delay = _of(definition.input, [definition.time], "aggregation") + _of(reviews, known, "aggregation")
    since = _of(reviews, known if definition.moment is not None else [], "transformation")
    return {
        **dict.fromkeys((*FACTS, "measure", "subject"), ()),
        "period": _of(definition.input, [definition.time], "transformation"),
        "stage": _ordered(_of(definition.input, [definition.time], "transformation"), since),
        "value": _ordered(judged, delay) if known else judged,
        **dict.fromkeys(("low", "high", "rows", "watch", "breach", "status"), judged),
    }


def _of(product: str, columns: Iterable[str], kind: Kind = "identity") -> tuple[ColumnSource, ...]:
    return tuple(ColumnSource(product, column, kind) for column in sorted(columns))


def _ordered(*several: tuple[ColumnSource, ...]) -> tuple[ColumnSource, ...]:
    """All of them once, by product and column; of a column that flows in by two ways, one is told."""
    found = {(one.table, one.column): one for sources in several for one in sources}
    return tuple(found[name] for name in sorted(found))
