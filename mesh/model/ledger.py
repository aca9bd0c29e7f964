"""The ledger of models: who registered, promoted, held, rolled back, retired or restored which version, why, on what.

It is the record: the champion that scores is the one that the ledger names, and where every version stands is worked
out from its events. MLflow's alias and tags only mirror it. Append-only, and the server refuses changes. Reading it
needs neither MLflow nor a model, so a plan may ask on every look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError, NotFound

if TYPE_CHECKING:
    from mesh.postgres import Postgres

REGISTERED, PROMOTED, HELD = "registered", "promoted", "held"
ROLLED_BACK, RETIRED, RESTORED = "rolled_back", "retired", "restored"
KINDS = (REGISTERED, PROMOTED, HELD, ROLLED_BACK, RETIRED, RESTORED)
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class ModelEvent:
    """One entry.

    Attributes:
        model: `<domain>.<model>`.
        version: the version that the event is about; of a rollback, the one that is champion again.
        sha256: the hash of that version's bundle.
        evidence: figures of both sides, gates with their verdicts, releases of data; of a rollback, what it left.
        number, at: given by the server (UTC).
    """

    model: str
    version: int
    sha256: str
    kind: str
    who: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict, repr=False)
    number: int = 0
    at: datetime | None = None

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        object.__setattr__(self, "evidence", MappingProxyType(dict(self.evidence)))


@dataclass(frozen=True)
class Decision:
    """What was last decided about a version: `promoted`, `held`, `rolled_back`, `retired` or `restored`, and why."""

    word: str
    why: str
    event: ModelEvent = field(repr=False, compare=False)


class Standing:
    """Where every version of a model stands after its events so far, oldest first.

    `champion` is the version that scores, None where none does; `champions` all that ever did, in order; `decisions`
    the last word on each version.
    """

    def __init__(self, model: str, events: Sequence[ModelEvent] = ()) -> None:
        self.model, self.events = model, tuple(events)
        self.sha256: dict[int, str] = {}
        self.champion: int | None = None
        self.retired: set[int] = set()
        self.decisions: dict[int, Decision] = {}
        self.champions: list[int] = []
        self._rejected: dict[str, ModelEvent] = {}
        for event in self.events:
            self._add(event)

    @property
    def last(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self.events[-1].number if self.events else 0

    @property
    def versions(self) -> tuple[int, ...]:
        """Every version, newest first."""
        return tuple(sorted(self.sha256, reverse=True))

    @property
    def challengers(self) -> tuple[int, ...]:
        """The versions in service that are not champion, newest first."""
        return tuple(one for one in self.versions if one != self.champion and one not in self.retired)

    @property
    def previous(self) -> int | None:
        """The champion before this one that may be champion again."""
        known = (one for one in reversed(self.champions) if one != self.champion and one not in self.retired)
        return next(known, None)

    def word(self, version: int) -> str:
        """`champion`, `challenger` or `retired`."""
        return CHAMPION if version == self.champion else RETIRED if version in self.retired else CHALLENGER

    def need(self, version: int) -> str:
        """The hash of a version's bundle.

        Raises:
            NotFound: the ledger knows no such version.
        """
        if version not in self.sha256:
            known = ", ".join(map(str, self.versions)) or "none yet"
            raise NotFound(f"{self.model} has no version {version}. Versions: {known}.")
        return self.sha256[version]

    def registration(self, version: int) -> ModelEvent:
        """The entry that made a version known: its evidence names the MLflow run and the rows it learned from."""
        return next(event for event in self.events if (event.kind, event.version) == (REGISTERED, version))

    def rejected(self, sha256: str) -> ModelEvent | None:
        """The rollback that took this very bundle out of service, unless it was promoted again since."""
        return self._rejected.get(sha256)

    def _add(self, event: ModelEvent) -> None:
        self.sha256[event.version] = event.sha256
        if event.kind == REGISTERED:
            return
        word, why = event.kind, event.why
        if event.kind in (PROMOTED, ROLLED_BACK):
            left = self.champion
            self.champion = event.version
            self.champions.append(event.version)
            self._rejected.pop(event.sha256, None)
            if event.kind == ROLLED_BACK:
                word = PROMOTED
                if left is not None and left != event.version:
                    self._rejected[self.sha256[left]] = event
                    told = f"rolled back to version {event.version}: {event.why}"
                    self.decisions[left] = Decision(ROLLED_BACK, told, event)
                    why = f"rolled back to, from version {left}: {event.why}"
        elif event.kind == RETIRED:
            self.retired.add(event.version)
        elif event.kind == RESTORED:
            self.retired.discard(event.version)
        self.decisions[event.version] = Decision(word, why, event)


@dataclass(frozen=True)
class Ledger:
    """The events of all models, in the mesh's Postgres."""

    postgres: Postgres

    def standing(self, model: str) -> Standing:
        """Where the versions of a model stand now."""
        with self.postgres.cursor() as cursor:
            cursor.execute(
                "select id, at, version, sha256, kind, who, why, evidence from mesh.model_event where model = %s "
                "order by id",
                (model,),
            )
            rows = cursor.fetchall()
        events = [
            ModelEvent(model, version, sha256, kind, who, why, evidence, number, at.astimezone(UTC))
            for number, at, version, sha256, kind, who, why, evidence in rows
        ]
        return Standing(model, events)

    def newest(self) -> int:
        """The number of the newest event of any model, 0 before the first: a cheap answer to whether one is new."""
        with self.postgres.cursor() as cursor:
            cursor.execute("select coalesce(max(id), 0) from mesh.model_event")
            return int(cursor.fetchone()[0])

    def append(self, events: Sequence[ModelEvent], *, after: int) -> Standing:
        """Append events of one model, all or none.

        Args:
            after: the number of the newest event that the caller has seen of the model (`Standing.last`).

        Raises:
            ModelError: somebody else changed the model's standing in between, so the events may not hold any more.
        """
        model = events[0].model
        with self.postgres.cursor() as cursor:
            cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"mesh:model:{model}",))
            cursor.execute("select coalesce(max(id), 0) from mesh.model_event where model = %s", (model,))
            if int(cursor.fetchone()[0]) != after:
                raise ModelError(
                    f"{model}: somebody else registered, promoted or retired a version at the same moment, so nothing "
                    "was recorded. Look again (`mesh model`) and repeat the command."
                )
            for event in events:
                assert event.model == model
                cursor.execute(
                    "insert into mesh.model_event (model, version, sha256, kind, who, why, evidence) "
                    "values (%s, %s, %s, %s, %s, %s, %s)",
                    (model, event.version, event.sha256, event.kind, event.who, event.why,
                     json.dumps(dict(event.evidence), allow_nan=False, default=_plain)),
                )  # fmt: skip
        return self.standing(model)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no evidence")
