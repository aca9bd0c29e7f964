"""Retiring an older major: its views are dropped, once nobody relies on them and its day has passed."""

from __future__ import annotations

from datetime import date

import duckdb

from mesh.contract import Contract, load_consumers
from mesh.errors import PublishRefused, UsageError
from mesh.lake import LAKE
from mesh.postgres import Postgres
from mesh.project import Project
from mesh.release.history import History, read_history, read_whole
from mesh.release.publish import in_transaction
from mesh.release.record import Release

END = "endOfLife"


def hindrances(project: Project, contract: Contract, today: date) -> tuple[str, ...]:
    """What stands against retiring a major: consumers, products made from it, a day that is ahead or was never told."""
    found = [f"consumer {consumer.name} is registered" for consumer in load_consumers(project.root, contract)]
    found += [f"{key} is made from it" for key in project.downstream(contract.name)]
    ends = [str(level.value) for level in contract.sla if level.name == END]
    if not ends:
        found.append(f"its contract announces no {END}")
    elif ends[0] > today.isoformat():
        found.append(f"its {END} is {ends[0]}")
    return tuple(found)


def retire(
    connection: duckdb.DuckDBPyConnection,
    postgres: Postgres,
    project: Project,
    contract: Contract,
    *,
    author: str,
    why: str = "",
    force: bool = False,
    today: date | None = None,
) -> Release | None:
    """Drop the views of an older major, with the reason on record. Data and releases stay in the lake.

    Args:
        why: the reason; must be given with `force`.
        force: retire it although something stands against it.

    Returns:
        the record, or None where nothing was served.

    Raises:
        UsageError: it is no older major, or it is forced without a reason.
        PublishRefused: somebody relies on it still, or its day is ahead; all that stands against it is told.
    """
    if not contract.older:
        raise UsageError(f"{contract.name} is the newest major. Allowed: an older one, such as claims/claims_v1")
    if force and not why.strip():
        raise UsageError("Forcing needs a reason for the record: --why TEXT")
    against = hindrances(project, contract, today or date.today())
    if against and not force:
        raise PublishRefused(
            f"{contract.name} is not retired: {'; '.join(against)}. Move them to the newer major first, or record why "
            "not: --force --why TEXT"
        )
    reason = why.strip() or "its end has come and nobody relies on it"

    def record(history: History) -> Release:
        whole = read_whole(postgres, history.served[contract.name])
        note = f"{reason} (forced: {'; '.join(against)})" if against else reason
        return whole.model_copy(update={"kind": "retired", "why": note, "author": author})

    if contract.name not in read_history(postgres).served:
        return None
    return in_transaction(connection, postgres, contract.name, record, _drop)


def _drop(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    for view in release.views:
        connection.execute(f"drop view if exists {LAKE}.{view}")
