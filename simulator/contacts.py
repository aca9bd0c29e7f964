"""Contacts with the departments: journeys of one to four steps, and what claimants ask shortly before a claim.

A journey goes on while its last contact was not resolved; who has to call again changes channel more often. Some
claims are preceded by a contact of their own: honest people ask about progress or tell of a new bank, and so does
whoever takes over an identity, from the device the claim then comes from.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from simulator.claims import Block
from simulator.clock import CLOSES, DAY, HOME, OFFICE, Rhythm, day, second_of_day
from simulator.hashing import Bools, Ints
from simulator.identifiers import device, entity, mobile, nino_bytes
from simulator.people import People
from simulator.text import Text, fixed, garble, join, lexicon, mistype_number, padded, stamps, take, where
from simulator.world import World

CHANNEL = lexicon(["phone", "web", "office", "letter"])
REASON = lexicon([
    "claim_progress", "payment_query", "change_bank_details", "change_of_address", "update_personal_details",
    "eligibility_question", "evidence_request", "complaint", "appeal", "technical_help",
])  # fmt: skip
RESULT = lexicon(["resolved", "follow_up_needed", "transferred", "abandoned"])
_RHYTHM = Rhythm(day("2020-03-16"), CLOSES, decay=60, floor=0.7)
_LENGTH = np.array([620, 410, 1500, 0])
STEPS = 4


def _table(world: World, key: Ints, nino: Text, columns: dict[str, Ints], own: Ints) -> pa.Table:
    """The delivered columns; `own` is the person whose phone rings in, for phone contacts."""
    r, channel = world.rand, columns["channel"]
    spread = 0.15 + 1.7 * r.uniform("contact.length", key) * r.uniform("contact.length.b", key) * 2
    seconds = np.maximum((_LENGTH[channel] * spread).astype(np.int64), np.where(channel == 3, 0, 15))
    return pa.table(
        {
            "contact_id": join("CT", padded(key, 14)),
            "nino": nino,
            "channel": take(CHANNEL, channel),
            "started_at": stamps(columns["at"]),
            "duration_seconds": pa.array(seconds),
            "reason": take(REASON, columns["reason"]),
            "device_id": where(channel == 1, device(r, columns["device"]), None),
            "phone": where(channel == 0, fixed(mobile(r, own)), None),
            "result": take(RESULT, columns["result"]),
        }
    )


def _nino(world: World, person: Ints, key: Ints) -> Text:
    r = world.rand
    text = fixed(nino_bytes(r, person))
    text = garble(text, r.chance("contact.nino.typo", 0.006, key), r, "contact.nino", key, mistype_number)
    return where(r.chance("contact.nino.none", 0.03, key), None, text)


def journeys(world: World, low: int, high: int) -> pa.Table:
    """The journeys of persons low..high-1, step by step."""
    r = world.rand
    everyone = np.arange(low, high, dtype=np.int64)
    eager = np.where(world.is_customer(everyone), 0.62, 0.22)
    person = everyone[r.chance("journey", eager, everyone)]
    first_day = _RHYTHM.at(r.uniform("journey.day", person))
    at = first_day * DAY + second_of_day(r, "journey.hour", OFFICE, person)
    reason = r.pick("journey.reason", (26, 20, 8, 7, 7, 14, 6, 4, 2, 6), person)
    channel = r.pick("journey.channel", (0.36, 0.46, 0.08, 0.1), person)
    head = People(world, person).head
    tables, alive = [], np.ones(person.size, dtype=bool)
    for step in range(STEPS):
        key = person * STEPS + step
        result = r.pick("contact.result", (0.68, 0.18, 0.09, 0.05), key)
        if step == STEPS - 1:
            result = np.zeros_like(result)
        own = entity("own", person * 2 + r.chance("device.second", 0.25, key))
        number = np.where(r.chance("device.household", 0.32, head), entity("household", head), own)
        alive &= at < (CLOSES + 1) * DAY
        columns = {"channel": channel, "at": at, "reason": reason, "device": number, "result": result}
        tables.append(
            _table(world, key[alive], _nino(world, person, key).filter(pa.array(alive)),
                   {name: values[alive] for name, values in columns.items()}, person[alive])
        )  # fmt: skip
        alive &= result > 0
        wait = np.where(result == 2, 900, 6 * 3600 + r.below("contact.wait", 9 * DAY, key))
        at = at + wait + r.below("contact.wait.b", 3600, key)
        switched = r.pick("contact.channel", (0.58, 0.2, 0.14, 0.08), key)
        channel = np.where(r.chance("contact.switch", 0.45, key), switched, channel)
    return pa.concat_tables(tables)


def before_claims(world: World, block: Block) -> pa.Table:
    """Contacts a few days before the claims of a block that show one."""
    r, shown = world.rand, block.plan.signals.contact_before
    claim = block.key[shown]
    key = 1_000_000_000_000 + claim
    people, fraudulent = block.people.number[shown], block.plan.fraud[shown]
    at = block.submitted[shown] - 3600 - r.below("before.gap", 12 * DAY, claim)
    at = at // DAY * DAY + second_of_day(r, "before.hour", HOME, claim)
    at = np.where(at >= block.submitted[shown], at - DAY, at)
    touched: Bools = block.plan.signals.fresh_account[shown] | block.plan.signals.ring_account[shown]
    asks = r.pick("before.reason", (24, 14, 9, 7, 8, 22, 4, 2, 1, 9), claim)
    asks = np.where(touched & r.chance("before.bank", 0.5, claim), 2, asks)
    web = r.chance("before.web", np.where(fraudulent, 0.7, 0.58), claim)
    columns = {
        "channel": np.where(web, 1, r.pick("before.channel", (0.8, 0, 0.1, 0.1), claim)),
        "at": at,
        "reason": asks,
        "device": block.device[shown],
        "result": r.pick("before.result", (0.8, 0.12, 0.05, 0.03), claim),
    }
    return _table(world, key, _nino(world, people, key), columns, people)
