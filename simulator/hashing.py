"""Counter-based random numbers: every draw is a pure function of (seed, stream name, index).

This is what keeps the simulator flat in memory and byte-reproducible. Nothing is drawn "next": the sex of person 4711
is `chance("person.sex", ..., 4711)`, whoever asks and however often, so any block of rows can be made on its own.
The mixing function is splitmix64's finaliser (Steele, Lea, Flood 2014); bijections over [0, n) are a Feistel network
with cycle walking. Only integer arithmetic and correctly rounded float operations are used, so that two machines
agree.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MUL1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL2 = np.uint64(0x94D049BB133111EB)


def mix(words: Words) -> Words:
    """The splitmix64 finaliser: a bijection on 64-bit words whose output bits look independent."""
    words = (words ^ (words >> np.uint64(30))) * _MUL1
    words = (words ^ (words >> np.uint64(27))) * _MUL2
    return words ^ (words >> np.uint64(31))


class Rand:
    """Named streams of random numbers for one seed; every method takes one or more index arrays of equal length."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._key = lru_cache(maxsize=None)(self._make_key)
        self.shuffle = lru_cache(maxsize=None)(self._make_shuffle)

    def _make_key(self, stream: str) -> np.uint64:
        digest = blake2b(f"{self.seed}/{stream}".encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "little"))

    def _make_shuffle(self, name: str, size: int) -> Shuffle:
        return Shuffle(self, name, size)

    def bits(self, stream: str, *index: Ints) -> Words:
        """64 random bits per row."""
        words: Words = np.asarray(index[0]).astype(np.uint64) * _GOLDEN + self._key(stream)
        words = mix(words)
        for more in index[1:]:
            words = mix(words + np.asarray(more).astype(np.uint64) * _GOLDEN)
        return words

    def uniform(self, stream: str, *index: Ints) -> Floats:
        """A number in [0, 1) per row."""
        return (self.bits(stream, *index) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def chance(self, stream: str, probability: float | Floats, *index: Ints) -> Bools:
        """True with the given probability (one for all rows, or one per row)."""
        return np.asarray(self.uniform(stream, *index) < probability)

    def below(self, stream: str, bound: int | Ints, *index: Ints) -> Ints:
        """An integer in [0, bound) per row; bound < 2**31."""
        high = self.bits(stream, *index) >> np.uint64(33)
        return ((high * np.asarray(bound).astype(np.uint64)) >> np.uint64(31)).astype(np.int64)

    def pick(self, stream: str, weights: tuple[float, ...], *index: Ints) -> Ints:
        """The position of a weighted choice per row."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        drawn = np.searchsorted(edges / edges[-1], self.uniform(stream, *index), side="right")
        return np.minimum(drawn, len(weights) - 1).astype(np.int64)

    def normal(self, stream: str, *index: Ints) -> Floats:
        """Roughly N(0, 1): the sum of four uniforms, so it stays within 3.5 and needs no logarithm."""
        words = self.bits(stream, *index)
        total = sum(((words >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.float64) for shift in (0, 16, 32, 48))
        return np.asarray((total / 65536.0 - 2.0) * 3.0**0.5)


class Shuffle:
    """A bijection of [0, size) that looks random; `back` is its inverse."""

    ROUNDS = 4

    def __init__(self, rand: Rand, name: str, size: int) -> None:
        self.size = size
        self._rand, self._name = rand, name
        self._half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self._mask = np.uint64((1 << int(self._half)) - 1)

    @cached_property
    def _keys(self) -> list[np.uint64]:
        return list(self._rand.bits(f"shuffle.{self._name}", np.arange(self.ROUNDS)))

    def _round(self, left: Words, right: Words, keys: list[np.uint64]) -> tuple[Words, Words]:
        for key in keys:
            left, right = right, left ^ (mix(right * _GOLDEN + key) & self._mask)
        return left, right

    def _walk(self, index: Ints, forward: bool) -> Ints:
        out = np.asarray(index).astype(np.uint64)
        todo = np.arange(out.size)
        while todo.size:
            left, right = out[todo] >> self._half, out[todo] & self._mask
            if forward:
                left, right = self._round(left, right, self._keys)
            else:
                right, left = self._round(right, left, self._keys[::-1])
            out[todo] = (left << self._half) | right
            todo = todo[out[todo] >= np.uint64(self.size)]
        return out.astype(np.int64)

    def __call__(self, index: Ints) -> Ints:
        return self._walk(index, True)

    def back(self, image: Ints) -> Ints:
        return self._walk(image, False)
