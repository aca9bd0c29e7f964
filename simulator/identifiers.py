"""Identifiers in their true formats: NINO, UTR, bank account, UK mobile, PAYE reference, device.

Every identifier is a function of an entity's number. NINO, UTR, phone and PAYE reference are bijections on their
space (two people never share one by accident), accounts and devices are hashes. Rules: a NINO has two letters, six
digits, A-D; neither letter D F I Q U V, second not O, prefixes BG GB KN NK NT TN ZZ never, OO CR FY MW NC are
administrative. A UTR is ten digits, the first a check digit over the other nine (weights 6 7 8 9 10 5 4 3 2 mod 11).
Sort codes are plausible by bank; the modulus check is not met on purpose: no account here can be paid.
"""

from __future__ import annotations

import numpy as np

from simulator.hashing import Ints, Rand
from simulator.text import Bytes, Text, digits, fixed, hexadecimal, join

INVENTED = 1 << 40
"""Person numbers from here on are invented identities: a name and a NINO, but nobody's, and in no department's list."""

ENTITY_KINDS = (
    "own", "second", "relative", "employer", "employer_second", "agent", "pool", "house_share", "household", "ring",
    "fresh",
)  # fmt: skip
"""Who holds an account or device; each kind numbers its own from 0."""

_LETTERS = "ABCEGHJKLMNOPRSTWXYZ"
_NEVER = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ", "OO", "CR", "FY", "MW", "NC"}
PREFIXES = [a + b for a in _LETTERS for b in _LETTERS if b != "O" and a + b not in _NEVER]
_PREFIX_BYTES = np.frombuffer("".join(PREFIXES).encode(), dtype=np.uint8).reshape(-1, 2)


def scatter(rand: Rand, name: str, index: Ints, size: int) -> Ints:
    """Hand each index of [0, size) its own number in [0, size) that tells nothing of the index."""
    return rand.shuffle(name, size)(np.asarray(index) % size)


def _of_person(rand: Rand, name: str, person: Ints, size: int) -> Ints:
    """A number per person; half of the indices is kept for invented persons, who thus never meet a real one."""
    half = size // 2
    return scatter(rand, name, person % INVENTED % half + half * (person >= INVENTED), size)


def entity(kind: str, number: Ints) -> Ints:
    """The number of an account or device among all of them."""
    return np.asarray(number, dtype=np.int64) + (ENTITY_KINDS.index(kind) + 1) * (1 << 50)


def nino_bytes(rand: Rand, person: Ints) -> Bytes:
    """NINOs as ASCII codes (rows, 9), unique per person on the first eight."""
    number = _of_person(rand, "nino", person, len(PREFIXES) * 1_000_000)
    suffix = (65 + rand.below("nino.suffix", 4, person)).astype(np.uint8)
    return np.hstack((_PREFIX_BYTES[number // 1_000_000], digits(number % 1_000_000, 6), suffix[:, None]))


def utr(rand: Rand, person: Ints) -> Text:
    """Unique Taxpayer References with a valid check digit."""
    # numbers start at 10000000 so that none looks like padding
    nine = digits(10_000_000 + _of_person(rand, "utr", person, 980_000_000), 9)
    weights = np.array([6, 7, 8, 9, 10, 5, 4, 3, 2])
    check = np.frombuffer(b"21987654321", dtype=np.uint8)[((nine - 48).astype(np.int64) * weights).sum(axis=1) % 11]
    return fixed(np.hstack((check[:, None], nine)))


_BANKS = (
    (20, 99, 0.19), (40, 65, 0.15), (30, 99, 0.13), (77, 79, 0.06), (60, 29, 0.14), (9, 2, 0.12), (11, 19, 0.08),
    (4, 1, 0.05), (7, 2, 0.04), (8, 10, 0.02), (83, 39, 0.02),
)  # fmt: skip
"""First pair of the sort code, how many second pairs are used with it, share of accounts."""


def sort_code(rand: Rand, account: Ints) -> Text:
    """Sort codes as 12-34-56."""
    bank = rand.pick("account.bank", tuple(row[2] for row in _BANKS), account)
    first = np.array([row[0] for row in _BANKS])[bank]
    second = rand.below("account.region", np.array([row[1] for row in _BANKS])[bank], account)
    third = rand.below("account.branch", 100, account)
    dash = np.full((len(account), 1), 45, dtype=np.uint8)
    return fixed(np.hstack((digits(first, 2), dash, digits(second, 2), dash, digits(third, 2))))


def account_number(rand: Rand, account: Ints) -> Text:
    """Eight-digit account numbers."""
    return fixed(digits(10_000_000 + rand.below("account.number", 89_999_999, account), 8))


def mobile(rand: Rand, person: Ints) -> Bytes:
    """UK mobile numbers as ASCII codes (rows, 11): 07, then 3 4 5 7 8 or 9, then eight digits; unique per person."""
    number = _of_person(rand, "mobile", person, 600_000_000)
    lead = np.frombuffer(b"345789", dtype=np.uint8)[number // 100_000_000]
    start = np.tile(np.frombuffer(b"07", dtype=np.uint8), (len(number), 1))
    return np.hstack((start, lead[:, None], digits(number % 100_000_000, 8)))


def paye_reference(rand: Rand, employer: Ints) -> Text:
    """PAYE references such as 123/AB45678, unique per employer."""
    number = scatter(rand, "paye", employer, 26 * 26 * 100_000)
    letters = np.stack((65 + number // 2_600_000, 65 + number // 100_000 % 26), axis=1).astype(np.uint8)
    office = digits(100 + rand.below("paye.office", 870, employer), 3)
    slash = np.full((len(number), 1), 47, dtype=np.uint8)
    return fixed(np.hstack((office, slash, letters, digits(number % 100_000, 5))))


def household_number(rand: Rand, head: Ints) -> Ints:
    """Nine-digit household numbers, unique per household."""
    return _of_person(rand, "household", head, 1_000_000_000)


def device(rand: Rand, number: Ints) -> Text:
    """Device fingerprints: 16 hexadecimal characters."""
    return join("dev-", hexadecimal(rand.bits("device", number)))
