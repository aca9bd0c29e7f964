"""Features of a row, declared once and computed twice: in batch as SQL over all rows, online by a function of a row."""

from mesh.features.compiled import CheckedFeatures, check
from mesh.features.definition import Aggregate, Entity, Features
from mesh.features.loading import load_features
from mesh.features.numbers import decoder, encoder
from mesh.features.rows import RowFunction, compile_row
from mesh.features.submission import arrival
from mesh.features.types import Type

__all__ = [
    "Aggregate",
    "CheckedFeatures",
    "Entity",
    "Features",
    "RowFunction",
    "Type",
    "arrival",
    "check",
    "compile_row",
    "decoder",
    "encoder",
    "load_features",
]
