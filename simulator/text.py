"""Columns of text without Python loops: numpy makes digits and dates as byte matrices, Arrow joins and selects.

Carries no knowledge of claims or people, only how numbers, dates and money become the text of a delivered file.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simulator.hashing import Bools, Ints, Rand

Bytes = NDArray[np.uint8]
Text: TypeAlias = pa.StringArray
FIRST_DAY = date(1930, 1, 1)
_OFFSET = (FIRST_DAY - date(1970, 1, 1)).days
_DAYS = 96 * 366


def lexicon(words: list[str] | tuple[str, ...]) -> Text:
    """A list of words to `take` from."""
    return pa.array(list(words), pa.string())


def take(words: Text, index: Ints) -> Text:
    return words.take(pa.array(index))


def fixed(matrix: Bytes) -> Text:
    """Rows of equal length, given as ASCII codes (rows, width), as a string column."""
    rows, width = matrix.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix)))


def digits(values: Ints, width: int) -> Bytes:
    """Zero-padded decimal digits as ASCII codes (rows, width)."""
    out = np.empty((len(values), width), dtype=np.uint8)
    rest = np.asarray(values, dtype=np.int64).copy()
    for place in range(width - 1, -1, -1):
        rest, out[:, place] = rest // 10, rest % 10 + 48
    return out


def padded(values: Ints, width: int) -> Text:
    return fixed(digits(values, width))


def hexadecimal(words: NDArray[np.uint64]) -> Text:
    """16 lower-case hexadecimal characters per word."""
    alphabet = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
    shifts = np.arange(60, -4, -4, dtype=np.uint64)
    return fixed(alphabet[((words[:, None] >> shifts) & np.uint64(15)).astype(np.int64)])


def numbers(values: Ints) -> Text:
    return pa.array(values).cast(pa.string())


def join(*parts: Text | str, sep: str = "") -> Text:
    """Concatenate columns and constants row by row; a null part makes the row null."""
    return pc.binary_join_element_wise(*parts, sep)


def where(mask: Bools, yes: Text | str | None, no: Text | str | None) -> Text:
    """Row-wise choice between two columns or constants."""
    if isinstance(yes, str) or yes is None:
        yes = pa.scalar(yes, pa.string())
    if isinstance(no, str) or no is None:
        no = pa.scalar(no, pa.string())
    return pc.if_else(pa.array(mask), yes, no)


def choose(index: Ints, options: list[Text]) -> Text:
    """Row-wise choice among several columns."""
    return pc.choose(pa.array(index), *options)


@lru_cache(maxsize=4)
def _date_table(pattern: str) -> Bytes:
    rows = "".join((FIRST_DAY + timedelta(days=n)).strftime(pattern) for n in range(_DAYS))
    return np.frombuffer(rows.encode("ascii"), dtype=np.uint8).reshape(_DAYS, 10)


@lru_cache(maxsize=1)
def _time_table() -> Bytes:
    rows = "".join(f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400))
    return np.frombuffer(rows.encode("ascii"), dtype=np.uint8).reshape(86_400, 9)


def dates(days: Ints, pattern: str = "%Y-%m-%d") -> Text:
    """Days since 1970-01-01 as ten-character dates between 1930 and 2025."""
    return fixed(_date_table(pattern)[np.asarray(days) - _OFFSET])


def stamps(seconds: Ints) -> Text:
    """Seconds since 1970-01-01 (UTC) as YYYY-MM-DDTHH:MM:SS."""
    seconds = np.asarray(seconds)
    return fixed(np.hstack((_date_table("%Y-%m-%d")[seconds // 86_400 - _OFFSET], _time_table()[seconds % 86_400])))


def money(pence: Ints) -> pa.Array:
    """Pence as DECIMAL(14,2) pounds."""
    words = np.zeros((len(pence), 2), dtype=np.int64)
    words[:, 0], words[:, 1] = pence, np.where(np.asarray(pence) < 0, -1, 0)
    return pa.Array.from_buffers(pa.decimal128(14, 2), len(pence), [None, pa.py_buffer(words)])


def garble(text: Text, mask: Bools, rand: Rand, stream: str, index: Ints, how: Callable[[str, int], str]) -> Text:
    """Replace the masked rows by `how(value, random integer)`; meant for the few per cent that carry an error."""
    rows = np.flatnonzero(mask)
    if not rows.size:
        return text
    draws = (rand.bits(stream, index[rows]) >> np.uint64(2)).tolist()
    values = text.take(pa.array(rows)).to_pylist()
    fresh = [value if value is None else how(value, draw) for value, draw in zip(values, draws, strict=True)]
    return pc.replace_with_mask(text, pa.array(mask), pa.array(fresh, pa.string()))


def misspell(word: str, draw: int) -> str:
    """One slip of the keyboard: letters swapped, dropped, doubled or replaced."""
    if len(word) < 3:
        return word
    at, kind = 1 + draw // 8 % (len(word) - 2), draw % 4
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    return word[:at] + "aeiourst"[draw // 64 % 8] + word[at + 1 :]


def mistype_number(number: str, draw: int) -> str:
    """One slip in an identifier: a wrong digit, two digits swapped, O for zero or one character lost."""
    places = [place for place, char in enumerate(number) if char.isdigit()]
    if len(places) < 2:
        return number
    at, kind = places[draw // 8 % (len(places) - 1)], draw % 8
    if kind == 0:
        return number[:at] + number[at + 1 :]
    if kind == 1:
        return number.replace("0", "O", 1) if "0" in number else number[:at] + number[at + 1 :]
    if kind in (2, 3) and number[at + 1].isdigit() and number[at] != number[at + 1]:
        return number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    return number[:at] + str((int(number[at]) + 1 + draw // 64 % 9) % 10) + number[at + 1 :]
