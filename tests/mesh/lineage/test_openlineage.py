"""OpenLineage events from the records of a small mesh."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mesh.errors import AuditFailed, SettingsError
from mesh.lineage import ColumnLineage, ColumnSource
from mesh.lineage.openlineage import events, to_json, transport
from mesh.release import Build, record_build, rollback
from mesh.session import Mesh
from tests.mesh.release.conftest import CONTRACT, DOMAIN, KEY, Shop

RUN = "4a3a3a30-841c-48a7-ada9-5d0cad026bac"
LINEAGE = {
    "orders": (
        ColumnLineage("order_id", (ColumnSource("shop_build.raw_orders", "order_id"),)),
        ColumnLineage("amount", (ColumnSource("shop_build.raw_orders", "amount", "aggregation"),)),
    )
}


@pytest.fixture
def shop(make_mesh: Callable[..., Mesh], tmp_path: Path) -> Shop:
    """Release 1, a refused candidate, release 2, and the way back."""
    project = tmp_path / "project"
    for name, text in ((f"contracts/{KEY}.yaml", CONTRACT), ("data_products/shop/domain.yaml", DOMAIN)):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    shop = Shop(make_mesh(project))
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


def test_nothing_is_sent_unless_told_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="OPENLINEAGE_URL"):
        transport()


def _bare(facet: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facet.items() if not name.startswith("_")}
