"""What the four schemes have in common: accounts, devices, names as typed, and the shape of a finished block.

Each scheme module turns a range of claim numbers into a `Block`: the rows of its delivered file, plus the truth that
outcomes, contacts and messages are drawn from. Scheme modules hold what a claim of that scheme carries; nothing here
knows a rate or a cap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import names
from simulator.clock import CLOSES, DAY, HOME, NIGHT, OFFICE, OPENS, second_of_day
from simulator.fraud import Plan, session
from simulator.hashing import Bools, Ints
from simulator.identifiers import INVENTED, account_number, device, entity, nino_bytes, sort_code
from simulator.people import People
from simulator.text import Text, choose, fixed, garble, join, mistype_number, take, where
from simulator.world import World

FIRST_KEY = {"cjrs": 1 << 32, "seiss": 2 << 32, "ssp": 3 << 32, "uc_advance": 4 << 32}
"""Claim k of a scheme has the key FIRST_KEY + k: unique over all schemes."""


@dataclass(frozen=True)
class Block:
    """Claims of one scheme, ready to write; columns are aligned. Money in pence, times in seconds (UTC)."""

    scheme: str
    table: pa.Table
    claim_id: Text
    key: Ints
    people: People
    nino: Text
    submitted: Ints
    plan: Plan
    amount: Ints
    due: Ints
    device: Ints
    visible: np.ndarray
    """Points the old scorer would see on this claim (see `outcomes`)."""


def nino_as_typed(world: World, stream: str, person: Ints, key: Ints) -> Text:
    """A NINO as a claimant or employer types it: 1.4 % mistyped, 1 % missing, 1.5 % with another suffix letter."""
    r = world.rand
    matrix = nino_bytes(r, person)
    other = r.chance(f"{stream}.nino.suffix", 0.015, key)
    matrix[other, 8] = 65 + (matrix[other, 8] - 64) % 4
    text = fixed(matrix)
    text = garble(text, r.chance(f"{stream}.nino.typo", 0.014, key), r, f"{stream}.nino.how", key, mistype_number)
    form = r.uniform(f"{stream}.nino.form", key)
    spaced = form < 0.05
    if spaced.any():
        rows = pa.array(np.flatnonzero(spaced))
        raw = text.take(rows)
        cut = [pc.utf8_slice_codeunits(raw, at, at + 2) for at in (0, 2, 4, 6)]
        text = pc.replace_with_mask(
            text, pa.array(spaced), pc.utf8_rtrim_whitespace(join(*cut, pc.utf8_slice_codeunits(raw, 8), sep=" "))
        )
    text = where((form >= 0.05) & (form < 0.065), pc.ascii_lower(text), text)
    return where(r.chance(f"{stream}.nino.none", 0.01, key), None, text)


def person_account(world: World, people: People, plan: Plan, when: Ints, key: Ints) -> tuple[Ints, Text]:
    """Account number and the name on it, for money paid to a person.

    Couples share, people change banks, credit unions and house shares pool, rings and fresh accounts mix in.
    """
    r, p, s = world.rand, people.number, plan.signals
    joint = people.in_couple & r.chance("account.joint", 0.4, people.head)
    changes = r.chance("account.changes", 0.07, p)
    changed = changes & (when > (OPENS + r.below("account.changed", CLOSES - OPENS, p)) * DAY)
    account = np.where(joint, entity("household", people.head), entity("own", p))
    account = np.where(changed, entity("second", p), account)

    in_pool = ~plan.fraud & s.ring_account
    pool = entity("pool", r.below("account.pool", max(2, world.claims // 2500), p))
    crowd = r.below("account.crowd", max(2, world.claims // 500), people.head)
    pool = np.where(r.chance("account.crowded", 0.6, p), entity("house_share", crowd), pool)
    account = np.where(in_pool, pool, account)
    # honest people without a bank account of their own are often paid into a relative's, who may claim too
    relative = entity("own", np.maximum(people.head - 24 * (1 + r.below("relative", 40, p)), 0))
    fresh = np.where(r.chance("account.relative", 0.3, p), relative, entity("relative", p))
    account = np.where(~plan.fraud & s.fresh_account, fresh, account)

    account = np.where(plan.fraud & s.fresh_account, entity("fresh", key), account)
    account = np.where(plan.fraud & s.ring_account, ring_account(world, plan, key), account)
    return account, account_name(world, people, plan, joint & ~changed, key)


def ring_account(world: World, plan: Plan, key: Ints) -> Ints:
    """One of five mule accounts of a ring, the first ones used most."""
    u = world.rand.uniform("ring.account", key)
    return entity("ring", plan.ring * 8 + (5 * u * u).astype(np.int64))


def account_name(world: World, people: People, plan: Plan, joint: Bools, key: Ints) -> Text:
    """The name on the account: the claimant's in one of five spellings, a joint one, or somebody else's."""
    r, s = world.rand, plan.signals
    first, initial = take(names.FIRST, people.first), take(names.INITIAL, people.first)
    last = take(names.LAST, people.last)
    title = where(people.male == 1, "MR", where(r.chance("title", 0.5, people.number), "MS", "MRS"))
    style = r.pick("account.style", (0.42, 0.2, 0.22, 0.1, 0.06), people.number)
    spelled = [
        join(first, last, sep=" "),
        join(initial, last, sep=" "),
        join(title, initial, last, sep=" "),
        join(title, first, last, sep=" "),
        join(last, initial, sep=" "),
    ]
    own = choose(style, spelled)
    partner = People(world, people.partner)
    own = where(joint, join(initial, " & ", take(names.INITIAL, partner.first), " ", last), own)

    mule = plan.fraud & s.other_name
    borrowed = np.where(mule, INVENTED + plan.ring * 8 + r.below("mule.name", 5, key), people.number)
    stranger = np.where(~mule & s.other_name, r.below("name.other", world.persons, people.number), borrowed)
    other = People(world, np.where(mule & r.chance("mule.real", 0.5, key), r.below("mule.who", world.persons, key),
                                   stranger))  # fmt: skip
    foreign = join(take(names.FIRST, other.first), take(names.LAST, other.last), sep=" ")
    # half of honest mismatches keep something: the name before marriage, or a relative's first name
    maiden = join(first, take(names.LAST, people.birth_surname), sep=" ")
    kin = join(take(names.FIRST, other.first), last, sep=" ")
    mild = r.pick("name.mild", (0.3, 0.25, 0.45), people.number)
    mild = np.where(plan.fraud, np.where(r.chance("name.kin", 0.15, key), 1, 2), mild)
    return pc.ascii_upper(where(s.other_name, choose(mild, [maiden, kin, foreign]), own))


def person_device(world: World, people: People, plan: Plan, key: Ints) -> Ints:
    """The device a person claims from: own, the household's, a library's or adviser's, a new one or a ring's."""
    r, p, s = world.rand, people.number, plan.signals
    own = entity("own", p * 2 + r.chance("device.second", 0.25, key))
    number = np.where(r.chance("device.household", 0.32, people.head), entity("household", people.head), own)
    u = r.uniform("device.desk", p)
    desk = entity("pool", (max(2, world.claims // 700) * u * u).astype(np.int64))
    number = np.where(~plan.fraud & s.ring_device, desk, number)
    number = np.where(s.fresh_device, entity("fresh", key), number)
    return np.where(plan.fraud & s.ring_device, ring_device(world, plan), number)


def ring_device(world: World, plan: Plan) -> Ints:
    return entity("ring", plan.ring * 8 + world.rand.below("ring.device", 4, plan.sitting))


def account_columns(world: World, account: Ints, name: Text, number: Ints) -> dict[str, Text]:
    """The four columns every claim file ends with, before the time."""
    return {
        "sort_code": sort_code(world.rand, account),
        "account_number": account_number(world.rand, account),
        "account_name": name,
        "device_id": device(world.rand, number),
    }


def person_time(world: World, plan: Plan, on: Ints, key: Ints, *, office: bool = False) -> Ints:
    """Seconds (UTC) at which claims of that day are filed; a ring's device files in one sitting."""
    r, s = world.rand, plan.signals
    usual = second_of_day(r, "claim.hour", OFFICE if office else HOME, key)
    second = np.where(s.night, second_of_day(r, "claim.night", NIGHT, key), usual)
    return on * DAY + np.where(plan.fraud & s.ring_device, session(world, plan.ring, on, key), second)


def place_key(world: World, people: People, plan: Plan, key: Ints) -> Ints:
    """The address given: one's own, sometimes the one before a move, a ring's shared one or a hostel's."""
    own = people.address_key(world.rand.chance("claim.old_address", 0.2, people.number))
    hostel = 2 * (world.persons * 2 + world.rand.below("hostel", max(2, world.claims // 4000), people.number))
    drop = 2 * (world.persons * 3 + plan.ring * 2 + world.rand.below("ring.drop", 2, key))
    return np.where(plan.signals.ring_place, np.where(plan.fraud, drop, hostel), own)


def rounded(world: World, pence: Ints, key: Ints) -> Ints:
    """Amounts as people enter them: exact, whole pounds, or a few pence out."""
    how = world.rand.pick("amount.rounding", (0.76, 0.16, 0.08), key)
    loose = np.maximum(pence - world.rand.below("amount.loose", 60, key), 0)
    return np.choose(how, [pence, pence // 100 * 100, loose])


def visible_points(world: World, plan: Plan, nino: Text, share: np.ndarray, key: Ints) -> np.ndarray:
    """What the old scorer sees of a claim, in points: crude flags that honest claims raise as well."""
    s = plan.signals
    points = 0.8 * s.other_name + 0.6 * s.ring_account + 0.5 * s.fresh_account + 0.6 * s.ring_device
    points = points + 0.3 * s.fresh_device + 0.5 * s.high_amount + 0.3 * s.night + 0.5 * s.unknown_person
    missing = nino.is_null().to_numpy(zero_copy_only=False)
    return np.asarray(points + 0.5 * missing + 1.5 * (share > 1.01))
