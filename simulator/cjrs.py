"""Coronavirus Job Retention Scheme: one line per employee and month, filed in batches by employers or their agents.

A submission is one employer's lines of one month: they share device, account and hour. Small employers' submissions
may be fraudulent as a whole (hijacked, mule account, velocity, ring); single jobs may be ghosts or inflated, more
often with a crooked employer. 80 % of reference pay for hours not worked, at most 2,500.00 a month.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import fraud, names
from simulator.claims import (
    FIRST_KEY,
    Block,
    account_columns,
    nino_as_typed,
    ring_account,
    ring_device,
    rounded,
    visible_points,
)
from simulator.clock import DAY, NIGHT, OFFICE, Rhythm, day, second_of_day
from simulator.hashing import Bools, Ints
from simulator.identifiers import INVENTED, entity
from simulator.organisations import Employers
from simulator.people import People
from simulator.text import Text, dates, join, money, padded, stamps, take, where
from simulator.world import World

CAP = 250_000
RATE = 0.8
MONTHS = ("04-01 04-30", "05-01 05-31", "06-01 06-30", "07-01 07-31", "08-01 08-31", "09-01 09-30", "10-01 10-31",
          "11-01 11-30", "12-01 12-31")  # fmt: skip
START, END = np.array([[day(f"2020-{part}") for part in month.split()] for month in MONTHS]).T
WINDOWS = ("04-20 05-12", "05-20 06-12", "06-20 07-12", "07-20 08-12", "08-20 09-12", "09-20 10-12", "10-20 11-14",
           "11-18 12-14", "12-15 12-31")  # fmt: skip
_RHYTHMS = [
    Rhythm(*(day(f"2020-{part}") for part in window.split()), decay=4 if number == 0 else 0)
    for number, window in enumerate(WINDOWS)
]
_PAY = ([0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97, 1], [62_000, 98_000, 142_000, 198_000, 266_000, 352_000, 470_000, 880_000])
_WEEKLY = np.array([3750, 4000, 3500, 3000, 2000, 1600])
"""Contracted hours a week, in hundredths."""
SMALL = 40
"""Employers with at most this many jobs may be impersonated or file for a ring."""


def slots(world: World, k: Ints) -> tuple[Ints, Ints]:
    """The month (0 is April) and the furloughed job of claims k; no job appears twice in a month."""
    ends = np.cumsum(world.cjrs_months)
    month = np.searchsorted(ends, k, side="right").astype(np.int64)
    filed = np.array(world.cjrs_months)[month]
    jobs = world.furlough_slots
    start = world.rand.below("cjrs.thinning", jobs, month)
    return month, ((k - (ends[month] - filed)) * jobs + start) // filed


def furloughed(world: World, f: Ints, month: Ints) -> Bools:
    """Whether job f was claimed for in that month: the inverse question of `slots`."""
    filed = np.maximum(np.array(world.cjrs_months)[month], 1)
    jobs = world.furlough_slots
    start = world.rand.below("cjrs.thinning", jobs, month)
    j = np.maximum(-((start - f * filed) // jobs), 0)
    return np.asarray(((j * jobs + start) // filed == f) & (j < filed))


def employee(world: World, slot: Ints, month: Ints) -> Ints:
    """Who holds the job in that month; a quarter of jobs change hands once."""
    changes = world.rand.chance("job.changes", 0.25, slot)
    from_month = world.rand.below("job.changed", 9, slot)
    return np.where(changes & (month >= from_month), world.successor(slot), world.worker(slot))


def _employers_account(world: World, firm: Employers, plan: fraud.Plan, month: Ints, key: Ints) -> tuple[Ints, Text]:
    r, e, s = world.rand, firm.number, plan.signals
    changed = r.chance("employer.changes", 0.08, e) & (month >= r.below("employer.changed", 9, e))
    account = np.where(changed, entity("employer_second", e), entity("employer", e))
    account = np.where(firm.paid_to_agent, entity("agent", firm.agent), account)
    account = np.where(s.fresh_account, entity("fresh", key), account)
    account = np.where(plan.fraud & s.ring_account, ring_account(world, plan, key), account)
    shown = pc.replace_substring(pc.ascii_upper(firm.name), "LIMITED", "LTD")
    stranger = np.where(plan.fraud, INVENTED + plan.ring * 8 + r.below("mule.name", 5, key), r.below(
        "director", world.persons, e))  # fmt: skip
    return account, where(s.other_name, pc.ascii_upper(People(world, stranger).full_name), shown)


def block(world: World, low: int, high: int) -> Block:
    """Claims low..high-1 of the scheme, in order of month."""
    r = world.rand
    k = np.arange(low, high, dtype=np.int64)
    key = FIRST_KEY["cjrs"] + k
    month, f = slots(world, k)
    slot = world.furloughed_slot(f)
    firm = Employers(world, slot)
    submission = (5 << 40) + firm.number * 16 + month
    burst = (7 << 40) + firm.number // 512 * 16 + month
    job = (6 << 40) + slot

    whole = np.where(
        firm.size <= SMALL, fraud.patterns(world, "submission", fraud.RATES["submission"], submission, burst), 0
    )
    habit = r.uniform("cjrs.habit", np.where(whole == fraud.VELOCITY, burst, submission))
    place = np.clip(firm.number / world.worker_slots + 0.12 * (habit - 0.5), 0, 0.999)
    filed_on = np.zeros(k.size, dtype=np.int64)
    for number in np.unique(month):
        filed_on[month == number] = _RHYTHMS[number].at(place[month == number])

    crooked = r.chance("employer.crooked", 0.1, firm.number)
    rate = np.where(crooked, fraud.RATES["crooked_job"], fraud.RATES["job"])
    single = fraud.patterns(world, "job", rate, job)
    # a ghost or an inflated job turns up at some month and stays
    single = np.where(month >= r.below("job.fraud_from", 7, job), single, 0)
    pattern = np.where(whole > 0, whole, single)

    resident = employee(world, slot, month)
    group = People(world, resident).in_disparity_group
    batch = fraud.plan(world, "cjrs", whole, filed_on * DAY, np.zeros(k.size, dtype=bool), submission, burst)
    line = fraud.plan(world, "cjrs", pattern, filed_on * DAY, group, job, job)
    signals = dataclasses.replace(
        batch.signals, unknown_person=line.signals.unknown_person, high_amount=line.signals.high_amount
    )
    plan = fraud.Plan(pattern, batch.ring, batch.sitting, signals)
    filing = fraud.Plan(whole, batch.ring, batch.sitting, signals)

    borrowed = (whole > 0) & r.chance("cjrs.borrowed", 0.45, job)
    borrowed |= (pattern == fraud.GHOST) & ~signals.unknown_person
    person = np.where(borrowed, r.below("cjrs.victim", world.persons, job), resident)
    person = np.where(signals.unknown_person & plan.fraud, INVENTED + (2 << 34) + slot, person)
    people = People(world, person)

    own_device = entity("employer", firm.number * 2 + r.chance("employer.device", 0.3, submission))
    agents = entity("agent", firm.agent * 4 + r.below("agent.device", 2, firm.number))
    device = np.where(firm.has_agent, agents, own_device)
    device = np.where(signals.fresh_device, entity("fresh", submission), device)
    device = np.where(filing.fraud & signals.ring_device, ring_device(world, filing), device)
    account, account_name = _employers_account(world, firm, filing, month, submission)

    hour = np.where(
        signals.night,
        second_of_day(r, "cjrs.night", NIGHT, submission),
        second_of_day(r, "cjrs.hour", OFFICE, submission),
    )
    sitting = filing.fraud & signals.ring_device
    hour = np.where(sitting, fraud.session(world, plan.ring, filed_on, submission), hour)
    # lines of a batch follow each other: seconds apart in uploaded files, up to a minute when typed
    pace = np.where(firm.size > 60, 1, 3 + r.below("cjrs.pace", 50, submission))
    submitted = filed_on * DAY + np.minimum(hour + (slot - firm.number) // 4 * pace, DAY - 1)

    # pay, hours and what is due
    days = END[month] - START[month] + 1
    late = r.chance("cjrs.part_month", 0.08, key)
    begins = START[month] + np.where(late, r.below("cjrs.begins", 20, key), 0)
    claimed_days = END[month] - begins + 1
    weekly = _WEEKLY[r.pick("job.hours", (0.4, 0.22, 0.15, 0.08, 0.1, 0.05), slot)]
    full = np.interp(r.uniform("job.pay", person), *_PAY) * weekly / 3750
    varies = r.chance("job.variable", 0.25, slot)
    full = full * np.where(varies, 1 + 0.08 * r.normal("cjrs.varies", key), 1)
    true_pay = np.rint(full * claimed_days / days).astype(np.int64)
    lift = 1 + 0.15 + 0.45 * r.uniform("cjrs.lift", job)
    bonus = 1 + 0.05 + 0.3 * r.uniform("cjrs.bonus", key)
    stated = np.where(signals.high_amount, np.where(plan.fraud, lift, bonus), 1.0)
    pay = np.rint(true_pay * stated).astype(np.int64)
    normal = weekly * claimed_days // 7
    flexible = (month >= 3) & r.chance("cjrs.flexible", 0.4, slot)
    worked = np.where(flexible, normal * (10 + r.below("cjrs.worked", 55, key)) // 100, 0)
    off = normal - worked
    cap = CAP * claimed_days // days
    allowed = np.minimum(np.rint(RATE * pay).astype(np.int64), cap) * off // np.maximum(normal, 1)
    due = np.where(plan.fraud, 0, allowed)
    amount = rounded(world, allowed, key)
    slip = r.chance("cjrs.slip", np.where(plan.fraud, 0.08, 0.028), key)
    amount = np.where(slip, np.rint(allowed * (1.04 + 0.21 * r.uniform("cjrs.over", key))).astype(np.int64), amount)
    over_hours = r.chance("cjrs.hours_slip", 0.004, key)
    worked = np.where(over_hours, normal + 100 + r.below("cjrs.hours_over", 900, key), worked)

    typed = where(
        r.chance("cjrs.initial", 0.14, firm.number),
        join(take(names.INITIAL, people.first), take(names.LAST, people.last), sep=" "),
        people.full_name,
    )
    nino = nino_as_typed(world, "cjrs", person, key)
    claim_id = join("CJRS-", padded(k + 1, 9))
    table = pa.table(
        {
            "claim_ref": claim_id,
            "employer_paye_ref": firm.paye,
            "employer_name": firm.name,
            "employee_name": typed,
            "employee_nino": nino,
            "payroll_ref": padded(1000 + r.below("payroll", 98_999, slot + person % 977), 6),
            "furlough_start": dates(begins),
            "furlough_end": dates(END[month]),
            "reference_pay": money(pay),
            "normal_hours": money(normal),
            "worked_hours": money(worked),
            "furloughed_hours": money(off),
            "claim_amount": money(amount),
            **account_columns(world, account, account_name, device),
            "submitted_at": stamps(submitted),
        }
    )
    visible = visible_points(world, plan, nino, amount / np.maximum(allowed, 1), key)
    return Block("cjrs", table, claim_id, key, people, nino, submitted, plan, amount, due, device, visible)
