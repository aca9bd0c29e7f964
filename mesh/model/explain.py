"""One score taken apart: what raised and lowered it, what it was made with, and how a person can have it looked at.

Contributions are exact Shapley values in log-odds (see `mesh.model.reasons`); with the base, which is what the model
says of an average row of its training, they add up to the margin. Values of features are personal: without a role
there are none, and the words do not repeat them. With one, the look is put on record first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import exp, fsum
from typing import TYPE_CHECKING, Any

from mesh.access.clearance import OPEN, Role, classified, covers, find_role, roles
from mesh.access.log import Look, os_user, record_looks
from mesh.contract import Contract
from mesh.errors import NotFound, UsageError
from mesh.model.card import ModelCard
from mesh.model.contest import Contest, contest_path
from mesh.model.encoding import encode
from mesh.model.frame import quote, read_rows
from mesh.model.pinned import PinnedScores, pin
from mesh.model.reasons import default_words, variant

if TYPE_CHECKING:
    import duckdb

    from mesh.session import Mesh

RULE = "explain"
"""What stands for a rule in the access log."""

MASK = "***"
RAISES, LOWERS, NEITHER = "raises", "lowers", "neither"
STRONG, MODERATE = 0.693, 0.223
"""Log-odds that double or halve the odds, and that move them by a quarter."""


@dataclass(frozen=True)
class Contribution:
    """What one feature adds to the margin.

    Attributes:
        words: what it means; the row's own value is in them only for readers who are cleared for it.
        log_odds: what it adds. odds: the factor on the odds that this is, before calibration.
        direction: raises, lowers or neither. strength: strong, moderate or slight; empty for neither.
        value: as delivered, MASK where the reader is not cleared, None without a role or where it is missing.
    """

    feature: str
    words: str
    direction: str
    strength: str
    log_odds: float
    odds: float
    value: Any = None


@dataclass(frozen=True)
class Explanation:
    """Everything that is known of one score.

    Attributes:
        row: the published row, MASK where the reader is not cleared.
        base, margin: log-odds; `base` and all contributions add up to `margin`.
        slope, intercept: calibration: probability = 1 / (1 + exp(-(slope x margin + intercept))).
        capacity: the share that is flagged; `flagged_from` and `medium_from` are the margins where bands begin.
        inputs: the releases behind it with the versions of their contracts.
        trained_on: the releases that the model learned from.
        role: as what the reader looked. roles: who could see values.
    """

    product: str
    release: int
    published_at: datetime | None
    key: str
    row: Mapping[str, Any] = field(hash=False)
    contributions: tuple[Contribution, ...]
    base: float
    margin: float
    slope: float
    intercept: float
    capacity: float
    flagged_from: float
    medium_from: float
    model: str
    version: int
    sha256: str
    inputs: Mapping[str, str] = field(hash=False)
    trained_on: tuple[str, ...]
    contract_version: str
    contract_hash: str
    code_revision: str
    run_id: str
    contest: Contest
    role: Role | None
    roles: tuple[Role, ...]


def explain(
    mesh: Mesh,
    reference: str,
    key: str,
    *,
    role: str | None = None,
    purpose: str | None = None,
    values_of: int | None = None,
) -> Explanation:
    """Explain the score of one row as a release published it.

    Args:
        reference: a release of scores, `domain/product@number`.
        key: which row.
        role: one that the contract of the scored product names; needs `purpose`, a text for readers of the access log.
        values_of: of how many features, strongest first, values are given and put on record; default all.

    Raises:
        NotFound: the release has no such row, or something it was made with is gone.
        UsageError: no release of scores, no such role, a role without a purpose, or a purpose without a role.
        ServiceError: the look could not be put on record.
    """
    pinned = pin(mesh, reference)
    judged = _contract(mesh, pinned)
    viewer = _viewer(judged, role, purpose)
    card = pinned.model.card
    names = [feature.name for feature in card.features]
    with pinned.connect() as connection:
        published = _one(connection, pinned, key)
        connection.execute("set variable explained = ?", [key])
        one = f"(from {pinned.relation} where cast({quote(card.key)} as varchar) = getvariable('explained'))"
        rows = read_rows(connection, one, card.key, pinned.definition.time, names)
    matrix = encode(rows, card.features)
    raw = [float(value) for value in pinned.model.contributions(matrix, threads=1)[0]]
    margin = float(pinned.model.margins(matrix, threads=1)[0])
    ranked = sorted(range(len(names)), key=lambda place: (-abs(raw[place]), names[place]))
    asked = [names[place] for place in ranked[:values_of]] if viewer else []
    cleared = [name for name in asked if viewer and covers(viewer.clearance, _class(judged, name))]
    if viewer is not None:
        _put_on_record(mesh, pinned, viewer, str(purpose).strip(), tuple(cleared))
    values = rows.to_pylist()[0]
    shown = {name: values[name] if name in cleared else MASK for name in asked}
    parts = [_contribution(card, place, raw[place], matrix[:, place], shown, set(cleared)) for place in ranked]
    release = pinned.release
    history = mesh.history()
    return Explanation(
        product=release.product,
        release=release.release,
        published_at=release.published_at,
        key=card.key,
        row=_masked(pinned.contract, published, viewer),
        contributions=tuple(parts),
        base=margin - fsum(raw),
        margin=margin,
        slope=card.calibration.slope,
        intercept=card.calibration.intercept,
        capacity=card.bands.capacity,
        flagged_from=card.bands.high,
        medium_from=card.bands.medium,
        model=pinned.model.name,
        version=int(pinned.model.version or 0),
        sha256=pinned.model.sha256,
        inputs={str(used): history.get(used.product, used.release).contract_version for used in release.inputs},
        trained_on=pinned.trained_on,
        contract_version=release.contract_version,
        contract_hash=release.contract_hash,
        code_revision=release.code_revision,
        run_id=release.run_id,
        contest=_contest(mesh, pinned),
        role=viewer,
        roles=roles(judged),
    )


def _class(contract: Contract, name: str) -> str | None:
    """The classification that a column is handled by; None, which counts as restricted, where it is not known."""
    found = [classified(column) for column in contract.tables[0].columns if column.name == name]
    return found[0] if found else None


def _contract(mesh: Mesh, pinned: PinnedScores) -> Contract:
    """The contract of the scored product as it is now: its classifications decide what is shown."""
    return mesh.project.product(pinned.input.product).contract


def _viewer(contract: Contract, role: str | None, purpose: str | None) -> Role | None:
    if role is None and purpose is None:
        return None
    if role is None or not (purpose or "").strip():
        raise UsageError("Values need a role and a purpose: --role ROLE --purpose TEXT. Both go into the access log.")
    return find_role(contract, role)


def _one(connection: duckdb.DuckDBPyConnection, pinned: PinnedScores, key: str) -> dict[str, Any]:
    name = pinned.model.card.key
    found = connection.execute(
        f"select * from {pinned.published} where cast({quote(name)} as varchar) = ?", [key]
    ).to_arrow_table()
    if found.num_rows != 1:
        raise NotFound(
            f"{pinned.release.reference} has no score under this {name}. It holds "
            f"{sum(pinned.release.rows.values()):,} rows; another release may have it: --at RELEASE."
        )
    return dict(found.to_pylist()[0])


def _masked(contract: Contract, row: Mapping[str, Any], viewer: Role | None) -> dict[str, Any]:
    named = {role.name: role.clearance for role in roles(contract)}
    clearance = named.get(viewer.name, OPEN) if viewer else OPEN
    return {name: value if covers(clearance, _class(contract, name)) else MASK for name, value in row.items()}


def _contribution(
    card: ModelCard, place: int, log_odds: float, encoded: Any, shown: Mapping[str, Any], cleared: set[str]
) -> Contribution:
    feature = card.features[place]
    text = card.reasons.get(feature.name)
    if text is None:
        text = feature.name.replace("_", " ")
        if feature.name in cleared:
            text = default_words(feature)[int(variant(feature, encoded)[0])]
    size = abs(log_odds)
    strength = "strong" if size >= STRONG else "moderate" if size >= MODERATE else "slight"
    return Contribution(
        feature=feature.name,
        words=text,
        direction=RAISES if log_odds > 0 else LOWERS if log_odds < 0 else NEITHER,
        strength=strength if log_odds else "",
        log_odds=log_odds,
        odds=exp(log_odds),
        value=shown.get(feature.name),
    )


def _contest(mesh: Mesh, pinned: PinnedScores) -> Contest:
    """Whom to ask is what contract and domain say now, however old the score is."""
    project, key = mesh.project, pinned.release.product
    domain = project.domains.get(key.partition("/")[0])
    now = project.products[key].contract if key in project.products else pinned.contract
    return contest_path(now, tuple(domain.file.support) if domain else ())


def _put_on_record(mesh: Mesh, pinned: PinnedScores, viewer: Role, purpose: str, columns: tuple[str, ...]) -> None:
    look = Look(
        who=os_user(),
        role=viewer.name,
        purpose=purpose,
        product=pinned.input.product,
        rule=RULE,
        snapshot=pinned.input.snapshot,
        rows=1,
        columns=columns,
    )
    record_looks(mesh.postgres, [look])
