"""Availability: the share of probes that could read every view of the product.

Time in which nobody probed (`mesh up` was down) is neither available nor unavailable: it is left out of the share, and
the number of hours in which there was a probe is told beside it. An outage of the Postgres server itself is such time,
since the probes are recorded there.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction

from mesh.contract import ServiceLevel
from mesh.contract.service import promised_percent
from mesh.levels.probes import probed
from mesh.levels.results import LevelResult, spoken
from mesh.postgres import Postgres


def judge_availability(
    postgres: Postgres, product: str, level: ServiceLevel, window: timedelta, now: datetime
) -> LevelResult:
    """Hold a level against the probes of a product in the window that ends now."""
    promised = promised_percent(level)
    assert promised is not None
    seen = probed(postgres, product, now - window, now)
    if not seen.probes:
        told = f"No probe in the last {spoken(window)}: `mesh up` probes by itself, `mesh probe {product}` once."
        return LevelResult(level, "not measured", None, told)
    share = Fraction(100 * seen.succeeded, seen.probes)
    # Rounded down, so that what misses the promise by a hair is not shown as equal to it.
    shown = math.floor(share * 1000) / 1000
    hours = max(math.ceil(window / timedelta(hours=1)), 1)
    return LevelResult(
        level,
        "passed" if share >= Fraction(str(promised)) else "failed",
        shown,
        f"{seen.succeeded:,} of {seen.probes:,} probes could read it ({shown:g} %), promised are {promised:g} %; there "
        f"were probes in {min(seen.hours, hours):,} of the last {hours:,} hours.",
    )
