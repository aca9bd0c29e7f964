"""What lint finds in a contract: one place, one sentence, one severity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mesh.contract.reading import Document, Path_, field_name
from mesh.errors import LocatedError

Grade = Literal["error", "warning", "waived", "note"]

STANDARD = "standard"
MESH = "mesh"
NOT_EXECUTED = "not executed"


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        source: `standard`, `mesh` (the standard allows it, this mesh cannot publish it), the name of a policy, or
            `not executed` (what the contract says and no audit holds).
        severity: an `error` fails the lint; what is `waived` by the contract is only told, as a `note` is.
    """

    file: Path
    line: int | None
    field: str | None
    severity: Grade
    source: str
    what: str
    allowed: str | None = None

    @classmethod
    def at(
        cls, document: Document, path: Path_, severity: Grade, source: str, what: str, allowed: str | None = None
    ) -> Finding:
        """A finding at a field of a document."""
        return cls(document.file, document.line(path), field_name(path) or None, severity, source, what, allowed)

    @classmethod
    def of(cls, error: LocatedError, file: Path, source: str) -> Finding:
        """An error that was raised, as a finding."""
        return cls(Path(error.file or file), error.line, error.field, "error", source, error.what, error.allowed)

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        text = ": ".join(part for part in (place, self.field, self.what) if part)
        allowed = f" Allowed: {self.allowed}" if self.allowed else ""
        return f"{text}{allowed} [{self.severity}: {self.source}]"
