"""Self-Employment Income Support Scheme: grants one to three, each a share of three months' profit.

Grant 1 pays 80 % up to 7,500.00, grant 2 70 % up to 6,570.00, grant 3 80 % up to 7,500.00. A trader claims each grant
once at about the same point of its window; profits come from tax returns and hardly change between grants.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator import fraud
from simulator.claims import (
    FIRST_KEY,
    Block,
    account_columns,
    nino_as_typed,
    person_account,
    person_device,
    person_time,
    place_key,
    rounded,
    visible_points,
)
from simulator.clock import DAY, Rhythm, day
from simulator.identifiers import INVENTED, utr
from simulator.people import Addresses, People
from simulator.text import garble, join, mistype_number, money, padded, stamps
from simulator.world import World

RATE = np.array([0.8, 0.7, 0.8])
CAP = np.array([750_000, 657_000, 750_000])
_RHYTHMS = [
    Rhythm(day("2020-05-13"), day("2020-07-13"), decay=5),
    Rhythm(day("2020-08-17"), day("2020-10-19"), decay=5),
    Rhythm(day("2020-11-30"), day("2020-12-31"), decay=6),
]
_PROFIT = ([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1], [60_000, 140_000, 260_000, 380_000, 560_000, 940_000, 1_250_000])


def block(world: World, low: int, high: int) -> Block:
    """Claims low..high-1 of the scheme, in order of grant and day."""
    r = world.rand
    k = np.arange(low, high, dtype=np.int64)
    key = FIRST_KEY["seiss"] + k
    ends = np.cumsum(world.seiss_grants)
    grant = np.searchsorted(ends, k, side="right").astype(np.int64)
    filed = np.array(world.seiss_grants)[grant]
    j = k - (ends[grant] - filed)
    trader = (j * world.trader_slots + r.below("seiss.thinning", world.trader_slots, grant)) // filed
    on = np.zeros(k.size, dtype=np.int64)
    for number in np.unique(grant):
        here = grant == number
        on[here] = _RHYTHMS[number].at((j[here] + r.uniform("seiss.day", key[here])) / filed[here])

    burst = key // fraud.BURST
    pattern = fraud.patterns(world, "seiss", fraud.RATES["seiss"], key, burst)
    person = world.trader(trader)
    # a stolen identity: half of the victims trade and may claim themselves, the others never did
    stolen = np.isin(pattern, (fraud.HIJACK, fraud.MULE)) & r.chance("seiss.stranger", 0.5, key)
    person = np.where(stolen, r.below("seiss.victim", world.persons, key), person)
    plan = fraud.plan(world, "seiss", pattern, on * DAY, People(world, person).in_disparity_group, key, burst)
    invented = plan.fraud & plan.signals.unknown_person
    people = People(world, np.where(invented, INVENTED + (1 << 34) + k, person))
    submitted = person_time(world, plan, on, key)
    account, account_name = person_account(world, people, plan, submitted, key)
    device = person_device(world, people, plan, key)

    true_profit = np.interp(r.uniform("trader.profit", people.number), *_PROFIT)
    true_profit = np.rint(true_profit * (1 + 0.01 * r.normal("seiss.drift", key))).astype(np.int64)
    lift = np.where(plan.fraud, 1.2 + 0.8 * r.uniform("seiss.lift", key), 1.05 + 0.4 * r.uniform("seiss.bonus", key))
    profit = np.where(plan.signals.high_amount, np.rint(true_profit * lift), true_profit).astype(np.int64)
    allowed = np.minimum(np.rint(RATE[grant] * profit).astype(np.int64), CAP[grant])
    due = np.where(plan.fraud, 0, allowed)
    amount = rounded(world, allowed, key)
    slip = r.chance("seiss.slip", np.where(plan.fraud, 0.08, 0.025), key)
    amount = np.where(slip, np.rint(allowed * (1.03 + 0.15 * r.uniform("seiss.over", key))).astype(np.int64), amount)
    fall = np.clip(np.rint(62 + 24 * r.normal("seiss.fall", people.number)), 0, 100).astype(np.int64)

    nino = nino_as_typed(world, "seiss", people.number, key)
    tax = garble(utr(r, people.number), r.chance("seiss.utr.typo", 0.012, key), r, "seiss.utr", key, mistype_number)
    address = Addresses(world, place_key(world, people, plan, key))
    claim_id = join("SEISS-", padded(k + 1, 9))
    table = pa.table(
        {
            "claim_id": claim_id,
            "grant_number": pa.array(grant + 1),
            "utr": tax,
            "nino": nino,
            "claimant_name": people.full_name,
            "address_line": address.line,
            "postcode": address.postcode,
            "three_month_profit": money(profit),
            "turnover_fall_percent": pa.array(fall),
            "amount": money(amount),
            **account_columns(world, account, account_name, device),
            "submitted_at": stamps(submitted),
        }
    )
    visible = visible_points(world, plan, nino, amount / np.maximum(allowed, 1), key)
    return Block("seiss", table, claim_id, key, people, nino, submitted, plan, amount, due, device, visible)
