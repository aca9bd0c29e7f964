"""Events are derived from facts alone, so these tests hand them the facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.audit import Audit, RuleResult
from mesh.contract import Contract, parse_contract
from mesh.notify.events import NEWS, Event, audit_events, deprecation_events, late_events, release_events
from mesh.release import History, RecordedAudit, Release
from tests.mesh.release.conftest import CONTRACT, KEY

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FRESH = "slaProperties:\n  - {property: freshness, value: 24, unit: h}\n"


def release(number: int, at: datetime = NOON, **more: Any) -> Release:
    given: dict[str, Any] = {
        "product": KEY, "release": number, "contract_version": "1.0.0", "contract_hash": "active", "snapshot": number,
        "columns": {"orders": ("order_id", "amount"), "lines": ("order_id",)}, "fingerprint": "", "code_revision": "",
        "run_id": "", "author": "ann", "rows": {"orders": 1000, "lines": 234}, "audit": {"warnings": []},
        "commit": 10 * number, "published_at": at,
    }  # fmt: skip
    return Release.model_validate(given | more)


def contract(text: str = "") -> Contract:
    return parse_contract((CONTRACT + text).encode(), Path("orders.yaml"))


def result(rule: str, failing: int | None, rows: int | None, **more: Any) -> RuleResult:
    given: dict[str, Any] = {
        "table": "orders", "columns": ("amount",), "kind": "minimum", "severity": "error", "action": "fail",
        "status": "failed", "observed": 4711, "description": "", "message": "the largest is 4711",
    }  # fmt: skip
    return RuleResult(rule_id=rule, failing_rows=failing, rows=rows, **(given | more))


def audit(*results: RuleResult, contract_hash: str = "active") -> Audit:
    return Audit(
        "x", KEY, "shop-orders", "1.0.0", contract_hash, 7, "failed", results, {}, {}, datetime(2026, 3, 1), 0.1
    )


def test_a_release_is_told_with_its_numbers() -> None:
    records = [release(1, NOON - NEWS), release(2, quarantined={"orders": 3}, audit={"warnings": ["a.b"]})]
    assert release_events(records, NOON) == [
        Event(
            id="release:shop/orders@2",
            kind="release",
            product=KEY,
            at=NOON,
            subject="shop/orders: release 2 is published",
            text="shop/orders has a new release 2, published 2026-03-01 12:00 UTC under contract 1.0.0.\n"
            "Rows: 1,234; put aside: 3\n"
            "Warnings of its audit: 1\n"
            "Views: shop.orders_v1, shop.lines_v1",
            release=2,
            contract_version="1.0.0",
            commands=("mesh product shop/orders", "mesh audit shop/orders"),
        )
    ]


def test_a_rollback_is_told_with_its_reason_but_without_a_person() -> None:
    why = "wrong rates, says ann@example.org about QQ123456C"
    [event] = release_events([release(1, kind="rollback", why=why)], NOON)
    assert (event.id, event.kind) == ("rollback:shop/orders@1#10", "release")
    assert event.text == (
        "shop/orders was rolled back to release 1 (contract 1.0.0) 2026-03-01 12:00 UTC.\n"
        "Reason: wrong rates, says [EMAIL] about [NINO]\n"
        "Views: shop.orders_v1, shop.lines_v1"
    )


def test_a_product_is_late_from_the_age_that_its_contract_allows_and_once_per_release() -> None:
    promised, newest = contract(FRESH), release(3)
    assert late_events(promised, newest, NOON + 24 * HOUR - timedelta(seconds=1)) == []
    late = Event(
        id="late:shop/orders@3",
        kind="late",
        product=KEY,
        at=NOON + 24 * HOUR,
        subject="shop/orders: late since 2026-03-02 12:00 UTC",
        text="shop/orders is late since 2026-03-02 12:00 UTC: its newest release 3 is of 2026-03-01 12:00 UTC, and its "
        "contract promises one no older than 24 h (freshness).",
        release=3,
        contract_version="1.0.0",
        commands=("mesh product shop/orders", "mesh run --select shop/orders"),
    )
    assert late_events(promised, newest, NOON + 24 * HOUR) == [late]
    assert late_events(promised, newest, NOON + 500 * HOUR) == [late]  # it still holds, so it is still news


@pytest.mark.parametrize(
    "text",
    [
        "",
        "slaProperties: [{property: retention, value: 1, unit: h}]\n",
        FRESH.replace("24", "1").replace("}", ", element: orders.ordered_at}"),
    ],
    ids=["no level", "another level", "a level of the audit"],
)
def test_no_promise_about_the_age_of_a_release_no_lateness(text: str) -> None:
    column = "      - {name: ordered_at, logicalType: timestamp, physicalType: TIMESTAMP}\n"
    given = CONTRACT.replace("      - name: amount\n", column + "      - name: amount\n") + text
    promised = parse_contract(given.encode(), Path("orders.yaml"))
    assert late_events(promised, release(1), NOON + 500 * HOUR) == []


def test_the_shortest_of_several_promises_counts_and_a_retired_product_is_never_late() -> None:
    text = FRESH + "  - {property: latency, value: 30, unit: min}\n"
    [event] = late_events(contract(text), release(1), NOON + HOUR)
    assert event.at == NOON + HOUR / 2
    assert "no older than 30 min (latency)" in event.text
    frequent = FRESH.replace("24", "48") + "  - {property: frequency, value: 1, unit: d}\n"
    [overdue] = late_events(contract(frequent), release(1), NOON + 27 * HOUR)
    assert overdue.at == NOON + 26.4 * HOUR  # with the grace of a tenth
    assert "its contract promises the next one within 1 d (frequency)" in overdue.text
    retired = parse_contract((CONTRACT + text).replace("status: active", "status: retired").encode(), Path("o.yaml"))
    assert late_events(retired, release(1), NOON + HOUR) == []
    assert late_events(contract(text), None, NOON + HOUR) == []


def test_a_failed_audit_is_told_by_rule_and_count_without_what_a_rule_saw() -> None:
    failed = (
        result("orders.amount.minimum", 12, 1000),
        result("orders.largest", None, None, columns=()),
        result("orders.sums", None, None, status="error"),
    )
    seen = audit(*failed, result("orders.warned", 5, 10, severity="warning"), result("ok", 0, 1, status="passed"))
    history = History([release(1, NOON - 2 * HOUR), release(2, NOON + HOUR)])
    assert audit_events([RecordedAudit(17, NOON, seen, None)], history) == [
        Event(
            id="audit_failed:shop/orders#17",
            kind="audit_failed",
            product=KEY,
            at=NOON,
            subject="shop/orders: audit failed, 3 rules",
            text="shop/orders failed its audit 2026-03-01 12:00 UTC under contract 1.0.0, so nothing was published. "
            "Release 1 stays served.\n"
            "\n"
            "Failed rules:\n"
            "  orders.amount.minimum: 12 rows of 1,000\n"
            "  orders.largest: does not hold\n"
            "  orders.sums: could not be run",
            release=1,
            contract_version="1.0.0",
            commands=("mesh audit shop/orders", "mesh product shop/orders"),
            failed=failed,
        )
    ]


def test_an_audit_that_fails_as_the_one_before_is_not_told_again() -> None:
    """A run every quarter of an hour builds what failed again and again."""
    first, more = audit(result("a", 1, 9)), audit(result("a", 2, 9))
    other = audit(result("a", 1, 9), contract_hash="mended")
    passed = audit(result("a", 0, 9, status="passed"))
    pairs = [(None, first), (first, first), (first, more), (first, other), (passed, first)]
    records = [RecordedAudit(i, NOON, after, before) for i, (before, after) in enumerate(pairs)]
    events = audit_events(records, History([]))
    assert [event.id[-1] for event in events] == ["0", "2", "3", "4"]
    assert "There is no release yet." in events[0].text


def test_a_deprecation_is_told_where_the_status_turns() -> None:
    ends = "slaProperties: [{property: endOfSupport, value: 2027-01-01}]\n"
    statuses = ["active", "deprecated", "deprecated", "retired", "active", "retired"]
    records = [release(i, contract_hash=f"{status}{i}") for i, status in enumerate(statuses)]
    records.append(release(6, contract_hash=records[-1].contract_hash))
    records.append(release(0, kind="rollback"))
    contracts = {
        record.contract_hash: parse_contract(
            (CONTRACT + ends).replace("status: active", f"status: {record.contract_hash[:-1]}").encode(), Path("o.yaml")
        )
        for record in records
        if record.kind == "release"
    }
    events = deprecation_events(records, NOON, lambda record: contracts[record.contract_hash])
    assert [event.id for event in events] == [f"deprecation:shop/orders@{i}" for i in (1, 3, 5)]
    assert events[0] == Event(
        id="deprecation:shop/orders@1",
        kind="deprecation",
        product=KEY,
        at=NOON,
        subject="shop/orders: deprecated",
        text="shop/orders is deprecated: so says contract 1.0.0, in force since release 1 of 2026-03-01 12:00 UTC.\n"
        "End of support: 2027-01-01\n"
        "What is published stays readable. Ask its owner what takes its place, and move what you make from it.",
        release=1,
        contract_version="1.0.0",
        commands=("mesh product shop/orders",),
    )
    assert deprecation_events(records, NOON + HOUR, lambda record: contracts[record.contract_hash]) == []
    assert deprecation_events(records[:2], NOON, lambda _: None) == []
