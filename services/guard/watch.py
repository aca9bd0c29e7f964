"""When requests at work are overdue.

One look at all of them four times a second instead of a timer for each: a timer costs what ten limits do.
"""

from __future__ import annotations

import asyncio
import time

from services.guard.exchange import Exchange

LOOK_SECONDS = 0.25


class Watch:
    """Cancels what is overdue; whoever is cancelled sees by `overdue` that it was this and nobody else."""

    def __init__(self) -> None:
        self.at_work: set[Exchange] = set()

    async def keep(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for request in [request for request in self.at_work if request.deadline < now and not request.overdue]:
                request.overdue = True
                request.task.cancel()
