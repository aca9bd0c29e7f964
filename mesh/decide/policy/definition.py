"""What a decision policy is: the frozen form of `data_products/<domain>/policies/<name>.yaml` and its watch lists.

The form carries everything a decision depends on, so that its text and the texts of its lists, kept by their hashes,
are enough to decide the same again years later. `mesh.decide.policy.reading` turns files into it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

BLOCK, REVIEW, ACCEPT = "block", "review", "accept"
ACTIONS = (BLOCK, REVIEW, ACCEPT)
"""What a rule may ask for, strongest first."""

MODEL_ONLY = ("score", "risk_score", "probability", "margin")
"""What a model says. No condition may read it: a rule that blocks by score would be the model blocking."""

EVER = (-(2**63), 2**63 - 1)
"""From and until of what is always in effect, as `microseconds` count."""


def microseconds(moment: datetime) -> int:
    """A moment as whole microseconds since 1970 in UTC; one without a zone is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


@dataclass(frozen=True)
class Period:
    """When something is in effect: from (included) until (excluded), in microseconds since 1970, UTC."""

    start: int = EVER[0]
    end: int = EVER[1]

    def overlaps(self, other: Period) -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True)
class Told:
    """A reason code and its plain words."""

    reason: str
    says: str


@dataclass(frozen=True)
class Listed:
    """A rule's look into a watch list: the column whose value is looked up.

    `tokens` tells whether that column holds tokens; where it does not, its value is made one for the comparison.
    """

    list: str
    column: str
    tokens: bool


@dataclass(frozen=True)
class Rule:
    """One rule of the analysts. Exactly one of `when` (a condition) and `listed` is set.

    `otherwise` is told where a rule with a list does not fire though its column is known.
    """

    id: str
    action: str
    told: Told
    author: str
    why: str
    when: str | None = None
    listed: Listed | None = None
    otherwise: Told | None = None
    period: Period = Period()


@dataclass(frozen=True)
class RandomReview:
    """The share of all rows drawn for review whatever rules and model say, so that the model can learn from them."""

    share: float
    told: Told


@dataclass(frozen=True)
class ModelReview:
    """The model's review: `capacity` is the share of rows that can be reviewed, None where the model's own holds."""

    told: Told
    capacity: float | None = None


@dataclass(frozen=True)
class WatchList:
    """Tokens of known identifiers of one kind, each with the period in which it counts.

    `key_id` is the id of the key that all its tokens were made with, None where it is empty.
    """

    name: str
    kind: str
    says: str
    entries: Mapping[str, Period]
    text: str
    key_id: str | None = None
    file: Path | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class PolicyDefinition:
    """One policy: its rules, lists, random sample and how much of the model's work people can take on.

    `columns` are the columns that rules read, with their types (as contracts write `physicalType`);
    `not_known` names values that stand for "nobody knows", such as the `indeterminate` of a third party's check.
    """

    name: str
    version: str
    description: str
    owner: str
    reads: tuple[str, ...]
    model: ModelReview
    random: RandomReview | None
    not_known: Mapping[str, frozenset[str]]
    lists: Mapping[str, WatchList]
    rules: tuple[Rule, ...]
    columns: Mapping[str, str]
    text: str
    path: Path | None = None

    @property
    def text_sha256(self) -> str:
        """SHA-256 of the policy's file alone."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def manifest(self) -> bytes:
        """Name, version, and the hashes of the file and its lists: what stands for the policy, as JSON.

        The columns belong to it, since types decide what a comparison means.
        """
        document = {
            "policy": self.name,
            "version": self.version,
            "text": self.text_sha256,
            "lists": {name: one.sha256 for name, one in self.lists.items()},
            "columns": dict(self.columns),
        }
        return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"

    @property
    def sha256(self) -> str:
        """What each decision names: the hash of the manifest, which a changed rule, list or type changes."""
        return hashlib.sha256(self.manifest).hexdigest()
