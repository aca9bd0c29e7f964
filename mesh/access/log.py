"""The access log: who looked at values of rows, as what, for which purpose, and what was shown.

Append-only (the server refuses changes), and written before the values are given. It holds no values itself. There is
no login in this product: the role is a claim of the user of this machine, and the claim is on record.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg2

from mesh.errors import MeshError, ServiceError

if TYPE_CHECKING:
    from mesh.postgres import Postgres

_INSERT = """
    insert into mesh.access_log (os_user, role, purpose, product, rule, snapshot, rows_seen, columns)
    values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_READ = """
    select looked_at, os_user, role, purpose, product, rule, snapshot, rows_seen, columns
    from mesh.access_log order by id desc
"""
_USAGE = "select product, role, looks, rows_seen, last_look from mesh.usage order by product, role"


@dataclass(frozen=True)
class Look:
    """One look at the rows of one rule.

    Attributes:
        who: the user of the operating system.
        rows: how many rows were shown.
        columns: columns whose values were shown in the clear; empty where the role's clearance was enough for none.
    """

    who: str
    role: str
    purpose: str
    product: str
    rule: str
    snapshot: int
    rows: int
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """An entry of the log: a look, and when it was (UTC)."""

    at: datetime
    look: Look


@dataclass(frozen=True)
class Usage:
    """How often a role looked at values of a product's rows, how many rows were shown, and when last (UTC)."""

    product: str
    role: str
    looks: int
    rows: int
    last: datetime


def os_user() -> str:
    """The user this process runs as, by the operating system's word: the environment's could be anybody's."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def record_looks(postgres: Postgres, looks: Sequence[Look]) -> None:
    """Append looks, all or none.

    Raises:
        ServiceError: they could not be written; whoever asked must then give no values.
    """
    try:
        with postgres.cursor() as cursor:
            for look in looks:
                cursor.execute(
                    _INSERT,
                    (look.who, look.role, look.purpose, look.product, look.rule, look.snapshot, look.rows,
                     list(look.columns)),
                )  # fmt: skip
    except (psycopg2.Error, MeshError) as error:
        raise ServiceError(
            f"The look could not be put on record ({type(error).__name__}), so no values are shown. Without --role the "
            "rows are listed by key, file and row."
        ) from error


def read_accesses(postgres: Postgres) -> tuple[Access, ...]:
    """Every look so far, newest first."""
    with postgres.cursor() as cursor:
        cursor.execute(_READ)
        return tuple(
            Access(at.astimezone(UTC), Look(who, role, purpose, product, rule, snapshot, rows, tuple(columns)))
            for at, who, role, purpose, product, rule, snapshot, rows, columns in cursor.fetchall()
        )


def read_usage(postgres: Postgres) -> tuple[Usage, ...]:
    """The log added up by product and role; who looked and for what stays in the log."""
    with postgres.cursor() as cursor:
        cursor.execute(_USAGE)
        return tuple(
            Usage(product, role, looks, int(rows), last.astimezone(UTC))
            for product, role, looks, rows, last in cursor.fetchall()
        )
