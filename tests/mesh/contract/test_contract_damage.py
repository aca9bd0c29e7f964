"""Whatever the bytes of a contract file, there is a contract or one clear error, and soon."""

from __future__ import annotations

import multiprocessing
import os
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from mesh.contract import parse_contract
from mesh.errors import ContractError
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


FOUND = {
    "half of a character": (b'id: "\\ud800"', "found invalid Unicode character escape code"),
    "brackets whose cost grew with their square": (b"id: " + b"[" * 1500, "nested too deeply"),
    "indents within each other": (b"".join(b"\n" + b" " * i + b"a:" for i in range(150)), "nested too deeply"),
    "a version longer than Python reads a number": (
        b"version: " + b"9" * 10_001 + b".0.0",
        f"`{'9' * 40}...` is no semantic version.",
    ),
    "an empty list for a number": (
        b"schema: [{name: a, quality: [{metric: rowCount, mustBe: []}], properties: [{name: b, logicalType: string}]}]",
        "`mustBe` must be a number.",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_damage_once_found_is_refused_in_clear_words(name: str) -> None:
    """Each of these ended in a traceback, or took seconds."""
    content, says = FOUND[name]
    head = b"apiVersion: v3.1.0\nkind: DataContract\nstatus: active\ndomain: a\ndataProduct: b\n"
    head += b"" if content.startswith(b"version") else b"version: 1.0.0\n"
    head += b"" if content.startswith(b"id") else b"id: a\n"
    with pytest.raises(ContractError, match=re.escape(says)):
        parse_contract(head + content, Path("damaged.yaml"))


@pytest.mark.torture
@pytest.mark.timeout(6 * 3600)
def test_a_million_damaged_contracts() -> None:
    """Seeds are the inputs' names: the one in a failure's message gives the same bytes again."""
    firsts = range(QUICK, QUICK + MILLION, SHARE)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        for tally in pool.map(try_all, firsts, [first + SHARE for first in firsts]):
            assert tally.wrong == ""
            assert tally.contracts + tally.refused == SHARE
