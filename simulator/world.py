"""The size of everything for a given number of claims, and the bijections that hand people to schemes.

A `World` is small and frozen: seed, counts and a few shuffles. All modules take it and index arrays, so nothing is
stored per person or claim and memory does not grow with the number of claims.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simulator.hashing import Ints, Rand, Shuffle

SCHEMES = ("cjrs", "seiss", "ssp", "uc_advance")
SHARES = {"seiss": 0.15, "ssp": 0.10, "uc_advance": 0.30}
PERSONS_PER_CLAIM = 0.6
CJRS_MONTHS = (0.19, 0.18, 0.15, 0.11, 0.09, 0.07, 0.06, 0.08, 0.07)
"""Share of CJRS claims by claim month, April to December."""
SEISS_GRANTS = (0.40, 0.36, 0.24)


def split(total: int, shares: tuple[float, ...]) -> list[int]:
    """Cut `total` into whole parts by share; the parts add up exactly."""
    edges = [round(total * edge) for edge in np.cumsum((0.0, *shares)) / sum(shares)]
    return [b - a for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True)
class World:
    """One simulated country: `claims` claims under `seed`."""

    seed: int
    claims: int

    @cached_property
    def rand(self) -> Rand:
        return Rand(self.seed)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Claims per scheme; they add up to `claims`."""
        counts = {scheme: int(self.claims * share) for scheme, share in SHARES.items()}
        return {"cjrs": self.claims - sum(counts.values()), **counts}

    @cached_property
    def persons(self) -> int:
        return max(48, round(self.claims * PERSONS_PER_CLAIM))

    @cached_property
    def cjrs_months(self) -> list[int]:
        return split(self.counts["cjrs"], CJRS_MONTHS)

    @cached_property
    def seiss_grants(self) -> list[int]:
        return split(self.counts["seiss"], SEISS_GRANTS)

    @cached_property
    def furlough_slots(self) -> int:
        """Jobs that are ever furloughed. A fifth more than the busiest month claims for, so that jobs come and go."""
        return max(8, max(self.cjrs_months) * 6 // 5)

    @cached_property
    def worker_slots(self) -> int:
        """Jobs; one in four is ever furloughed (slot 4f + r)."""
        return 4 * self.furlough_slots

    @cached_property
    def trader_slots(self) -> int:
        """Self-employed people who ever claim; a third of them skips any one grant, so newcomers are ordinary."""
        return max(4, max(self.seiss_grants) * 3 // 2)

    @cached_property
    def _workers(self) -> Shuffle:
        return Shuffle(self.rand, "workers", max(self.persons, self.worker_slots + 16))

    @cached_property
    def _traders(self) -> Shuffle:
        return Shuffle(self.rand, "traders", self.persons)

    @cached_property
    def _customers(self) -> Shuffle:
        return Shuffle(self.rand, "customers", self.persons)

    def worker(self, slot: Ints) -> Ints:
        """The person who first holds a job."""
        return self._workers(slot) % self.persons

    def successor(self, slot: Ints) -> Ints:
        """The person who takes the job over, where there is a change."""
        spare = self._workers.size - self.worker_slots
        return self._workers(self.worker_slots + slot % spare) % self.persons

    def trader(self, slot: Ints) -> Ints:
        return self._traders(slot)

    def customer(self, number: Ints) -> Ints:
        """The person behind the n-th first claim to Universal Credit."""
        return self._customers(number)

    def is_trader(self, person: Ints) -> np.ndarray:
        return self._traders.back(person) < self.trader_slots

    def is_customer(self, person: Ints) -> np.ndarray:
        return self._customers.back(person) < self.counts["uc_advance"]

    def furloughed_slot(self, f: Ints) -> Ints:
        """The f-th furloughed job as a worker slot: one of every four."""
        return 4 * f + self.rand.below("furloughed", 4, f)
