r"""Patterns of a contract in a spelling that Python, pandas and RE2 read alike.

DuckDB's RE2 and ECMA-262 agree that `$` is the end of the text and that `\d` and `\w` are ASCII. Python's `re` lets
`$` stand before a last line end and takes all of Unicode, and pandas switches between `re` and RE2 by what a pattern
contains. So these are written out instead.
"""

from __future__ import annotations

import re

WRITTEN_OUT = {"d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\f\r "}


def neutral_pattern(pattern: str) -> str | None:
    """The same search for every engine, or None where a pattern uses what only RE2 knows."""
    if "[:" in pattern:
        return None
    out, place, start = "", 0, -1
    while place < len(pattern):
        char = pattern[place]
        if char == "\\":
            written = _escape(pattern[place + 1 : place + 2], in_class=start >= 0)
            if written is None:
                return None
            out, place = out + written, place + 2
            continue
        if start >= 0:
            # A `]` that comes first in a class stands for itself.
            inside = pattern[start + 1 : place].removeprefix("^")
            start = -1 if char == "]" and inside else start
            out += char
        else:
            start = place if char == "[" else -1
            out += r"\Z" if char == "$" else char
        place += 1
    try:
        re.compile(out)
    except re.error:
        return None
    return out


def _escape(letter: str, *, in_class: bool) -> str | None:
    if letter in WRITTEN_OUT:
        return WRITTEN_OUT[letter] if in_class else f"[{WRITTEN_OUT[letter]}]"
    if letter.lower() in WRITTEN_OUT:
        return None if in_class else f"[^{WRITTEN_OUT[letter.lower()]}]"
    if letter == "z":
        return r"\Z"
    # Word borders know Unicode in Python; \p, \Q, \C and octal digits are RE2's own or mean something else.
    known = letter in "Atnrfvax" or not letter.isalnum()
    return "\\" + letter if letter and known else None
