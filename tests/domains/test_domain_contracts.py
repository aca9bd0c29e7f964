"""What the domains promise, held against the standard and against themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from open_data_contract_standard.model import OpenDataContractStandard

from tests.domains.desk import DOMAINS, ROOT, contract_files, read

PROTECTED = {
    "sex", "gender", "age", "birth_year", "date_of_birth", "marital_status", "nationality", "disability", "ethnicity",
    "religion", "age_of_policy_holder", "age_band",
}  # fmt: skip
NAMES = {"claimant_name", "account_name", "employer_name", "given_name", "family_name"}
FILES = contract_files()


def columns(file: Path) -> list[dict[str, Any]]:
    [table] = read(file)["schema"]
    found: list[dict[str, Any]] = table["properties"]
    return found


def relative(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_a_contract_is_read_by_the_standards_own_package(file: Path) -> None:
    contract = OpenDataContractStandard.from_file(str(file))
    assert contract.apiVersion in ("v3.1.0", "v3.2.0")
    assert (contract.domain, contract.dataProduct) == (file.parent.name, file.stem)
    assert contract.schema_ is not None
    assert [table.name for table in contract.schema_] == [file.stem]


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_every_column_says_what_it_is_and_who_may_see_it(file: Path) -> None:
    for column in columns(file):
        assert column["description"].endswith("."), column["name"]
        assert column["classification"] in {"public", "internal", "confidential", "restricted"}, column["name"]
        assert {"logicalType", "physicalType", "required"} <= set(column), column["name"]


@pytest.mark.parametrize("file", FILES, ids=relative)
def test_identifiers_and_protected_characteristics_are_never_open(file: Path) -> None:
    for column in columns(file):
        if column["name"].endswith("_token"):
            assert column["classification"] == "confidential", column["name"]
        if column["name"].endswith("_cipher") or "protected characteristic" in column.get("tags", []):
            assert column["classification"] == "restricted", column["name"]


def test_claims_carry_no_names() -> None:
    assert not {column["name"] for column in columns(ROOT / "contracts/claims/claims.yaml")} & NAMES


@pytest.mark.parametrize("file", [file for file in FILES if file.parent.name == "insight"], ids=relative)
def test_insight_publishes_protected_characteristics_in_one_product_and_restricted(file: Path) -> None:
    """They are there to measure by, not to learn from."""
    protected = {column["name"] for column in columns(file)} & PROTECTED
    if file.stem == "claim_groups":
        told = {column["name"] for column in columns(file) if column["classification"] == "restricted"}
        assert protected <= told
    else:
        assert not protected


def test_only_the_comparison_of_groups_reads_them() -> None:
    """A product that models learn from, or that decides, may not be made of them."""
    ports = read(ROOT / "data_products/insight/domain.yaml")["outputPorts"]
    readers = {
        port["name"] for port in ports if "insight-claim_groups" in {one["id"] for one in port["inputContracts"]}
    }
    assert readers == {"claim_scores", "fairness"}, "the scores' training is measured on them"
    for file in (ROOT / "data_products").glob("*/models/*.yaml"):
        definition = read(file)
        assert "claim_groups" not in f"{definition['input']} {definition['label'].get('product')}"


@pytest.mark.parametrize("domain", DOMAINS)
def test_ports_and_contracts_name_each_other(domain: str) -> None:
    """A port without its contract would be built and never published."""
    file = read(ROOT / "data_products" / domain / "domain.yaml")
    contracts = {path.stem: read(path) for path in (ROOT / "contracts" / domain).glob("*.yaml")}
    ports = {port["name"]: (port["contractId"], port["version"]) for port in file["outputPorts"]}
    assert ports == {name: (contract["id"], contract["version"]) for name, contract in contracts.items()}


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_owner_of_a_product_is_its_domains_team(domain: str) -> None:
    team = read(ROOT / "data_products" / domain / "domain.yaml")["team"]["name"]
    assert team == f"{domain}-data-team"
    for path in (ROOT / "contracts" / domain).glob("*.yaml"):
        assert read(path)["team"]["name"] == team


def test_models_read_other_domains_only_as_published() -> None:
    """Private tables of another domain may change without notice."""
    files = (*(ROOT / "dbt/models").glob("**/*.yml"), *(ROOT / "examples").glob("*/dbt/models/**/*.yml"))
    sources = [
        (path.parts[path.parts.index("models") + 1], source)
        for path in files
        for source in read(path).get("sources", [])
    ]
    assert {domain for domain, _ in sources} == set(DOMAINS)
    for domain, source in sources:
        if source["database"] == "lake":
            assert (source["name"], source["schema"]) == (f"{domain}_raw", f"{domain}_build")
        else:
            assert (source["database"], source["name"]) == ("inputs", source["schema"])
            published = {f"{path.stem}_v1" for path in (ROOT / "contracts" / source["schema"]).glob("*.yaml")}
            assert {table["name"] for table in source["tables"]} <= published


def test_model_definitions_exclude_the_protected() -> None:
    for file in (*(ROOT / "data_products").glob("*/models/*.yaml"), *(ROOT / "examples").glob("**/models/*.yaml")):
        definition = read(file)
        product = definition["input"]
        found = [path for path in FILES if relative(path).endswith(f"contracts/{product}.yaml")]
        there = {column["name"] for column in columns(found[0])}
        assert there & PROTECTED <= set(definition["protected"]), file
        assert set(definition["exclude"]) | set(definition["reasons"]) <= there, file
