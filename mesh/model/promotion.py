"""What people decide about versions: promote, roll back, retire, restore; each with a reason that stays on record.

The entry in the ledger comes first and is the decision; MLflow is told afterwards, and again by whoever looks next
where a kill came in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mesh.errors import ModelError, NotFound, UsageError
from mesh.failpoints import reached
from mesh.model.comparison import NO_GROUPS, Comparison, Groups, compare, later_than
from mesh.model.definition import ModelDefinition
from mesh.model.gates import Verdict, judge
from mesh.model.ledger import PROMOTED, RESTORED, RETIRED, ROLLED_BACK, ModelEvent, Standing
from mesh.model.registration import evidence_of, in_words
from mesh.model.registry import Registry, mirror, one_at_a_time, opponent

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Ask:
    """Who asks for a decision about a model, and why."""

    who: str
    why: str

    def __post_init__(self) -> None:
        if not self.why.strip():
            raise UsageError("--why is empty: a decision about a model needs a reason that others can read later.")


@dataclass(frozen=True)
class Promotion:
    """A version that became champion: the one before it, the gates' verdicts, and whether it was forced."""

    version: int
    before: int | None
    verdicts: tuple[Verdict, ...]
    forced: bool


def weigh(
    registry: Registry,
    name: str,
    version: int,
    definition: ModelDefinition,
    rows: pa.Table,
    *,
    groups: Groups | str = NO_GROUPS,
    threads: int = 2,
) -> Comparison:
    """Measure a registered version against the champion on labelled rows that neither of them learned from.

    Args:
        rows: labelled rows of now: key, time, features, `_label`; those that the version learned from are left out.

    Raises:
        NotFound: there is no such version.
        ModelError: the version cannot be loaded, or cannot score rows as they are now.
    """
    standing = registry.standing(name)
    standing.need(version)
    model = registry.load(name, version)
    fresh = later_than(rows, definition.time, standing.registration(version).evidence.get("learned_to") or ())
    mine: Groups | str = groups
    if not isinstance(groups, str):
        mine = {name: [one for one, new in zip(given, fresh, strict=True) if new] for name, given in groups.items()}
    return compare(
        definition,
        model,
        rows.filter(fresh),
        opponent(registry, standing),
        champion_version=standing.champion,
        groups=mine,
        threads=threads,
    )


def promote(
    registry: Registry,
    name: str,
    version: int,
    ask: Ask,
    definition: ModelDefinition,
    found: Comparison,
    *,
    force: bool = False,
) -> Promotion:
    """Make a version champion.

    Args:
        found: how it compares with the champion (see `weigh`).
        force: although a gate is not passed; that it was forced, and past which gates, stays on record.

    Raises:
        NotFound: there is no such version.
        ModelError: a gate holds it and nobody forces it; it is retired, or champion already.
    """
    standing = _in_service(registry, name, version)
    if version == standing.champion:
        raise ModelError(f"{name} version {version} is champion already.")
    if found.champion != standing.champion:
        raise ModelError(f"{name}: the champion changed while version {version} was weighed. Repeat the command.")
    verdicts = judge(definition.gates, found)
    holding = [one for one in verdicts if one.holds]
    if holding and not force:
        raise ModelError(
            f"{name} version {version} is not promoted: {in_words(found, verdicts)}. Force it with --force, which "
            "is put on record with your reason, or train a better one."
        )
    evidence = {**evidence_of(found, verdicts), "forced": bool(holding)}
    if holding:
        evidence["forced_past"] = [one.gate for one in holding]
    why = ask.why if not holding else f"{ask.why} (forced past {', '.join(one.gate for one in holding)})"
    _record(registry, standing, version, PROMOTED, Ask(ask.who, why), evidence)
    return Promotion(version, standing.champion, verdicts, bool(holding))


def roll_back(registry: Registry, name: str, to: int | None, ask: Ask) -> tuple[int, int]:
    """Make an earlier champion champion again; no gate is asked, since what serves now may be doing harm.

    Args:
        to: the version; None takes the champion before this one.

    Returns:
        The version that was champion, and the one that is.

    Raises:
        NotFound: there is no such version, or no earlier champion.
        ModelError: it was never champion, is retired, is champion already, or cannot be loaded.
    """
    standing = registry.standing(name)
    if standing.champion is None:
        raise NotFound(f"{name} has no champion, so there is nothing to roll back.")
    target = standing.previous if to is None else to
    if target is None:
        raise NotFound(
            f"{name} has no earlier champion in service. Versions: {', '.join(map(str, standing.versions))}."
        )
    _in_service(registry, name, target)
    if target == standing.champion:
        raise ModelError(f"{name} version {target} is champion already.")
    if target not in standing.champions:
        raise ModelError(
            f"{name} version {target} was never champion, so going to it is no rollback. Promote it: its gates are "
            f"asked. Earlier champions: {', '.join(map(str, sorted(set(standing.champions)))) or 'none'}."
        )
    registry.load(name, target)  # what cannot be loaded must not be made to score
    left = standing.champion
    _record(registry, standing, target, ROLLED_BACK, ask, {"from": left})
    return left, target


def retire(registry: Registry, name: str, version: int, ask: Ask) -> None:
    """Take a version out of service: it scores no more, neither as champion nor in shadow. Its files stay.

    Raises:
        NotFound: there is no such version.
        ModelError: it is champion, or retired already.
    """
    standing = _in_service(registry, name, version)
    if version == standing.champion:
        raise ModelError(
            f"{name} version {version} is champion: without it nothing is scored. Promote another version or "
            "roll back, then retire it."
        )
    _record(registry, standing, version, RETIRED, ask, {})


def restore(registry: Registry, name: str, version: int, ask: Ask) -> None:
    """Put a retired version back into service, as a challenger.

    Raises:
        NotFound: there is no such version.
        ModelError: it is in service.
    """
    standing = registry.standing(name)
    standing.need(version)
    if version not in standing.retired:
        raise ModelError(f"{name} version {version} is in service, so there is nothing to restore.")
    _record(registry, standing, version, RESTORED, ask, {})


def _in_service(registry: Registry, name: str, version: int) -> Standing:
    standing = registry.standing(name)
    standing.need(version)
    if version in standing.retired:
        raise ModelError(f"{name} version {version} is retired: {standing.decisions[version].why}. Restore it first.")
    return standing


def _record(
    registry: Registry, standing: Standing, version: int, kind: str, ask: Ask, evidence: dict[str, Any]
) -> None:
    event = ModelEvent(standing.model, version, standing.sha256[version], kind, ask.who, ask.why.strip(), evidence)
    with one_at_a_time(registry.home, standing.model):
        after = registry.ledger.append([event], after=standing.last)
        reached("model.recorded", standing.model)
        mirror(registry.client(), after)
