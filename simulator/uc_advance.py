"""Universal Credit advances: new claims, transfers, changes of circumstances and budgeting advances.

An advance is at most the estimated award, repaid within 24 months (changes: 6), and the deduction is at most 15 % of
the standard allowance. Three in ten advances are by somebody who had one before.
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
    visible_points,
)
from simulator.clock import CLOSES, DAY, OPENS, Rhythm
from simulator.hashing import Ints
from simulator.identifiers import INVENTED, household_number
from simulator.people import Addresses, People
from simulator.text import join, lexicon, money, padded, stamps, take
from simulator.world import World

TYPES = lexicon(["new_claim", "transfer", "change", "budgeting"])
LONGEST = np.array([24, 24, 6, 12])
ALLOWANCE = np.array([[34_272, 40_989], [48_859, 59_404]])
"""Standard allowance a month in pence, 2020-21: (alone or couple, under 25 or older)."""
_RHYTHM = Rhythm(OPENS, CLOSES, decay=18, floor=0.4)


def customer(world: World, k: Ints) -> tuple[Ints, Ints]:
    """The person behind advance k, and 1 where it is a later advance of somebody who had one."""
    n = world.counts["uc_advance"]
    again = world.rand.chance("uc.again", 0.3, k) & (k > n // 50)
    earlier = (k * world.rand.uniform("uc.earlier", k)).astype(np.int64)
    return world.customer(np.where(again, earlier, k)), again.astype(np.int64)


def household_text(people: People) -> pa.StringArray:
    """The household reference departments use: HH and nine digits."""
    return join("HH", padded(household_number(people.world.rand, people.head), 9))


def block(world: World, low: int, high: int) -> Block:
    """Claims low..high-1 of the scheme, in order of day."""
    r, n = world.rand, world.counts["uc_advance"]
    k = np.arange(low, high, dtype=np.int64)
    key = FIRST_KEY["uc_advance"] + k
    on = _RHYTHM.at((k + r.uniform("uc.day", key)) / n)
    burst = key // fraud.BURST
    pattern = fraud.patterns(world, "uc_advance", fraud.RATES["uc_advance"], key, burst)
    person, again = customer(world, k)
    stolen = np.isin(pattern, (fraud.HIJACK, fraud.MULE)) & r.chance("uc.stranger", 0.55, key)
    person = np.where(stolen, r.below("uc.victim", world.persons, key), person)
    # the same advance twice within days, once by each name of the household
    twice = pattern == fraud.DUPLICATE
    recent, _ = customer(world, np.maximum(k - 1 - r.below("uc.recent", max(2, n // 60), key), 0))
    person = np.where(twice, np.where(r.chance("uc.partner", 0.5, key), People(world, recent).partner, recent), person)
    plan = fraud.plan(world, "uc_advance", pattern, on * DAY, People(world, person).in_disparity_group, key, burst)
    invented = plan.fraud & plan.signals.unknown_person
    people = People(world, np.where(invented, INVENTED + (4 << 34) + k, person))
    submitted = person_time(world, plan, on, key)
    account, account_name = person_account(world, people, plan, submitted, key)
    device = person_device(world, people, plan, key)

    first = r.pick("uc.type.first", (0.72, 0.16, 0.07, 0.05), key)
    later = r.pick("uc.type.later", (0.18, 0.02, 0.4, 0.4), key)
    kind = np.where(again == 1, later, first)
    older = (people.birth_day < OPENS - 25 * 365).astype(np.int64)
    allowance = ALLOWANCE[people.in_couple.astype(np.int64), older]
    housing = r.chance("uc.housing", 0.58, people.head) * (28_000 + r.below("uc.rent", 52_000, people.head))
    children = r.pick("uc.children", (0.58, 0.2, 0.15, 0.07), people.head) * 23_500
    earnings = r.chance("uc.earns", 0.35, people.number) * r.below("uc.earned", 45_000, people.number)
    true_award = np.maximum(allowance // 4, allowance + housing + children - earnings)
    lift = np.where(plan.fraud, 1.15 + 0.6 * r.uniform("uc.lift", key), 1.05 + 0.3 * r.uniform("uc.more", key))
    award = np.where(plan.signals.high_amount, true_award * lift, true_award).astype(np.int64)

    everything = r.chance("uc.all", np.where(plan.fraud, 0.5, 0.42), key)
    share = np.where(everything, 1.0, 0.25 + 0.75 * r.uniform("uc.share", key))
    share = np.where(kind == 3, 0.35 * share, share)
    most = allowance * 15 // 100
    wanted = np.minimum((award * share).astype(np.int64), most * LONGEST[kind])
    step = np.where(r.chance("uc.round", 0.55, key), 1000, 1)
    allowed = np.maximum(wanted // step * step, 1000)
    chosen = np.array([24, 12, 12, 6])[r.pick("uc.months", (0.45, 0.3, 0.15, 0.1), key)]
    months = np.minimum(np.maximum(np.minimum(chosen, LONGEST[kind]), -(-allowed // most)), LONGEST[kind])
    slip = r.chance("uc.slip", np.where(plan.fraud, 0.06, 0.02), key)
    amount = np.where(slip, np.rint(award * (1.02 + 0.15 * r.uniform("uc.over", key))).astype(np.int64), allowed)
    due = np.where(plan.fraud, 0, allowed)

    nino = nino_as_typed(world, "uc", people.number, key)
    address = Addresses(world, place_key(world, people, plan, key))
    claim_id = join("UCA-", padded(k + 1, 9))
    table = pa.table(
        {
            "advance_id": claim_id,
            "customer_nino": nino,
            "customer_name": people.full_name,
            "household_ref": household_text(people),
            "advance_type": take(TYPES, kind),
            "amount": money(amount),
            "estimated_award": money(award),
            "standard_allowance": money(allowance),
            "repayment_months": pa.array(months),
            "postcode": address.postcode,
            **account_columns(world, account, account_name, device),
            "requested_at": stamps(submitted),
        }
    )
    visible = visible_points(world, plan, nino, amount / np.maximum(award, 1), key)
    return Block("uc_advance", table, claim_id, key, people, nino, submitted, plan, amount, due, device, visible)
