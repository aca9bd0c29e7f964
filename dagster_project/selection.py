"""Which assets a run of some products has to build."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph

from dagster_project.keys import published_keys
from mesh.project import Product
from mesh.session import Mesh


def assets_of(mesh: Mesh, graph: BaseAssetGraph, products: Sequence[Product]) -> set[dg.AssetKey]:
    """The published views of products of one domain, and all of the domain that leads to them.

    Views of other products end the walk: they are read as they are served, not built on the way.
    """
    domain = mesh.project.domain(products[0].domain)
    wanted = {key for product in products for key in published_keys(product).values()}
    served = {key for product in domain.products for key in published_keys(product).values()} - wanted
    queue = list(wanted)
    while queue:
        for key in graph.get(queue.pop()).parent_keys:
            if key.path[0] == domain.name and key not in served | wanted:
                wanted.add(key)
                queue.append(key)
    return wanted
