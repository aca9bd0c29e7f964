"""What happened that others want to know of, derived from facts: releases, audits, contracts and the clock.

Nothing here is called by a run. Whoever asks later finds the same events under the same ids, so a process that is
killed between a release and its message loses no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from mesh.access import redact
from mesh.audit import Audit, RuleResult
from mesh.audit.running import counted
from mesh.contract import Contract, EventKind, ServiceLevel, parse_contract
from mesh.contract.service import holds_frequency, of_the_release
from mesh.errors import ContractError
from mesh.levels import LevelResult, Outage, judge_levels, newest_outage
from mesh.levels.releases import allowed_gap
from mesh.postgres import Postgres
from mesh.project import Product
from mesh.release import History, RecordedAudit, Release, failed_audits
from mesh.release.history import read_whole
from mesh.session import Mesh

NEWS = timedelta(days=1)
"""What happened longer ago is no news to anybody who is told of it for the first time."""

ENDING = ("deprecated", "retired")
ENDS = {"endOfSupport": "End of support", "endOfLife": "End of life", "generalAvailability": "General availability"}


@dataclass(frozen=True)
class Event:
    """One thing that happened to a product.

    Attributes:
        id: the same whenever the event is derived: `release:claims/claims@3`.
        at: when it happened, or since when it holds (UTC).
        release: the release that it is about, or that stays served; None where there is none.
        text: a paragraph or more of plain text.
        commands: what a reader may look at next.
        failed: the failed rules of an audit.
    """

    id: str
    kind: EventKind
    product: str
    at: datetime
    subject: str
    text: str
    release: int | None
    contract_version: str
    commands: tuple[str, ...] = ()
    failed: tuple[RuleResult, ...] = ()


def news(mesh: Mesh, products: Sequence[Product], now: datetime) -> tuple[Event, ...]:
    """Every event of these products that is news now, oldest first."""
    since = now - NEWS
    history = mesh.history()
    contracts = {product.key: product.contract for product in products}
    found: list[Event] = []
    for key, contract in contracts.items():
        records = history.of(key)
        found += release_events(records, since)
        found += deprecation_events(records, since, lambda release: _contract(mesh, contracts, release))
        found += late_events(contract, history.newest.get(key), now)
        found += _unavailable(mesh.postgres, history, contract, now)
    audits = [audit for audit in failed_audits(mesh.postgres, since) if audit.audit.product in contracts]
    found += audit_events(audits, history)
    return tuple(sorted(found, key=lambda event: (event.at, event.id)))


def release_events(records: Iterable[Release], since: datetime) -> list[Event]:
    """New releases and rollbacks of one product."""
    told = {"release": _released, "rollback": _rolled_back, "retired": _retired}
    return [told[record.kind](record) for record in records if _at(record) >= since]


def _retired(release: Release) -> Event:
    return Event(
        id=f"retired:{release.reference}#{release.commit}",
        kind="deprecation",
        product=release.product,
        at=_at(release),
        subject=f"{release.product} is retired",
        text=f"{release.product} is served no more since {_moment(_at(release))}.\nReason: {redact(release.why)}\n"
        f"Views that are gone: {', '.join(release.views)}",
        release=release.release,
        contract_version=release.contract_version,
        commands=(f"mesh releases {release.product}",),
    )


def _released(release: Release) -> Event:
    aside = sum(release.quarantined.values())
    warnings = len(release.audit.get("warnings", ()))
    told = [
        f"{release.product} has a new release {release.release}, published {_moment(_at(release))} under contract "
        f"{release.contract_version}.",
        f"Rows: {sum(release.rows.values()):,}" + (f"; put aside: {aside:,}" if aside else ""),
        *([f"Warnings of its audit: {warnings}"] if warnings else ()),
        f"Views: {', '.join(release.views)}",
    ]
    return Event(
        id=f"release:{release.reference}",
        kind="release",
        product=release.product,
        at=_at(release),
        subject=f"{release.product}: release {release.release} is published",
        text="\n".join(told),
        release=release.release,
        contract_version=release.contract_version,
        commands=(f"mesh product {release.product}", f"mesh audit {release.product}"),
    )


def _rolled_back(release: Release) -> Event:
    # The reason is free text of a person, and who gave it is nobody's business outside the mesh.
    return Event(
        id=f"rollback:{release.reference}#{release.commit}",
        kind="release",
        product=release.product,
        at=_at(release),
        subject=f"{release.product}: rolled back to release {release.release}",
        text=f"{release.product} was rolled back to release {release.release} (contract {release.contract_version}) "
        f"{_moment(_at(release))}.\nReason: {redact(release.why)}\nViews: {', '.join(release.views)}",
        release=release.release,
        contract_version=release.contract_version,
        commands=(f"mesh releases {release.product}",),
    )


def deprecation_events(
    records: Iterable[Release], since: datetime, contract_of: Callable[[Release], Contract | None]
) -> list[Event]:
    """Releases of one product whose contract is deprecated or retired where that of the release before was not.

    Args:
        contract_of: the contract of a release, or None where its text cannot be read any more.
    """
    events = []
    for before, release in pairwise((None, *(record for record in records if record.kind == "release"))):
        assert release is not None
        if _at(release) < since or (before is not None and before.contract_hash == release.contract_hash):
            continue
        contract = contract_of(release)
        if contract is None or contract.status not in ENDING:
            continue
        earlier = contract_of(before) if before is not None else None
        if earlier is None or earlier.status != contract.status:
            events.append(_deprecated(release, contract))
    return events


def _deprecated(release: Release, contract: Contract) -> Event:
    told = [
        f"{release.product} is {contract.status}: so says contract {contract.version}, in force since release "
        f"{release.release} of {_moment(_at(release))}.",
        *(f"{ENDS[level.name]}: {level.value}" for level in contract.sla if level.name in ENDS),
        "What is published stays readable. Ask its owner what takes its place, and move what you make from it.",
    ]
    return Event(
        id=f"deprecation:{release.reference}",
        kind="deprecation",
        product=release.product,
        at=_at(release),
        subject=f"{release.product}: {contract.status}",
        text="\n".join(told),
        release=release.release,
        contract_version=release.contract_version,
        commands=(f"mesh product {release.product}",),
    )


def late_events(contract: Contract, newest: Release | None, now: datetime) -> list[Event]:
    """The lateness of one product: its newest release is older than the contract promises, or the next one is overdue.

    Lateness lasts, so it is news as long as it lasts; the id names the release that went stale, so it is told once. A
    level that names a column is a rule of the audit.
    """
    levels = [level for level in contract.sla if of_the_release(level) or holds_frequency(level)]
    if not levels or newest is None or contract.status == "retired":
        return []
    level = min(levels, key=_longest)
    since = _at(newest) + _longest(level)
    promise = "promises one no older than" if of_the_release(level) else "promises the next one within"
    if since > now:
        return []
    return [
        Event(
            id=f"late:{newest.reference}",
            kind="late",
            product=newest.product,
            at=since,
            subject=f"{newest.product}: late since {_moment(since)}",
            text=f"{newest.product} is late since {_moment(since)}: its newest release {newest.release} is of "
            f"{_moment(_at(newest))}, and its contract {promise} {level.value} {level.unit} "
            f"({level.name}).",
            release=newest.release,
            contract_version=contract.version,
            commands=(f"mesh product {newest.product}", f"mesh run --select {newest.product}"),
        )
    ]


def unavailable_events(
    contract: Contract, missed: LevelResult, outage: Outage, release: int, now: datetime
) -> list[Event]:
    """The newest outage of one product, where its availability is missed with it; told once, when it is new."""
    if outage.last < now - NEWS:
        return []
    return [
        Event(
            id=f"unavailable:{contract.name}#{outage.number}",
            kind="unavailable",
            product=contract.name,
            at=outage.began,
            subject=f"{contract.name}: less available than promised",
            text=f"{contract.name} could not be read {_moment(outage.began)} ({outage.error}), and is less available "
            f"than promised: {missed.message}",
            release=release,
            contract_version=contract.version,
            commands=(f"mesh probe {contract.name}", f"mesh product {contract.name}"),
        )
    ]


def _unavailable(postgres: Postgres, history: History, contract: Contract, now: datetime) -> list[Event]:
    served = history.served.get(contract.name)
    if served is None or contract.status == "retired" or all(level.name != "availability" for level in contract.sla):
        return []
    outage = newest_outage(postgres, contract.name, now)
    missed = [result for result in judge_levels(postgres, history, contract, now)
              if result.missed and result.level.name == "availability"]  # fmt: skip
    return unavailable_events(contract, missed[0], outage, served.release, now) if outage and missed else []


def audit_events(audits: Iterable[RecordedAudit], history: History) -> list[Event]:
    """Failed audits; one that repeats the audit before it (same contract, rules and numbers of rows) is no event."""
    return [_failed(record, _served(history.of(record.audit.product), record.at))
            for record in audits if record.before is None or _seen(record.before) != _seen(record.audit)]  # fmt: skip


def _failed(record: RecordedAudit, served: Release | None) -> Event:
    audit = record.audit
    stays = f"Release {served.release} stays served." if served else "There is no release yet."
    told = [
        f"{audit.product} failed its audit {_moment(record.at)} under contract {audit.contract_version}, so nothing "
        f"was published. {stays}",
        "",
        "Failed rules:",
        *(f"  {result.rule_id}: {_count(result)}" for result in audit.failed),
    ]
    return Event(
        id=f"audit_failed:{audit.product}#{record.number}",
        kind="audit_failed",
        product=audit.product,
        at=record.at,
        subject=f"{audit.product}: audit failed, {len(audit.failed)} rule{'s' if len(audit.failed) > 1 else ''}",
        text="\n".join(told),
        release=served.release if served else None,
        contract_version=audit.contract_version,
        commands=(f"mesh audit {audit.product}", f"mesh product {audit.product}"),
        failed=audit.failed,
    )


def _count(result: RuleResult) -> str:
    """Rows only: what else a rule saw (a largest value, a result of SQL) may be the value of a row."""
    if result.status == "error":
        return "could not be run"
    if result.failing_rows is None:
        return "does not hold"
    return f"{counted(result.failing_rows)}" + (f" of {result.rows:,}" if result.rows is not None else "")


def _seen(audit: Audit) -> tuple[object, ...]:
    return (audit.contract_hash, *((result.rule_id, result.status, result.failing_rows) for result in audit.failed))


def _served(records: Iterable[Release], at: datetime) -> Release | None:
    """What was served then."""
    return next((record for record in reversed(tuple(records)) if _at(record) <= at), None)


def _contract(mesh: Mesh, contracts: Mapping[str, Contract], release: Release) -> Contract | None:
    """The contract of a release: today's where the text is the same, else the one that the release has sealed."""
    today = contracts[release.product]
    if today.hash == release.contract_hash:
        return today
    texts: dict[str, Contract | None] = mesh.cache.setdefault("contracts of releases", {})
    if release.contract_hash not in texts:
        try:
            sealed = read_whole(mesh.postgres, release).contract_text.encode()
            texts[release.contract_hash] = parse_contract(sealed, today.path)
        except ContractError:
            texts[release.contract_hash] = None  # sealed when less was checked: a status is not worth an error
    return texts[release.contract_hash]


def _at(release: Release) -> datetime:
    assert release.published_at is not None, "a release of the history is committed"
    return release.published_at


def _longest(level: ServiceLevel) -> timedelta:
    """The greatest age of the newest release that keeps a level."""
    assert level.age is not None
    return allowed_gap(level) if level.name == "frequency" else level.age


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
