"""From the trail of a service to `mesh.service_access`: every entry once, whenever Postgres is up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from psycopg2.extras import execute_values

from mesh.access.trail import Entry, Trail

if TYPE_CHECKING:
    from mesh.postgres import Postgres

PIECE = 1000

# An entry may come twice, where a process ended between committing and removing a file; its id tells.
_INSERT = """
    insert into mesh.service_access
        (id, at, outcome, status, route, token, bearer, role, purpose, subjects, correlation, times)
    values %s on conflict (id) do nothing
"""
_READ = """
    select id, (extract(epoch from at) * 1000000)::bigint, outcome, status, route, token, bearer, role, purpose,
        subjects, correlation, times
    from mesh.service_access order by at desc, id limit %s
"""
_log = logging.getLogger(__name__)


@dataclass
class Shipping:
    """What of a trail has been shipped; remembered for the segment that is still being written."""

    trail: Trail
    _places: dict[Path, int] = field(default_factory=dict)

    def ship(self, postgres: Postgres) -> int:
        """Ship what is on disk by now, remove finished segments, and tell how many entries were sent.

        Raises:
            ServiceError, psycopg2.Error: Postgres does not answer; what was not shipped stays on disk.
        """
        sent = 0
        segments = sorted(self.trail.folder.glob("*.jsonl"))
        # Asked after the listing: what is listed and is not this one will never be written again.
        current = self.trail.current
        for segment in segments:
            sent += self._ship_segment(postgres, segment)
            if segment != current:
                segment.unlink()
                self._places.pop(segment, None)
        return sent

    def _ship_segment(self, postgres: Postgres, segment: Path) -> int:
        sent, place = 0, self._places.get(segment, 0)
        with segment.open("rb") as lines:
            lines.seek(place)
            # A last line without an end was torn by a kill: nobody was answered on the strength of it.
            whole = iter(lambda: lines.readline(), b"")
            while piece := list(islice((line for line in whole if line.endswith(b"\n")), PIECE)):
                entries = list(_decoded(piece, segment))
                with postgres.cursor() as cursor:
                    execute_values(cursor, _INSERT, [_row(entry) for entry in entries])
                place += sum(map(len, piece))
                sent += len(entries)
                self._places[segment] = place
        return sent


def read_service_accesses(postgres: Postgres, limit: int) -> tuple[Entry, ...]:
    """The newest looks and refusals of the services that have been shipped, newest first."""
    with postgres.cursor() as cursor:
        cursor.execute(_READ, (limit,))
        return tuple(
            Entry(
                id=name, at=at, outcome=outcome, status=status, route=route, token=token, bearer=bearer, role=role,
                purpose=purpose, subjects=tuple(subjects), correlation=correlation, times=times,
            )
            for name, at, outcome, status, route, token, bearer, role, purpose, subjects, correlation, times
            in cursor.fetchall()
        )  # fmt: skip


def _decoded(lines: list[bytes], segment: Path) -> Iterator[Entry]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Entry)
        except msgspec.MsgspecError:
            _log.error("A line of the access trail %s is damaged and was left out.", segment)


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.id, datetime.fromtimestamp(entry.at / 1e6, UTC), entry.outcome, entry.status, entry.route, entry.token,
        entry.bearer, entry.role, entry.purpose, list(entry.subjects), entry.correlation, entry.times,
    )  # fmt: skip
