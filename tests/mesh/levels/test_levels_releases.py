"""Age and frequency are judged from release records alone, so these tests hand them records."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh.contract import ServiceLevel, parse_contract
from mesh.levels.releases import judge_age, judge_frequency
from mesh.levels.results import spoken
from mesh.release import Release
from tests.mesh.release.conftest import CONTRACT, KEY

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def level(text: str = "{property: frequency, value: 1, unit: d}") -> ServiceLevel:
    contract = parse_contract((CONTRACT + f"slaProperties: [{text}]\n").encode(), Path("orders.yaml"))
    return contract.sla[0]


def releases(*hours_ago: float, **more: Any) -> list[Release]:
    """Releases that were published so many hours ago, oldest first."""
    return [record(number, hours, **more) for number, hours in enumerate(hours_ago, start=1)]


def record(number: int, hours_ago: float, **more: Any) -> Release:
    given: dict[str, Any] = {
        "product": KEY, "release": number, "contract_version": "1.0.0", "contract_hash": "x", "snapshot": number,
        "columns": {"orders": ("order_id",)}, "fingerprint": "", "code_revision": "", "run_id": "", "author": "ann",
        "rows": {"orders": 1}, "audit": {}, "commit": number, "published_at": NOW - hours_ago * HOUR,
    }  # fmt: skip
    return Release.model_validate(given | more)


@pytest.mark.parametrize(
    ("records", "status", "message"),
    [
        ([], "not measured", "There is no release yet."),
        (releases(3), "not measured",
         "There is no gap between releases to judge yet; the newest release is 3 h old."),
        (releases(51, 27, 3), "passed",
         "None of the last 2 gaps between releases was longer than 1 day (and 10 % grace); the longest 1 day."),
        # A build that starts at five every day ends a little sooner or later: that is no miss, three hours are one.
        (releases(29.4, 3), "passed",
         "The only gap between releases was not longer than 1 day (and 10 % grace); the longest 1 day 2 h."),
        (releases(29.5, 3), "failed",
         "The only gap between releases was longer than 1 day (and 10 % grace); the longest 1 day 2 h."),
        (releases(200, 149, 125, 65, 10), "failed",
         "3 of the last 4 gaps between releases were longer than 1 day (and 10 % grace); the longest 2 days 12 h."),
        # The gap that nothing has ended yet counts once it is too long, and not before.
        (releases(50, 26), "passed",
         "The only gap between releases was not longer than 1 day (and 10 % grace); the longest 1 day."),
        (releases(51, 27), "failed",
         "1 of the last 2 gaps between releases was longer than 1 day (and 10 % grace); the longest 1 day 3 h, which "
         "still lasts."),
        # What ended before the window is past.
        (releases(1000, 721, 715, 700, 680, 660, 640, 620, 600, 590), "failed",
         "1 of the last 9 gaps between releases was longer than 1 day (and 10 % grace); the longest 24 days 14 h, "
         "which still lasts."),
        # A rollback brings nothing new, and a product that is retired owes nothing more.
        ([*releases(60, 40), record(1, 20, kind="rollback")], "failed",
         "1 of the last 2 gaps between releases was longer than 1 day (and 10 % grace); the longest 1 day 16 h, which "
         "still lasts."),
        ([*releases(60, 40), record(2, 20, kind="retired")], "passed",
         "The only gap between releases was not longer than 1 day (and 10 % grace); the longest 20 h."),
    ],
)  # fmt: skip
def test_the_time_between_releases_is_held_against_the_promise(
    records: Sequence[Release], status: str, message: str
) -> None:
    found = judge_frequency(level(), records, NOW)
    assert (found.status, found.message) == (status, message)
    assert (found.observed is None) == (status == "not measured")


def test_a_rare_release_is_looked_at_over_twelve_times_its_length() -> None:
    """Of a monthly product thirty days hold one gap at most."""
    monthly = level("{property: frequency, value: 1, unit: month}")
    found = judge_frequency(monthly, releases(*range(24 * 31 * 14, 0, -24 * 31)), NOW)
    assert found.message == (
        "None of the last 12 gaps between releases was longer than 31 days (and 10 % grace); the longest 31 days."
    )


def test_a_gap_that_began_before_it_was_promised_is_not_missed() -> None:
    records = [record(1, 200, contract_hash="old"), record(2, 100), record(3, 80), record(4, 1)]
    found = judge_frequency(level(), records, NOW, lambda release: release.contract_hash == "x")
    assert found.message == (
        "1 of the last 2 gaps between releases was longer than 1 day (and 10 % grace); the longest 3 days 7 h."
    )


@pytest.mark.parametrize(
    ("records", "status", "message"),
    [
        ([], "not measured", "There is no release yet."),
        (releases(30, 24), "passed", "The newest release is 1 day old; allowed is 1 day."),
        (releases(30, 24.001), "failed", "The newest release is 1 day old; allowed is 1 day."),
        # A rollback serves older data again; it does not buy time.
        ([*releases(40, 26), record(1, 1, kind="rollback")], "failed",
         "The newest release is 1 day 2 h old; allowed is 1 day."),
        ([*releases(40), record(1, 20, kind="retired")], "passed",
         "The newest release is 20 h old; allowed is 1 day."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["freshness", "latency"])
def test_an_age_without_a_column_is_that_of_the_newest_release(
    name: str, records: Sequence[Release], status: str, message: str
) -> None:
    found = judge_age(level(f"{{property: {name}, value: 24, unit: h}}"), records, NOW)
    assert (found.status, found.message) == (status, message)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (59.9, "59 s"), (3600, "1 h"), (3661, "1 h 1 min"), (86400, "1 day"),
     (183600, "2 days 3 h"), (86460, "1 day"), (172800 + 59, "2 days")],
)  # fmt: skip
def test_a_length_of_time_is_said_in_its_two_largest_parts(seconds: float, text: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == text
