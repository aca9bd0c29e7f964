"""What is to be done with the files of a source, given what was loaded before: pure, so every case can be tested.

A content counts once. Of several files with the same content one *holds* its rows and the others are duplicates of
it. A file whose content changed supersedes its older load; one that changes back is served by the rows that are
still there; one whose mapping or key changed since is loaded anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recorded:
    """The newest row of `loads` about one file. `recipe` is the mapping and, where it matters, the key of its rows."""

    sha256: str
    recipe: str
    duplicate_of: str | None = None


@dataclass(frozen=True)
class Action:
    """`keep`: nothing to do; `load`: read the file; `duplicate`: another file holds its rows.

    `recorded` is true where `loads` says the same already.
    """

    file: str
    do: Literal["keep", "load", "duplicate"]
    duplicate_of: str | None = None
    recorded: bool = False


def plan(landing: Sequence[tuple[str, str]], loaded: Mapping[str, Recorded], recipe: str) -> tuple[Action, ...]:
    """One action for each file, in the order of `landing`.

    Args:
        landing: (path, sha256) of the files that are there, by path.
        loaded: what `loads` says of every file that ever was there.
        recipe: mapping and key as they are now.
    """
    contents = dict(landing)
    holders = {
        one.sha256: path
        for path, one in sorted(loaded.items(), reverse=True)
        if one.duplicate_of is None and contents.get(path, one.sha256) == one.sha256
    }
    actions = []
    for path, sha256 in landing:
        holder, known = holders.setdefault(sha256, path), loaded.get(path)
        same = known is not None and known.sha256 == sha256
        if holder != path:
            told = same and known is not None and known.duplicate_of == holder
            actions.append(Action(path, "duplicate", holder, recorded=told))
        elif same and known is not None and known.duplicate_of is None and known.recipe == recipe:
            actions.append(Action(path, "keep", recorded=True))
        else:
            actions.append(Action(path, "load"))
    return tuple(actions)
