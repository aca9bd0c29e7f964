"""From events to delivered messages: record what is news in the outbox, then send what is due."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mesh.contract.consumers import registered
from mesh.errors import MeshError
from mesh.notify import outbox
from mesh.notify.channels import Channels
from mesh.notify.events import news
from mesh.notify.messages import messages
from mesh.notify.outbox import Entry
from mesh.notify.recipients import Recipient, consumers, masked, owners
from mesh.project import Product
from mesh.session import Mesh

SECONDS = 30
"""A dispatch begins no message after this time; what is left is due at the next one."""


@dataclass
class Dispatch:
    """What one dispatch did.

    Attributes:
        tried: the messages it tried to deliver, in that order.
        problems: files of consumers that are wrong, so that nobody in them is told anything.
    """

    tried: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def sent(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.tried if entry.state == "sent")

    @property
    def unsent(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.tried if entry.state != "sent")

    def __str__(self) -> str:
        """One line; empty where nothing was done."""
        told = [f"Told of {event} by {_places(self.sent, event)}." for event in _events(self.sent)]
        told += [f"Not told of {event} by {_places(self.unsent, event)}." for event in _events(self.unsent)]
        return " ".join([*told, *self.problems])


def dispatch(
    mesh: Mesh, domain: str | None = None, *, now: datetime | None = None, seconds: float = SECONDS
) -> Dispatch:
    """Tell owners and registered consumers what they were not told yet; safe to call at any time, in any process.

    Args:
        domain: only its products; default all.
        now: the moment that lateness and retries are judged at (UTC); default now.

    Raises:
        ServiceError: Postgres does not answer. Who cannot be reached is no error, but told in the result.
    """
    done, moment = Dispatch(), now or datetime.now(UTC)
    products = mesh.project.select(domain)
    told = {product.key: _recipients(mesh, product, done.problems) for product in products}
    _strays(mesh, domain, done.problems)
    addresses = sorted({(key, recipient.address) for key, found in told.items() for recipient in found})
    if not addresses:
        return done
    events = news(mesh, [product for product in products if told[product.key]], moment)
    outbox.record(mesh.postgres, messages(events, told), moment)
    deadline = time.monotonic() + seconds
    with Channels(mesh.settings) as channels:
        while time.monotonic() < deadline:
            entry = outbox.send_next(mesh.postgres, addresses, moment, channels.send)
            if entry is None:
                break
            done.tried.append(entry)
    return done


def _recipients(mesh: Mesh, product: Product, problems: list[str]) -> tuple[Recipient, ...]:
    """Everybody who is told of a product; one wrong file of a consumer keeps the owner informed."""
    found = owners(product.contract)
    try:
        return (*found, *consumers(mesh.settings.project, product.contract))
    except MeshError as error:
        problems.append(str(error))
        return found


def _strays(mesh: Mesh, domain: str | None, problems: list[str]) -> None:
    for key in registered(mesh.settings.project):
        if domain in (None, key.split("/")[0]) and key not in mesh.project.products:
            problems.append(
                f"contracts/{key}.consumers: there is no product {key}, so nobody in there is told anything."
            )


def _events(entries: Iterable[Entry]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.message.event for entry in entries))


def _places(entries: Iterable[Entry], event: str) -> str:
    return ", ".join(
        masked(entry.message.recipient) + (f" ({entry.error})" if entry.error else "")
        for entry in entries
        if entry.message.event == event
    )
