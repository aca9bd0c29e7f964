"""Features of a row, declared once and computed twice: in batch as SQL over all rows, online as a function of one row."""

from mesh.features.definition import Aggregate, Entity, Features
from mesh.features.loading import load_features
from mesh.features.types import Type

__all__ = ["Aggregate", "Entity", "Features", "Type", "load_features"]
