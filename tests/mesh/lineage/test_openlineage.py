"""OpenLineage events from the records of a small mesh."""

from __future__ import annotations

import copy
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import AuditFailed, ServiceError, SettingsError
from mesh.lineage import ColumnLineage, ColumnSource
from mesh.lineage.openlineage import events, to_json
from mesh.lineage.sending import send_events, transport
from mesh.release import Build, record_build, rollback
from tests.mesh.lineage.openlineage_schema import wrong_with
from tests.mesh.release.conftest import KEY, Shop, new_shop

RUN = "4a3a3a30-841c-48a7-ada9-5d0cad026bac"
LINEAGE = {
    "orders": (
        ColumnLineage("order_id", (ColumnSource("shop_build.raw_orders", "order_id"),)),
        ColumnLineage("amount", (ColumnSource("shop_build.raw_orders", "amount", "aggregation"),)),
    )
}


@pytest.fixture(scope="module")
def shop(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Release 1, a refused candidate, release 2, and the way back."""
    shop = new_shop(tmp_path_factory.mktemp("openlineage"), postgres_host)
    for amounts in ([1, 2], [-7, 2], [3]):
        build: Build = shop.build(amounts).model_copy(update={"lineage": LINEAGE, "run_id": RUN, "seconds": 2.0})
        record_build(shop.mesh.postgres, build)
        shop.audit(build)
        if amounts[0] > 0:
            shop.publish(build)
        else:
            with pytest.raises(AuditFailed):
                shop.publish(build)
    with shop.mesh.writer() as connection:
        rollback(connection, shop.mesh.postgres, KEY, 1, why="wrong", author="tester")
    return shop


def told(shop: Shop) -> list[dict[str, Any]]:
    return [json.loads(to_json(event)) for event in events(shop.mesh, shop.mesh.project.product(KEY))]


def test_every_candidate_rollback_and_audit_is_told(shop: Shop) -> None:
    found = told(shop)
    assert found == sorted(found, key=lambda event: (event["eventTime"], event["job"]["name"]))
    by_run: dict[str, list[str]] = {}
    for event in found:
        by_run.setdefault(f"{event['job']['name']} {event['run']['runId']}", []).append(event["eventType"])
    assert sorted((name.split()[0], *states) for name, states in by_run.items()) == [
        (KEY, "START", "COMPLETE"), (KEY, "START", "COMPLETE"), (KEY, "START", "FAIL"),
        (f"{KEY}.audit", "START", "COMPLETE"), (f"{KEY}.audit", "START", "COMPLETE"), (f"{KEY}.audit", "START", "FAIL"),
        (f"{KEY}.rollback", "START", "COMPLETE"),
    ]  # fmt: skip
    assert told(shop) == found, "the same record gives the same events"


def test_a_release_is_told_with_version_schema_lineage_owner_and_rows(shop: Shop) -> None:
    event = next(event for event in told(shop) if event["eventType"] == "COMPLETE" and event["job"]["name"] == KEY)
    output = next(output for output in event["outputs"] if output["name"] == "shop.orders_v1")
    facets = {name: _bare(facet) for name, facet in output["facets"].items()}
    assert facets["version"] == {"datasetVersion": f"{KEY}@1"}
    assert [(field["name"], field["type"]) for field in facets["schema"]["fields"]] == [
        ("order_id", "INTEGER"), ("amount", "INTEGER")
    ]  # fmt: skip
    assert facets["ownership"] == {"owners": [{"name": "team:shop-data-team", "type": "OWNER"}]}
    assert facets["documentation"]["description"] == "Orders and their lines."
    fields = facets["columnLineage"]["fields"]
    assert {name: field["inputFields"] for name, field in fields.items()} == {
        name: [{
            "namespace": "insight-mesh", "name": "shop_build.raw_orders", "field": name,
            "transformations": [{"type": "DIRECT", "subtype": kind}],
        }]
        for name, kind in (("order_id", "IDENTITY"), ("amount", "AGGREGATION"))
    }  # fmt: skip
    assert _bare(output["outputFacets"]["outputStatistics"]) == {"rowCount": 2}
    assert event["run"]["facets"]["parent"]["run"]["runId"] == RUN


def test_a_refused_candidate_names_its_rules_and_no_value(shop: Shop) -> None:
    found = told(shop)
    failed = next(event for event in found if event["eventType"] == "FAIL" and event["job"]["name"] == KEY)
    message = failed["run"]["facets"]["errorMessage"]["message"]
    assert message == "The candidate breaks its contract: orders.amount.minimum."
    audit = next(event for event in found if event["eventType"] == "FAIL" and event["job"]["name"] == f"{KEY}.audit")
    orders = next(each for each in audit["inputs"] if each["name"] == "shop_build.orders")
    assertions = orders["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(each["name"], each["success"], each["severity"]) for each in assertions if not each["success"]] == [
        ("orders.amount.minimum", False, "error")
    ]
    assert "-7" not in json.dumps([event["inputs"] for event in found])


@dataclass
class Receiver:
    """A server that takes what the standard takes, and refuses the rest; `busy` requests are told to come later."""

    busy: int = 0
    address: str = ""
    taken: list[Any] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    state = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            wrong = [] if self.path == "/api/v1/lineage" else [f"no such place: {self.path}"]
            wrong += wrong_with(event)
            if state.busy:
                state.busy -= 1
                self.send_response(503)
            elif wrong:
                state.refused += wrong
                self.send_response(422)
            else:
                state.taken.append(event)
                self.send_response(201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_port}"
    for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(name)
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def test_every_event_is_taken_by_a_receiver_that_knows_the_standard(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent by the standard's own client; what arrives is what a file would hold, with nothing of this machine."""
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.address)
    receiver.busy = 1
    send_events(transport(), events(shop.mesh, shop.mesh.project.product(KEY)))
    assert receiver.refused == []
    assert [_sent(event) for event in receiver.taken] == told(shop)
    assert any("columnLineage" in output["facets"] for event in receiver.taken for output in event.get("outputs", ()))


def test_the_receiver_refuses_what_the_standard_does_not_know(shop: Shop) -> None:
    """The check itself must be able to fail: in the event, in a facet, in a part of a facet."""
    event = next(event for event in told(shop) if event["eventType"] == "COMPLETE" and event["job"]["name"] == KEY)
    assert wrong_with(event) == []
    for place, name, value in (
        ((), "eventTime", "yesterday"),
        (("job",), "name", None),
        (("run",), "runId", "1"),
        (("outputs", 1, "facets", "schema", "fields", 0), "kind", "INTEGER"),
        (("outputs", 1, "facets", "columnLineage", "fields", "amount"), "inputFields", "raw_orders.amount"),
        (("outputs", 1, "facets", "version"), "_schemaURL", "https://insight-mesh.invalid/version.json"),
    ):
        wrong = copy.deepcopy(event)
        part: Any = wrong
        for step in place:
            part = part[step]
        part[name] = value
        assert len(wrong_with(wrong)) == 1, (place, name)


def test_a_file_may_say_where_events_go(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "openlineage.yml"
    file.write_text(f"transport: {{type: http, url: '{receiver.address}'}}\n")
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(file))
    send_events(transport(), events(shop.mesh, shop.mesh.project.product(KEY))[:1])
    assert [_sent(event) for event in receiver.taken] == told(shop)[:1]


def test_a_receiver_that_refuses_is_told_with_how_far_it_came(
    shop: Shop, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = events(shop.mesh, shop.mesh.project.product(KEY))
    found[1].job.facets = {"ownership": found[0].run}  # type: ignore[dict-item]
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.address)
    with pytest.raises(ServiceError) as refused:
        send_events(transport(), found)
    assert str(refused.value) == (
        f"Of {len(found)} OpenLineage events 1 were sent, the next was not: the receiver answered 422. Send them all "
        "again once that is mended: a receiver knows those it has."
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("", "", "Set OPENLINEAGE_URL to a receiver's address or OPENLINEAGE_CONFIG"),
        ("OPENLINEAGE_DISABLED", "true", "OPENLINEAGE_DISABLED, or a transport of type noop"),
        ("OPENLINEAGE_CONFIG", "/no/openlineage.yml", "OPENLINEAGE_CONFIG names /no/openlineage.yml, which is no file"),
        ("OPENLINEAGE_URL", "receiver", "What says where OpenLineage events go is wrong: ValueError"),
    ],
)
def test_nothing_is_sent_unless_told_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, told: str
) -> None:
    for each in [each for each in os.environ if each.startswith("OPENLINEAGE")]:
        monkeypatch.delenv(each)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    if name:
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=told):
        transport()


def _sent(event: dict[str, Any]) -> dict[str, Any]:
    """An event without the one thing that the client puts into it: its own version."""
    facets = event["run"]["facets"]
    (tag,) = facets.pop("tags")["tags"]
    assert tag["key"] == "openlineage_client_version"
    return event


def _bare(facet: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facet.items() if not name.startswith("_")}
