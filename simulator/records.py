"""Two departments' lists of the same people, each with its own gaps, formats and mistakes.

The tax list holds nearly everyone who works or trades, the benefit list nearly everyone who claims. About 2 % of rows
are second rows for somebody already listed, 2 % of NINOs are missing or mistyped, names carry slips and nicknames,
birthdays swap day and month, and one of the lists may still have the address before a move. Invented identities are
in neither. Every draw hangs on the list's name, so the two lists err independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulator import names
from simulator.clock import day
from simulator.hashing import Bools, Ints
from simulator.identifiers import mobile, nino_bytes, scatter, utr
from simulator.people import MARITAL, Addresses, People
from simulator.text import (
    Text,
    choose,
    dates,
    digits,
    fixed,
    garble,
    join,
    lexicon,
    misspell,
    mistype_number,
    padded,
    stamps,
    take,
    where,
)
from simulator.uc_advance import household_text
from simulator.world import World

_MARITAL = lexicon(MARITAL)


@dataclass(frozen=True)
class Listed:
    """One block of a department's list: the rows to write, whose they are, and their record numbers."""

    table: pa.Table
    person: Ints
    record_id: Text


def in_tax_records(world: World, person: Ints) -> Bools:
    """Traders nearly always, others mostly."""
    share = np.where(world.is_trader(person), 0.985, 0.92)
    return world.rand.chance("tax.listed", share, person) & ~People(world, person).newcomer


def in_benefit_records(world: World, person: Ints) -> Bools:
    """Universal Credit customers nearly always, others from earlier spells."""
    share = np.where(world.is_customer(person), 0.93, 0.3)
    return world.rand.chance("benefit.listed", share, person) & ~People(world, person).newcomer


def _rows(world: World, system: str, person: Ints, listed: Bools) -> tuple[Ints, Ints]:
    """Persons with one row each and 2 % with a second; the copy's number (0 or 1) beside it."""
    person = person[listed]
    twice = person[world.rand.chance(f"{system}.twice", 0.02, person)]
    rows = np.concatenate((person, twice))
    copy = np.concatenate((np.zeros(person.size, np.int64), np.ones(twice.size, np.int64)))
    order = np.argsort(rows, kind="stable")
    return rows[order], copy[order]


def _nino(world: World, system: str, key: Ints, person: Ints) -> Text:
    r = world.rand
    matrix = nino_bytes(r, person)
    other = r.chance(f"{system}.suffix", 0.02, key)
    matrix[other, 8] = 65 + (matrix[other, 8] - 64) % 4
    wrong = r.chance(f"{system}.nino.typo", 0.009, key)
    text = garble(fixed(matrix), wrong, r, f"{system}.nino.how", key, mistype_number)
    return where(r.chance(f"{system}.nino.none", 0.012, key), None, text)


def _given(world: World, system: str, key: Ints, people: People, nicknames: float) -> Text:
    r = world.rand
    formal = take(names.FIRST, people.first)
    style = r.uniform(f"{system}.given", key)
    given = where(style < nicknames, people.nickname, formal)
    given = where(style > 0.975, take(names.INITIAL, people.first), given)
    return garble(given, r.chance(f"{system}.given.typo", 0.018, key), r, f"{system}.given.how", key, misspell)


def _surname(world: World, system: str, key: Ints, people: People, maiden: float) -> Text:
    r = world.rand
    old = r.chance(f"{system}.maiden", maiden, key) & (people.marital == 1) & (people.male == 0)
    text = take(names.LAST, np.where(old, people.birth_surname, people.last))
    return garble(text, r.chance(f"{system}.last.typo", 0.02, key), r, f"{system}.last.how", key, misspell)


def _birth(world: World, system: str, key: Ints, people: People, pattern: str) -> Text:
    """Day and month swapped in 1 % where that gives a date, a year out in 0.7 %."""
    r = world.rand
    text = dates(people.birth_day, pattern)
    if pattern.startswith("%Y"):
        year, month, date = (pc.utf8_slice_codeunits(text, a, b) for a, b in ((0, 4), (5, 7), (8, 10)))
        swapped = join(year, date, month, sep="-")
    else:
        date, month, year = (pc.utf8_slice_codeunits(text, a, b) for a, b in ((0, 2), (3, 5), (6, 10)))
        swapped = join(month, date, year, sep="/")
    fits = pc.less_equal(date, "12").to_numpy(zero_copy_only=False)
    # 366 days would miss the calendar day in most years: only the day count matters here, it is an error after all
    shifted = dates(people.birth_day + np.where(r.chance(f"{system}.dob.up", 0.5, key), 365, -365), pattern)
    text = where(fits & r.chance(f"{system}.dob.swap", 0.025, key), swapped, text)
    return where(r.chance(f"{system}.dob.year", 0.007, key), shifted, text)


def _phone(world: World, system: str, key: Ints, person: Ints) -> Text:
    r = world.rand
    matrix = mobile(r, person)
    plain, abroad = fixed(matrix), join("+44", fixed(matrix[:, 1:]))
    spaced = join(fixed(matrix[:, :5]), fixed(matrix[:, 5:]), sep=" ")
    text = choose(r.pick(f"{system}.phone.form", (0.7, 0.2, 0.1), key), [plain, spaced, abroad])
    return where(r.chance(f"{system}.phone.none", 0.22, key), None, text)


def _updated(world: World, system: str, key: Ints) -> Text:
    first, last = day("2016-04-06"), day("2020-04-01")
    u = world.rand.uniform(f"{system}.updated", key)
    on = last - ((last - first) * u * u).astype(np.int64)
    return stamps(on * 86_400 + 6 * 3600 + world.rand.below(f"{system}.updated.at", 14 * 3600, key))


def tax_records(world: World, low: int, high: int) -> Listed:
    """The tax department's rows for persons low..high-1."""
    r, system = world.rand, "tax"
    everyone = np.arange(low, high, dtype=np.int64)
    person, copy = _rows(world, system, everyone, in_tax_records(world, everyone))
    key, people = person * 2 + copy, People(world, person)
    record_id = join("TR", padded(scatter(r, "tax.record", key, 1_000_000_007), 10))
    old = people.moved & r.chance("tax.old_address", 0.6, person)
    address = Addresses(world, people.address_key(old))
    has_utr = world.is_trader(person) | r.chance("tax.utr", 0.24, person)
    table = pa.table(
        {
            "record_id": record_id,
            "nino": _nino(world, system, key, person),
            "utr": where(has_utr, utr(r, person), None),
            "first_name": _given(world, system, key, people, 0.03),
            "last_name": _surname(world, system, key, people, 0.05),
            "date_of_birth": _birth(world, system, key, people, "%Y-%m-%d"),
            "sex": where(people.male == 1, "M", "F"),
            "address_line": address.line,
            "town": address.town,
            "postcode": address.postcode,
            "phone": _phone(world, system, key, person),
            "email": where(r.chance("tax.email.none", 0.35, key), None, people.email()),
            "updated_at": _updated(world, system, key),
        }
    )
    return Listed(table, person, record_id)


def benefit_records(world: World, low: int, high: int) -> Listed:
    """The benefit department's rows for persons low..high-1."""
    r, system = world.rand, "benefit"
    everyone = np.arange(low, high, dtype=np.int64)
    person, copy = _rows(world, system, everyone, in_benefit_records(world, everyone))
    key, people = person * 2 + copy, People(world, person)
    record_id = join("C-", fixed(digits(scatter(r, "benefit.record", key, 1_000_000_007), 10)))
    old = people.moved & r.chance("benefit.old_address", 0.25, person)
    address = Addresses(world, people.address_key(old))
    nino = _nino(world, system, key, person)
    cut = [pc.utf8_slice_codeunits(nino, at, at + 2) for at in (0, 2, 4, 6)]
    apart = join(*cut, pc.utf8_slice_codeunits(nino, 8), sep=" ")
    given = _given(world, system, key, people, 0.09)
    middle = take(names.INITIAL, r.below("middle", len(names.INITIAL), person))
    given = where(r.chance("benefit.middle", 0.12, person), join(given, middle, sep=" "), given)
    table = pa.table(
        {
            "customer_ref": record_id,
            "national_insurance_number": where(r.chance("benefit.nino.apart", 0.2, key), apart, nino),
            "forenames": given,
            "surname": _surname(world, system, key, people, 0.09),
            "dob": _birth(world, system, key, people, "%d/%m/%Y"),
            "gender": where(people.male == 1, "male", "female"),
            "marital_status": where(r.chance("benefit.marital.none", 0.03, key), None, take(_MARITAL, people.marital)),
            "nationality": take(names.NATIONALITIES, people.nationality),
            "disability": where(people.disabled, "Y", "N"),
            "house_and_street": address.line,
            "post_town": address.town,
            "postcode": address.postcode,
            "mobile": _phone(world, system, key, person),
            "email_address": where(r.chance("benefit.email.none", 0.3, key), None, people.email()),
            "household_ref": household_text(people),
            "last_updated": _updated(world, system, key),
        }
    )
    return Listed(table, person, record_id)
