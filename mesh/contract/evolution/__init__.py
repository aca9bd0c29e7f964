"""How a contract changed: every change graded by its direction and by whom it hurts, and what version admits it."""

from mesh.contract.evolution.changes import GRADES, Change, Direction, Grade
from mesh.contract.evolution.compare import compare
from mesh.contract.evolution.report import Affected, Difference, difference
from mesh.contract.evolution.versions import Version, admitted

__all__ = [
    "GRADES",
    "Affected",
    "Change",
    "Difference",
    "Direction",
    "Grade",
    "Version",
    "admitted",
    "compare",
    "difference",
]
