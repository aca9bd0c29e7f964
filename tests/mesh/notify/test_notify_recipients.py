"""Who is told: the addresses of the contract, in the words of the standard."""

from __future__ import annotations

from pathlib import Path

import pytest

from mesh.contract import EVENTS, parse_contract
from mesh.notify.recipients import Recipient, masked, owners
from tests.mesh.release.conftest import CONTRACT

FILE = "contracts/shop/orders.yaml"


@pytest.mark.parametrize(
    ("support", "told"),
    [
        ("url: mailto:a@example.org", ("email", "a@example.org", EVENTS)),
        ("url: 'mailto:%61@example.org?subject=x', tool: email, scope: notifications",
         ("email", "a@example.org", EVENTS)),
        ("url: mailto:a@example.org, scope: announcements", ("email", "a@example.org", ("release", "deprecation"))),
        ("url: mailto:a@example.org, scope: issues",
         ("email", "a@example.org", ("audit_failed", "late", "unavailable"))),
        ("url: mailto:a@example.org, scope: interactive", ("email", "a@example.org", ())),
        ("url: 'mailto:a@example.org%0ABcc:b@example.org'", None),
        ("url: 'https://hooks.example.org/x', tool: other, scope: notifications",
         ("webhook", "https://hooks.example.org/x", EVENTS)),
        ("url: 'https://hooks.example.org/x', scope: notifications",
         ("webhook", "https://hooks.example.org/x", EVENTS)),
        ("url: 'https://chat.example.org/x', tool: teams, scope: notifications", None),
        ("url: 'https://desk.example.org/x', tool: ticket", None),
        ("url: 'https://example.org/x'", None),
        ("tool: slack", None),
    ],
)  # fmt: skip
def test_a_support_channel_is_an_address_where_the_standard_says_so(
    support: str, told: tuple[str, str, tuple[str, ...]] | None
) -> None:
    text = f"{CONTRACT}support: [{{channel: ours, {support}}}]\n"
    found = owners(parse_contract(text.encode(), Path("orders.yaml")))
    assert found == (() if told is None else (Recipient(*told, FILE),))  # type: ignore[arg-type]


def test_an_owner_that_is_an_address_is_told_of_everything() -> None:
    text = CONTRACT.replace("name: shop-data-team,", "name: shop@example.org,", 1)
    assert owners(parse_contract(text.encode(), Path("orders.yaml"))) == (
        Recipient("email", "shop@example.org", EVENTS, FILE),
    )


def test_a_shown_address_gives_no_secret_away() -> None:
    assert masked("ann.other@example.org") == "a***@example.org"
    assert masked("https://user:secret@hooks.example.org:8443/T0/secret?key=secret@x") == (
        "https://hooks.example.org:8443/…"
    )
    assert "ann@" not in repr(Recipient("email", "ann@example.org", EVENTS, FILE))
