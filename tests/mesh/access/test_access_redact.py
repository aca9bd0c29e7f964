"""Redaction of free text: the same in SQL and Python, and nothing slips through in any spelling."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.access import redact, redact_sql

CON = duckdb.connect(config={"threads": 1})
WORDS = "ab 12 34 56 c 0 7911 +44 (0) @ x.org - . / account no sort code 1955839661 12345678 AB123456C K \u017f é _"
PIECES = st.sampled_from([*WORDS.split(" "), " ", "\u00a0", "\u2013", "\n", "\v"])
gaps = st.sampled_from(["", " ", "  ", "-", ".", "\u00a0", "\u2013", " - "])


def in_sql(text: str) -> str | None:
    row = CON.execute(f"select {redact_sql('$1')}", [text]).fetchone()
    assert row is not None
    result: str | None = row[0]
    return result


@given(st.lists(PIECES, max_size=14).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@example("my ac no 12345678 \v AB 12 34 56 C")
def test_sql_and_python_redact_alike(text: str) -> None:
    """Models redact in SQL, services in Python: a text must not look different in each."""
    assert in_sql(text) == redact(text)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(
    digits=st.integers(0, 999_999), suffix=st.sampled_from("ABCDabcd"), spaces=st.lists(gaps, min_size=8, max_size=8)
)
def test_a_nino_goes_in_any_spacing_and_case(digits: int, suffix: str, spaces: list[str]) -> None:
    nino = "".join(gap + char for gap, char in zip(["", *spaces], f"jG{digits:06d}{suffix}", strict=True))
    assert redact(f"hello, my number is {nino}, thanks") == "hello, my number is [NINO], thanks"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nino AB123456C.", "nino [NINO]."),
        ("ninoAB123456C and JG 10 37 59 a", "nino[NINO] and [NINO]"),
        ("without suffix: JG 10 37 59, jg103759", "without suffix: [NINO], [NINO]"),
        ("ring 07911 123456 2 times", "ring [PHONE] 2 times"),
        ("ring +44 (0)7911-123456 or (020) 7946 0958", "ring [PHONE] or [PHONE]"),
        ("00447911123456", "[PHONE]"),
        ("Jo.Bloggs+uc@mail.example.co.uk, please", "[EMAIL], please"),
        ("sort code 12-34-56, account number 12345678!", "sort code [ACCOUNT]!"),
        ("12 34 56 12345678", "[ACCOUNT]"),
        ("12345612345678", "[ACCOUNT]"),
        ("acc no: 1234567", "acc no: [ACCOUNT]"),
        ("my sort code is 12-34-56", "my sort code is [ACCOUNT]"),
        ("UTR 19558 39661 or 1955839661K", "UTR [UTR] or [UTR]"),
        ("on 12/10/2020 i paid 500 for 2 weeks from 12.10.20", "on 12/10/2020 i paid 500 for 2 weeks from 12.10.20"),
        ("i owe 1200 since 2020-04-01, ref 20200401", "i owe 1200 since 2020-04-01, ref 20200401"),
        ("", ""),
        (None, None),
    ],
)
def test_what_goes_and_what_stays(text: str | None, expected: str | None) -> None:
    assert redact(text) == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["0 ", "a", "A ", "a@", "12 ", "acc ", " "])
def test_a_long_message_of_one_piece_is_redacted_in_linear_time(piece: str) -> None:
    """A claimant may send anything; a pattern that backtracks would hold up everybody's messages."""
    text = piece * 50_000
    assert redact(text) == in_sql(text)
