"""A release, a failed audit and a deprecation of real runs, told to real servers by the command line and the sensor."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import copy_project
from tests.mesh.notify.receivers import Hooks, Mailbox, mail_server, web_server
from tests.spine.bench import as_new_process, command
from tests.spine.conftest import Spine, new_spine

KEY = "interactions/contacts"
SECRET = "of-the-hooks"
CHANNELS = "validValues: [phone, web, office, letter]"
NINO, PHONE, DEVICE = "QQ123456C", "07700900123", "device-4711"
FILE = f"""\
contact_id,nino,channel,started_at,duration_seconds,reason,device_id,phone,result
{{0}}1,{NINO},phone,2020-12-31T12:19:46,1371,claim_progress,,{PHONE},resolved
{{0}}2,,web,2020-12-31T12:19:46,60,claim_progress,{DEVICE},,resolved
"""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Told(Spine):
    """A mesh of one product, with the receivers of its owner and of a consumer."""

    mailbox: Mailbox = field(default_factory=lambda: Mailbox(""))
    hooks: Hooks = field(default_factory=Hooks)
    smtp_url: str = ""

    @property
    def environment(self) -> dict[str, str]:
        sending = {"MESH_SMTP_URL": self.smtp_url, "MESH_MAIL_FROM": "mesh@example.org", "MESH_WEBHOOK_SECRET": SECRET}
        return super().environment | sending

    @property
    def contract(self) -> Path:
        return self.project / f"contracts/{KEY}.yaml"

    def deliver(self, name: str) -> None:
        (self.landing / f"interactions/contacts/{name}.csv").write_text(FILE.format(name))

    def make(self) -> str:
        """`mesh run`: what became of the product."""
        done = command(self, "run", "--select", KEY, "--json")
        assert done.err == ""
        [row] = json.loads(done.out)["products"]
        return str(row["status"])

    def tick(self) -> str | None:
        """What the sensor of the domain says."""
        with as_new_process(self):
            from dagster_project.locations.interactions import defs

            (sensor,) = (sensor for sensor in defs.sensors or () if sensor.name == "interactions_notifications")
            assert isinstance(sensor, dg.SensorDefinition)
            assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
            return sensor.evaluate_tick(dg.build_sensor_context()).skip_message

    def mails(self) -> list[tuple[str, str]]:
        return [(mail["To"], mail["Subject"].removeprefix("[Insight Mesh] ")) for mail in self.mailbox.mails]

    def posts(self) -> list[tuple[str, str]]:
        return [(post.path, json.loads(post.content)["event"]) for post in self.hooks.posts]


@pytest.fixture(scope="module")
def mesh(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("notifications")
    spine = new_spine(folder, postgres_host, folder / "landing", copy_project(folder / "project"))
    (spine.landing / "interactions/contacts").mkdir(parents=True)
    with mail_server() as mailbox, web_server() as hooks:
        mesh = Told(**vars(spine), mailbox=mailbox, hooks=hooks, smtp_url=mailbox.url)
        with mesh.contract.open("a") as file:
            file.write(
                "support:\n"
                "  - {channel: owner, tool: email, url: 'mailto:owner@example.org'}\n"
                f"  - {{channel: desk, tool: other, scope: notifications, url: '{hooks.url('/owner')}'}}\n"
            )
        consumer = mesh.project / f"contracts/{KEY}.consumers/analysts.yaml"
        consumer.parent.mkdir()
        consumer.write_text(
            f"consumer: analysts\ncontact: {{email: analysts@example.org, webhook: '{hooks.url('/analysts')}'}}\n"
            "events: [audit_failed, deprecation]\ncolumns: [channel]\n"
        )
        yield mesh


def test_owner_and_consumer_are_told_of_a_release_a_failure_and_a_deprecation_once(mesh: Told) -> None:
    mesh.deliver("first")
    right = mesh.contract.read_text()
    assert mesh.make() == "released"
    minor = right.replace("version: 1.0.0", "version: 1.1.0")
    mesh.contract.write_text(minor.replace(CHANNELS, "validValues: [web]"))
    assert command(mesh, "run", "--select", KEY).status == 1
    mesh.contract.write_text(minor.replace("status: active", "status: deprecated"))
    assert mesh.make() == "released"

    failed, deprecated = f"{KEY}: audit failed, 1 rule", f"{KEY}: deprecated"
    assert mesh.mails() == [
        ("owner@example.org", f"{KEY}: release 1 is published"),
        ("owner@example.org", failed),
        ("analysts@example.org", failed),
        ("owner@example.org", deprecated),
        ("analysts@example.org", deprecated),
        ("owner@example.org", f"{KEY}: release 2 is published"),
    ]
    assert mesh.posts() == [
        ("/owner", f"release:{KEY}@1"),
        ("/owner", f"audit_failed:{KEY}#2"),
        ("/analysts", f"audit_failed:{KEY}#2"),
        ("/owner", f"deprecation:{KEY}@2"),
        ("/analysts", f"deprecation:{KEY}@2"),
        ("/owner", f"release:{KEY}@2"),
    ]
    to_analysts = json.loads(mesh.hooks.posts[2].content)
    assert to_analysts["failed_rules"] == [{"rule": "contacts.channel.channel_known", "failing_rows": 1, "rows": 2}]
    assert to_analysts["columns"] == ["contacts.channel"]
    by_mail = mesh.mailbox.mails[2].get_content()
    assert "consumer analysts relies on contacts.channel" in by_mail
    assert "Release 1 stays served." in by_mail
    for post in mesh.hooks.posts:
        digest = hmac.new(SECRET.encode(), post.content, hashlib.sha256).hexdigest()
        assert post.headers["X-Hub-Signature-256"] == f"sha256={digest}"
    assert len({post.headers["Idempotency-Key"] for post in mesh.hooks.posts}) == 6
    assert len({mail["Message-ID"] for mail in mesh.mailbox.mails}) == 6

    # Exactly once: neither a run that changes nothing, nor the sensor, nor a retry has anything to add.
    assert mesh.make() == "unchanged"
    assert mesh.tick() == "Nothing to tell."
    listed = json.loads(command(mesh, "notifications", "--retry", "--json").out)
    assert (len(mesh.mails()), len(mesh.posts())) == (6, 6)
    assert [(row["state"], row["attempts"]) for row in listed] == [("sent", 1)] * 12
    assert {row["recipient"] for row in listed} == {"o***@example.org", "a***@example.org", mesh.hooks.url("/…")}

    everything = "".join([*(post.content.decode() for post in mesh.hooks.posts), *map(str, mesh.mailbox.mails)])
    assert not [value for value in (NINO, PHONE, DEVICE, "claim_progress") if value in everything]


def test_a_release_whose_run_was_killed_is_told_by_the_sensor(mesh: Told) -> None:
    del mesh.mailbox.mails[:], mesh.hooks.posts[:]
    mesh.deliver("second")
    assert mesh.fork("run", "--select", KEY, MESH_FAILPOINT="publish.committed").status == -9
    number = mesh.mesh.history().served[KEY].release
    assert mesh.posts() == []
    assert mesh.tick() == f"Told of release:{KEY}@{number} by o***@example.org, {mesh.hooks.url('/…')}."
    assert mesh.posts() == [("/owner", f"release:{KEY}@{number}")]
    assert mesh.mails() == [("owner@example.org", f"{KEY}: release {number} is published")]
    assert mesh.tick() == "Nothing to tell."


def test_receivers_that_are_down_cost_a_run_one_line(mesh: Told) -> None:
    mesh.deliver("third")
    mesh.hooks.answers = [500]
    done = command(replace(mesh, smtp_url="smtp://user:s3cret@127.0.0.1:1"), "run", "--select", KEY, "--json")
    assert (done.status, json.loads(done.out)["products"][0]["status"]) == (0, "released")
    assert done.err.startswith("Notifications: 2 not sent, see `")
    assert done.err.endswith("notifications`.\n")
    assert done.err.count("\n") == 1
    table = command(mesh, "notifications").out
    assert (table.count("not reachable"), table.count("HTTP 500"), table.count("pending")) == (1, 1, 2)
    assert not [word for word in ("owner@", "/owner", "s3cret") if word in table]
