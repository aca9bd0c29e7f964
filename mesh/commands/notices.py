"""`mesh notifications`: who was told of what, and what could not be delivered."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mesh.console import listing, screen, waiting

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EMPTY = (
    "No notifications yet: nothing happened to a product whose contract names an address (`support`) or that has a "
    "registered consumer. docs/notifications.md tells how."
)


def register(app: typer.Typer) -> None:
    app.command("notifications")(notifications)


def notifications(
    as_json: Json = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Only so many, the newest.")] = 50,
    retry: Annotated[bool, typer.Option("--retry", help="Try again at once whatever was not delivered.")] = False,
) -> None:
    """List who was told of releases, failed audits, late products and deprecations, newest first."""
    from datetime import UTC, datetime

    from mesh.notify import dispatch, outbox
    from mesh.notify.channels import NO_SMTP
    from mesh.session import open_mesh

    mesh = open_mesh()
    if retry:
        with waiting("Sending"):
            outbox.retry(mesh.postgres, datetime.now(UTC))
            done = dispatch(mesh)
        if not as_json:
            screen().print(f"{len(done.sent)} sent, {len(done.unsent)} not sent.")
            for problem in done.problems:
                screen().print(problem, markup=False, soft_wrap=True)
    entries = outbox.listing(mesh.postgres, limit)
    listing([_row(entry) for entry in entries], as_json=as_json, title="Notifications", empty=EMPTY)
    unset = sum(entry.error == NO_SMTP.kind for entry in entries)
    if unset and not as_json:
        told = f"{unset} emails were" if unset > 1 else "1 email was"
        screen().print(f"\n{told} not sent: MESH_SMTP_URL is not set. Set it, then: mesh notifications --retry")


def _row(entry: Any) -> dict[str, Any]:
    from mesh.notify import masked

    return {
        "event": entry.message.event,
        "product": entry.message.product,
        "recipient": masked(entry.message.recipient),
        "state": entry.state,
        "attempts": entry.attempts,
        "when": entry.changed_at.strftime("%Y-%m-%d %H:%M:%S"),
        "error": entry.error,
    }
