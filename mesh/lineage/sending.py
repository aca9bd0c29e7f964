"""Sending OpenLineage events by the standard's own client, to where its own variables and file point."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mesh.errors import ServiceError, SettingsError

if TYPE_CHECKING:
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

WAIT = 60
"""Seconds that transports with a queue of their own have to empty it."""


def transport() -> OpenLineageClient:
    """A client that sends where the standard's own variables or file point.

    Raises:
        SettingsError: they point nowhere, or say that nothing is sent.
    """
    from openlineage.client import OpenLineageClient

    file = os.environ.get("OPENLINEAGE_CONFIG")
    if file and not Path(file).is_file():
        raise SettingsError(f"OPENLINEAGE_CONFIG names {file}, which is no file.")
    # Its own fallback would print every event to the console, after a warning; ours is an error.
    logging.getLogger("openlineage.client.client").setLevel(logging.ERROR)
    try:
        client = OpenLineageClient()
    except Exception as error:  # a wrong address, type or option: each transport raises its own
        raise SettingsError(f"What says where OpenLineage events go is wrong: {type(error).__name__}.") from error
    if client.transport.kind == "noop":
        raise SettingsError(
            "OPENLINEAGE_DISABLED, or a transport of type noop, says that no OpenLineage event is sent."
        )
    if client.transport.kind == "console" and not client.config.transport:
        raise SettingsError(
            "Nothing says where OpenLineage events go. Set OPENLINEAGE_URL to a receiver's address or "
            "OPENLINEAGE_CONFIG to an openlineage.yml, or write them to a file with --out."
        )
    # What the client would add from git, the repository's address and branch, is no fact of a release.
    client.config.facets.source_code_location.disabled = True
    return client


def send_events(client: OpenLineageClient, found: Sequence[RunEvent]) -> None:
    """Send events in their order, and wait until they have left.

    Raises:
        ServiceError: one could not be sent; those before it were, and sending all again is safe.
    """
    try:
        for number, event in enumerate(found):
            try:
                client.emit(event)
            except Exception as error:
                status = getattr(getattr(error, "response", None), "status_code", None)
                why = f"the receiver answered {status}" if status else type(error).__name__
                raise ServiceError(
                    f"Of {len(found)} OpenLineage events {number} were sent, the next was not: {why}. Send them all "
                    "again once that is mended: a receiver knows those it has."
                ) from error
    finally:
        gone = client.close(timeout=WAIT)
    if not gone:
        raise ServiceError(f"Some OpenLineage events had not left after {WAIT} seconds. Send them all again.")
