"""All declarations of features of a mesh, each held against the contracts of the products that it names."""

from __future__ import annotations

from pathlib import Path

from mesh.errors import ProjectError
from mesh.features.definition import Features
from mesh.features.reading import Types, read_features
from mesh.features.types import type_of
from mesh.project import Product, Project


def load_features(project: Project) -> dict[str, Features]:
    """Every declaration, by the product that it computes.

    Raises:
        ProjectError: a declaration is wrong, stands in another domain's folder, or is the second for its product.
    """
    found: dict[str, Features] = {}
    for domain in project.domains.values():
        for path in sorted((domain.path.parent / "features").glob("*.yaml")):
            features = _of_domain(project, domain.name, path)
            if features.product in found:
                raise ProjectError(
                    f"declares {features.product}, as {found[features.product].path} does already",
                    file=path, field="features", allowed="one declaration for each product",
                )  # fmt: skip
            found[features.product] = features
    return found


def _of_domain(project: Project, domain: str, path: Path) -> Features:
    own = {product.key: product for product in project.domains[domain].products}
    # What a build may read is what its product says it is made of: anything else would not be pinned.
    inputs = {key for product in own.values() for key in product.inputs}

    def columns(key: str) -> Types | None:
        product = project.products.get(key)
        return None if product is None or key not in own.keys() | inputs else product_types(product)

    features = read_features(path, columns)
    if features.product not in own:
        raise ProjectError(
            f"declares {features.product}, a product of another domain", file=path, field="features",
            allowed=", ".join(own),
        )  # fmt: skip
    read = {features.of, *(event.product for event in features.events), *(one.product for one in features.lookups)}
    lacking = sorted((read & set(project.products)) - set(own[features.product].inputs) - set(own))
    if lacking:
        raise ProjectError(
            f"reads {', '.join(lacking)}, which {features.product} does not name as inputs in domain.yaml", file=path,
            field="features", allowed=", ".join(own[features.product].inputs),
        )  # fmt: skip
    return features


def product_types(product: Product) -> Types:
    """The columns of a product with their types; None for those that features cannot read."""
    [table] = [one for one in product.contract.tables if one.name == product.name] or product.contract.tables[:1]
    return {column.name: type_of(column.physical_type) for column in table.columns}
