"""What was built and how its audit went, with the times at which each came on record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mesh.audit import Audit
from mesh.release import Build

if TYPE_CHECKING:
    from mesh.postgres import Postgres

_TRIES = """
    select distinct on (build.snapshot) build.body, build.built_at, audit.body, audit.audited_at
    from mesh.build
    left join lateral (
        select body, audited_at from mesh.audit
        where audit.product = build.product and audit.snapshot = build.snapshot and audit.audited_at >= build.built_at
        order by audit.id desc limit 1
    ) audit on true
    where build.product = %s
    order by build.snapshot, build.id desc
"""


@dataclass(frozen=True)
class Try:
    """A candidate and its newest audit, if it was audited."""

    build: Build
    built_at: datetime
    audit: Audit | None
    audited_at: datetime | None


def tries(postgres: Postgres, product: str) -> tuple[Try, ...]:
    """Every candidate of a product, oldest first; of one that was recorded twice the newer record."""
    with postgres.cursor() as cursor:
        cursor.execute(_TRIES, (product,))
        return tuple(
            Try(
                build=Build.model_validate(build),
                built_at=built_at.astimezone(UTC),
                audit=Audit.from_json(json.dumps(audit)) if audit else None,
                audited_at=audited_at.astimezone(UTC) if audited_at else None,
            )
            for build, built_at, audit, audited_at in cursor.fetchall()
        )
