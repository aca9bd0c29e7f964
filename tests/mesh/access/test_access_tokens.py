"""Laws of tokens and ciphertexts: one identifier, one token, in any spelling; and nothing without the key."""

from __future__ import annotations

import base64
import hmac

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stdnum.gb import utr as stdnum_utr

from mesh.access import (
    KINDS,
    PARTS,
    KeyRing,
    decrypt,
    encrypt,
    normalise,
    register_udfs,
    status,
    tokenise,
    tokenise_one,
)
from mesh.errors import MeshError, SettingsError, UsageError

RING = KeyRing([b"first key of the tests, 32 bytes"])
OTHER = KeyRing([b"other key of the tests, 32 bytes"])

# \x1f joins sort code and account, so texts with it matter as much as any other
anything = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("0123456789 -+()" + PARTS), max_size=30)
separators = st.text(" -.\t", max_size=2)


@st.composite
def ninos(draw: st.DrawFn) -> str:
    first, second = draw(st.sampled_from("ABCEGHJKLMNOPRSTWXYZ")), draw(st.sampled_from("ABCEGHJKLMNPRSTWXYZ"))
    never = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ", "CR", "FY", "MW", "NC"}
    prefix = "AB" if first + second in never else first + second
    return f"{prefix}{draw(st.integers(0, 999_999)):06d}{draw(st.sampled_from('ABCD'))}"


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """The text in another case and with separators between its characters."""
    return "".join(draw(separators) + draw(st.sampled_from([char.upper(), char.lower()])) for char in text)


def one(values: pa.Array) -> str | None:
    text: str | None = values[0].as_py()
    return text


@given(kind=st.sampled_from(KINDS), text=anything)
@example(kind="phone", text="0044 0044 7911 123456")
@example(kind="bank_account", text=f"1{PARTS}2")
def test_normalising_twice_changes_nothing(kind: str, text: str) -> None:
    once = normalise(kind, pa.array([text]))
    assert normalise(kind, once) == once


@given(data=st.data(), nino=ninos())
def test_a_nino_has_one_token_in_any_spelling_and_with_any_suffix(data: st.DataObject, nino: str) -> None:
    expected = tokenise_one(RING, "nino", nino)
    assert expected[1] == "valid"
    assert tokenise_one(RING, "nino", data.draw(spelled(nino))) == expected
    assert tokenise_one(RING, "nino", nino[:8] + data.draw(st.sampled_from("ABCD"))) == expected


@given(digits=st.text("0123456789", min_size=14, max_size=14))
def test_a_bank_account_has_one_token_in_one_column_or_two(digits: str) -> None:
    sort, account = digits[:6], digits[6:]
    expected = tokenise_one(RING, "bank_account", digits)
    assert expected[1] == "valid"
    pairs = f"{sort[:2]}-{sort[2:4]}-{sort[4:]}"
    assert tokenise_one(RING, "bank_account", f"{pairs} {account}") == expected
    assert tokenise_one(RING, "bank_account", f"{pairs}{PARTS}{account}") == expected
    if sort.startswith("0") and account.startswith("0"):
        assert tokenise_one(RING, "bank_account", f"{sort[1:]}{PARTS}{account[1:]}") == expected


@given(text=anything)
def test_kinds_and_keys_never_share_a_token(text: str) -> None:
    """A UTR must not match a phone of the same digits, nor one key's token another's."""
    tokens = [tokenise_one(ring, kind, text)[0] for ring in (RING, OTHER) for kind in KINDS]
    found = [token for token in tokens if token is not None]
    assert len({token.rsplit(":", 1)[1] for token in found}) == len(found)


@given(texts=st.lists(st.none() | anything, max_size=8), kind=st.sampled_from(KINDS))
def test_a_column_gives_what_its_values_give_one_by_one(texts: list[str | None], kind: str) -> None:
    tokens, states = tokenise(RING, kind, pa.array(texts, pa.string()))
    alone = [tokenise_one(RING, kind, text) for text in texts]
    assert list(zip(tokens.to_pylist(), states.to_pylist(), strict=True)) == alone


def test_a_token_is_the_documented_hmac() -> None:
    """The text of a token is a promise to every domain: another program must be able to make it."""
    digest = hmac.digest(RING.token_key(), b"nino\x00AB123456", "sha256")[:16]
    text = base64.b32encode(digest).decode().rstrip("=").lower()
    assert tokenise_one(RING, "nino", "ab 12 34 56 c") == (f"nino:{RING.active_id}:{text}", "valid")


@pytest.mark.parametrize(
    ("kind", "value", "normal", "state"),
    [
        ("nino", "ab 12-34.56 c", "AB123456", "valid"),
        ("nino", "AB123456", "AB123456", "malformed"),  # no suffix
        ("nino", "AB123456E", "AB123456", "malformed"),
        ("nino", "DA123456C", "DA123456", "malformed"),  # D never stands first
        ("nino", "AO123456C", "AO123456", "malformed"),  # nor O second
        ("nino", "BG123456C", "BG123456", "malformed"),  # never allocated
        ("nino", "FY123456C", "FY123456", "malformed"),  # administrative
        ("nino", " -- ", None, "malformed"),
        ("nino", " \t", None, "missing"),
        ("nino", None, None, "missing"),
        ("utr", "19558 39661", "1955839661", "valid"),
        ("utr", "2955839661", "2955839661", "malformed"),  # wrong check digit
        ("utr", "955839661", "955839661", "malformed"),
        ("bank_account", "12-34-56 12345678", "12345612345678", "valid"),
        ("bank_account", f"12-34-56{PARTS}1234567", "12345601234567", "valid"),
        ("bank_account", f"12345{PARTS}12345678", "01234512345678", "valid"),
        ("bank_account", f"12-34-56{PARTS}12345", f"123456{PARTS}12345", "malformed"),
        ("bank_account", f"123456{PARTS}", f"123456{PARTS}", "malformed"),
        ("bank_account", PARTS, None, "missing"),
        ("phone", "+44 (0)7911 123456", "07911123456", "valid"),
        ("phone", "0044 7911 123456", "07911123456", "valid"),
        ("phone", "07911 123456", "07911123456", "valid"),
        ("phone", "12345", "12345", "malformed"),
        ("email", " Jo@Example.ORG ", "jo@example.org", "valid"),
        ("email", "jo at example", "jo at example", "malformed"),
        ("other", "ab-12/x", "AB12X", "valid"),
        ("other", "--", None, "malformed"),
    ],
)
def test_each_kind_has_its_normal_form_and_status(kind: str, value: str | None, normal: str | None, state: str) -> None:
    values = pa.array([value], pa.string())
    assert (one(normalise(kind, values)), one(status(kind, values))) == (normal, state)


@given(digits=st.text("0123456789", min_size=8, max_size=12))
@example(digits="1955839661")
def test_utr_check_digits_agree_with_stdnum(digits: str) -> None:
    expected = "valid" if stdnum_utr.is_valid(digits) and len(digits) == 10 else "malformed"
    assert one(status("utr", pa.array([digits]))) == expected


def test_an_unknown_kind_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"'shoe'. Allowed: nino, utr, bank_account, phone, email, other\."):
        tokenise_one(RING, "shoe", "42")


@given(texts=st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_decrypting_gives_back_what_was_encrypted(texts: list[str | None]) -> None:
    values = pa.array(texts, pa.string())
    sealed = encrypt(RING, values)
    assert decrypt(RING, sealed) == values
    assert encrypt(RING, values) == sealed, "a rebuilt table must be equal byte for byte"


def test_a_ciphertext_that_was_altered_or_lost_its_key_is_refused() -> None:
    sealed = one(encrypt(RING, pa.array(["AB123456C"])))
    assert sealed is not None
    key_id, body = sealed.split(":")
    damaged = bytearray(base64.b64decode(body))
    damaged[-1] ^= 1
    altered = f"{key_id}:{base64.b64encode(damaged).decode()}"
    with pytest.raises(MeshError, match=f"A ciphertext of key '{key_id}' was altered or cut short"):
        decrypt(RING, pa.array([altered]))
    with pytest.raises(MeshError, match="not a ciphertext of this mesh"):
        decrypt(RING, pa.array(["AB123456C"]))
    with pytest.raises(SettingsError, match=f"key '{key_id}', which this key ring does not hold"):
        decrypt(OTHER, pa.array([sealed]))


def test_sql_functions_give_the_tokens_of_python() -> None:
    con = duckdb.connect()
    register_udfs(con, RING)
    rows = [("nino", "ab123456c"), ("nino", None), ("utr", "1955839661"), ("phone", ""), ("email", "nobody")]
    con.execute("create table given (kind varchar, value varchar)")
    con.executemany("insert into given values (?, ?)", rows)
    found = con.execute(
        "select mesh_token(kind, value), mesh_status(kind, value), mesh_encrypt(value) from given"
    ).fetchall()
    sealed = encrypt(RING, pa.array([value for _, value in rows], pa.string())).to_pylist()
    expected = [(*tokenise_one(RING, *row), cipher) for row, cipher in zip(rows, sealed, strict=True)]
    assert found == expected


def test_registering_sql_functions_again_takes_the_new_key() -> None:
    con = duckdb.connect()
    for ring in (RING, RING, OTHER):
        register_udfs(con, ring)
        assert con.execute("select mesh_token('other', 'a')").fetchall() == [(tokenise_one(ring, "other", "a")[0],)]
    cursor = con.cursor()
    register_udfs(cursor, OTHER)
    with pytest.raises(UsageError, match="registered through another connection with another key"):
        register_udfs(cursor, RING)
