"""All declarations of features of a mesh, each held against the contracts of the products that it names."""

from __future__ import annotations

from dataclasses import replace
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

    majors = {key: _major_read(project, key, inputs) for key in project.products if key not in own}

    def columns(key: str) -> Types | None:
        product = project.products.get(majors.get(key, key))
        return None if product is None or product.key not in own.keys() | inputs else product_types(product)

    features = _of_majors(read_features(path, columns), majors)
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


def _major_read(project: Project, key: str, inputs: set[str]) -> str:
    """What a product's name means to a domain: the major that its inputs name, which may be an older one."""
    if key in inputs:
        return key
    meant = project.products[key].contract.id
    return next((one for one in sorted(inputs) if project.products[one].contract.id == meant), key)


def _of_majors(features: Features, majors: dict[str, str]) -> Features:
    """The declaration with the products that it reads by the names of their majors."""
    named = {key: majors.get(key, key) for key in features.products}
    return replace(
        features,
        of=named.get(features.of, features.of),
        events=tuple(replace(event, product=named[event.product]) for event in features.events),
        lookups=tuple(replace(lookup, product=named[lookup.product]) for lookup in features.lookups),
        products={named[key]: types for key, types in features.products.items()},
    )


def product_types(product: Product) -> Types:
    """The columns of a product with their types; None for those that features cannot read."""
    [table] = [one for one in product.contract.tables if one.name == product.name] or product.contract.tables[:1]
    return {column.name: type_of(column.physical_type) for column in table.columns}
