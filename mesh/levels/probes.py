"""The record of probes: `mesh.probe`, append-only, one row per product and look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from mesh.postgres import Postgres


@dataclass(frozen=True)
class Probe:
    """One look at a published product as a consumer reads it.

    Attributes:
        at: when (UTC).
        ms: how long it took to attach the mesh and read a row of every view, until the first failure.
        view: the view that could not be read; None where all could, or where the mesh could not be attached.
        error: the kind of error, never its text; None where every view could be read.
    """

    product: str
    release: int
    at: datetime
    ms: int
    view: str | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Probed:
    """What the probes of one product say in a window: how many there were, how many could read it, and in how many
    hours of the window there was one at all.
    """

    probes: int
    succeeded: int
    hours: int


@dataclass(frozen=True)
class Outage:
    """The newest probes in a row that failed: the number of the first one, when they were, and the last one's error."""

    number: int
    began: datetime
    last: datetime
    error: str


_INSERT = """
    insert into mesh.probe (probed_at, product, release, ms, ok, view, error) values (%s, %s, %s, %s, %s, %s, %s)
"""
_WINDOW = """
    select count(*), count(*) filter (where ok), count(distinct floor(extract(epoch from probed_at) / 3600))
    from mesh.probe where product = %s and probed_at > %s and probed_at <= %s
"""
_OUTAGE = """
    with failed as (select * from mesh.probe where product = %(product)s and not ok and probed_at <= %(now)s),
    before as (
        select max(id) as id from mesh.probe
        where product = %(product)s and ok and id < (select max(id) from failed)
    )
    select min(id), min(probed_at), max(probed_at), (array_agg(error order by id desc))[1]
    from failed where id > coalesce((select id from before), 0)
"""


def record_probes(postgres: Postgres, probes: Iterable[Probe]) -> None:
    """Append what was seen."""
    with postgres.cursor() as cursor:
        for probe in probes:
            cursor.execute(
                _INSERT,
                (probe.at, probe.product, probe.release, probe.ms, probe.ok, probe.view, probe.error),
            )


def probed(postgres: Postgres, product: str, since: datetime, now: datetime) -> Probed:
    """The probes of a product in a window."""
    with postgres.cursor() as cursor:
        cursor.execute(_WINDOW, (product, since, now))
        return Probed(*cursor.fetchone())


def newest_outage(postgres: Postgres, product: str, now: datetime) -> Outage | None:
    """The newest run of failed probes, whether it is over or not; None where none ever failed."""
    with postgres.cursor() as cursor:
        cursor.execute(_OUTAGE, {"product": product, "now": now})
        number, began, last, error = cursor.fetchone()
    return None if number is None else Outage(number, began.astimezone(UTC), last.astimezone(UTC), error)


def last_probe(postgres: Postgres, product: str) -> datetime | None:
    """When a product was looked at last."""
    with postgres.cursor() as cursor:
        cursor.execute("select max(probed_at) from mesh.probe where product = %s", (product,))
        (at,) = cursor.fetchone()
    return at.astimezone(UTC) if at else None
