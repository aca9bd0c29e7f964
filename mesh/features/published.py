"""Entity stores of the products that a mesh has published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh import lake
from mesh.contract.majors import published_name
from mesh.errors import NotFound
from mesh.features.building import build_store, products_read
from mesh.features.kept import Keeping
from mesh.features.store import Manifest

if TYPE_CHECKING:
    from mesh.release import Release
    from mesh.session import Mesh


def served_inputs(mesh: Mesh, keeping: Keeping, at: int) -> dict[str, Release]:
    """The releases that a store built at a lake snapshot is made of: when they are others, it is time for another.

    Raises:
        NotFound: a product has no release there.
    """
    served = mesh.history().at(at).served
    lacking = sorted(products_read(keeping) - served.keys())
    if lacking:
        raise NotFound(f"{', '.join(lacking)} has no release that {keeping.features.product} could be worked out from")
    return {product: served[product] for product in sorted(products_read(keeping))}


def build_published(mesh: Mesh, keeping: Keeping, folder: Path, *, at: int | None = None) -> Manifest:
    """Build the store of a declaration in a new folder, from all products as they were at one lake snapshot.

    Args:
        at: the snapshot; the newest where none is given.

    Raises:
        NotFound: a product has no release there.
        UsageError: the folder is there already.
    """
    snapshot = lake.newest_snapshot(mesh.postgres) if at is None else at
    releases = served_inputs(mesh, keeping, snapshot)
    with lake.reader(mesh.postgres, mesh.settings, at=snapshot) as connection:
        return build_store(
            connection, keeping, {product: _view(product, release) for product, release in releases.items()}, folder,
            snapshot=snapshot, releases={product: release.reference for product, release in releases.items()},
        )  # fmt: skip


def _view(product: str, release: Release) -> str:
    """The view of the product's own table: the one of its name, or its first."""
    domain, name = product.split("/")
    own = f"{domain}.{published_name(name, release.major)}"
    return own if own in release.views else release.views[0]
