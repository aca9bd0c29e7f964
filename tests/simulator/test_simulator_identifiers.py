"""Identifiers meet the rules of their kind for every seed and every person."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.gb import utr as stdnum_utr

from simulator import identifiers
from simulator.hashing import Rand, Shuffle
from simulator.identifiers import INVENTED
from simulator.text import fixed

seeds = st.integers(0, 2**63 - 1)
people = st.lists(st.integers(0, 100_000_000) | st.integers(INVENTED, INVENTED + 20_000_000), min_size=1, max_size=60)
NINO = re.compile(r"(?!BG|GB|KN|NK|NT|TN|ZZ|OO|CR|FY|MW|NC)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]")


def _texts(matrix):
    return fixed(matrix).to_pylist()


@given(seeds, people)
@settings(max_examples=60, deadline=None)
def test_every_nino_is_valid_and_belongs_to_one_person(seed, numbers):
    ninos = _texts(identifiers.nino_bytes(Rand(seed), np.array(numbers)))
    assert [nino for nino in ninos if not NINO.fullmatch(nino)] == []
    assert len({nino[:8] for nino in ninos}) == len(set(numbers))


def test_the_prefixes_are_exactly_those_the_rules_allow():
    every = [a + b for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    assert sorted(identifiers.PREFIXES) == [pair for pair in every if NINO.fullmatch(pair + "123456A")]


@given(seeds, people)
@settings(max_examples=40, deadline=None)
def test_every_utr_has_a_valid_check_digit(seed, numbers):
    utrs = identifiers.utr(Rand(seed), np.array(numbers)).to_pylist()
    assert [utr for utr in utrs if not stdnum_utr.is_valid(utr)] == []
    assert len(set(utrs)) == len(set(numbers))


@given(seeds, people)
@settings(max_examples=30, deadline=None)
def test_phones_accounts_and_devices_look_like_their_kind(seed, numbers):
    rand, index = Rand(seed), np.array(numbers)
    shapes = {
        r"07[345789]\d{8}": _texts(identifiers.mobile(rand, index)),
        r"\d\d-\d\d-\d\d": identifiers.sort_code(rand, index).to_pylist(),
        r"\d{8}": identifiers.account_number(rand, index).to_pylist(),
        r"\d{3}/[A-Z]{2}\d{5}": identifiers.paye_reference(rand, index).to_pylist(),
        r"dev-[0-9a-f]{16}": identifiers.device(rand, index).to_pylist(),
    }
    assert {shape: [text for text in texts if not re.fullmatch(shape, text)] for shape, texts in shapes.items()} == {
        shape: [] for shape in shapes
    }


@given(seeds, st.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_a_shuffle_is_a_bijection_and_back_undoes_it(seed, size):
    shuffle, index = Shuffle(Rand(seed), "test", size), np.arange(size)
    image = shuffle(index)
    assert sorted(image.tolist()) == index.tolist()
    assert shuffle.back(image).tolist() == index.tolist()


@pytest.mark.parametrize("invented", [0, INVENTED])
def test_identifiers_of_invented_people_look_like_everybody_elses(invented):
    """A telling digit or prefix would give synthetic identities away for free."""
    rand, index = Rand(7), np.arange(20_000) + invented
    for matrix in (identifiers.nino_bytes(rand, index)[:, 2:8], identifiers.mobile(rand, index)[:, 3:]):
        for place in range(matrix.shape[1]):
            share = np.bincount(matrix[:, place] - 48, minlength=10) / len(index)
            assert abs(share - 0.1).max() < 0.015
