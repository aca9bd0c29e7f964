"""Whatever the bytes of a contract file, there is a contract or one clear error, and soon."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.mesh.contract.contract_damage import damaged, try_all

QUICK = 400
MILLION = 1_000_000
SHARE = 5_000


def test_damaged_contracts_are_read_or_refused_in_clear_words() -> None:
    tally = try_all(0, QUICK)
    assert tally.wrong == ""
    assert tally.contracts + tally.refused == QUICK
    assert min(tally.contracts, tally.refused) > QUICK // 20, "the damage is too great or too small to tell anything"


def test_a_seed_gives_the_same_damage_again() -> None:
    assert [damaged(seed) for seed in range(20)] == [damaged(seed) for seed in range(20)]


# What the million found: the seeds whose contracts once ended in a traceback or took seconds.
FOUND = (1254, 12413, 27902)


@pytest.mark.parametrize("seed", FOUND)
def test_what_the_damage_once_found_is_refused_in_clear_words(seed: int) -> None:
    tally = try_all(seed, seed + 1)
    assert (tally.wrong, tally.refused) == ("", 1)


@pytest.mark.torture
@pytest.mark.timeout(6 * 3600)
def test_a_million_damaged_contracts() -> None:
    """Seeds are the inputs' names: the one in a failure's message gives the same bytes again."""
    firsts = range(QUICK, QUICK + MILLION, SHARE)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for tally in pool.map(try_all, firsts, [first + SHARE for first in firsts]):
            assert tally.wrong == ""
            assert tally.contracts + tally.refused == SHARE
