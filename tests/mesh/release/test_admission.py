"""A contract may change as its version says; a consumer's expectation is part of the producer's audit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mesh.checking import check_contract, source_of
from mesh.contract.consumers import only, read_consumer
from mesh.errors import AuditFailed, NotFound, PublishRefused
from mesh.release import at_revision, base_of, compared
from tests.mesh.release.conftest import KEY, Shop

LOOSER = ("minimum: 0", "minimum: -5")
TILL = """\
consumer: till
contact: {email: till@example.org}
columns: [orders.amount]
"""


def step(version: str) -> tuple[str, str]:
    return "version: 1.0.0", f"version: {version}"


def test_a_breaking_change_needs_a_new_major(shop: Shop) -> None:
    shop.release([1])
    broken = shop.edited(LOOSER, consumer=TILL)
    with pytest.raises(PublishRefused) as refused:
        broken.release([-1])
    assert str(refused.value) == (
        "shop/orders: Changes since release 1: 1 major (version unchanged). The version must be at least 2.0.0. "
        "orders.amount.minimum: the rule is weaker: amount is 0 or more -> amount is -5 or more. Hurts till. "
        "`mesh contract diff shop/orders` tells all."
    )
    assert broken.served() == [1]
    minor = broken.edited(step("1.1.0"))
    with pytest.raises(PublishRefused, match=r"at least 2\.0\.0"):
        minor.release([-1])
    assert minor.edited(("version: 1.1.0", "version: 2.0.0")).release([-1]).contract_version == "2.0.0"
    assert minor.served() == [1]  # the view of the first major stays where it was


def test_words_may_change_under_the_same_version(shop: Shop) -> None:
    shop.release([1])
    assert shop.edited(("Orders and their lines.", "Orders with their lines.")).release([2]).release == 2


def test_a_draft_promises_nothing_unless_somebody_relies_on_it(shop: Shop) -> None:
    draft = shop.edited(("status: active", "status: draft"))
    draft.release([1])
    assert draft.edited(LOOSER).release([-1]).release == 2
    with pytest.raises(PublishRefused, match="Hurts till"):
        draft.edited(("minimum: -5", "minimum: -9"), consumer=TILL).release([-7])


def test_what_a_consumer_expects_is_audited_and_named(shop: Shop) -> None:
    expects = (
        TILL
        + """\
schema:
  - name: orders
    quality: [{name: enough, metric: rowCount, mustBeGreaterThan: 1}]
    properties:
      - {name: amount, required: true, logicalTypeOptions: {maximum: 100}}
"""
    )
    told = shop.edited(consumer=expects)
    with pytest.raises(AuditFailed) as failed:
        told.release([None])
    assert failed.value.failed == ("orders.for_till.amount.required", "orders.for_till.enough")
    assert told.release([5, 6]).release == 1
    audit = told.audit(told.build([200, 7]))
    assert {result.rule_id: result.message for result in audit.failed} == {
        "orders.for_till.amount.maximum": "1 row of 2 failed (50 %); the number must be 0."
    }
    (rule,) = [rule for rule in told.contract.rules if rule.id == "orders.for_till.amount.maximum"]
    assert rule.description == "amount is 100 or less (expected by till)."


def test_a_consumer_that_relies_on_what_is_gone_is_named_before_anything_is_published(shop: Shop) -> None:
    gone = shop.edited(consumer=TILL.replace("orders.amount", "orders.total"))
    audit = gone.audit(gone.build([1]))
    assert [(result.rule_id, result.message) for result in audit.failed] == [
        (
            "orders.for_till",
            "The rule could not be run: contracts/shop/orders.consumers/till.yaml:3: columns[0]: shop/orders has no "
            "column `orders.total` (did you mean `orders.amount`?).",
        )
    ]


def test_a_consumer_s_file_is_tried_before_it_is_filed(shop: Shop, tmp_path: Path) -> None:
    shop.release([1, 200])
    file = tmp_path / "till.yaml"
    file.write_text(
        TILL + "rules: [orders.amount.minimum]\n"
        "schema: [{name: orders, properties: [{name: amount, logicalTypeOptions: {maximum: 100}}]}]\n"
    )
    terms = only(shop.contract, read_consumer(file, shop.contract))
    found = check_contract(shop.mesh, source_of(shop.mesh, KEY), terms)
    assert [(result.rule_id, result.status) for result in found.audit.results] == [
        ("orders.schema", "passed"),
        ("orders.amount.minimum", "passed"),
        ("orders.for_till.amount.maximum", "failed"),
        ("lines.schema", "passed"),
    ]
    assert shop.mesh.history().newest[KEY].release == 1


def test_a_difference_names_consumers_and_products(shop: Shop) -> None:
    first = shop.release([1])
    optional = ("physicalType: INTEGER, required: true}", "physicalType: INTEGER}")
    new = shop.edited(LOOSER, optional, consumer=TILL)
    found = compared(new.mesh.project, base_of(new.mesh.postgres, first, new.contract), new.contract)
    assert found.text() == (
        "shop/orders: Changes since release 1: 2 major (version unchanged). The version must be at least 2.0.0.\n"
        "\n"
        "Breaking (major)\n"
        "  lines.order_id.required: the rule is gone: order_id is never missing\n"
        "  orders.amount.minimum: the rule is weaker: amount is 0 or more -> amount is -5 or more\n"
        "\n"
        "Hurts consumer till\n"
        "  orders.amount.minimum: the rule is weaker: amount is 0 or more -> amount is -5 or more\n"
    )
    assert found.markdown().splitlines()[-1] == (
        "| major | `orders.amount.minimum` | the rule is weaker: amount is 0 or more -> amount is -5 or more | till |"
    )
    assert json.loads(found.json())["affected"][0]["name"] == "till"


def test_an_older_text_may_come_from_git(shop: Shop) -> None:
    root = shop.mesh.settings.project
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)
    new = shop.edited(LOOSER)
    base = at_revision(root, new.contract, "main")
    assert compared(new.mesh.project, base, new.contract).needed == "major"
    for revision in ("nowhere", "--help", "main:x"):
        with pytest.raises(NotFound, match="revision"):
            at_revision(root, new.contract, revision)


def test_the_same_rules_in_another_file_need_no_version(shop: Shop) -> None:
    shop.release([1])
    with_comment = shop.edited(("apiVersion: v3.1.0", "# What the till sells.\napiVersion: v3.1.0"))
    assert with_comment.release([2]).release == 2
    assert KEY in with_comment.mesh.project.products
