"""Text as DuckDB has it: its blanks, its cases (one character for one), and what the mesh makes of names and lists."""

from __future__ import annotations

import re

BLANKS = " \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What `trim` takes away: separators of Unicode (Zs). A tab or a line's end is none."""

NOISE = ("MR", "MRS", "MS", "MISS", "DR", "AND", "THE", "LTD", "LIMITED", "PLC", "LLP", "CO")
NOISE_SET = frozenset(NOISE)
NO_LETTERS = re.compile("[^A-Z0-9]+")


def clean(value: str) -> str | None:
    """Without surrounding blanks; None where nothing is left."""
    return value.strip(BLANKS) or None


def upper(value: str) -> str:
    """Each character's own capital: where Python writes several, Unicode's title case is the one that is meant."""
    return value.upper() if value.isascii() else "".join(map(_capital, value))


def lower(value: str) -> str:
    """Each character's own small letter, whatever stands around it."""
    return value.lower() if value.isascii() else "".join(map(_small, value))


def postcode(value: str) -> str | None:
    """Letters and digits, with a blank before the last three where it is as long as a British one."""
    compact = NO_LETTERS.sub("", upper(value))
    return f"{compact[:-3]} {compact[-3:]}" if 5 <= len(compact) <= 7 else compact or None


def compared_name(value: str) -> str | None:
    """A name as it is compared."""
    return NO_LETTERS.sub(" ", upper(value)).strip(" ") or None


def name_words(value: str) -> tuple[str, ...] | None:
    """The words of a name, sorted; None for no name at all, and none for a name of titles alone."""
    words = NO_LETTERS.sub(" ", upper(value)).split()
    return tuple(sorted([word for word in words if word not in NOISE_SET])) if words else None


def share_a_word(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether both have a word that is longer than an initial."""
    return any(len(word) > 1 and word in second for word in first)


def items(value: str) -> int:
    """The number of items in a list with commas."""
    return value.count(",") + 1 if value else 0


def has_item(value: str, item: str) -> bool:
    """Whether a list with commas has this item."""
    return f",{item}," in f",{value},"


def _capital(character: str) -> str:
    found = character.upper()
    return found if len(found) == 1 else "\u1e9e" if character == "\xdf" else _title(character)


def _title(character: str) -> str:
    found = character.title()
    return found if len(found) == 1 else character


def _small(character: str) -> str:
    found = character.lower()
    return found if len(found) == 1 else found[0]
