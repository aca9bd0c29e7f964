"""Each policy finds exactly what breaks it; waivers and drafts are told, never silent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mesh.contract.linting import lint_content, lint_file
from mesh.contract.policies import Policy, load_policies
from mesh.errors import ProjectError
from tests.conftest import ROOT

MEETS_ALL = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
tags: [personal data]
description:
  purpose: Every order, for planning.
  usage: Join on order_id.
  limitations: None from before 2020.
schema:
  - name: orders
    description: Orders.
    dataGranularityDescription: One row per order.
    properties:
      - name: order_id
        logicalType: string
        description: The order.
        classification: internal
        primaryKey: true
      - name: email
        logicalType: string
        description: Where the customer is written to.
        classification: confidential
        customProperties:
          - property: purposes
            value: [delivery]
      - name: amount
        logicalType: number
        physicalType: DECIMAL(14,2)
        description: In pounds.
        classification: internal
      - name: delivery_days
        logicalType: integer
        description: Days until it arrived.
        classification: internal
slaProperties:
  - {property: freshness, value: 24, unit: h}
  - {property: retention, value: 6, unit: y}
team:
  name: shop-team
  members:
    - {username: shop-team, role: owner}
    - {username: sam, role: information asset owner}
customProperties:
  - property: purposes
    value: [delivery, billing]
  - property: lawfulBasis
    value: contract
  - property: sources
    value: ['source:raw_orders']
"""
COLUMN = "schema[0].properties"

# What is broken: (text, instead, the one policy that sees it, the field it names)
BREAKS = {
    "no team": ("  name: shop-team\n", "", "owner_named", "team"),
    "no owner": ("role: owner}", "role: developer}", "owner_named", "team"),
    "no asset owner": ("role: information asset owner", "role: analyst", "information_asset_owner_named",
                       "team.members"),
    "no purpose of the product": ("  purpose: Every order, for planning.\n", "", "product_described",
                                  "description.purpose"),
    "limitations left to be written": ("None from before 2020.", "'To be written: what is not in here.'",
                                       "product_described", "description.limitations"),
    "no grain": ("    dataGranularityDescription: One row per order.\n", "", "tables_described",
                 "schema[0].dataGranularityDescription"),
    "a blank table description": ("    description: Orders.\n", "    description: ' '\n", "tables_described",
                                  "schema[0].description"),
    "a column nobody described": ("        description: In pounds.\n", "", "columns_described",
                                  f"{COLUMN}[2].description"),
    "a column nobody classified": ("        description: In pounds.\n        classification: internal\n",
                                   "        description: In pounds.\n", "columns_classified",
                                   f"{COLUMN}[2].classification"),
    "a level of nobody's": ("        classification: confidential\n", "        classification: secret\n",
                            "columns_classified", f"{COLUMN}[1].classification"),
    "personal data under no tag": ("tags: [personal data]\n", "tags: [orders]\n", "personal_data_tagged", "tags"),
    "no purposes": ("value: [delivery, billing]", "value: ['']", "purposes_stated", "customProperties"),
    "a basis that the law has not": ("value: contract", "value: habit", "lawful_basis_stated", "customProperties"),
    "no retention": ("  - {property: retention, value: 6, unit: y}\n", "", "retention_promised", "slaProperties"),
    "retention of no length": ("value: 6, unit: y", "value: long, unit: y", "retention_promised",
                               "slaProperties[1].value"),
    "retention in no unit": ("value: 6, unit: y", "value: 6", "retention_promised", "slaProperties[1].unit"),
    "a column for more than the product is": ("value: [delivery]", "value: [marketing]",
                                              "column_purposes_within_the_products", f"{COLUMN}[1].customProperties"),
    "no key": ("        primaryKey: true\n", "", "primary_key_named", "schema[0].properties"),
    "money as a float": ("DECIMAL(14,2)", "DOUBLE", "money_is_decimal", f"{COLUMN}[2].physicalType"),
    "money of no type": ("        physicalType: DECIMAL(14,2)\n", "", "money_is_decimal", f"{COLUMN}[2].physicalType"),
    "a double underscore": ("name: delivery_days", "name: delivery__days", "names_are_snake_case", f"{COLUMN}[3].name"),
    "a long name": ("name: delivery_days", f"name: d{'x' * 63}", "names_are_snake_case", f"{COLUMN}[3].name"),
    "a quantity of no unit": ("name: delivery_days", "name: delivery_duration", "quantities_name_their_unit",
                              f"{COLUMN}[3].name"),
    "no freshness": ("  - {property: freshness, value: 24, unit: h}\n", "", "freshness_promised", "slaProperties"),
    "no sources": ("value: ['source:raw_orders']", "value: []", "sources_named", "customProperties"),
}  # fmt: skip


@pytest.fixture(scope="module")
def policies() -> tuple[Policy, ...]:
    return load_policies(ROOT)


def found(text: str, policies: tuple[Policy, ...]) -> list[str]:
    """Findings of the policies as `severity source field`."""
    findings = lint_content(text.encode(), Path("orders.yaml"), policies)
    return [f"{one.severity} {one.source} {one.field}" for one in findings]


def test_a_contract_can_meet_every_policy(policies: tuple[Policy, ...]) -> None:
    assert found(MEETS_ALL, policies) == []


@pytest.mark.parametrize("name", BREAKS)
def test_each_break_is_seen_by_its_policy_and_by_no_other(name: str, policies: tuple[Policy, ...]) -> None:
    old, new, policy, field = BREAKS[name]
    assert MEETS_ALL.count(old) == 1
    severity = "warning" if policy == "quantities_name_their_unit" else "error"
    assert found(MEETS_ALL.replace(old, new), policies) == [f"{severity} {policy} {field}"]


def test_every_policy_is_broken_by_some_contract_here(policies: tuple[Policy, ...]) -> None:
    assert {policy.name for policy in policies} == {policy for _, _, policy, _ in BREAKS.values()}


@pytest.mark.parametrize("name", ["amount_rank", "price_band", "cost_per_unit_ratio", "token_amount"])
def test_what_only_sounds_like_money_may_be_a_float(name: str, policies: tuple[Policy, ...]) -> None:
    text = MEETS_ALL.replace("name: amount", f"name: {name}").replace("DECIMAL(14,2)", "DOUBLE")
    assert found(text, policies) == []


def test_money_may_be_whole_pence(policies: tuple[Policy, ...]) -> None:
    text = MEETS_ALL.replace("logicalType: number\n        physicalType: DECIMAL(14,2)", "logicalType: integer")
    assert found(text, policies) == []


def test_a_product_without_personal_data_owes_none_of_its_terms(policies: tuple[Policy, ...]) -> None:
    text = MEETS_ALL.replace("confidential", "internal").replace("[personal data]", "[orders]")
    text = text.replace("[delivery, billing]", "[]").replace("[delivery]", "[]").replace("value: contract", "value: ''")
    assert found(text.replace("  - {property: retention, value: 6, unit: y}\n", ""), policies) == []


def test_items_of_an_array_can_be_personal_too(policies: tuple[Policy, ...]) -> None:
    column = """\
      - name: phones
        logicalType: array
        description: Where the customer is called.
        classification: internal
        items: {logicalType: string, classification: restricted}
slaProperties:
"""
    text = MEETS_ALL.replace("confidential", "internal").replace("[personal data]", "[orders]")
    told = found(text.replace("slaProperties:\n", column), policies)
    assert len(told) == 1
    assert "personal_data_tagged" in told[0]


@pytest.mark.parametrize("status", ["draft", "proposed"])
def test_a_contract_that_is_still_being_written_is_only_warned(status: str, policies: tuple[Policy, ...]) -> None:
    text = MEETS_ALL.replace("status: active", f"status: {status}").replace("DECIMAL(14,2)", "DOUBLE")
    assert found(text, policies) == [f"warning money_is_decimal {COLUMN}[2].physicalType"]


def waived(text: str, at: str, *, policy: str = "money_is_decimal", reason: str = "Delivered so.") -> str:
    """`text` with a waiver in the contract or in the column `amount`."""
    waiver = f"- property: policyWaivers\n  value:\n    - policy: {policy}\n      reason: '{reason}'\n"
    if at == "contract":
        indented = "".join(f"  {line}\n" for line in waiver.splitlines())
        return text + indented
    indented = "".join(f"          {line}\n" for line in waiver.splitlines())
    return text.replace("description: In pounds.\n", f"description: In pounds.\n        customProperties:\n{indented}")


@pytest.mark.parametrize("at", ["contract", "column"])
def test_a_waiver_is_told_with_its_reason(at: str, policies: tuple[Policy, ...]) -> None:
    text = waived(MEETS_ALL.replace("DECIMAL(14,2)", "DOUBLE"), at)
    (finding,) = lint_content(text.encode(), Path("orders.yaml"), policies)
    assert (finding.severity, finding.source, finding.field) == (
        "waived", "money_is_decimal", f"{COLUMN}[2].physicalType",
    )  # fmt: skip
    assert finding.what.endswith("`amount` is not. Waived: Delivered so.")


def test_a_waiver_covers_no_place_outside_its_own(policies: tuple[Policy, ...]) -> None:
    text = waived(MEETS_ALL, "column", policy="columns_described").replace("        description: The order.\n", "")
    assert found(text, policies) == [
        f"error columns_described {COLUMN}[0].description",
        f"warning policyWaivers {COLUMN}[2].customProperties[0].value[0]",
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "money_is_decimals"}, "no policy of this mesh (did you mean `money_is_decimal`?)"),
        ({"reason": " "}, "The waiver of `money_is_decimal` gives no reason."),
    ],
    ids=["unknown", "no reason"],
)  # fmt: skip
def test_a_waiver_that_cannot_be_read_waives_nothing(
    given: dict[str, str], says: str, policies: tuple[Policy, ...]
) -> None:
    text = waived(MEETS_ALL.replace("DECIMAL(14,2)", "DOUBLE"), "contract", **given)
    broken, waiver = lint_content(text.encode(), Path("orders.yaml"), policies)
    assert (broken.severity, broken.source) == ("error", "money_is_decimal")
    assert (waiver.severity, waiver.source) == ("error", "policyWaivers")
    assert says in waiver.what


def project(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        file = tmp_path / "contracts" / "policies" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


OWN = '''\
from mesh.contract.policies import Place, Policy, Terms


class ShopsOnly(Policy):
    """Only the domain shop publishes here."""

    allowed = "domain: shop"

    def check(self, contract: Terms):
        if contract.data.get("domain") != "shop":
            yield Place(("domain",))
'''


def test_a_mesh_adds_a_policy_with_a_class_of_its_own(tmp_path: Path) -> None:
    policies = load_policies(project(tmp_path, own=OWN))
    (finding,) = lint_content(MEETS_ALL.replace("domain: shop", "domain: bank").encode(), Path("orders.yaml"), policies)
    assert str(finding) == (
        "orders.yaml:6: domain: Only the domain shop publishes here. Allowed: domain: shop [error: shops_only]"
    )


def test_a_mesh_without_policies_has_none(tmp_path: Path) -> None:
    assert load_policies(tmp_path) == ()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"own": "class ("}, r"own\.py:1: The policies cannot be loaded: SyntaxError"),
        ({"own": "import nothing_of_the_kind"}, r"own\.py: The policies cannot be loaded: ModuleNotFoundError"),
        ({"one": OWN, "two": OWN}, r"two\.py: The policy `shops_only` is there twice\."),
    ],
    ids=["syntax", "import", "twice"],
)
def test_a_policy_file_that_cannot_be_used_is_named(files: dict[str, str], says: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=says):
        load_policies(project(tmp_path, **files))


SHIPPED = sorted([*ROOT.glob("contracts/*/*.yaml"), *ROOT.glob("examples/*/contracts/*/*.yaml")])


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_contract_meets_every_policy(file: Path, policies: tuple[Policy, ...]) -> None:
    """`make lint` says the same; here it fails the tests too."""
    assert [str(one) for one in lint_file(file, policies) if one.severity != "waived"] == []


def page() -> str:
    return (ROOT / "docs" / "policies.md").read_text("utf-8")


def test_the_page_lists_every_policy_and_no_other(policies: tuple[Policy, ...]) -> None:
    table = page().partition("| policy | asks |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.M)) == [policy.name for policy in policies]


def test_the_policy_on_the_page_works_as_it_stands(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", page(), re.S)
    policies = load_policies(project(tmp_path, page=code))
    assert found(MEETS_ALL, policies) == ["warning support_named support"]
