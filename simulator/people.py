"""Every person and household as pure functions of their number.

A person's household is a run of neighbouring numbers; what a household shares (address, surname,
origin) hangs on the number of its first member. Nobody is stored: `People(world, numbers)` computes what is asked for.

Planted, and documented so that fairness work can be checked against it: people whose family origin is in the EU
(`in_disparity_group`) share bank accounts and devices more often (house shares, relatives' accounts) at an equal rate
of fraud. Disability, sex, age and marital status do not touch fraud either; see `outcomes` for who is reviewed.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow.compute as pc

from simulator import names, places
from simulator.clock import day
from simulator.hashing import Bools, Ints
from simulator.identifiers import INVENTED
from simulator.text import Text, join, lexicon, numbers, take, where
from simulator.world import World

HOUSE = 24
_SHAPES = 32
MARITAL = ("single", "married", "civil_partnership", "divorced", "widowed", "separated")
_OLDEST, _YOUNGEST = day("1954-04-06"), day("2002-03-31")


def _shapes() -> tuple[np.ndarray, np.ndarray]:
    """For each shape and position in a run of 24 people: first position and size of the household there."""
    first, size = np.zeros((_SHAPES, HOUSE), np.int64), np.zeros((_SHAPES, HOUSE), np.int64)
    sizes = np.random.Generator(np.random.PCG64(2020))
    for shape in range(_SHAPES):
        at = 0
        while at < HOUSE:
            here = min(int(sizes.choice([1, 2, 3, 4, 5], p=[0.3, 0.45, 0.13, 0.09, 0.03])), HOUSE - at)
            first[shape, at : at + here], size[shape, at : at + here] = at, here
            at += here
    return first, size


_FIRST_AT, _SIZE_AT = _shapes()


class People:
    """The people with these numbers. Arrays are aligned with `number`."""

    def __init__(self, world: World, number: Ints) -> None:
        self.world, self.number = world, np.asarray(number, dtype=np.int64)
        self._r = world.rand

    @cached_property
    def _shape(self) -> Ints:
        return self._r.below("house.shape", _SHAPES, self.number // HOUSE)

    @cached_property
    def invented(self) -> Bools:
        return self.number >= INVENTED

    @cached_property
    def head(self) -> Ints:
        """Number of the first person of the household: the household's own number."""
        place = self.number % HOUSE
        return np.where(self.invented, self.number, self.number - place + _FIRST_AT[self._shape, place])

    @cached_property
    def household_size(self) -> Ints:
        return np.where(self.invented, 1, _SIZE_AT[self._shape, self.number % HOUSE])

    @cached_property
    def in_couple(self) -> Bools:
        place = self.number - self.head
        return (self.household_size >= 2) & (place <= 1) & self._r.chance("house.couple", 0.82, self.head)

    @cached_property
    def partner(self) -> Ints:
        """The other half of a couple, otherwise oneself."""
        return np.where(self.in_couple, self.head + 1 - (self.number - self.head), self.number)

    @cached_property
    def origin(self) -> Ints:
        family = self._r.pick("origin", names.WEIGHTS, self.head)
        own = self._r.pick("origin.own", names.WEIGHTS, self.number)
        return np.where(self._r.chance("origin.differs", 0.12, self.number) & (self.number != self.head), own, family)

    @cached_property
    def male(self) -> Ints:
        """1 for men, 0 for women."""
        own = self._r.below("sex", 2, self.number)
        head = self._r.below("sex", 2, self.head)
        mixed = self.in_couple & (self.number != self.head) & self._r.chance("sex.mixed", 0.96, self.head)
        return np.where(mixed, 1 - head, own)

    @cached_property
    def first(self) -> Ints:
        """First name as a row of `names.FIRST`."""
        start, count = names.FIRST_SPAN[self.origin, self.male].T
        u = self._r.uniform("first", self.number)
        return np.asarray(start + (count * u * (0.45 + 0.55 * u)).astype(np.int64))

    def _surname(self, number: Ints, origin: Ints) -> Ints:
        start, count = names.LAST_SPAN[origin].T
        u = self._r.uniform("last", number)
        return np.asarray(start + (count * u * (0.4 + 0.6 * u)).astype(np.int64))

    @cached_property
    def birth_surname(self) -> Ints:
        return self._surname(self.number, self.origin)

    @cached_property
    def last(self) -> Ints:
        """Surname as a row of `names.LAST`; most of a household share one."""
        shares = self._r.chance("last.shared", 0.74, self.number)
        head_origin = self._r.pick("origin", names.WEIGHTS, self.head)
        return np.where(shares, self._surname(self.head, head_origin), self.birth_surname)

    @cached_property
    def birth_day(self) -> Ints:
        """Days since 1970-01-01; adults of 18 to 66, couples near in age."""
        span = _YOUNGEST - _OLDEST
        own = self._r.uniform("birth", self.number)
        couple = self._r.uniform("birth", self.head) + 0.07 * self._r.normal("birth.gap", self.number)
        grown_child = (self.number - self.head >= 2) & self._r.chance("birth.child", 0.8, self.number)
        share = np.where(grown_child, 0.75 + 0.25 * own, np.where(self.in_couple, np.clip(couple, 0, 0.999), own))
        return _OLDEST + (span * share).astype(np.int64)

    @cached_property
    def nationality(self) -> Ints:
        """Row of `names.NATIONALITIES`; row 0 is British."""
        british = self._r.chance("nationality", names.BRITISH_SHARE[self.origin], self.number)
        return np.where(british, 0, self.origin)

    @cached_property
    def in_disparity_group(self) -> Bools:
        """EU nationals: the group the planted disparity is about."""
        return names.EU_ORIGINS[self.nationality]

    @cached_property
    def disabled(self) -> Bools:
        return self._r.chance("disabled", 0.19, self.number)

    @cached_property
    def marital(self) -> Ints:
        """Row of MARITAL."""
        together = np.where(self._r.chance("civil", 0.02, self.head), 2, 1)
        married = self.in_couple & self._r.chance("married", 0.68, self.head)
        alone = self._r.pick("marital.alone", (0.72, 0, 0, 0.17, 0.04, 0.07), self.number)
        return np.where(married, together, np.where(self.in_couple, 0, alone))

    @cached_property
    def moved(self) -> Bools:
        """Households that moved in the year before; old lists still carry the address before."""
        return self._r.chance("moved", 0.09, self.head)

    def address_key(self, old: Bools | bool = False) -> Ints:
        """Key of the address now, or of the one before where `old` and the household moved."""
        return self.head * 2 + (np.asarray(old) & self.moved)

    @cached_property
    def newcomer(self) -> Bools:
        """People in nobody's list yet: abroad until lately, or never in work or on benefit. More often EU nationals."""
        share = np.where(self.in_disparity_group, 0.11, 0.045)
        return self.invented | self._r.chance("newcomer", share, self.number)

    @cached_property
    def nickname(self) -> Text:
        return take(names.INFORMAL, self.first)

    @cached_property
    def full_name(self) -> Text:
        return join(take(names.FIRST, self.first), take(names.LAST, self.last), sep=" ")

    def email(self) -> Text:
        """Addresses at example domains only: nobody can be written to."""
        host = self._r.pick("email.host", (5.0, 3.0, 2.0), self.number)
        tag = numbers(self.number % INVENTED % 9973)
        short = self._r.chance("email.short", 0.4, self.number)
        first = where(short, take(names.INITIAL, self.first), take(names.FIRST, self.first))
        local = pc.replace_substring(pc.ascii_lower(join(first, take(names.LAST, self.last), sep=".")), "'", "")
        return join(local, tag, take(_HOSTS, host))


_HOSTS = lexicon(["@example.com", "@example.org", "@example.net"])


class Addresses:
    """Addresses by key (see `People.address_key`)."""

    def __init__(self, world: World, key: Ints) -> None:
        self._r, self.key = world.rand, key

    @cached_property
    def outward(self) -> Ints:
        # seven in ten who move stay in their postcode district: old and new share the household's draw
        stays = self._r.chance("postcode.stays", 0.7, self.key)
        home = self._r.uniform("postcode.out", self.key // 2 * 2)
        u = np.where(stays, home, self._r.uniform("postcode.out", self.key))
        return np.searchsorted(places.OUTWARD_CDF, u, side="right").astype(np.int64)

    @cached_property
    def postcode(self) -> Text:
        inward = self._r.below("postcode.in", len(places.INWARD), self.key)
        return join(take(places.OUTWARD, self.outward), take(places.INWARD, inward), sep=" ")

    @cached_property
    def town(self) -> Text:
        return take(places.TOWN, self.outward)

    @cached_property
    def line(self) -> Text:
        """House number or flat, and street."""
        house = numbers(1 + self._r.below("house", 30, self.key) * (1 + self._r.below("house.far", 5, self.key)))
        street = take(places.STREET, self._r.below("street", len(places.STREET), self.key))
        flat = join("Flat ", numbers(1 + self._r.below("flat", 24, self.key)), ", ", house)
        return join(where(self._r.chance("is.flat", 0.16, self.key), flat, house), street, sep=" ")
