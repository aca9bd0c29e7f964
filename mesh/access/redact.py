"""Identifiers that people type into free text, replaced by a word that says what stood there.

One list of patterns serves SQL (DuckDB's RE2) and Python. Both must read every pattern alike, so it uses only what
they share: no look-around, no case folding (RE2 folds beyond ASCII), no `\\s` (Python's knows one more character).

When in doubt it redacts: a lost word costs a little meaning, a missed identifier cannot be taken back.
"""

from __future__ import annotations

import re

# blanks and hyphens as keyboards, phones and word processors write them
_SPACE = " \t\r\n\u00a0\u2007\u2009\u202f"
_HYPHEN = "\\-\u2010\u2011\u2012\u2013\u2014\u2212"
_GAP = f"[{_SPACE}{_HYPHEN}.]*"
_LETTER = "[A-Za-z]"


def _word(text: str) -> str:
    return "".join(f"[{char.upper()}{char.lower()}]" if char.isalpha() else re.escape(char) for char in text)


def _words(*texts: str) -> str:
    return "(?:" + "|".join(_word(text) for text in texts) + ")"


_SORT_CODE = f"[0-9]{{2}}[{_SPACE}{_HYPHEN}/.]?[0-9]{{2}}[{_SPACE}{_HYPHEN}/.]?[0-9]{{2}}"
_ACCOUNT = f"[0-9](?:[{_SPACE}{_HYPHEN}]?[0-9]){{5,7}}"
_ACCOUNT_WORD = _words("account", "accounts", "acct", "acc", "a/c", "ac")
_LINK = (
    f"(?:[{_SPACE}{_HYPHEN},;:/.&#=()]|"
    + _words("and", "with", "the", "my", "is", "number", "num", "no", "account", "acct", "acc", "a/c", "ac")
    + "){1,12}"
)

PATTERNS: tuple[tuple[str, str], ...] = (
    # a compact one first, even in the middle of other letters, so that what stands beside it has a boundary
    (rf"{_LETTER}{{2}}[0-9]{{6}}(?:[A-Da-d]|\b)", "[NINO]"),
    # with its suffix in any spacing and case
    (rf"\b{_LETTER}{_GAP}{_LETTER}(?:{_GAP}[0-9]){{6}}{_GAP}[A-Da-d]\b", "[NINO]"),
    # without its suffix: spaced out only in capitals, so that "on 12.10.20" stays a date
    (rf"\b[A-Z]{_GAP}[A-Z](?:{_GAP}[0-9]){{6}}\b", "[NINO]"),
    # a local part has at most 64 characters; the bound keeps Python's search linear in a text without any @
    (r"[A-Za-z0-9._%+'\-]{1,64}@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+", "[EMAIL]"),
    (
        rf"(?:\+[{_SPACE}]?44|\b(?:00)?44){_GAP}(?:\(0\)|0)?{_GAP}[1-9](?:[{_SPACE}{_HYPHEN}.()]*[0-9]){{8,9}}\b"
        rf"|\(?\b0[1-9](?:[{_SPACE}{_HYPHEN}.()]*[0-9]){{8,9}}\b",
        "[PHONE]",
    ),
    (rf"\b{_SORT_CODE}{_LINK}{_ACCOUNT}\b|\b[0-9]{{14}}\b", "[ACCOUNT]"),
    (rf"\b({_ACCOUNT_WORD}{_LINK}){_ACCOUNT}\b", r"\1[ACCOUNT]"),
    (rf"\b({_words('sort')}{_GAP}{_words('code', 'codes')}{_LINK}){_SORT_CODE}\b", r"\1[ACCOUNT]"),
    (rf"\b[0-9]{{5}}[{_SPACE}{_HYPHEN}]?[0-9]{{5}}[Kk]?\b", "[UTR]"),
)

_COMPILED = tuple((re.compile(pattern, re.ASCII), replacement) for pattern, replacement in PATTERNS)


def redact(text: str | None) -> str | None:
    """The text with [NINO], [EMAIL], [PHONE], [ACCOUNT] and [UTR] in place of what identifies a person."""
    if text is None:
        return None
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    return text


def redact_sql(expression: str) -> str:
    """A DuckDB expression that does to `expression` (SQL of type VARCHAR) what `redact` does to a text."""
    for pattern, replacement in PATTERNS:
        expression = f"regexp_replace({expression}, {_literal(pattern)}, {_literal(replacement)}, 'g')"
    return expression


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
