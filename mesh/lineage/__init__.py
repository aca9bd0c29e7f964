"""Lineage: which tables and columns a product comes from, and the same as OpenLineage events.

Pure: it takes SQL texts, names and release records, and runs nothing.
"""

from mesh.lineage.columns import KINDS, ColumnLineage, ColumnSource, Kind, Lineage, Tracer

__all__ = ["KINDS", "ColumnLineage", "ColumnSource", "Kind", "Lineage", "Tracer"]
