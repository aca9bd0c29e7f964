"""A policy that follows its files: edits take effect on the next decision, and a bad one leaves the last good policy.

policies = PolicyFile(path, columns=columns, keyring=keyring, home=home)   # refuses a policy that is wrong
policies.current.decide(...)                                               # the request path: one reference
policies.refresh()                                                         # beside it, every second or so
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.decide.policy.evaluation import Policy
from mesh.decide.policy.keeping import keep
from mesh.decide.policy.reading import list_file, read_policy
from mesh.errors import MeshError, ProjectError

if TYPE_CHECKING:
    from mesh.access.keys import KeyRing

Signature = tuple[tuple[str, int, int, int] | None, ...]


class PolicyFile:
    """The policy in effect. `problem` says why an edit was not taken, `warning` what is odd about the one that was."""

    def __init__(self, path: Path, *, columns: Mapping[str, str], keyring: KeyRing, home: Path) -> None:
        """Raises:
        MeshError: the policy is wrong; there is no last good one yet.
        """
        self.path = path
        self.problem: str | None = None
        self.warning: str | None = None
        self._columns, self._keyring, self._home = dict(columns), keyring, home
        self._seen: Signature = ()
        self.current: Policy = self._load()

    def refresh(self) -> bool:
        """Look at the files again, and load them where they changed; True where another policy is now in effect.

        Never raises for what stands in the files: `problem` tells it, and the last good policy goes on.
        """
        if self._signature() == self._seen and self.problem is None:
            return False
        before = self.current.sha256
        try:
            self.current = self._load()
        except (MeshError, OSError) as error:
            # OSError: not kept (a full disk), so no decision may name it yet.
            self.problem = str(error) if isinstance(error, MeshError) else f"{self.path}: {type(error).__name__}"
            return False
        self.problem = None
        return self.current.sha256 != before

    def _load(self) -> Policy:
        seen = self._signature()
        definition = read_policy(self.path, self._columns)
        if self._signature() != seen:
            raise ProjectError("is being written; it is read again in a moment.", file=self.path)
        policy = Policy(definition, self._keyring)
        # Durable before it decides: a decision that names a policy nobody has could never be made again.
        self.warning = keep(self._home, definition)
        self._seen = seen
        return policy

    def _signature(self) -> Signature:
        """What changes when a file does: a list that is new, too, as its folder is among them."""
        folder = list_file(self.path, "any").parent
        files = (self.path, *sorted(folder.glob("[!.]*.csv")))
        return tuple(_stat(file) for file in files)


def _stat(file: Path) -> tuple[str, int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return file.name, found.st_mtime_ns, found.st_size, found.st_ino
