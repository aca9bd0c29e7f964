"""Reading releases back from the lake's commits.

The catalog's own tables are the documented DuckLake format, so listing needs no DuckDB connection.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from functools import cached_property

from mesh.errors import NotFound
from mesh.postgres import Postgres
from mesh.release.record import MARK, Release

# The large parts of a record; a listing leaves them in the catalog.
HEAVY = ("files", "contract_text", "lineage")

_CATALOG_EXISTS = "select to_regclass('public.ducklake_snapshot_changes') is not null"
_RECORDS = """
    select change.snapshot_id, snapshot.snapshot_time,
           change.commit_extra_info::jsonb - %(heavy)s::text[]
    from ducklake_snapshot_changes change
    join ducklake_snapshot snapshot using (snapshot_id)
    where change.commit_extra_info like %(mark)s
      and (%(commit)s::bigint is null or change.snapshot_id = %(commit)s)
    order by change.snapshot_id
"""


class History:
    """Every release of the mesh, oldest first. Reads once; take a new one to see later releases."""

    def __init__(self, releases: Iterable[Release]) -> None:
        self.releases = tuple(releases)

    @cached_property
    def served(self) -> dict[str, Release]:
        """Per product the release its public view points to now (the last publish or rollback).

        What was retired is served no more.
        """
        last = {release.product: release for release in self.releases}
        return {product: release for product, release in last.items() if release.kind != "retired"}

    @cached_property
    def retired(self) -> dict[str, Release]:
        """Per product that is served no more the record of its end."""
        last = {release.product: release for release in self.releases}
        return {product: release for product, release in last.items() if release.kind == "retired"}

    @cached_property
    def newest(self) -> dict[str, Release]:
        """Per product the release with the highest number, served or rolled back from."""
        built: dict[str, Release] = {}
        for release in self.releases:
            if release.kind == "release":
                built[release.product] = release
        return built

    def at(self, commit: int) -> History:
        """The history as it was at a lake snapshot."""
        return History(release for release in self.releases if release.commit <= commit)

    def of(self, product: str) -> tuple[Release, ...]:
        """All records of a product, rollbacks included, oldest first."""
        return tuple(release for release in self.releases if release.product == product)

    def get(self, product: str, number: int) -> Release:
        """The publish (not a rollback) of this release.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        mine = [release for release in self.of(product) if release.kind == "release"]
        for release in mine:
            if release.release == number:
                return release
        there = f"it has {', '.join(str(r.release) for r in mine)}" if mine else "it has none"
        raise NotFound(f"{product} has no release {number}: {there}. `mesh releases {product}` lists them.")


def read_history(postgres: Postgres) -> History:
    """The releases of the mesh, without manifests, contract texts and lineage of columns."""
    return History(_read(postgres, HEAVY))


def read_whole(postgres: Postgres, release: Release) -> Release:
    """The same release with its file manifest, contract text and lineage of columns."""
    return _read(postgres, (), release.commit)[0]


def _read(postgres: Postgres, leave_out: tuple[str, ...], commit: int | None = None) -> list[Release]:
    with postgres.cursor() as cursor:
        cursor.execute(_CATALOG_EXISTS)
        if not cursor.fetchone()[0]:
            return []
        mark = '{"mark":' + json.dumps(MARK) + "%"
        cursor.execute(_RECORDS, {"heavy": list(leave_out), "mark": mark, "commit": commit})
        return [
            Release.model_validate({**body, "commit": snapshot, "published_at": at.astimezone(UTC)})
            for snapshot, at, body in cursor.fetchall()
        ]
