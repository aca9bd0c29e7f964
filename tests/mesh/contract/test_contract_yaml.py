"""YAML read event by event: the same data and lines as another parser gives."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mesh.contract.reading import read_yaml
from mesh.errors import ContractError
from tests.conftest import ROOT

FILES = sorted([*(ROOT / "contracts").glob("*/*.yaml"), *(ROOT / "examples").glob("*/contracts/*/*.yaml")])


def read(text: str) -> Any:
    return read_yaml(text.encode(), Path("file.yaml"), holds="contract", allowed="a mapping")


def lines(tree: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], int]:
    """The line of every key, by the parser that keeps comments."""
    found = {}
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        here = (*path, key)
        if isinstance(tree, dict):
            found[here] = tree.lc.key(key)[0] + 1
        found |= lines(tree[key], here)
    return found


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_contract_reads_as_by_a_parser_in_python(file: Path) -> None:
    document = read_yaml(file.read_bytes(), file, holds="contract", allowed="a mapping")
    yaml = YAML(typ="safe", pure=True)
    assert document.data == plain(yaml.load(file.read_text()))
    expected = lines(YAML(pure=True).load(file.read_text()))
    assert {path: document.lines[path] for path in expected} == expected


@given(st.text(alphabet="0123456789.eE+-xob_~nulltrueyesNoff:<= ", min_size=1, max_size=8).map(str.strip))
def test_a_plain_word_means_what_yaml_1_2_says(word: str) -> None:
    """`yes` and `12:30` are text, `010` is ten."""
    yaml = YAML(typ="safe", pure=True)
    try:
        expected = plain(yaml.load(f"word: {word}\n"))
    except Exception:
        return  # no YAML, or a number that Python does not know
    try:
        found = read(f"word: {word}\n").data
    except ContractError:
        return  # a number that no rule can use
    if isinstance(expected["word"], str) or expected["word"] is None or isinstance(expected["word"], bool):
        assert found == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [1\n", ":1: The YAML is damaged: while parsing a flow sequence did not find expected ',' or ']'."),
        ("a: 1\n---\nb: 2\n", ":2: There is more than one YAML document in this file. Allowed: one"),
        ("a: &x 1\nb: *x\n", ":2: b: YAML aliases are not taken: a contract says what it means in place."),
        ("a: 1\nb: 2\na: 3\n", ":3: a: The key stands here twice. Allowed: each key once"),
        ("a: 1\n? [b]\n: 2\n", ":2: A key must be plain text. Allowed: text"),
        ("a: !!python/object:os.system x", ":1: a: The YAML tag `python/object:os.system` is not taken."),
        ("a: !!set {x}", ":1: a: The YAML tag `set` is not taken."),
        ("- a", ": There is no contract in this file. Allowed: a mapping"),
        ("", ": There is no contract in this file. Allowed: a mapping"),
        ("a: " + "[" * 100_000, ":1: The YAML is nested too deeply. Allowed: plain YAML"),
        ("a:\n" + "".join(" " * n + "- \n" for n in range(200)), "The YAML is nested too deeply."),
        ("a: 1" + "0" * 5000, "a: "),
    ],
)
def test_what_is_no_contract_is_told_with_its_line(text: str, what: str) -> None:
    with pytest.raises(ContractError) as told:
        read(text)
    assert what in str(told.value)
