"""What somebody sends as the row that features are made of: the staging model's part of a declaration, for one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mesh.features import text
from mesh.features.definition import Features, SubmittedField
from mesh.features.numbers import encoder
from mesh.features.types import DATE, TEXT, TIMESTAMP

FIRST, END = "1900-01-01", "2100-01-01"
"""A delivered day or moment before the first, or not before the end, means nothing: it is read as missing."""

Arrival = Callable[[Sequence[Any]], tuple[Any, ...]]
MISSING = "missing"
FORMED: Mapping[str, Callable[[str], str | None]] = {
    "clean": text.clean,
    "lower": lambda value: text.lower(value.strip(text.BLANKS)) or None,
    "upper": lambda value: text.upper(value.strip(text.BLANKS)) or None,
    "postcode": text.postcode,
}


def arrival(features: Features) -> Arrival:
    """A function from what is sent to the row.

    It takes one value for each of `features.submission`, in order, as `mesh.features.types` has it, which fits its
    type; an identifier comes as the pair of its token and status. Text gets its form.
    """
    makes = [_maker(field) for field in features.submission]

    def arrive(sent: Sequence[Any]) -> tuple[Any, ...]:
        row: list[Any] = []
        for make, value in zip(makes, sent, strict=True):
            row += make(value)
        return tuple(row)

    return arrive


def _maker(field: SubmittedField) -> Callable[[Any], tuple[Any, ...]]:
    if field.identifier is not None:
        return lambda value: (value[0], MISSING if value[1] is None else value[1])
    if field.type == TEXT and field.form in FORMED:
        form = FORMED[field.form]
        return lambda value: (None if value is None else form(value),)
    if field.type in (DATE, TIMESTAMP):
        from datetime import datetime

        first, end = (encoder(field.type)(datetime.fromisoformat(one)) for one in (FIRST, END))
        return lambda value: (value if value is not None and first <= value < end else None,)
    return lambda value: (value,)
