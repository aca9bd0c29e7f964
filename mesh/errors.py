"""The one error tree of the mesh.

    MeshError                     exit status 1; `str(error)` is one clear paragraph with the way out
    ├── UsageError                exit status 2; the call itself was wrong
    ├── SettingsError             an environment variable or a setting is missing or wrong
    ├── ServiceError              a server the mesh needs cannot be started or reached
    ├── ProjectError              a file of the mesh (domain, source, model) is wrong: file, line, field
    │   └── ContractError         the same for a contract
    ├── SourceError               a delivered file is refused: file, line, what, allowed
    ├── AuditFailed               a candidate broke its contract; nothing was published
    ├── PublishRefused            the gate in the publish transaction said no
    ├── BuildFailed               an engine (dbt, Python) could not build a candidate
    ├── ModelError                a model cannot be trained, loaded or trusted
    ├── DecisionLogError          a decision log cannot be opened, written or trusted
    └── NotFound                  no such product, release or file

Errors never carry row values: the data of the mesh is personal.
"""

from __future__ import annotations

from pathlib import Path


class MeshError(Exception):
    """Something the mesh could not do, told in one paragraph with the way out."""

    exit_code = 1


class UsageError(MeshError):
    """The command or function was called in a way it does not take."""

    exit_code = 2


class SettingsError(MeshError):
    """A setting is missing, malformed or points nowhere."""


class ServiceError(MeshError):
    """A server the mesh needs cannot be started or reached."""


class LocatedError(MeshError):
    """An error at a place in a file.

    The message reads `FILE:LINE: FIELD: WHAT Allowed: ALLOWED`, each part only where it is known.
    """

    def __init__(
        self,
        what: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        field: str | None = None,
        allowed: str | None = None,
    ) -> None:
        self.what, self.file, self.line, self.field, self.allowed = what, file, line, field, allowed
        place = "" if file is None else str(file) if line is None else f"{file}:{line}"
        text = ": ".join(part for part in (place, field, what) if part)
        super().__init__(f"{text} Allowed: {allowed}" if allowed else text)


class ProjectError(LocatedError):
    """A file that describes the mesh (domain, source, model definition) is wrong."""


class ContractError(ProjectError):
    """A data contract is wrong."""


class SourceError(LocatedError):
    """A delivered source file is refused; nothing of it was loaded."""


class AuditFailed(MeshError):
    """A candidate broke its contract; the last good release stays served."""

    def __init__(self, product: str, failed: tuple[str, ...], *, snapshot: int) -> None:
        self.product, self.failed, self.snapshot = product, failed, snapshot
        super().__init__(
            f"{product}: the candidate at snapshot {snapshot} breaks its contract, so nothing was published and the "
            f"last good release stays served. Failed rules: {', '.join(failed)}. See `mesh audit {product}` for what "
            f"each rule saw and `mesh failures {product}` for the rows; mend the source or the contract, then run "
            "again."
        )


class PublishRefused(MeshError):
    """The publish transaction refused a candidate; the last good release stays served."""


class BuildFailed(MeshError):
    """An engine could not build a candidate."""


class ModelError(MeshError):
    """A model cannot be trained, found, loaded or trusted."""


class DecisionLogError(MeshError):
    """A decision log cannot be opened, written or trusted."""


class NotFound(MeshError):
    """There is no such product, release, contract or file."""
