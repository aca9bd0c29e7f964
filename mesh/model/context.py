"""What a training run knows about where it stands: releases, contracts, code, run, places."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from mesh.model.definition import ModelDefinition
from mesh.model.ledger import Ledger


@dataclass(frozen=True)
class ReleaseRef:
    """A release of a product: its number and the lake snapshot it serves."""

    number: int
    snapshot: int


@dataclass(frozen=True)
class ContractRef:
    """The contract a release was audited against: semantic version and hash of its text."""

    version: str
    hash: str


@dataclass(frozen=True)
class TrainingContext:
    """Everything around one training; `fingerprint` names it, so that a killed run finds its own work again.

    `releases` and `contracts` are keyed by product (`domain/name`). `artifact_dir` is where MLflow keeps artefacts
    of experiments that do not exist yet; None leaves it to the tracking server. `threads` never changes a result.
    `ledger` says which version is champion; a context that only trains needs none.
    `told` is what else the run says of itself, such as why it was made; each becomes a tag `mesh.<name>`.
    """

    domain: str
    releases: Mapping[str, ReleaseRef]
    contracts: Mapping[str, ContractRef]
    code_revision: str
    run_id: str
    tracking_uri: str
    fingerprint: str
    home: Path
    artifact_dir: Path | None = None
    threads: int = field(default=2, compare=False)
    ledger: Ledger | None = field(default=None, compare=False)
    told: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name in ("releases", "contracts", "told"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


def fingerprint(definition: ModelDefinition, releases: Mapping[str, ReleaseRef], code_revision: str) -> str:
    """SHA-256 over what decides a trained model: its definition, the releases read, the code."""
    parts = {
        "definition": definition.digest,
        "releases": {product: [ref.number, ref.snapshot] for product, ref in releases.items()},
        "code": code_revision,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
