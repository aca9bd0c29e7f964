"""When a model is trained again, and what the run says of it.

Every new release of what the model learns from, unless the definition says `retrain: breach`: then the champion goes on
scoring until its monitoring tells a breach in what came after its training. Either way a changed definition trains, and
what was trained on the same releases already is not trained twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mesh.errors import ModelError
from mesh.model import Ledger, ModelDefinition, TrainingContext, champion, learned_from, registered_name
from mesh.model.definition import MONITORING
from mesh.model.watching import BREACH
from mesh.release import History, Release, parse_reference

if TYPE_CHECKING:
    from mesh.session import Mesh


@dataclass(frozen=True)
class Decision:
    """Whether to train, and why or why not.

    Attributes:
        before: the releases that the training before read, None where there was none.
        champion: the fingerprint of the champion's training, empty where there is no champion.
    """

    trains: bool
    why: str
    before: dict[str, int] | None
    champion: str = ""


def decide(mesh: Mesh, definition: ModelDefinition, around: TrainingContext, at: int) -> Decision:
    """Whether what is there now is worth a training.

    Args:
        at: the snapshot that `around` stands at.
    """
    standing = Ledger(mesh.postgres).standing(registered_name(definition, around.domain))
    before = dict(map(parse_reference, trained_on(mesh, standing.model))) or None
    if standing.champion is None:
        return Decision(True, "there is no champion", before)
    kept = str(standing.registration(standing.champion).evidence.get("fingerprint", ""))
    breach = open_breach(mesh.history().at(at), definition, str(standing.champion))
    try:
        learned_by = champion(definition, around).card.definition
    except ModelError as error:
        return Decision(True, f"the champion cannot be loaded: {error}", before, kept)
    if learned_by != definition.digest:
        return Decision(True, "its definition changed", before, kept)
    if definition.monitoring.retrain == BREACH:
        quiet = "its monitoring tells no breach in what came after its training"
        return Decision(breach is not None, breach or quiet, before, kept)
    new = [
        f"{key}@{ref.number} is new" for key, ref in around.releases.items() if (before or {}).get(key) != ref.number
    ]
    new += [breach] if breach else []
    return Decision(True, "; ".join(new) or "no version of this definition learned from these releases", before, kept)


def trained_on(mesh: Mesh, model: str) -> list[str]:
    """The releases that the newest version of a model learned from, champion or not; nothing where there is none."""
    standing = Ledger(mesh.postgres).standing(model)
    return list(learned_from(standing.registration(max(standing.versions)))) if standing.versions else []


def open_breach(history: History, definition: ModelDefinition, version: str) -> str | None:
    """What the served monitoring says of this version, in words; None where nothing is in breach."""
    watched = history.served.get(definition.outputs.get(MONITORING, ""))
    if watched is None or watched.details.get("model_version") != version or not watched.details.get("breach"):
        return None
    told = watched.details["breaches"]
    more = f" and {len(told) - 1} more" if len(told) > 1 else ""
    return f"{watched.reference} tells a breach: {told[0]}{more}"


def due(history: History, definition: ModelDefinition | None, newest: Release) -> str | None:
    """Why scores that are up to date are to be made again: a breach about the version that made them, which waits for a
    training on what is there now. None where these releases were trained on already, so that it never goes in circles.
    """
    if definition is None or definition.monitoring.retrain != BREACH:
        return None
    now = sorted(history.served[key].reference for key in definition.products if key in history.served)
    if now == sorted(newest.details.get("trained_on", ())):
        return None
    return open_breach(history, definition, str(newest.details.get("model_version")))
