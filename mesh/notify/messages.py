"""What an address is told of an event: facts and counts, never a value of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mesh.notify.events import Event
from mesh.notify.outbox import Message
from mesh.notify.recipients import Recipient


def messages(events: Iterable[Event], told: Mapping[str, Sequence[Recipient]]) -> list[Message]:
    """One message per event and address that wants to know of it, even where it is registered twice.

    Args:
        told: by product who may be told.
    """
    found = []
    for event in events:
        by_address: dict[str, list[Recipient]] = {}
        for recipient in told[event.product]:
            if event.kind in recipient.events:
                by_address.setdefault(recipient.address, []).append(recipient)
        for address, recipients in by_address.items():
            found.append(Message(event.id, event.product, recipients[0].channel, address, body(event, recipients)))
    return found


def body(event: Event, recipients: Sequence[Recipient]) -> dict[str, Any]:
    """The message to one address: JSON for a webhook, with the `subject` and `text` of an email in it.

    Args:
        recipients: all that this address is registered as.
    """
    touched = [(recipient, columns) for recipient in recipients if (columns := _touched(event, recipient))]
    parts = [
        event.text,
        "\n".join(f"{_name(recipient)} relies on {', '.join(columns)}: failed rules are about that."
                  for recipient, columns in touched),
        "To see more:\n" + "\n".join(f"  {command}" for command in event.commands),
        "\n".join(f"You are told as {_name(recipient)} of {event.product}: {recipient.file}"
                  for recipient in recipients),
    ]  # fmt: skip
    return {
        "event": event.id,
        "kind": event.kind,
        "product": event.product,
        "at": event.at.isoformat(timespec="seconds"),
        "release": event.release,
        "contract_version": event.contract_version,
        "contract": f"contracts/{event.product}.yaml",
        "subject": f"[Insight Mesh] {event.subject}",
        "text": "\n\n".join(part for part in parts if part) + "\n",
        "commands": list(event.commands),
        "failed_rules": [
            {"rule": result.rule_id, "failing_rows": result.failing_rows, "rows": result.rows}
            for result in event.failed
        ],
        "columns": sorted({column for _, columns in touched for column in columns}),
    }


def _touched(event: Event, recipient: Recipient) -> list[str]:
    """The columns that a consumer relies on and a failed rule is about."""
    failed = {f"{result.table}.{column}" for result in event.failed for column in result.columns}
    return [column for column in recipient.consumer.columns if column in failed] if recipient.consumer else []


def _name(recipient: Recipient) -> str:
    return f"consumer {recipient.consumer.name}" if recipient.consumer else "owner"
