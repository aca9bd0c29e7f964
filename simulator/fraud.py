"""Who cheats, how, and what of it shows.

Eight patterns are planted, about 6 % of claims. A pattern does not set columns directly: it raises the chance of ten
weak signals, each of which honest claims give too (tables SHOWS and ODD). So no column betrays fraud by itself, many
frauds look ordinary and many honest claims look odd; only the combination and the history carry information. Rings
are active for a part of the year, so their accounts, devices and phones repeat within weeks.

All knobs of difficulty are in this file; `tests/simulator/test_difficulty.py` holds the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from simulator.clock import CLOSES, DAY, OPENS
from simulator.hashing import Bools, Floats, Ints
from simulator.world import World

PATTERNS = (
    "", "hijacked_identity", "mule_account", "synthetic_identity", "device_velocity", "ghost_employee",
    "collusive_ring", "inflated_amount", "duplicate_claim",
)  # fmt: skip
HIJACK, MULE, SYNTHETIC, VELOCITY, GHOST, RING, INFLATED, DUPLICATE = range(1, 9)

RATES = {"submission": 0.058, "job": 0.026, "crooked_job": 0.25, "seiss": 0.048, "ssp": 0.053, "uc_advance": 0.063}
"""Share of fraud per claim, bursts apart; for CJRS per submission of a small employer and per job."""

BURSTS = {"submission": (0.12, 0.15), "seiss": (0.03, 0.25), "ssp": (0.03, 0.25), "uc_advance": (0.03, 0.25)}
"""Velocity from one device: share of bursts (runs of neighbouring claims) hit, and of the claims within a hit one."""
BURST = 40

MIX = {  #        none hijack mule synth velocity ghost ring inflated duplicate
    "submission": (0, 0.39, 0.32, 0.0, 0.0, 0.0, 0.29, 0.0, 0.0),
    "job": (0, 0.0, 0.0, 0.0, 0.0, 0.60, 0.0, 0.40, 0.0),
    "seiss": (0, 0.30, 0.17, 0.13, 0.0, 0.0, 0.12, 0.14, 0.0),
    "ssp": (0, 0.12, 0.12, 0.0, 0.0, 0.22, 0.10, 0.12, 0.20),
    "uc_advance": (0, 0.30, 0.17, 0.20, 0.0, 0.0, 0.10, 0.06, 0.06),
}


@dataclass(frozen=True)
class Signals:
    """What shows on a claim; one boolean column each."""

    ring_account: Bools
    fresh_account: Bools
    other_name: Bools
    ring_device: Bools
    fresh_device: Bools
    unknown_person: Bools
    high_amount: Bools
    night: Bools
    contact_before: Bools
    ring_place: Bools


#                    account      name  device       who   amount hour  contact place
#                    ring  fresh        ring  fresh
SHOWS = np.array([
    [0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00],
    [0.20, 0.50, 0.42, 0.27, 0.40, 0.00, 0.30, 0.25, 0.35, 0.00],  # hijacked_identity
    [0.64, 0.10, 0.46, 0.24, 0.22, 0.05, 0.25, 0.20, 0.15, 0.10],  # mule_account
    [0.16, 0.40, 0.10, 0.22, 0.40, 1.00, 0.30, 0.20, 0.05, 0.35],  # synthetic_identity
    [0.10, 0.28, 0.18, 0.68, 0.10, 0.10, 0.20, 0.30, 0.10, 0.10],  # device_velocity
    [0.06, 0.03, 0.04, 0.05, 0.05, 0.68, 0.35, 0.12, 0.05, 0.00],  # ghost_employee
    [0.38, 0.14, 0.24, 0.38, 0.14, 0.10, 0.40, 0.18, 0.10, 0.50],  # collusive_ring
    [0.03, 0.03, 0.04, 0.04, 0.06, 0.00, 0.90, 0.12, 0.10, 0.00],  # inflated_amount
    [0.10, 0.15, 0.10, 0.12, 0.15, 0.00, 0.25, 0.12, 0.15, 0.00],  # duplicate_claim
])  # fmt: skip

ODD = {
    "cjrs": np.array([0.00, 0.04, 0.06, 0.00, 0.10, 0.00, 0.10, 0.05, 0.08, 0.00]),
    "seiss": np.array([0.03, 0.09, 0.09, 0.12, 0.25, 0.00, 0.12, 0.07, 0.12, 0.01]),
    "ssp": np.array([0.02, 0.05, 0.06, 0.04, 0.12, 0.00, 0.10, 0.05, 0.06, 0.01]),
    "uc_advance": np.array([0.04, 0.12, 0.10, 0.11, 0.25, 0.00, 0.15, 0.08, 0.14, 0.01]),
}
"""How often honest claims give each signal. Account and device signals lead to honest pools, not to rings."""

GROUP_FACTOR = 1.8
"""Planted: honest account, name and device oddities are this much more frequent in the disparity group."""
_GROUP_SIGNALS = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)


@dataclass(frozen=True)
class Plan:
    """Fraud and signals of a block of claims.

    `pattern` is a row of PATTERNS, 0 for honest; `ring` a ring's number; `sitting` is equal for claims that are filed
    from one device in one go.
    """

    pattern: Ints
    ring: Ints
    sitting: Ints
    signals: Signals

    @property
    def fraud(self) -> Bools:
        return self.pattern > 0


def rings(world: World) -> int:
    """Number of rings; about one for every 1,500 claims."""
    return max(2, world.claims // 1500)


def ring_at(world: World, when: Ints, key: Ints) -> Ints:
    """The ring behind a fraud at this time (seconds): four are active at once, each for a while."""
    count = rings(world)
    share = np.clip((when / DAY - OPENS) / (CLOSES + 1 - OPENS), 0, 1)
    place = np.sqrt(share) * count + (world.rand.uniform("ring", key) - 0.5) * 4
    return np.clip(place, 0, count - 1).astype(np.int64)


def patterns(world: World, mix: str, rate: float | Floats, key: Ints, burst: Ints | None = None) -> Ints:
    """Fraud pattern per key: 0 for honest, velocity where the burst is hit, otherwise one of the mix."""
    r = world.rand
    cheats = r.chance(f"fraud.{mix}", rate, key)
    pattern = np.where(cheats, r.pick(f"pattern.{mix}", MIX[mix], key), 0)
    if burst is None:
        return pattern
    hit, share = BURSTS[mix]
    return np.where(r.chance(f"burst.{mix}", hit, burst) & r.chance(f"in_burst.{mix}", share, key), VELOCITY, pattern)


def plan(world: World, scheme: str, pattern: Ints, when: Ints, group: Bools, key: Ints, burst: Ints) -> Plan:
    """Draw the signals of claims whose pattern is known; claims with equal keys get equal signals."""
    honest = np.where(group[:, None] & _GROUP_SIGNALS, np.minimum(0.9, ODD[scheme] * GROUP_FACTOR), ODD[scheme])
    chance = np.where(pattern[:, None] > 0, SHOWS[pattern], honest)
    shown = {
        field.name: world.rand.chance(f"signal.{scheme}.{field.name}", chance[:, column], key)
        for column, field in enumerate(fields(Signals))
    }
    sitting = np.where(pattern == VELOCITY, burst, key)
    return Plan(pattern, ring_at(world, when, sitting), sitting, Signals(**shown))


def session(world: World, ring: Ints, day: Ints, key: Ints) -> Ints:
    """Second of the day at which a ring's device files its claims: one sitting of under an hour per ring and day."""
    start = world.rand.below("session", 19 * 3600, ring, day) + 4 * 3600
    return start + world.rand.below("session.at", 3000, key)
