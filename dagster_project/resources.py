"""What assets get from their run: the opened mesh."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from mesh.session import Mesh, open_mesh


@lru_cache(maxsize=1)
def process_mesh() -> Mesh:
    """The mesh of this process, opened once: every step of an in-process run shares it."""
    return open_mesh()


class MeshResource(dg.ConfigurableResource):
    """The mesh, as a Dagster resource. Steps ask it for connections and close them."""

    @property
    def mesh(self) -> Mesh:
        return process_mesh()
