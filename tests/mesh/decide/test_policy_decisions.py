from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.access import KeyRing, tokenise_one
from mesh.decide.policy import Policy, Reason, Verdict, columns_of, find_policy, read_policy
from mesh.decide.policy.lists import moment, tokeniser
from mesh.model import fit_bands
from mesh.project import load_project
from tests.conftest import ROOT
from tests.mesh.decide.policy_desk import HEAD, NOW, RANDOM, RING, codes, decide, policy, rule

PHONE = tokenise_one(RING, "phone", "0131 496 0000")[0] or ""
SHOP = tokenise_one(RING, "other", "sh-1")[0] or ""
LISTED = "token,from,until,author,why\n{},{},{},shop-team,Because.\n"
MANY = rule("many", "review", "when: orders_1h >= 10")
BLOCKED = rule("north_blocked", "block", "when: shop = 'north'")
TRUSTED = rule("north_trusted", "accept", "when: shop = 'north', until: 2030-01-01")
SMALL_TRUSTED = rule("small_trusted", "accept", "when: amount < 5, until: 2030-01-01")
ON_PHONES = rule("bad_phone", "block", "list: phones, token: phone_token, otherwise: {reason: FINE, says: Not listed.}")
ON_SHOPS = rule("bad_shop", "review", "list: shops, value: shop")


def test_a_decision_says_all_that_led_to_it(tmp_path: Path) -> None:
    asked = policy(tmp_path, BLOCKED, MANY, ON_PHONES, head=HEAD)
    assert decide(asked, margin=2.0, orders_1h=12, phone_token=PHONE) == Verdict(
        decision="block",
        risk_score=50,
        reasons=(
            Reason("NORTH_BLOCKED", "north_blocked held.", "north_blocked", "block"),
            Reason("MANY", "many held.", "many", "review"),
            Reason("HIGH_SCORE", "It ranks high.", "model", "review"),
        ),
        told=(Reason("FINE", "Not listed.", "bad_phone", "accept"),),
        rules=("north_blocked", "many"),
        not_known=(),
        selected_by="rule",
        drawn=False,
        key_id=RING.active_id,
        policy="orders",
        version="1.0.0",
        sha256=asked.definition.sha256,
    )


def test_the_model_reviews_from_its_margin_on_and_never_blocks(tmp_path: Path) -> None:
    asked = policy(tmp_path)
    assert [decide(asked, margin=margin).decision for margin in (0.99, 1.0, 1e9)] == ["accept", "review", "review"]
    assert decide(asked, margin=1.0).selected_by == "risk"
    silent = decide(asked, margin=None)
    assert (silent.decision, silent.risk_score, silent.not_known) == ("accept", None, ("model",))


def test_block_goes_before_review_and_review_before_accept(tmp_path: Path) -> None:
    assert decide(policy(tmp_path, TRUSTED, MANY), orders_1h=10).decision == "review"
    assert decide(policy(tmp_path, TRUSTED, MANY, ON_PHONES, phones=LISTED.format(PHONE, "", "")), orders_1h=10,
                  phone_token=PHONE).decision == "block"  # fmt: skip


def test_reasons_are_told_strongest_first_then_by_id(tmp_path: Path) -> None:
    also = rule("also", "review", "when: orders_1h >= 9")
    for rules in ((BLOCKED, MANY, also, SMALL_TRUSTED), (SMALL_TRUSTED, MANY, also, BLOCKED)):
        asked = policy(tmp_path, *rules)
        assert codes(decide(asked, orders_1h=10, amount=0)) == ["NORTH_BLOCKED", "ALSO", "MANY", "SMALL_TRUSTED"]


def test_a_rule_that_accepts_takes_only_the_models_review_away(tmp_path: Path) -> None:
    trusted = decide(policy(tmp_path, TRUSTED), margin=5.0)
    assert (trusted.decision, codes(trusted), trusted.selected_by) == ("accept", ["NORTH_TRUSTED"], None)
    drawn = policy(tmp_path, TRUSTED, head=HEAD + "random: {share: 0.999999999999, reason: DRAWN, says: Drawn.}\n")
    assert codes(decide(drawn, margin=5.0)) == ["DRAWN", "NORTH_TRUSTED"]


def test_what_stands_on_a_list_has_risk_score_100(tmp_path: Path) -> None:
    asked = policy(
        tmp_path, ON_PHONES, ON_SHOPS, phones=LISTED.format(PHONE, "", ""), shops=LISTED.format(SHOP, "", "")
    )
    listed = decide(asked, phone_token=PHONE, shop="South")
    assert (listed.decision, listed.risk_score, codes(listed), listed.told) == ("block", 100, ["BAD_PHONE"], ())
    # The plain value of a column is made a token, however it is spelt.
    shop = decide(asked, phone_token="phone:other", shop=" SH 1")
    assert (shop.decision, shop.risk_score, codes(shop)) == ("review", 100, ["BAD_SHOP"])
    assert [told.code for told in shop.told] == ["FINE"]


def test_an_entry_counts_only_in_its_days(tmp_path: Path) -> None:
    asked = policy(tmp_path, ON_PHONES, phones=LISTED.format(PHONE, "2020-06-01", "2020-06-30"))
    days = ("2020-05-31T23:59:59.999999", "2020-06-01", "2020-06-30T23:59:59.999999", "2020-07-01")
    found = [decide(asked, phone_token=PHONE, at=moment(day)).decision for day in days]
    assert found == ["accept", "block", "block", "accept"]


def test_a_rule_counts_only_in_its_days(tmp_path: Path) -> None:
    body = "when: orders_1h >= 10, from: 2020-06-01, until: 2020-06-30T12:00:00"
    asked = policy(tmp_path, rule("many", "review", body))
    days = ("2020-05-31T23:59:59.999999", "2020-06-01", "2020-06-30T11:59:59", "2020-06-30T12:00:00")
    found = [decide(asked, orders_1h=10, at=moment(day)).decision for day in days]
    assert found == ["accept", "review", "review", "accept"]


def test_what_is_unknown_is_neutral_and_said(tmp_path: Path) -> None:
    """Missing data, a failed lookup and a check that could not tell make nothing worse, and hide nothing else."""
    refused = rule("refused", "block", "when: check = 'no'")
    head = HEAD + "not_known: {check: [indeterminate, error]}\n"
    asked = policy(tmp_path, refused, MANY, ON_PHONES, head=head)
    answers = {answer: decide(asked, check=answer, phone_token="phone:x")
               for answer in ("yes", "no", "partial", "inapplicable", "indeterminate", "error", None)}  # fmt: skip
    assert {answer: (one.decision, one.not_known) for answer, one in answers.items()} == {
        "yes": ("accept", ()),
        "no": ("block", ()),
        "partial": ("accept", ()),
        "inapplicable": ("accept", ()),
        "indeterminate": ("accept", ("check",)),
        "error": ("accept", ("check",)),
        None: ("accept", ("check",)),
    }
    failed = asked.decide("O1", {"check": "no", "orders_1h": 10, "phone_token": None}, at=NOW, margin=0.0, score=1,
                          review_from=1.0, failed=("check",))  # fmt: skip
    assert (failed.decision, codes(failed), failed.not_known) == ("review", ["MANY"], ("check", "phone_token"))
    assert failed.told == ()  # nobody looked for a phone that is not known


def test_an_unknown_that_decides_nothing_is_not_mentioned(tmp_path: Path) -> None:
    asked = policy(tmp_path, rule("some", "review", "when: shop = 'south' and orders_1h > 5"))
    assert decide(asked, orders_1h=None).not_known == ()
    assert decide(asked, shop="south", orders_1h=None).not_known == ("orders_1h",)


def test_the_random_sample_is_the_share_and_the_same_again(tmp_path: Path) -> None:
    asked = policy(tmp_path, head=HEAD + RANDOM)
    keys = [f"O{i}" for i in range(4000)]
    first = {key for key in keys if decide(asked, key=key).selected_by == "random"}
    assert 0.22 < len(first) / len(keys) < 0.28
    assert first == {key for key in keys if asked.drawn(key)}
    again = policy(tmp_path, MANY, head=(HEAD + RANDOM).replace("0.25", "0.5").replace("1.0.0", "2.0.0"))
    assert first < {key for key in keys if again.drawn(key)}  # a greater share keeps who was drawn
    other = Policy(asked.definition, KeyRing([b"b" * 32]))
    assert first != {key for key in keys if other.drawn(key)}  # without the key nobody can say who is drawn


def test_a_draw_is_told_of_rows_that_something_else_chose(tmp_path: Path) -> None:
    """Chosen at random is only what nothing else chose; who weighs the sample needs the draw of the others, too."""
    asked = policy(tmp_path, MANY, head=HEAD + RANDOM)
    key = next(key for key in map(str, range(99)) if asked.drawn(key))
    found = [decide(asked, key=key), decide(asked, key=key, margin=2.0), decide(asked, key=key, orders_1h=10)]
    assert [(one.selected_by, one.drawn) for one in found] == [("random", True), ("risk", True), ("rule", True)]


def test_a_replay_draws_with_the_key_of_its_decision(tmp_path: Path) -> None:
    old = policy(tmp_path, ON_SHOPS, head=HEAD + RANDOM, shops=LISTED.format(SHOP, "", ""))
    rotated = KeyRing([b"c" * 32, b"a" * 32])
    again = Policy(old.definition, rotated, key_id=decide(old).key_id)
    rows = [{"key": f"O{i}", "shop": shop} for i in range(50) for shop in ("sh1", "north")]
    assert [decide(again, **row) for row in rows] == [decide(old, **row) for row in rows]


def test_a_capacity_of_its_own_reviews_that_share(tmp_path: Path) -> None:
    margins = np.arange(1000.0)
    bands = fit_bands(margins, 0.22)
    shares = {}
    for said in ("model", "0.22", "0.05", "1.0"):
        asked = policy(tmp_path, head=HEAD.replace("capacity: model", f"capacity: {said}"))
        shares[said] = float((margins >= asked.review_from(bands)).mean())
    assert shares == {"model": 0.22, "0.22": 0.22, "0.05": 0.05, "1.0": 1.0}


@settings(deadline=None)
@given(value=st.text(max_size=12))
def test_one_value_by_hand_has_the_token_of_the_arrays(value: str) -> None:
    assert tokeniser(RING, "other", RING.active_id)(value) == tokenise_one(RING, "other", value)[0]


RULES = st.sampled_from(["north", "south", "east"]).flatmap(
    lambda shop: st.tuples(
        st.sampled_from(["block", "review", "accept"]),
        st.sampled_from([f"when: shop = '{shop}'", f"when: orders_1h > {len(shop)}", "when: amount is null"]),
    )
)
ROWS = st.fixed_dictionaries({
    "shop": st.sampled_from([None, "north", "south"]),
    "orders_1h": st.sampled_from([None, 0, 5, 9]),
    "amount": st.none(),
    "margin": st.sampled_from([None, 0.0, 2.0]),
    "key": st.sampled_from(["O1", "O2", "O3", "O4", "O5"]),
})  # fmt: skip
LAW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def built(folder: Path, rules: list[tuple[str, str]]) -> Policy:
    unique = {body: action for action, body in rules}
    texts = [
        rule(f"r{sorted(unique).index(body)}", action, f"{body}, until: 2030-01-01") for body, action in unique.items()
    ]
    return policy(folder, *texts, head=HEAD + RANDOM)


@LAW
@given(rules=st.lists(RULES, max_size=5), row=ROWS)
def test_without_a_rule_that_blocks_nothing_is_blocked(tmp_path: Path, rules: list[Any], row: dict[str, Any]) -> None:
    """Whatever the model says."""
    assert decide(built(tmp_path, [one for one in rules if one[0] != "block"]), **row).decision != "block"


@LAW
@given(
    rules=st.lists(RULES, max_size=5), row=ROWS, where=st.sampled_from(["shop <> ''", "orders_1h >= 0", "paid = true"])
)
def test_one_more_rule_that_blocks_never_frees_anything(
    tmp_path: Path, rules: list[Any], row: dict[str, Any], where: str
) -> None:
    order = ["accept", "review", "block"]
    before = decide(built(tmp_path, rules), **row)
    after = decide(built(tmp_path, [*rules, ("block", f"when: {where}")]), **row)
    assert after.decision in (before.decision, "block")
    assert order.index(after.decision) >= order.index(before.decision)


@LAW
@given(rules=st.lists(RULES, max_size=5), row=ROWS, data=st.data())
def test_the_order_of_rules_in_the_file_decides_nothing(
    tmp_path: Path, rules: list[Any], row: dict[str, Any], data: st.DataObject
) -> None:
    unique = list({body: (action, body) for action, body in rules}.values())
    told = [decide(built(tmp_path, one), **row) for one in (unique, data.draw(st.permutations(unique)))]
    # The text differs, so its hash does; nothing else may.
    assert msgspec.structs.replace(told[0], sha256=told[1].sha256) == told[1]


def test_the_shipped_policy_blocks_by_lists_alone() -> None:
    """What the purpose of the domain says: a score orders the work of people, it never rejects by itself."""
    path = find_policy(ROOT, "insight/claim_decisions")
    shipped = read_policy(path, columns_of(path, load_project(ROOT)))
    assert Counter(one.action for one in shipped.rules) == {"block": 3, "review": 5}
    assert [one.id for one in shipped.rules if one.action == "block" and one.listed is None] == []
