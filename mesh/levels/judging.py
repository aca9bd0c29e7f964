"""Every service level of a product that is judged from releases and probes."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from mesh.contract import Contract, ServiceLevel
from mesh.contract.service import availability_window, holds_frequency, judged_in_service, of_the_release
from mesh.errors import ContractError
from mesh.levels.availability import judge_availability
from mesh.levels.releases import judge_age, judge_frequency
from mesh.levels.results import LevelResult
from mesh.postgres import Postgres
from mesh.release import History, Release, base_of


def judge_levels(postgres: Postgres, history: History, contract: Contract, now: datetime) -> tuple[LevelResult, ...]:
    """The judged levels of a contract, in its order.

    Args:
        now: the moment they are judged at (UTC); what came later is not looked at.
    """
    records = tuple(
        record for record in history.of(contract.name) if record.published_at is None or record.published_at <= now
    )

    @cache
    def promised(level: ServiceLevel, contract_hash: str) -> bool:
        sealing = next(record for record in records if record.contract_hash == contract_hash)
        return _promised(postgres, contract, level, sealing)

    def judged(level: ServiceLevel) -> LevelResult:
        if of_the_release(level):
            return judge_age(level, records, now)
        if holds_frequency(level):
            return judge_frequency(level, records, now, lambda release: promised(level, release.contract_hash))
        return judge_availability(postgres, contract.name, level, availability_window(contract), now)

    return tuple(judged(level) for level in contract.sla if judged_in_service(level))


def _promised(postgres: Postgres, contract: Contract, level: ServiceLevel, release: Release) -> bool:
    """Whether the contract that a release carries promised releases at least as often as a level does."""
    if release.contract_hash == contract.hash:
        return True
    try:
        sealed = base_of(postgres, release, contract).contract
    except ContractError:
        return True  # sealed when less was checked: in doubt for those who rely on it
    return any(holds_frequency(each) and each.age <= level.age for each in sealed.sla if each.age and level.age)
