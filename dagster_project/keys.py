"""Names in Dagster: one place decides what an asset, a check or a group is called."""

from __future__ import annotations

import re

import dagster as dg

from mesh.contract import Rule
from mesh.project import Product


def raw_key(domain: str, table: str) -> dg.AssetKey:
    """The append-only table that a domain's sources fill."""
    return dg.AssetKey([domain, table])


def candidate_key(domain: str, table: str) -> dg.AssetKey:
    """A product's table before it is published."""
    return dg.AssetKey([domain, f"{table}_build"])


def source_key(table: str) -> dg.AssetKey:
    """The asset that a table in a lineage is: a public view, or a raw table of the domain's private schema."""
    schema, _, name = table.partition(".")
    return dg.AssetKey([schema.removesuffix("_build"), name])


def published_keys(product: Product) -> dict[str, dg.AssetKey]:
    """Per table the public view that consumers read."""
    contract = product.contract
    return {table.name: dg.AssetKey(contract.view(table).split(".")) for table in contract.tables}


def model_key(domain: str, model: str) -> dg.AssetKey:
    """The registered model that scores a product."""
    return dg.AssetKey([domain, f"{model}_model"])


def check_name(product: Product, rule: Rule) -> str:
    """A rule's name as a Dagster check: `claims.amount.minimum` of table claims is `amount__minimum`."""
    return re.sub(r"[^A-Za-z0-9_]", "_", rule.id.partition(".")[2].replace(".", "__"))


def owners(product: Product) -> list[str]:
    """The owner as Dagster takes it: an address, or a team."""
    owner = product.contract.owner
    return [owner] if "@" in owner else [f"team:{owner}"]
