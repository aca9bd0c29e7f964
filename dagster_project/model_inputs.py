"""What a build of a model reads: which releases, from which relations, made by which assets."""

from collections.abc import Callable, Mapping, Sequence

import dagster as dg

from mesh.errors import ModelError
from mesh.lake import INPUTS
from mesh.model import ContractRef, Ledger, ModelDefinition, RelationFor, ReleaseRef, TrainingContext, fingerprint
from mesh.project import Product
from mesh.session import Mesh


def training_context(
    mesh: Mesh,
    product: Product,
    definition: ModelDefinition,
    at: int,
    run_id: str,
    products: Sequence[str] = (),
) -> TrainingContext:
    """Where a training or scoring stands: the releases served at a snapshot, their contracts, this code.

    Args:
        products: what is read; default what training reads.
    """
    served = mesh.history().at(at).served
    read = tuple(products) or definition.products
    missing = [key for key in read if key not in served]
    if missing:
        raise ModelError(f"{definition.model} reads {', '.join(missing)}, which has no release yet. Publish it first.")
    undeclared = sorted(set(read) - set(product.inputs))
    if undeclared:
        raise ModelError(
            f"{definition.model} reads {', '.join(undeclared)}; name it among the inputContracts of {product.name} in "
            f"data_products/{product.domain}/domain.yaml, so that a new release is noticed."
        )
    releases = {key: ReleaseRef(served[key].release, served[key].snapshot) for key in read}
    return TrainingContext(
        domain=product.domain,
        releases=releases,
        contracts={key: ContractRef(served[key].contract_version, served[key].contract_hash) for key in read},
        code_revision=mesh.code_revision,
        run_id=run_id,
        tracking_uri=mesh.postgres.url(mesh.postgres.mlflow_database),
        artifact_dir=mesh.settings.home / "mlflow" / "artifacts",
        # Not the git commit: an unrelated commit must not train a model again.
        fingerprint=fingerprint(definition, releases, ""),
        home=mesh.settings.home,
        threads=mesh.settings.threads,
        ledger=Ledger(mesh.postgres),
    )


def relations(mesh: Mesh) -> RelationFor:
    """Where the build reads a product: its public view in the pinned inputs."""
    products: Mapping[str, Product] = mesh.project.products

    def relation_for(key: str) -> str:
        product = products[key]
        return f"{INPUTS}.{product.contract.view(product.contract.tables[0])}"

    return relation_for


def relations_at(mesh: Mesh) -> Callable[[str, int], str]:
    """Where the build reads a product as an earlier release had it."""
    history = mesh.history()

    def relation_at(key: str, number: int) -> str:
        product, release = mesh.project.products[key], history.get(key, number)
        table = product.contract.tables[0]
        return f"(from {INPUTS}.{product.build_schema}.{table.name} at (version => {release.snapshot}))"

    return relation_at


def published(key: str) -> dg.AssetKey:
    """The view of an upstream product; its major version is the one its contract has now."""
    from dagster_project.resources import process_mesh

    upstream = process_mesh().project.product(key)
    return dg.AssetKey(upstream.contract.view(upstream.contract.tables[0]).split("."))
