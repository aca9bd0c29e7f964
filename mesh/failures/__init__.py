"""Failing rows of a product's last audit: which rule, which key, which file and row; values only for named roles."""

from mesh.failures.looking import LIMIT, look
from mesh.failures.shapes import MASK, FailingRow, Failures, Finding, State

__all__ = ["LIMIT", "MASK", "FailingRow", "Failures", "Finding", "State", "look"]
