"""Failing rows of a product: told whole, values only for cleared roles, and never before the look is on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from mesh.access.log import Look, os_user, read_accesses
from mesh.errors import NotFound, ServiceError, UsageError
from mesh.failures import Failures, look
from mesh.failures.reading import NAMELESS, NOT_RUN, WHOLE_TABLE
from mesh.release import last_audit, record_audit
from mesh.session import Mesh, open_mesh
from tests.failing_shop import AT, CLASSIFICATIONS, KEY, SCRIPT, FailingShop, failing_shop
from tests.spine.bench import command

S2 = ({"sample_id": "S2"}, SCRIPT, 7)
PURPOSE = "complaint 4711"


@pytest.fixture(scope="module")
def shop(postgres_host: str, tmp_path_factory: pytest.TempPathFactory) -> FailingShop:
    shop = failing_shop(tmp_path_factory.mktemp("failures"), postgres_host)
    with pytest.raises(NotFound, match=r"was never audited\. Build it: mesh run --select shop/mix"):
        look(shop.mesh, KEY)
    shop.audit()
    return shop


@pytest.fixture(scope="module")
def mesh(shop: FailingShop) -> Mesh:
    return shop.mesh


def told(found: Failures) -> dict[str, Any]:
    """Rule to what is told of it."""
    return {
        finding.rule: (
            (finding.status, finding.severity, finding.failing, finding.quarantined, finding.rejected),
            finding.note
            or [(row.state, row.key, row.source_file, row.source_row, row.reason, row.values) for row in finding.rows],
        )
        for finding in found.findings
    }


def values(found: Failures, rule: str) -> Any:
    (finding,) = (finding for finding in found.findings if finding.rule == rule)
    return [(row.key, row.values) for row in finding.rows]


def test_without_a_role_every_failing_row_is_told_by_key_and_place(mesh: Mesh) -> None:
    before = len(read_accesses(mesh.postgres))
    found = look(mesh, KEY)
    warned = ("failed", "warning", 1, 0, 0)
    assert told(found) == {
        **{f"samples.{name}_text.known": (warned, [("failing", *S2, None, {})]) for name in CLASSIFICATIONS},
        "samples.amount.minimum": (
            ("passed", "error", 0, 1, 0),
            [("quarantined", {"sample_id": "S3"}, SCRIPT, 3, None, {})],
        ),
        "samples.enough": (("failed", "error", None, 0, 0), WHOLE_TABLE),
        "people.email.pattern": (warned, [("failing", {"person_token": "***"}, "shop/a.csv", 4, None, {})]),
        "lines.quantity.minimum": (warned, NAMELESS),
        "lines.parcel.weight.minimum": (warned, NAMELESS),
        "rejected": (
            ("failed", "warning", None, 0, 1),
            [("rejected", {}, SCRIPT, 2, "1 field instead of 2", {})],
        ),
    }
    assert (found.product, found.verdict, found.contract_version, found.at) == (KEY, "failed", "1.2.0", AT)
    assert [role.name for role in found.roles] == ["visitor", "analyst", "investigator", "shop-data-team"]
    assert len(read_accesses(mesh.postgres)) == before, "only looks at values are on record"


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("visitor", {"public"}),
        ("analyst", {"public", "internal"}),
        ("investigator", {"public", "internal", "confidential"}),
        ("shop-data-team", set(CLASSIFICATIONS)),
    ],
)
def test_a_role_sees_the_judged_columns_up_to_its_clearance(mesh: Mesh, role: str, seen: set[str]) -> None:
    found = look(mesh, KEY, role=role, purpose=PURPOSE)
    key = {"sample_id": "***" if role == "visitor" else "S2"}
    for name in CLASSIFICATIONS:
        value = f"{name} value" if name in seen else "***"
        assert values(found, f"samples.{name}_text.known") == [(key, {f"{name}_text": value})]
    aside = {"sample_id": "***", "amount": "***"} if role == "visitor" else {"sample_id": "S3", "amount": -3}
    assert values(found, "samples.amount.minimum") == [({"sample_id": aside.pop("sample_id")}, aside)]
    token = "token 1" if role in ("investigator", "shop-data-team") else "***"
    email = "no address" if role == "shop-data-team" else "***"
    assert values(found, "people.email.pattern") == [({"person_token": token}, {"email": email})]
    assert values(found, "lines.quantity.minimum") == [({}, {"quantity": -1})], "public, and now something to tell"


def test_a_column_is_masked_by_the_most_confidential_field_inside_it(mesh: Mesh) -> None:
    """The object is public by its own word, the street in it is not, and a row shows the object whole."""
    rule = "lines.parcel.weight.minimum"
    analyst = look(mesh, KEY, rule=rule, role="analyst", purpose=PURPOSE)
    assert [(finding.note, finding.rows) for finding in analyst.findings] == [(NAMELESS, ())]
    investigator = look(mesh, KEY, rule=rule, role="investigator", purpose=PURPOSE)
    assert values(investigator, rule) == [({}, {"parcel": {"weight": -2, "street": "A"}})]


def test_every_look_at_values_is_on_record_with_what_was_shown(mesh: Mesh) -> None:
    before = len(read_accesses(mesh.postgres))
    found = look(mesh, KEY, role="analyst", purpose=f"  {PURPOSE} ")
    mine = read_accesses(mesh.postgres)[: -before or None]

    def entry(rule: str, *columns: str) -> Look:
        return Look(os_user(), "analyst", PURPOSE, KEY, rule, found.snapshot, 1, columns)

    shown = {"public": ("public_text",), "internal": ("internal_text",)}
    assert [access.look for access in reversed(mine)] == [
        *(entry(f"samples.{name}_text.known", "sample_id", *shown.get(name, ())) for name in CLASSIFICATIONS),
        entry("samples.amount.minimum", "sample_id", "amount"),
        entry("people.email.pattern"),
        entry("lines.quantity.minimum", "quantity"),
    ]
    assert all(datetime.now(UTC) - access.at < timedelta(minutes=1) for access in mine)


@contextmanager
def without_log(mesh: Mesh) -> Iterator[None]:
    with mesh.postgres.cursor() as cursor:
        cursor.execute("alter table mesh.access_log rename to lost")
    try:
        yield
    finally:
        with mesh.postgres.cursor() as cursor:
            cursor.execute("alter table mesh.lost rename to access_log")


def test_no_record_no_values(shop: FailingShop, mesh: Mesh) -> None:
    with without_log(mesh):
        with pytest.raises(ServiceError) as refused:
            look(mesh, KEY, role="shop-data-team", purpose=PURPOSE)
        # What the error came from is shown with --debug: it must hold no value either.
        assert "value" not in str(refused.value.__cause__)
        assert str(refused.value) == (
            "The look could not be put on record (UndefinedTable), so no values are shown. Without --role the rows are "
            "listed by key, file and row."
        )
        assert len(look(mesh, KEY).findings) == 12


def test_the_log_is_append_only_and_for_the_owner_alone(mesh: Mesh) -> None:
    look(mesh, KEY, rule="people.email.pattern", role="investigator", purpose=PURPOSE)
    for statement in (
        "update mesh.access_log set role = ''",
        "delete from mesh.access_log",
        "truncate mesh.access_log",
    ):
        with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), mesh.postgres.cursor() as cursor:
            cursor.execute(statement)
    observer = mesh.postgres.as_observer()
    for statement in ("select 1 from mesh.access_log", "insert into mesh.audit values (default)", "create table t ()"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege), observer.cursor() as cursor:
            cursor.execute(statement)


def test_an_observer_reads_all_that_needs_no_role_and_writes_nothing(mesh: Mesh) -> None:
    observing = Mesh.observing(mesh.settings, mesh.postgres)
    assert look(observing, KEY) == look(mesh, KEY)
    with pytest.raises(ServiceError, match=r"could not be put on record \(InsufficientPrivilege\)"):
        look(observing, KEY, role="analyst", purpose=PURPOSE)
    with pytest.raises(duckdb.Error, match="permission denied"), observing.writer() as connection:
        connection.execute("delete from shop_build.samples")


def test_a_mesh_from_before_the_log_gets_one(mesh: Mesh) -> None:
    with mesh.postgres.cursor() as cursor:
        cursor.execute("drop table mesh.access_log cascade")
    again = open_mesh(mesh.settings)
    assert read_accesses(again.postgres) == ()
    look(again, KEY, rule="people.email.pattern", role="analyst", purpose=PURPOSE)
    assert len(read_accesses(again.postgres)) == 1


def test_one_rule_and_a_limit(mesh: Mesh) -> None:
    assert list(told(look(mesh, KEY, rule="samples.amount.minimum"))) == ["samples.amount.minimum"]
    assert list(told(look(mesh, KEY, rule="rejected"))) == ["rejected"]
    assert look(mesh, KEY, rule="samples.schema").findings == (), "a rule that holds"
    (finding,) = look(mesh, KEY, rule="people.email.pattern", limit=0).findings
    assert (finding.rows, finding.total) == ((), 1), "the total is told whatever the limit"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"rule": "samples.amount.min"},
            "shop/mix has no rule 'samples.amount.min' (did you mean `samples.amount.minimum`?). Failed in its last "
            "audit: samples.public_text.known, samples.internal_text.known, samples.confidential_text.known, "
            "samples.restricted_text.known, samples.unclassified_text.known, samples.own_text.known, samples.enough, "
            "people.email.pattern, lines.quantity.minimum, lines.parcel.weight.minimum. All of them: `mesh audit "
            "shop/mix`, and `rejected` for "
            "records that could not be read.",
        ),
        (
            {"role": "auditor", "purpose": PURPOSE},
            "The contract of shop/mix names no role 'auditor' that may read values. Allowed: visitor (up to public), "
            "analyst (up to internal), investigator (up to confidential), shop-data-team (up to restricted)",
        ),
        (
            {"role": "analyst"},
            "Values need a role and a purpose: --role ROLE --purpose TEXT. Both go into the access log.",
        ),
        (
            {"role": "analyst", "purpose": "  "},
            "Values need a role and a purpose: --role ROLE --purpose TEXT. Both go into the access log.",
        ),
        (
            {"purpose": PURPOSE},
            "Values need a role and a purpose: --role ROLE --purpose TEXT. Both go into the access log.",
        ),
    ],
    ids=["rule", "role without a clearance", "no purpose", "blank purpose", "no role"],
)
def test_a_wrong_question_is_told_what_is_allowed(mesh: Mesh, asked: dict[str, str], said: str) -> None:
    before = len(read_accesses(mesh.postgres))
    with pytest.raises(UsageError) as refused:
        look(mesh, KEY, **asked)
    assert str(refused.value) == said
    assert len(read_accesses(mesh.postgres)) == before


def test_the_command_lists_rules_and_rows_and_the_log(shop: FailingShop) -> None:
    done = command(shop.spine, "failures", KEY, "--rule", "people.email.pattern")
    assert (done.status, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines() if line.strip()]
    assert lines[0].startswith("shop/mix: failed at snapshot")
    assert lines[1:] == [
        "rule severity failing quarantined rejected said",
        "people.email.pattern warning 1 0 0 1 row of 2 failed (50 %); the number must be 0.",
        "Rows",
        "rule state key file row why",
        "people.email.pattern failing person_token=*** shop/a.csv 4 -",
        "Values: --role ROLE --purpose TEXT. Roles of the contract: visitor (up to public), analyst (up to internal), "
        "investigator (up to confidential), shop-data-team (up to restricted). The look goes on record.",
    ]
    words = ("--role", "shop-data-team", "--purpose", PURPOSE, "--json")
    shown = json.loads(command(shop.spine, "failures", KEY, "--rule", "people.email.pattern", *words).out)
    assert shown["rows"] == [
        {
            "table": "people", "rule": "people.email.pattern", "state": "failing", "key": {"person_token": "token 1"},
            "source_file": "shop/a.csv", "source_row": 4, "reason": None, "values": {"email": "no address"},
        }
    ]  # fmt: skip
    entry = json.loads(command(shop.spine, "accesses", "--json").out)[0]
    assert (entry.pop("at")[:4].isdigit(), entry) == (
        True,
        {
            "who": os_user(), "role": "shop-data-team", "purpose": PURPOSE, "product": KEY,
            "rule": "people.email.pattern", "snapshot": shown["snapshot"], "rows": 1,
            "columns": ["person_token", "email"],
        },
    )  # fmt: skip


def test_the_command_says_so_where_nothing_fails(shop: FailingShop) -> None:
    done = command(shop.spine, "failures", KEY, "--rule", "samples.schema")
    assert done.status == 0
    assert done.out.startswith("No row fails samples.schema in the last audit (snapshot ")


def test_a_contract_that_changed_since_is_not_held_against_the_old_rows(shop: FailingShop) -> None:
    """Its rules may be others by now, even under the same names; what was put aside stays told."""
    file = Path(shop.spine.project / "contracts" / f"{KEY}.yaml")
    right = file.read_text()
    file.write_text(right.replace("validValues: [fine]", "validValues: [good]"))
    try:
        found = told(look(shop.mesh, KEY))
    finally:
        file.write_text(right)
    changed = "The contract has changed since this audit; `mesh run --select shop/mix` audits anew."
    assert found["people.email.pattern"][1] == changed
    assert found["samples.enough"][1] == WHOLE_TABLE
    assert [row[0] for row in found["samples.amount.minimum"][1]] == ["quarantined"]


def test_a_rule_that_could_not_be_run_has_no_rows(mesh: Mesh) -> None:
    """The last of this file: it leaves a newer audit behind."""
    before = last_audit(mesh.postgres, KEY)
    assert before is not None
    results = tuple(
        replace(result, status="error", failing_rows=None) if result.rule_id == "people.email.pattern" else result
        for result in before.results
    )
    record_audit(mesh.postgres, replace(before, id="again", results=results))
    assert told(look(mesh, KEY))["people.email.pattern"] == (("error", "warning", None, 0, 0), NOT_RUN)
