"""What a guard does beside the requests: reads changed files again, follows the register, ships the trail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg2

from mesh import postgres as server
from mesh.access.callers import Callers
from mesh.access.register import mirror
from mesh.access.shipping import Shipping
from mesh.access.trail import Trail
from mesh.errors import MeshError, ServiceError
from mesh.postgres import Postgres
from mesh.settings import Settings

FILES_SECONDS = 0.5
SERVER_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Upkeep:
    """Two threads, so that a server that does not answer holds up no revocation that is in the file already."""

    def __init__(self, settings: Settings, callers: Callers, trail: Trail) -> None:
        self._settings = settings
        self._shipping = Shipping(trail)
        self._postgres: Postgres | None = None
        self._reached = True
        self._end = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._again, args=(callers.refresh, FILES_SECONDS), name="guard-files", daemon=True
            ),
            threading.Thread(target=self._again, args=(self.follow, SERVER_SECONDS), name="guard-server", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ship what is there once more, where the server is up, and end."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        self.follow()

    def follow(self) -> None:
        """Ship the trail and mirror the register; where Postgres is down, both wait."""
        try:
            # Not started from here: whoever stopped the embedded server meant it.
            if self._postgres is None:
                self._postgres = _reach(self._settings)
            self._shipping.ship(self._postgres)
            mirror(self._postgres, self._settings)
        except (MeshError, psycopg2.Error, OSError) as error:
            self._postgres = None
            if self._reached:
                _log.warning("Register and trail wait for Postgres (%s).", type(error).__name__)
            self._reached = False
            return
        self._reached = True

    def _again(self, work: Callable[[], object], seconds: float) -> None:
        while True:
            try:
                work()
            except Exception as error:
                # The thread must live on: without it no revocation would be seen. The kind only, never what is in it.
                _log.error("Upkeep of the guard failed: %s", type(error).__name__)
            if self._end.wait(seconds):
                return


def _reach(settings: Settings) -> Postgres:
    if settings.postgres_url is None and not server.is_running(settings):
        raise ServiceError("The embedded Postgres is stopped.")
    return server.start(settings)
