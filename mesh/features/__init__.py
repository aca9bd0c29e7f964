"""Features of a row, declared once and computed twice: in batch as SQL over all rows, online by a function of a row."""

from mesh.features.definition import Aggregate, Entity, Features
from mesh.features.loading import load_features
from mesh.features.types import Type

__all__ = ["Aggregate", "Entity", "Features", "Type", "load_features"]
