"""What assets get from their run: the opened mesh."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from dagster_project import orphans
from mesh.session import Mesh, open_mesh


@lru_cache(maxsize=1)
def process_mesh() -> Mesh:
    """The mesh of this process, opened once: every step of an in-process run shares it."""
    return open_mesh()


class MeshResource(dg.ConfigurableResource):
    """The mesh, as a Dagster resource. Steps ask it for connections and close them."""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Put the process on the run's record, so that a run whose process is gone is known as dead."""
        if context.run is not None and context.instance is not None and orphans.PID not in context.run.tags:
            context.instance.add_run_tags(context.run.run_id, orphans.process_tags())

    @property
    def mesh(self) -> Mesh:
        return process_mesh()
