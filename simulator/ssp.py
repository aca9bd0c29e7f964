"""Statutory Sick Pay rebate: at most two weeks for one employee of an employer with fewer than 250.

94.25 a week, 95.85 from 6 April 2020, by calendar day. Honest claims are for jobs that were not furloughed at the time,
or for sickness before the furlough; a duplicate claims sick pay for a month the same employee was furloughed in.
A few honest employers do the same by mistake.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import cjrs, fraud
from simulator.claims import (
    FIRST_KEY,
    Block,
    account_columns,
    nino_as_typed,
    person_time,
    ring_account,
    ring_device,
    rounded,
    visible_points,
)
from simulator.clock import CLOSES, DAY, Rhythm, day
from simulator.hashing import Shuffle
from simulator.identifiers import INVENTED, entity, mobile
from simulator.organisations import Employers
from simulator.people import People
from simulator.text import dates, fixed, join, money, padded, stamps, where
from simulator.world import World

OLD_RATE, NEW_RATE, CHANGE = 9425, 9585, day("2020-04-06")
LARGEST = 249
_RHYTHM = Rhythm(day("2020-05-26"), CLOSES, decay=45, floor=0.6)


def block(world: World, low: int, high: int) -> Block:
    """Claims low..high-1 of the scheme, in order of day."""
    r, n = world.rand, world.counts["ssp"]
    k = np.arange(low, high, dtype=np.int64)
    key = FIRST_KEY["ssp"] + k
    on = _RHYTHM.at((k + r.uniform("ssp.day", key)) / n)
    burst = key // fraud.BURST
    pattern = fraud.patterns(world, "ssp", fraud.RATES["ssp"], key, burst)
    mistaken = r.chance("ssp.mistaken", 0.02, key) & (pattern == 0)
    overlaps = (pattern == fraud.DUPLICATE) | mistaken

    # claims come in small runs of neighbouring jobs: one employer files several employees together
    run = Shuffle(r, "ssp.jobs", world.furlough_slots)(k // 3 % world.furlough_slots)
    f = (run + k % 3) % world.furlough_slots
    job = world.furloughed_slot(f)
    slot = np.where(overlaps, job, 4 * f + (job + 1 + r.below("ssp.slot", 3, key)) % 4)
    firm = Employers(world, slot)
    ago = r.below("ssp.ago", 75, key)
    starts = np.maximum(on - 14 - ago, day("2020-03-13"))
    days = 1 + np.minimum(13, np.minimum(r.below("ssp.days", 20, key), r.below("ssp.days.b", 28, key)) + 3)
    month = np.clip(np.searchsorted(cjrs.START, starts, side="right") - 1, 0, 8)
    before = np.maximum(month - 1, 0)
    month = np.where(~cjrs.furloughed(world, f, month) & cjrs.furloughed(world, f, before), before, month)
    starts = np.where(overlaps, np.minimum(cjrs.START[month] + r.below("ssp.in_month", 12, key), on - 7), starts)
    month = np.clip(np.searchsorted(cjrs.START, starts, side="right") - 1, 0, 8)
    resident = cjrs.employee(world, slot, month)

    borrowing = np.isin(pattern, (fraud.HIJACK, fraud.MULE, fraud.VELOCITY, fraud.RING))
    stolen = borrowing & r.chance("ssp.borrowed", 0.5, key)
    plan = fraud.plan(world, "ssp", pattern, on * DAY, People(world, resident).in_disparity_group, key, burst)
    stolen |= (pattern == fraud.GHOST) & ~plan.signals.unknown_person
    person = np.where(stolen, r.below("ssp.victim", world.persons, key), resident)
    person = np.where(plan.fraud & plan.signals.unknown_person, INVENTED + (3 << 34) + slot, person)
    people = People(world, person)
    submitted = person_time(world, plan, on, key, office=True)

    s, e = plan.signals, firm.number
    account = np.where(firm.paid_to_agent, entity("agent", firm.agent), entity("employer", e))
    account = np.where(~plan.fraud & s.ring_account, entity("agent", firm.agent), account)
    account = np.where(s.fresh_account, entity("fresh", key), account)
    account = np.where(plan.fraud & s.ring_account, ring_account(world, plan, key), account)
    device = entity("employer", e * 2 + r.chance("ssp.device", 0.3, key))
    agents = entity("agent", firm.agent * 4 + r.below("agent.device", 2, e))
    device = np.where(firm.has_agent | (~plan.fraud & s.ring_device), agents, device)
    device = np.where(s.fresh_device, entity("fresh", key), device)
    device = np.where(plan.fraud & s.ring_device, ring_device(world, plan), device)
    stranger = np.where(plan.fraud, INVENTED + plan.ring * 8 + r.below("mule.name", 5, key), r.below(
        "director", world.persons, e))  # fmt: skip
    shown = pc.replace_substring(pc.ascii_upper(firm.name), "LIMITED", "LTD")
    account_name = where(s.other_name, pc.ascii_upper(People(world, stranger).full_name), shown)

    lift = s.high_amount & r.chance("ssp.long", np.where(plan.fraud, 0.8, 0.5), key)
    stated = np.where(lift, 14, days)
    slip = r.chance("ssp.slip", np.where(plan.fraud, 0.06, 0.022), key)
    stated = np.where(slip & r.chance("ssp.slip.days", 0.3, key), 15 + r.below("ssp.over", 6, key), stated)
    rate = np.where(starts < CHANGE, OLD_RATE, NEW_RATE)
    allowed = np.minimum(stated, 14) * rate // 7
    due = np.where(plan.fraud | overlaps, 0, allowed)
    amount = np.where(slip, stated * rate // 7 + 500 + r.below("ssp.extra", 4000, key), rounded(world, allowed, key))
    size = firm.size + np.where(firm.size > LARGEST, 0, r.below("ssp.size", 3, e))
    size = np.where((size > LARGEST) & r.chance("ssp.size_ok", 0.75, e), 60 + r.below("ssp.understated", 189, e), size)

    contact = People(world, r.below("director", world.persons, e))
    at_ring = plan.fraud & s.ring_place
    calls = np.where(at_ring, INVENTED + plan.ring * 8, contact.number)
    nino = nino_as_typed(world, "ssp", person, key)
    claim_id = join("SSP-", padded(k + 1, 9))
    table = pa.table(
        {
            "reference": claim_id,
            "paye_ref": firm.paye,
            "employer_name": firm.name,
            "employer_size": pa.array(size),
            "employee_name": people.full_name,
            "employee_nino": nino,
            "period_start": dates(starts),
            "period_end": dates(starts + stated - 1),
            "sick_days": pa.array(stated),
            "amount": money(amount),
            "contact_name": where(at_ring, People(world, calls).full_name, contact.full_name),
            "phone": fixed(mobile(r, calls)),
            **account_columns(world, account, account_name, device),
            "submitted_at": stamps(submitted),
        }
    )
    visible = visible_points(world, plan, nino, amount / np.maximum(allowed, 1), key)
    return Block("ssp", table, claim_id, key, people, nino, submitted, plan, amount, due, device, visible)
