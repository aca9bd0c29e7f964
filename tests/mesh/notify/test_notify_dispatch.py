"""Facts in, messages out: who is told of what, once, and what keeps nobody from the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from mesh.errors import AuditFailed
from mesh.notify import dispatch, outbox
from mesh.release import rollback
from mesh.session import Mesh, open_mesh
from tests.mesh.notify.receivers import Hooks, Mailbox
from tests.mesh.release.conftest import CONTRACT, KEY, Shop

SUPPORT = """\
support:
  - {channel: team, tool: email, url: "mailto:shop@example.org"}
  - {channel: list, tool: email, scope: announcements, url: "mailto:news@example.org"}
slaProperties:
  - {property: freshness, value: 6, unit: h}
"""
TILL = "consumer: till\ncontact: {{email: till@example.org, webhook: '{}'}}\ncolumns: [orders.amount, lines.order_id]\n"

Seen = list[tuple[str, str]]


class Desk:
    """The shop, its files to edit, and what its receivers got since the last look."""

    def __init__(self, shop: Shop, mailbox: Mailbox, hooks: Hooks) -> None:
        self.shop, self.mailbox, self.hooks = shop, mailbox, hooks
        self.root = shop.mesh.settings.project
        (self.root / f"contracts/{KEY}.consumers").mkdir()
        self.contract(CONTRACT)
        self.consumer(TILL.format(hooks.url()))

    def contract(self, text: str) -> None:
        (self.root / f"contracts/{KEY}.yaml").write_text(text + SUPPORT)
        self.reopen()

    def consumer(self, text: str, name: str = "till") -> None:
        (self.root / f"contracts/{KEY}.consumers/{name}.yaml").write_text(text)

    def reopen(self, **changes: Any) -> None:
        mail = {"smtp_url": SecretStr(self.mailbox.url), "mail_from": "mesh@example.org"}
        self.shop = replace(self.shop, mesh=open_mesh(self.shop.mesh.settings.model_copy(update=mail | changes)))

    @property
    def mesh(self) -> Mesh:
        return self.shop.mesh

    def fail(self, *amounts: int) -> None:
        build = self.shop.build(amounts, label="bad")
        self.shop.audit(build)
        with pytest.raises(AuditFailed):
            self.shop.publish(build)

    def tell(self, later: timedelta = timedelta(0)) -> Seen:
        """(address, subject or event) of everything that arrives by one dispatch, in order of addresses."""
        del self.mailbox.mails[:], self.hooks.posts[:]
        done = dispatch(self.mesh, now=datetime.now(UTC) + later)
        assert not done.problems
        seen = [(mail["To"], mail["Subject"].removeprefix("[Insight Mesh] ")) for mail in self.mailbox.mails]
        return sorted([*seen, *(("hook", json.loads(post.content)["event"]) for post in self.hooks.posts)])


@pytest.fixture
def desk(shop: Shop, mailbox: Mailbox, hooks: Hooks) -> Desk:
    return Desk(shop, mailbox, hooks)


def test_everybody_is_told_of_what_they_asked_for_and_once(desk: Desk) -> None:
    desk.shop.release([1, 2])
    subject = "shop/orders: release 1 is published"
    assert desk.tell() == [
        ("hook", "release:shop/orders@1"),
        ("news@example.org", subject),
        ("shop@example.org", subject),
        ("till@example.org", subject),
    ]
    assert desk.tell() == []

    desk.fail(1, -777, -888)
    failed = "shop/orders: audit failed, 1 rule"
    assert desk.tell() == [
        ("hook", "audit_failed:shop/orders#2"),
        ("shop@example.org", failed),
        ("till@example.org", failed),
    ]
    body = json.loads(desk.hooks.posts[0].content)
    assert datetime.now(UTC) - datetime.fromisoformat(body.pop("at")) < timedelta(minutes=5)
    assert "777" not in body["text"]
    assert body.pop("text").split("\n\n")[1:] == [
        "Failed rules:\n  orders.amount.minimum: 2 rows of 3",
        "consumer till relies on orders.amount: failed rules are about that.",
        "To see more:\n  mesh audit shop/orders\n  mesh product shop/orders",
        "You are told as consumer till of shop/orders: contracts/shop/orders.consumers/till.yaml\n",
    ]
    assert body == {
        "event": "audit_failed:shop/orders#2",
        "kind": "audit_failed",
        "product": KEY,
        "release": 1,
        "contract_version": "1.0.0",
        "contract": "contracts/shop/orders.yaml",
        "subject": "[Insight Mesh] shop/orders: audit failed, 1 rule",
        "commands": ["mesh audit shop/orders", "mesh product shop/orders"],
        "failed_rules": [{"rule": "orders.amount.minimum", "failing_rows": 2, "rows": 3}],
        "columns": ["orders.amount"],
    }
    to_owner = next(mail for mail in desk.mailbox.mails if mail["To"] == "shop@example.org").get_content()
    assert "relies on" not in to_owner
    assert "You are told as owner of shop/orders: contracts/shop/orders.yaml" in to_owner


def test_a_run_that_fails_again_in_the_same_way_tells_nobody_again(desk: Desk) -> None:
    desk.shop.release([1])
    desk.fail(-1)
    desk.fail(-1)
    assert [event for address, event in desk.tell() if address == "hook"] == [
        "audit_failed:shop/orders#2",
        "release:shop/orders@1",
    ]


def test_a_deprecation_and_a_rollback_are_told(desk: Desk) -> None:
    desk.shop.release([1])
    desk.contract(CONTRACT.replace("status: active", "status: deprecated").replace("version: 1.0.0", "version: 1.1.0"))
    (desk.root / "data_products/shop/domain.yaml").write_text(
        (desk.root / "data_products/shop/domain.yaml").read_text().replace("name: orders, version: 1.0.0",
                                                                          "name: orders, version: 1.1.0")
    )  # fmt: skip
    desk.shop.release([1, 2])
    with desk.mesh.writer() as connection:
        done = rollback(connection, desk.mesh.postgres, KEY, 1, why="too early", author="ann")
    told = desk.tell()
    assert [event for address, event in told if address == "hook"] == [
        "deprecation:shop/orders@2",
        "release:shop/orders@1",
        "release:shop/orders@2",
        f"rollback:shop/orders@1#{done.commit}",
    ]
    assert ("news@example.org", "shop/orders: deprecated") in told
    assert not [post for post in desk.hooks.posts if b"ann" in post.content]


def test_lateness_is_told_once_per_release_and_old_news_never(desk: Desk) -> None:
    desk.shop.release([1])
    assert desk.tell(timedelta(hours=30)) == [
        ("hook", "late:shop/orders@1"),
        *((to, f"shop/orders: late since {_late(desk)}") for to in ("shop@example.org", "till@example.org")),
    ]
    assert desk.tell(timedelta(hours=40)) == []


def _late(desk: Desk) -> str:
    at = desk.mesh.history().served[KEY].published_at
    assert at is not None
    return (at + timedelta(hours=6)).strftime("%Y-%m-%d %H:%M UTC")


def test_an_address_that_is_registered_twice_is_told_once(desk: Desk) -> None:
    desk.consumer("consumer: boss\ncontact: {email: shop@example.org}\nevents: [release]\n", "boss")
    desk.shop.release([1])
    assert [to for to, _ in desk.tell()].count("shop@example.org") == 1
    [mail] = [mail for mail in desk.mailbox.mails if mail["To"] == "shop@example.org"]
    assert mail.get_content().splitlines()[-2:] == [
        "You are told as owner of shop/orders: contracts/shop/orders.yaml",
        "You are told as consumer boss of shop/orders: contracts/shop/orders.consumers/boss.yaml",
    ]


def test_a_channel_that_fails_holds_up_no_other_and_is_tried_again(desk: Desk) -> None:
    desk.hooks.answers = [500]
    desk.shop.release([1])
    done = dispatch(desk.mesh)
    event, host = "release:shop/orders@1", f"http://127.0.0.1:{desk.hooks.port}/…"
    assert str(done) == (
        f"Told of {event} by s***@example.org, n***@example.org, t***@example.org. Not told of {event} by {host} (HTTP "
        "500)."
    )
    assert desk.tell() == []
    assert desk.tell(timedelta(minutes=1)) == [("hook", event)]


def test_whoever_is_registered_no_more_gets_nothing_more(desk: Desk) -> None:
    desk.hooks.answers = [500]
    desk.shop.release([1])
    dispatch(desk.mesh)
    desk.consumer("consumer: till\ncontact: {email: till@example.org}\n")
    assert desk.tell(timedelta(hours=1)) == []
    assert desk.hooks.posts == []


def test_a_wrong_file_of_a_consumer_is_told_and_keeps_the_owner_informed(desk: Desk) -> None:
    desk.consumer("consumer: till\ncontact: {email: none}\n")
    (desk.root / "contracts/shop/order.consumers").mkdir()
    desk.shop.release([1])
    done = dispatch(desk.mesh)
    assert [mail["To"] for mail in desk.mailbox.mails] == ["shop@example.org", "news@example.org"]
    file = desk.root / f"contracts/{KEY}.consumers/till.yaml"
    assert done.problems == [
        f"{file}:2: contact.email: This is no address. Allowed: NAME@HOST, one address",
        "contracts/shop/order.consumers: there is no product shop/order, so nobody in there is told anything.",
    ]
    desk.consumer(TILL.format(desk.hooks.url()))
    (desk.root / "contracts/shop/order.consumers").rmdir()
    assert [to for to, _ in desk.tell()] == ["hook", "till@example.org"]


def test_without_a_mail_server_emails_fail_once_and_go_out_when_there_is_one(desk: Desk) -> None:
    desk.reopen(smtp_url=None)
    desk.shop.release([1])
    assert desk.tell() == [("hook", "release:shop/orders@1")]
    assert desk.tell(timedelta(days=1)) != []  # late by now
    states = {entry.message.channel: (entry.state, entry.error) for entry in outbox.listing(desk.mesh.postgres, 99)}
    assert states == {"email": ("failed", "no MESH_SMTP_URL"), "webhook": ("sent", None)}
    desk.reopen()
    assert desk.tell() == []
    outbox.retry(desk.mesh.postgres, datetime.now(UTC))
    assert [to for to, _ in desk.tell()] == [
        "news@example.org", *["shop@example.org"] * 2, *["till@example.org"] * 2
    ]  # fmt: skip


def test_where_nobody_is_registered_no_database_is_asked(make_mesh: Callable[..., Mesh], desk: Desk) -> None:
    (desk.root / f"contracts/{KEY}.yaml").write_text(CONTRACT)
    desk.consumer("", "till")
    (desk.root / f"contracts/{KEY}.consumers/till.yaml").unlink()
    mesh = make_mesh(desk.root)
    assert str(dispatch(mesh)) == ""
    assert "postgres" not in vars(mesh)
