"""What one rule saw, before it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Measured:
    """What a rule saw: failing of judged rows, or one number; `error` where it could not be run.

    `passed` is set where the rule's own engine has judged already.
    """

    failing: int | None = None
    rows: int | None = None
    number: int | float | Decimal | None = None
    detail: str = ""
    error: str | None = None
    passed: bool | None = None
