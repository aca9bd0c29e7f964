"""Notifications while the mesh is up: one sensor per domain that tells owners and consumers what happened since."""

import dagster as dg

from dagster_project.resources import process_mesh
from mesh.notify import dispatch

INTERVAL_SECONDS = 15


def notification_sensor(domain: str) -> dg.SensorDefinition:
    """Looks at the products of a domain; its ticks show who was told of what."""

    @dg.sensor(
        name=f"{domain}_notifications",
        description="Tells owners and registered consumers of releases, failed audits, late products and deprecations.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tell() -> dg.SkipReason:
        # It starts no run, so that every tick is a skipped one for Dagster.
        return dg.SkipReason(str(dispatch(process_mesh(), domain)) or "Nothing to tell.")

    return tell
