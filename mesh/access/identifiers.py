"""Kinds of identifier: how each is normalised before it becomes a token, and what makes one valid.

Everything works on whole Arrow arrays; one definition serves ingest, SQL functions and services, so the same
identifier meets the same token wherever it comes from.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mesh.errors import UsageError

KINDS = ("nino", "utr", "bank_account", "phone", "email", "other")

# Joins the two columns of a bank account (sort code, account number), so that each can be zero-padded by itself.
# A unit separator never occurs in a delivered value that a person typed.
PARTS = "\x1f"
BLANK = " \t\r\n" + PARTS

NINO_FORM = r"^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]$"
# Never issued to a person: the first line is never allocated, the second is administrative.
NINO_NEVER = r"^(?:BG|GB|KN|NK|NT|TN|ZZ|OO|CR|FY|MW|NC)"
NINO_PERSON_CHARACTERS = 8  # the suffix letter may vary for one person
PHONE_FORM = r"^0[1235789][0-9]{8,9}$"
EMAIL_FORM = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"
UTR_WEIGHTS = np.array([6, 7, 8, 9, 10, 5, 4, 3, 2])
UTR_CHECK_DIGITS = np.frombuffer(b"21987654321", dtype=np.uint8)


def normalise(kind: str, values: pa.Array) -> pa.Array:
    """The form of each value that identifies a person, account or device; null where nothing is left.

    Normalising twice changes nothing. Values that break their format keep a form of their own.

    Raises:
        UsageError: no such kind.
    """
    return identify(kind, values)[0]


def status(kind: str, values: pa.Array) -> pa.Array:
    """`valid`, `malformed` or `missing` (null or blank) for each value.

    Raises:
        UsageError: no such kind.
    """
    return identify(kind, values)[1]


def identify(kind: str, values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """What `normalise` and `status` say, for the price of one.

    Raises:
        UsageError: no such kind.
    """
    tidy = _tidy(kind, values)
    normal = tidy
    if kind == "nino":
        valid = pc.and_not(pc.match_substring_regex(tidy, NINO_FORM), pc.match_substring_regex(tidy, NINO_NEVER))
        normal = pc.utf8_slice_codeunits(tidy, 0, NINO_PERSON_CHARACTERS)
    elif kind == "utr":
        valid = _utr_valid(tidy)
    elif kind == "bank_account":
        valid = pc.match_substring_regex(tidy, "^[0-9]{14}$")
    elif kind == "phone":
        valid = pc.match_substring_regex(tidy, PHONE_FORM)
    elif kind == "email":
        valid = pc.match_substring_regex(tidy, EMAIL_FORM)
    else:
        valid = pc.not_equal(tidy, "")
    nothing = pc.equal(tidy, "")
    normal = pc.if_else(nothing, pa.scalar(None, pa.string()), normal)
    blank = pc.if_else(pc.fill_null(nothing, True), pc.utf8_trim(pc.fill_null(values, ""), BLANK), "something")
    missing = pc.equal(blank, "")
    return normal, pc.if_else(missing, "missing", pc.if_else(pc.fill_null(valid, False), "valid", "malformed"))


def _tidy(kind: str, values: pa.Array) -> pa.Array:
    if kind in ("nino", "other"):
        return _drop(pc.utf8_upper(values), "[^A-Z0-9]")
    if kind == "utr":
        return _drop(values, "[^0-9]")
    if kind == "bank_account":
        return _bank_account(values)
    if kind == "phone":
        return pc.replace_substring_regex(_drop(values, "[^0-9]"), "^(?:00)?440*", "0")
    if kind == "email":
        return pc.utf8_trim_whitespace(pc.utf8_lower(values))
    raise UsageError(f"Unknown kind of identifier {kind!r}. Allowed: {', '.join(KINDS)}.")


def _bank_account(values: pa.Array) -> pa.Array:
    """Sort code (6 digits) and account number (8 digits); one that lost its leading zeros gets them back."""
    in_parts = pc.match_substring(values, PARTS)
    if pc.all(in_parts, min_count=0).as_py():
        return _from_parts(values)
    if not pc.any(in_parts, min_count=0).as_py():
        return _from_digits(values)
    return pc.if_else(in_parts, _from_parts(values), _from_digits(values))


def _from_digits(values: pa.Array) -> pa.Array:
    digits = _drop(values, "[^0-9]")
    padded = _join(pc.utf8_slice_codeunits(digits, 0, 6), pc.utf8_lpad(pc.utf8_slice_codeunits(digits, 6), 8, "0"))
    return pc.if_else(_between(pc.utf8_length(digits), 12, 14), padded, digits)


def _from_parts(values: pa.Array) -> pa.Array:
    left = _drop(values, f"(?s){PARTS}.*$|[^0-9]")
    right = _drop(values, f"(?s)^[^{PARTS}]*{PARTS}|[^0-9]")
    left_size, right_size = pc.utf8_length(left), pc.utf8_length(right)
    padded = _join(pc.utf8_lpad(left, 6, "0"), pc.utf8_lpad(right, 8, "0"))
    nothing = pc.equal(pc.add(left_size, right_size), 0)
    broken = pc.if_else(nothing, "", _join(left, right, separator=PARTS))
    return pc.if_else(pc.and_(_between(left_size, 5, 6), _between(right_size, 6, 8)), padded, broken)


def _utr_valid(digits: pa.Array) -> pa.Array:
    """Ten digits whose first is the check digit of the other nine (weights of HMRC's UTR, modulus 11)."""
    ten = pc.fill_null(pc.match_substring_regex(digits, "^[0-9]{10}$"), False)
    candidates = np.frombuffer("".join(pc.filter(digits, ten).to_pylist()).encode(), dtype=np.uint8).reshape(-1, 10)
    expected = UTR_CHECK_DIGITS[((candidates[:, 1:] - ord("0")).astype(np.int64) @ UTR_WEIGHTS) % 11]
    found = np.zeros(len(digits), dtype=bool)
    found[ten.to_numpy(zero_copy_only=False)] = candidates[:, 0] == expected
    return pa.array(found)


def _between(sizes: pa.Array, low: int, high: int) -> pa.Array:
    return pc.and_(pc.greater_equal(sizes, low), pc.less_equal(sizes, high))


def _drop(values: pa.Array, pattern: str) -> pa.Array:
    return pc.replace_substring_regex(values, pattern, "")


def _join(*values: pa.Array, separator: str = "") -> pa.Array:
    return pc.binary_join_element_wise(*values, separator)
