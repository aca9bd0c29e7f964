"""`mesh token issue`, `list`, `revoke`: who may ask the services."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from mesh.console import listing, screen

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    tokens = typer.Typer(no_args_is_help=True, help="Bearer tokens of the services: issue, list, revoke.")
    tokens.command("issue")(issue)
    tokens.command("list")(list_tokens)
    tokens.command("revoke")(revoke)
    app.add_typer(tokens, name="token")


def issue(
    role: Annotated[str, typer.Option("--role", help="What its bearer may do; see docs/decisions.md.")],
    purpose: Annotated[str, typer.Option("--purpose", metavar="TEXT", help="What it is for.")],
    expires: Annotated[str, typer.Option("--expires", metavar="30d", help="How long it is valid: 90m, 12h, 30d, 4w.")],
    name: Annotated[str | None, typer.Option("--name", metavar="WHO", help="Who holds it.")] = None,
    as_json: Json = False,
) -> None:
    """Make a bearer token. Its secret is shown once and kept nowhere; only a hash of it is."""
    import json

    from mesh.access.register import issue as make
    from mesh.access.register import parse_validity
    from mesh.session import open_mesh

    mesh = open_mesh()
    valid = parse_validity(expires, mesh.settings)
    made = make(mesh.postgres, mesh.settings, role=role, purpose=purpose, valid=valid, bearer=name)
    if as_json:
        print(json.dumps({"id": made.id, "secret": made.secret, "expires_at": made.expires_at.isoformat()}, indent=2))
        return
    out = screen()
    out.print(f"Token {made.id}, {role}, valid until {made.expires_at:%Y-%m-%d %H:%M} UTC.", markup=False)
    out.print("Its secret, shown this once (send it as `Authorization: Bearer SECRET`):", markup=False)
    out.print(made.secret, markup=False, soft_wrap=True)


def list_tokens(as_json: Json = False) -> None:
    """List the tokens: who holds which role, for what, and until when. Writes the services' mirror anew."""
    from mesh.access.register import mirror, read_tokens
    from mesh.session import open_mesh

    mesh = open_mesh()
    mirror(mesh.postgres, mesh.settings)
    now = datetime.now(UTC)
    rows = [
        {
            "id": token.id,
            "state": token.state(now),
            "role": token.role,
            "bearer": token.bearer,
            "purpose": token.purpose,
            "issued": f"{token.issued_at:%Y-%m-%d %H:%M}",
            "issued by": token.issued_by,
            "expires": f"{token.expires_at:%Y-%m-%d %H:%M}",
            "revoked": f"{token.revoked_at:%Y-%m-%d %H:%M}" if token.revoked_at else None,
            "revoked by": token.revoked_by,
            "why": token.why,
        }
        for token in read_tokens(mesh.postgres)
    ]
    listing(rows, as_json=as_json, title="Tokens", empty="No token yet: `mesh token issue`.")


def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `mesh token list` tells it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason; it stays on record.")],
) -> None:
    """Put an end to a token: services refuse it within seconds."""
    from mesh.access.register import revoke as end
    from mesh.session import open_mesh

    mesh = open_mesh()
    end(mesh.postgres, mesh.settings, token, why=why)
    screen().print(f"Token {token} is revoked; services refuse it within seconds.", markup=False)
