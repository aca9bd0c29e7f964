"""Who is told of what about a product: its owner, as the contract names it, and its registered consumers.

The owner's addresses are the `support` channels of the contract, in the words of the Open Data Contract Standard:

    url: mailto:ADDRESS     an email of every event, of less where there is a `scope`:
      scope: announcements    releases and deprecations
      scope: issues           failed audits, lateness and missed availability
      scope: interactive      nothing, since people talk there
    url: https://...        a webhook only with `scope: notifications` and `tool: other` (or none); the address of a
                            chat or a ticket desk is a page for people

An owner that is itself an address gets emails of every event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from mesh.contract import EVENTS, Consumer, Contract, EventKind, load_consumers
from mesh.contract.consumers import is_address, is_webhook

Channel = Literal["email", "webhook"]

SCOPES: dict[str | None, tuple[EventKind, ...]] = {
    None: EVENTS,
    "notifications": EVENTS,
    "announcements": ("release", "deprecation"),
    "issues": ("audit_failed", "late", "unavailable"),
    "interactive": (),
}


@dataclass(frozen=True)
class Recipient:
    """One address that is told of these events, and why.

    Attributes:
        file: where the address is registered, relative to the project.
        consumer: None for the owner.
    """

    channel: Channel
    address: str = field(repr=False)
    events: tuple[EventKind, ...]
    file: str
    consumer: Consumer | None = None


def owners(contract: Contract) -> tuple[Recipient, ...]:
    """The owner's addresses; a support channel that is none of ours is left alone."""
    file = f"contracts/{contract.name}.yaml"
    owner = contract.owner or ""
    found = [Recipient("email", owner, EVENTS, file)] if is_address(owner) else []
    for support in contract.odcs.support or ():
        url, tool = support.url or "", (support.tool or "").lower()
        scope = support.scope.lower() if support.scope else None
        if url.lower().startswith("mailto:"):
            found += [Recipient("email", address, SCOPES.get(scope, ()), file) for address in _addresses(url)]
        elif scope == "notifications" and tool in ("", "other") and is_webhook(url):
            found.append(Recipient("webhook", url, EVENTS, file))
    return tuple(found)


def consumers(root: Path, contract: Contract) -> tuple[Recipient, ...]:
    """The addresses of the registered consumers; raises ContractError where a file is wrong."""
    found = []
    for consumer in load_consumers(root, contract):
        file = f"contracts/{contract.name}.consumers/{consumer.name}.yaml"
        if consumer.email:
            found.append(Recipient("email", consumer.email, consumer.events, file, consumer))
        if consumer.webhook:
            found.append(Recipient("webhook", consumer.webhook, consumer.events, file, consumer))
    return tuple(found)


def masked(address: str) -> str:
    """An address as it may be shown: `a***@example.org`, `https://hooks.example.org/…`; the rest may be a secret."""
    local, at, host = address.rpartition("@")
    if at and "://" not in address:
        return f"{local[:1]}***@{host}"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"


def _addresses(url: str) -> Iterator[str]:
    for address in urlsplit(url).path.split(","):
        if is_address(unquote(address).strip()):
            yield unquote(address).strip()
