"""Probes read what consumers read; availability is the share of them that could."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg2
import pytest
from typer.testing import CliRunner

from dagster_project.automation import _schedules
from dagster_project.keys import published_keys
from dagster_project.resources import MeshResource
from dagster_project.serving import level_checks, probed
from mesh.checking import check_contract, source_of
from mesh.cli import build_app
from mesh.contract import ServiceLevel, parse_contract
from mesh.levels import LevelResult, Outage, Probe, judge_levels, newest_outage, probe
from mesh.levels.availability import judge_availability
from mesh.levels.probes import record_probes
from mesh.notify.events import news
from mesh.session import Mesh, open_mesh
from mesh.settings import get_settings
from tests.mesh.levels.conftest import LEVELS
from tests.mesh.release.conftest import CONTRACT, KEY, Shop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, MONTH = timedelta(hours=1), timedelta(days=30)


@pytest.fixture
def served(shop: Shop) -> Shop:
    """The product with its levels promised, released once."""
    (shop.mesh.settings.project / f"contracts/{KEY}.yaml").write_text(CONTRACT + LEVELS)
    made = replace(shop, mesh=open_mesh(shop.mesh.settings))
    made.release([1, 2])
    return made


def files_of(shop: Shop, table: str) -> list[Path]:
    return sorted((shop.mesh.settings.lake_dir / "shop_build" / table).rglob("*.parquet"))


def plain(found: tuple[Probe, ...]) -> list[tuple[Any, ...]]:
    return [(each.product, each.release, each.ok, each.view, each.error) for each in found]


def said(mesh: Mesh, shop: Shop) -> dict[str, LevelResult]:
    found = judge_levels(mesh.postgres, mesh.history(), shop.contract, datetime.now(UTC))
    return {result.level.name: result for result in found}


def test_a_probe_reads_every_view_as_a_reader_and_records_what_went_wrong_without_values(served: Shop) -> None:
    mesh = served.mesh
    assert said(mesh, served)["availability"].status == "not measured"
    assert said(mesh, served)["availability"].message == (
        "No probe in the last 30 days: `mesh up` probes by itself, `mesh probe shop/orders` once."
    )
    assert plain(probe(mesh, [KEY])) == [(KEY, 1, True, None, None)]
    [lines] = files_of(served, "lines")
    content = lines.read_bytes()
    lines.unlink()
    assert plain(probe(mesh, [KEY])) == [(KEY, 1, False, "shop.lines_v1", "IOException")]
    lines.write_bytes(content)
    with mesh.postgres.cursor() as cursor:
        cursor.execute("select probed_at, product, release, ms >= 0, ok, view, error from mesh.probe order by id")
        (first, *one), (second, *two) = cursor.fetchall()
    assert timedelta(0) <= second - first < timedelta(minutes=5)
    assert (one, two) == (
        [KEY, 1, True, True, None, None],
        [KEY, 1, True, False, "shop.lines_v1", "IOException"],
    )
    found = said(mesh, served)["availability"]
    assert (found.status, found.observed, found.message) == (
        "failed",
        50,
        "1 of 2 probes could read it (50 %), promised are 99.5 %; there were probes in 1 of the last 720 hours.",
    )


def test_a_view_without_the_rows_of_its_release_counts_as_unreadable_and_an_empty_release_does_not(shop: Shop) -> None:
    with shop.mesh.writer() as connection:
        connection.execute("create schema shop_build")
        connection.execute("create table shop_build.orders as select 1 as order_id, 1 as amount where false")
        connection.execute("create table shop_build.lines as select 1 as order_id where false")
    shop.released("empty")
    assert plain(probe(shop.mesh, [KEY])) == [(KEY, 1, True, None, None)]
    shop.release([1])
    with shop.mesh.writer() as connection:
        connection.execute("create or replace view lake.shop.lines_v1 as select 1 as order_id where false")
    assert plain(probe(shop.mesh, [KEY])) == [(KEY, 2, False, "shop.lines_v1", "NoRows")]


def test_a_mesh_that_nobody_can_attach_is_unavailable_in_all_its_products(served: Shop) -> None:
    with served.mesh.postgres.cursor() as cursor:
        cursor.execute("revoke select on public.ducklake_metadata from mesh_reader")
    [found] = probe(served.mesh, [KEY])
    assert (found.ok, found.view, found.error) == (False, None, "Error")


def test_what_is_not_served_is_not_probed(shop: Shop) -> None:
    assert probe(shop.mesh, [KEY]) == ()


@pytest.mark.parametrize("change", ["update mesh.probe set ok = true", "delete from mesh.probe", "truncate mesh.probe"])
def test_probes_cannot_be_changed(shop: Shop, change: str) -> None:
    record_probes(shop.mesh.postgres, [Probe(KEY, 1, NOW, 5)])
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), shop.mesh.postgres.cursor() as cursor:
        cursor.execute(change)


def level(text: str) -> ServiceLevel:
    contract = parse_contract((CONTRACT + f"slaProperties: [{text}]\n").encode(), Path("orders.yaml"))
    return contract.sla[0]


def test_availability_is_the_share_of_the_window_that_was_probed(shop: Shop) -> None:
    """Time without probes is told, and neither good nor bad; what is older or younger is not looked at."""
    postgres = shop.mesh.postgres
    failing = {0, 1, 100, 101}
    record_probes(
        postgres,
        [
            Probe(KEY, 1, NOW - MONTH, 5, error="Before"),
            *(
                Probe(KEY, 1, NOW - number * HOUR / 4, 5, error="IOException" if number in failing else None)
                for number in range(800)
            ),
            Probe(KEY, 1, NOW + HOUR, 5, error="After"),
            Probe("shop/bills", 1, NOW, 5, error="Other"),
        ],
    )

    def judged(text: str, window: timedelta = MONTH) -> tuple[str, float | None, str]:
        found = judge_availability(postgres, KEY, level(f"{{property: availability, {text}}}"), window, NOW)
        return found.status, found.observed, found.message

    assert judged("value: 99.5, unit: percent") == (
        "passed",
        99.5,
        "796 of 800 probes could read it (99.5 %), promised are 99.5 %; there were probes in 201 of the "
        "last 720 hours.",
    )
    assert judged("value: 99.51, unit: '%'")[0] == "failed"
    assert judged("value: 99", timedelta(hours=2)) == (
        "failed",
        75,
        "6 of 8 probes could read it (75 %), promised are 99 %; there were probes in 2 of the last 2 hours.",
    )
    # Rounded down: what misses the promise is never shown as if it met it.
    assert judged("value: 99.75, unit: percent", timedelta(hours=24.5))[1:2] == (97.959,)


def test_the_window_of_a_contract_counts(shop: Shop) -> None:
    record_probes(shop.mesh.postgres, [Probe(KEY, 1, NOW - 8 * 24 * HOUR, 5, error="Old"), Probe(KEY, 1, NOW, 5)])
    window = "customProperties: [{property: availabilityWindowDays, value: 7}]\n"
    for text, status in ((LEVELS, "failed"), (LEVELS + window, "passed")):
        contract = parse_contract((CONTRACT + text).encode(), shop.contract.path)
        found = judge_levels(shop.mesh.postgres, shop.mesh.history(), contract, NOW)
        assert [result.status for result in found if result.level.name == "availability"] == [status]


@pytest.mark.parametrize(
    ("promise", "status"),
    [("value: 2, unit: d", "failed"), ("value: 24, unit: h", "failed"), ("value: 12, unit: h", "not measured")],
)
def test_a_stricter_frequency_is_not_held_against_releases_from_before_it(
    served: Shop, promise: str, status: str
) -> None:
    """The contract that the release has sealed tells what was promised when the gap began."""
    text = CONTRACT + LEVELS.replace("frequency, value: 1, unit: d", f"frequency, {promise}")
    contract = parse_contract(text.encode(), served.contract.path)
    later = datetime.now(UTC) + timedelta(days=3)
    found = judge_levels(served.mesh.postgres, served.mesh.history(), contract, later)
    assert [result.status for result in found if result.level.name == "frequency"] == [status]


def test_the_newest_outage_is_the_last_run_of_failed_probes(shop: Shop) -> None:
    postgres = shop.mesh.postgres
    assert newest_outage(postgres, KEY, NOW) is None
    for hours, error in ((9, "Early"), (8, None), (7, "Timeout"), (6, "IOException"), (5, None)):
        record_probes(postgres, [Probe(KEY, 1, NOW - hours * HOUR, 5, error=error)])
    assert newest_outage(postgres, KEY, NOW) == Outage(3, NOW - 7 * HOUR, NOW - 6 * HOUR, "IOException")
    assert newest_outage(postgres, KEY, NOW - 8 * HOUR) == Outage(1, NOW - 9 * HOUR, NOW - 9 * HOUR, "Early")


def test_who_relies_on_a_product_is_told_once_per_outage_that_misses_the_promise(served: Shop) -> None:
    mesh, now = served.mesh, datetime.now(UTC)

    def told(at: datetime) -> list[tuple[str, str]]:
        found = news(mesh, [mesh.project.product(KEY)], at)
        return [(event.id, event.text) for event in found if event.kind == "unavailable"]

    record_probes(mesh.postgres, [Probe(KEY, 1, now - HOUR, 5) for _ in range(200)])
    record_probes(mesh.postgres, [Probe(KEY, 1, now - HOUR / 2, 5, error="IOException")])
    assert told(now) == []  # 200 of 201 keep 99.5 %
    record_probes(mesh.postgres, [Probe(KEY, 1, now - HOUR / 4, 5, "shop.lines_v1", "Timeout")])
    began = f"{now - HOUR / 2:%Y-%m-%d %H:%M} UTC"
    missed = (
        f"{KEY} could not be read {began} (Timeout), and is less available than promised: 200 of 202 probes could read "
        "it (99.009 %), promised are 99.5 %; there were probes in "
    )
    [(event, text)] = told(now)
    assert event == f"unavailable:{KEY}#201"
    assert text.startswith(missed)
    record_probes(mesh.postgres, [Probe(KEY, 1, now, 5)])
    assert [event for event, _ in told(now + HOUR)] == [event]  # told before, by its id
    assert told(now + timedelta(days=2)) == []  # over for longer than news is news


def called(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """A command's exit status and output, as a process of its own would give them."""
    settings = mesh.settings
    assert settings.postgres_url is not None
    for name, value in (
        ("PROJECT", settings.project), ("HOME", settings.home), ("LAKE_DATA", settings.lake_dir),
        ("POSTGRES_URL", settings.postgres_url.get_secret_value()),
    ):  # fmt: skip
        monkeypatch.setenv(f"MESH_{name}", str(value))
    get_settings.cache_clear()
    try:
        return CliRunner().invoke(build_app(), words)
    finally:
        get_settings.cache_clear()


def test_the_commands_probe_and_show_how_levels_are_kept(served: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*words: str) -> tuple[int, Any]:
        done = called(served.mesh, monkeypatch, *words, "--json")
        return done.exit_code, json.loads(done.output)

    status, [row] = command("probe")
    assert (status, {**row, "ms": 0}) == (
        0,
        {"product": KEY, "release": 1, "ok": True, "ms": 0, "view": None, "error": None},
    )
    expected = [("freshness", "2 d", "passed"), ("frequency", "1 d", "not measured"),
                ("availability", "99.5 percent", "passed")]  # fmt: skip
    _, product = command("product", KEY)
    status, [checked] = command("contract", "check", KEY)
    for levels in (product["service_levels"], checked["service_levels"]):
        assert [(each["level"], each["promised"], each["status"]) for each in levels] == expected
    assert (status, checked["not_executed"]) == (0, [])

    for file in files_of(served, "orders"):
        file.unlink()
    status, [row] = command("probe", KEY)
    assert (status, row["error"]) == (1, "IOException")
    shown = called(served.mesh, monkeypatch, "product", KEY).output
    assert "1 of 2 probes could read it (50 %)" in " ".join(shown.split())


def test_a_missed_level_warns_and_fails_no_check_of_the_contract(served: Shop) -> None:
    record_probes(served.mesh.postgres, [Probe(KEY, 1, datetime.now(UTC), 5, error="Timeout")])
    found = check_contract(served.mesh, source_of(served.mesh, KEY))
    assert [result.status for result in found.levels] == ["passed", "not measured", "failed"]
    assert found.audit.verdict == "passed"
    assert check_contract(served.mesh, source_of(served.mesh, KEY), served.contract).levels == ()


def test_dagster_shows_levels_as_checks_that_warn_and_is_told_when_one_turns(served: Shop) -> None:
    mesh, instance = served.mesh, dg.DagsterInstance.ephemeral()
    product = mesh.project.product(KEY)
    view = published_keys(product)["orders"]

    def shown() -> dict[str, tuple[bool, str]]:
        found = {}
        for name in ("service_freshness", "service_frequency", "service_availability"):
            records = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(view, name), 10)
            for record in records[:1]:
                evaluation = record.event.dagster_event.asset_check_evaluation_data  # type: ignore[union-attr]
                assert evaluation.severity is dg.AssetCheckSeverity.WARN
                found[name] = (evaluation.passed, len(records))
        return found

    told, cursor = probed(mesh, instance, "shop", None)
    assert told == "1 of 1 products could be read."
    # A check only passes or fails; what is not measured yet does neither.
    assert shown() == {"service_freshness": (True, 1), "service_availability": (True, 1)}
    told, cursor = probed(mesh, instance, "shop", cursor)
    assert shown() == {"service_freshness": (True, 1), "service_availability": (True, 1)}
    for file in files_of(served, "lines"):
        file.unlink()
    told, cursor = probed(mesh, instance, "shop", cursor)
    assert told == f"0 of 1 products could be read, not {KEY} (shop.lines_v1: IOException)."
    assert shown() == {"service_freshness": (True, 1), "service_availability": (False, 2)}


def test_a_run_judges_levels_without_holding_up_anything(served: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster_project.resources.process_mesh", lambda: served.mesh)
    product = served.mesh.project.product(KEY)
    view = published_keys(product)["orders"]
    checks = level_checks(product)
    assert checks is not None
    assert {spec.blocking for spec in checks.check_specs} == {False}
    record_probes(served.mesh.postgres, [Probe(KEY, 1, datetime.now(UTC), 5, error="Timeout")])
    job = dg.Definitions(
        assets=[dg.AssetSpec(view)], asset_checks=[checks], resources={"mesh": MeshResource()},
        jobs=[dg.define_asset_job("levels", selection=dg.AssetSelection.checks(checks))],
    ).resolve_job_def("levels")  # fmt: skip
    done = job.execute_in_process()
    assert done.success
    assert {each.check_name: each.passed for each in done.get_asset_check_evaluations()} == {
        "service_freshness": True,
        "service_availability": False,
    }


@pytest.mark.parametrize(
    ("promise", "name", "cron"),
    [
        ("value: 15, unit: min", "shop_hourly", "0 * * * *"),
        ("value: 24, unit: h", "shop_daily", "0 5 * * *"),
        ("value: 1, unit: w", "shop_weekly", "0 5 * * 1"),
        ("value: 1, unit: month", "shop_monthly", "0 5 1 * *"),
    ],
)
def test_a_product_is_looked_at_as_often_as_its_contract_promises(
    shop: Shop, promise: str, name: str, cron: str
) -> None:
    text = f"slaProperties:\n  - {{property: fy, {promise}}}\n"
    (shop.mesh.settings.project / f"contracts/{KEY}.yaml").write_text(CONTRACT + text)
    [schedule] = _schedules(open_mesh(shop.mesh.settings).project.domain("shop"))
    assert (schedule.name, schedule.cron_schedule) == (name, cron)
