"""Which clearance is enough for which column, and which roles of a contract may see values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh.access.clearance import LEVELS, Role, classified, covers, find_role, roles
from mesh.contract import load_contract, parse_contract
from mesh.errors import UsageError
from tests.conftest import ROOT

CLAIMS = load_contract(ROOT / "contracts/claims/claims.yaml")
CLASSIFICATIONS = ("public", "internal", "confidential", "restricted", None, "", "top secret", " Internal ")


@pytest.mark.parametrize(
    ("clearance", "seen"),
    [
        ("public", {"public"}),
        ("internal", {"public", "internal", " Internal "}),
        ("confidential", {"public", "internal", " Internal ", "confidential"}),
        ("restricted", set(CLASSIFICATIONS)),
    ],
)
def test_a_clearance_covers_its_level_and_those_below(clearance: str, seen: set[str | None]) -> None:
    """What nobody has classified, or with a word nobody knows, counts as restricted."""
    assert {word for word in CLASSIFICATIONS if covers(clearance, word)} == seen
    assert clearance in LEVELS


def test_the_roles_of_a_contract_are_those_that_read_and_have_a_clearance() -> None:
    assert roles(CLAIMS) == (
        Role("analyst", "internal"),
        Role("claims-investigator", "confidential"),
        Role("claims-data-team", "restricted"),
    )
    assert find_role(CLAIMS, "analyst") == Role("analyst", "internal")


def test_an_unknown_role_is_told_which_there_are() -> None:
    with pytest.raises(UsageError) as told:
        find_role(CLAIMS, "Analyst")
    assert str(told.value) == (
        "The contract of claims/claims names no role 'Analyst' that may read values. Allowed: analyst (up to "
        "internal), claims-investigator (up to confidential), claims-data-team (up to restricted)"
    )


def test_a_contract_without_roles_says_what_a_role_needs() -> None:
    bare = replace(CLAIMS, odcs=CLAIMS.odcs.model_copy(update={"roles": None}))
    assert roles(bare) == ()
    with pytest.raises(
        UsageError, match="names no role that may read values: one with `access: read` or `write` and a"
    ):
        find_role(bare, "analyst")


NESTED = """\
apiVersion: v3.2.0
kind: DataContract
id: shop-orders
name: orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
description: {purpose: Orders.}
team: {name: shop-data-team}
schema:
  - name: orders
    properties:
      - name: given
"""


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("{logicalType: string, classification: internal}", "internal"),
        (
            "{logicalType: object, classification: internal, properties: [{name: a, logicalType: string, "
            "classification: restricted}, {name: b, logicalType: string, classification: public}]}",
            "restricted",
        ),
        (
            "{logicalType: object, classification: confidential, properties: [{name: a, logicalType: string, "
            "classification: public}]}",
            "confidential",
        ),
        (
            "{logicalType: array, classification: public, items: {logicalType: object, properties: [{name: a, "
            "logicalType: array, items: {logicalType: string, classification: confidential}}]}}",
            "confidential",
        ),
        (
            "{logicalType: map, classification: public, map: {key: {logicalType: string}, value: {logicalType: string, "
            "classification: restricted}}}",
            "restricted",
        ),
        (
            "{logicalType: object, classification: public, properties: [{name: a, logicalType: string, "
            "classification: top secret}]}",
            "top secret",
        ),
        (
            "{logicalType: object, properties: [{name: a, logicalType: string, classification: public}]}",
            None,
        ),
    ],
    ids=["plain", "field", "outside", "deep", "map", "own word", "unclassified"],
)
def test_a_column_is_as_confidential_as_the_most_confidential_thing_inside_it(
    column: str, expected: str | None
) -> None:
    text = NESTED.replace("- name: given", f"- {{name: given, {column[1:]}")
    contract = parse_contract(text.encode(), ROOT / "contracts/shop/orders.yaml")
    assert classified(contract.tables[0].columns[0]) == expected
