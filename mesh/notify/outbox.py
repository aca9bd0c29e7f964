"""The outbox: one row of `mesh.notification` per event and address, from its recording to its delivery.

Delivery is at least once. A message is sent while its row is locked, so of several dispatchers one sends it; where that
one dies between sending and committing, the message goes out again under the same key, by which a receiver can tell.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mesh.notify.recipients import Channel
from mesh.postgres import Postgres

State = Literal["pending", "sent", "failed"]

FIRST_PAUSE = timedelta(minutes=1)
ATTEMPTS = 11
"""Pauses double from one minute, so the last attempt is about 17 hours after the first."""


@dataclass(frozen=True)
class Message:
    """What one address is told of one event.

    Attributes:
        body: what a webhook gets as JSON; `subject` and `text` in it are what an email says.
    """

    event: str
    product: str
    channel: Channel
    recipient: str = field(repr=False)
    body: dict[str, Any] = field(hash=False)

    @property
    def key(self) -> str:
        """The same for every attempt to deliver this message, and for no other one."""
        return hashlib.sha256(f"{self.event}\n{self.recipient}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Failure:
    """Why a message was not delivered.

    Attributes:
        kind: a few words without addresses or what a server said: `HTTP 503`, `timeout`.
        final: nothing will change by trying again.
    """

    kind: str
    final: bool = False


@dataclass(frozen=True)
class Entry:
    """A row of the outbox. `changed_at` is when it was recorded or last tried."""

    message: Message
    state: State
    attempts: int
    next_try: datetime
    changed_at: datetime
    error: str | None


def pause(attempts: int) -> timedelta:
    """How long to wait after this many attempts in vain."""
    return FIRST_PAUSE * int(2 ** (attempts - 1))


def record(postgres: Postgres, messages: Sequence[Message], now: datetime) -> int:
    """Put messages in the outbox, each once however often it is recorded; returns how many are new."""
    if not messages:
        return 0
    with postgres.cursor() as cursor:
        # Asked first, since a refused insert still takes a number.
        cursor.execute(
            "select event, recipient from mesh.notification where event = any(%s)", ([m.event for m in messages],)
        )
        there, new = set(cursor.fetchall()), 0
        for message in messages:
            if (message.event, message.recipient) in there:
                continue
            values = (message.event, message.product, message.channel, message.recipient, json.dumps(message.body))
            cursor.execute(
                "insert into mesh.notification (event, product, channel, recipient, body, next_try, changed_at) "
                "values (%s, %s, %s, %s, %s, %s, %s) on conflict (event, recipient) do nothing",
                (*values, now, now),
            )
            new += cursor.rowcount
        return new


def send_next(
    postgres: Postgres, addresses: Sequence[tuple[str, str]], now: datetime, send: Callable[[Message], Failure | None]
) -> Entry | None:
    """Send the message that is due longest, while its row is locked; None where none is due.

    Args:
        addresses: (product, address) of those who are still registered; others are sent nothing any more.
        send: delivers a message, or says why not.
    """
    with postgres.cursor() as cursor:
        cursor.execute(
            "select id, event, product, channel, recipient, body, attempts from mesh.notification "
            "where state = 'pending' and next_try <= %s "
            "and (product, recipient) in (select * from unnest(%s::text[], %s::text[])) "
            "order by next_try, id limit 1 for update skip locked",
            (now, [product for product, _ in addresses], [address for _, address in addresses]),
        )
        row = cursor.fetchone()
        if row is None:
            return None
        number, *fields, attempts = row
        message = Message(*fields)
        failure = send(message)
        entry = _after(message, attempts + 1, failure, now)
        cursor.execute(
            "update mesh.notification set state = %s, attempts = %s, next_try = %s, changed_at = %s, error = %s "
            "where id = %s",
            (entry.state, entry.attempts, entry.next_try, entry.changed_at, entry.error, number),
        )
        return entry


def _after(message: Message, attempts: int, failure: Failure | None, now: datetime) -> Entry:
    state: State = "sent"
    if failure is not None:
        state = "failed" if failure.final or attempts >= ATTEMPTS else "pending"
    wait = pause(attempts) if state == "pending" else timedelta(0)
    return Entry(message, state, attempts, now + wait, now, failure.kind if failure else None)


def listing(postgres: Postgres, limit: int) -> tuple[Entry, ...]:
    """The newest rows, newest first."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "select event, product, channel, recipient, body, state, attempts, next_try, changed_at, error "
            "from mesh.notification order by id desc limit %s",
            (limit,),
        )
        rows = cursor.fetchall()
    return tuple(
        Entry(Message(*row[:5]), row[5], row[6], row[7].astimezone(UTC), row[8].astimezone(UTC), row[9]) for row in rows
    )


def retry(postgres: Postgres, now: datetime) -> int:
    """Make due again whatever was not delivered, as if it had never been tried; returns how many messages."""
    with postgres.cursor() as cursor:
        cursor.execute(
            "update mesh.notification set state = 'pending', attempts = 0, next_try = %s where state <> 'sent'", (now,)
        )
        return int(cursor.rowcount)
