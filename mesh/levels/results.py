"""How a service level was kept, and lengths of time as people say them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from mesh.contract import ServiceLevel

LevelStatus = Literal["passed", "failed", "not measured"]

PARTS = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))


@dataclass(frozen=True)
class LevelResult:
    """A service level held against what is on record.

    Attributes:
        status: `not measured` where there is nothing to judge by yet, which is neither passed nor failed.
        observed: seconds of age or of the longest gap, or percent of the probes; None where nothing was measured.
    """

    level: ServiceLevel
    status: LevelStatus
    observed: float | None
    message: str

    @property
    def promised(self) -> str:
        """`24 h`, `99.5 percent`: the value as the contract says it."""
        return f"{self.level.value}" + (f" {self.level.unit}" if self.level.unit else "")

    @property
    def missed(self) -> bool:
        return self.status == "failed"


def spoken(length: timedelta) -> str:
    """The two largest parts of a length of time: `2 days 3 h`, `5 min`, `0 s`."""
    left, parts = max(int(length.total_seconds()), 0), list[str]()
    for name, seconds in PARTS:
        number, left = divmod(left, seconds)
        if number:
            parts.append(f"{number:,} {name}" + ("s" if name == "day" and number > 1 else ""))
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"
