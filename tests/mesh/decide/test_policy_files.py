from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mesh.access import KeyRing, tokenise_one
from mesh.cli import build_app
from mesh.decide.policy import (
    Policy,
    PolicyFile,
    add_entries,
    keep,
    lint_policy,
    load_kept,
    read_policy,
    remove_entry,
)
from mesh.errors import MeshError, NotFound, ProjectError, UsageError
from mesh.settings import get_settings
from tests.conftest import ROOT
from tests.mesh.decide.policy_desk import COLUMNS, HEAD, NOW, RANDOM, RING, decide, rule, write

MANY = rule("many", "review", "when: orders_1h >= 10")
ON_PHONES = rule("bad_phone", "block", "list: phones, token: phone_token")
NUMBER = "0131 496 0000"
PHONE = tokenise_one(RING, "phone", NUMBER)[0] or ""
HEADER = "token,from,until,author,why\n"
FIRST = 10
"""The line of the first rule."""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.0.0", "1.0.x", "2: version: does not fit Allowed: three numbers, such as 1.0.0"),
        ("owner:", "owners:", "4: owners: is no field here; did you mean owner? Allowed: policy, version, description, "
         "owner, reads, model, random, not_known, lists, rules"),
        ("[shop/orders]", "shop", "5: reads: is not a list of products Allowed: such as [sales/orders], each once"),
        ("capacity: model", "capacity: 0.125",
         "6: model.capacity: does not fit Allowed: `model` for the model's own, or "
         "a share in whole percents from 0.01 to 1, such as 0.15"),
        ("HIGH_SCORE", "high", "6: model.reason: does not fit Allowed: capital letters, digits and _, such as "
         "ON_WATCH_LIST"),
        ("identifier: phone", "identifier: fax", "8: lists.phones.identifier: does not fit Allowed: nino, utr, "
         "bank_account, phone, email, other"),
        ("action: review", "action: stop", "11: rules[0].action: does not fit Allowed: block, review, accept"),
        ("action: review", "action: accept",
         "11: rules[0].until: is missing: rows that are accepted unseen need an end "
         "Allowed: a date, after which somebody has to think again"),
        ("orders_1h >=", "order_1h >=", "11: rules[0].when: reads order_1h, which is no column here (did you mean "
         "`orders_1h`?). Allowed: amount, check, ordered_on, orders_1h, paid, phone_token, places, shop"),
        ("orders_1h >=", "score >=", "11: rules[0].when: reads score, which is no column here. Allowed: amount, check, "
         "ordered_on, orders_1h, paid, phone_token, places, shop"),
        ("orders_1h >= 10", "places = 'x'", "11: rules[0].when: reads places, whose type VARCHAR[] cannot be compared. "
         "Allowed: columns of simple types"),
        ("orders_1h >= 10", "orders_1h >= 10, from: soon", "11: rules[0].from: is no date Allowed: such as 2020-06-01 "
         "(as `until`, all of that day) or 2020-06-01T12:00:00"),
        ("orders_1h >= 10", "orders_1h >= 10, from: 2020-06-02, until: 2020-06-01", "11: rules[0].until: is not later "
         "than from Allowed: a later date"),
        ("orders_1h >= 10", "orders_1h >= 10, token: shop",
         "11: rules[0].token: belongs to a rule with a list Allowed: "
         "`list` in place of `when`"),
        ("token: phone_token", "token: phone", "12: rules[1].token: reads phone, which is no column here (did you mean "
         "`phone_token`?). Allowed: amount, check, ordered_on, orders_1h, paid, phone_token, places, shop"),
        ("token: phone_token", "token: amount", "12: rules[1].token: compares amount (number) with text. Allowed: a "
         "number"),
        ("token: phone_token", "token: shop, value: shop", "12: rules[1].value: does not say which column is looked up "
         "Allowed: `token: COLUMN` where the column holds tokens, `value: COLUMN` where it holds plain values"),
        ("list: phones", "list: fones", "12: rules[1].list: does not fit Allowed: phones, shops"),
        ("list: phones", "when: shop = 'x', list: phones",
         "12: rules[1].list: has both `when` and `list` Allowed: one of "
         "them"),
        ("id: bad_phone", "id: many", "12: rules[1].id: many stands here twice Allowed: each id once"),
        (", why: Because.", "", "11: rules[0].why: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_line_and_way_out(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, MANY, ON_PHONES)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ProjectError) as refused:
        read_policy(path, COLUMNS)
    assert str(refused.value) == f"{path}:{message}"


@pytest.mark.parametrize(
    ("action", "periods", "message"),
    [
        ("block", ("", ""), "contradicts many, at the same time and of the same rows (review, block)"),
        ("review", ("", ""), "says the same as many, at the same time and of the same rows (review, review)"),
        ("block", ("until: 2020-06-01", "from: 2020-06-01"), "contradicts many, at the same time and of the same rows "
         "(review, block)"),
        ("block", ("until: 2020-06-01", "from: 2020-06-02"), None),
    ],
)  # fmt: skip
def test_two_rules_of_one_meaning_are_refused_where_they_meet(
    tmp_path: Path, action: str, periods: tuple[str, str], message: str | None
) -> None:
    ends = [f", {period}" if period else "" for period in periods]
    first = rule("many", "review", f"when: orders_1h >= 10{ends[0]}")
    path = write(tmp_path, first, rule("more", action, f"when: (orders_1h)>=10{ends[1]}"))
    if message is None:
        assert len(read_policy(path, COLUMNS).rules) == 2
        return
    with pytest.raises(ProjectError) as refused:
        read_policy(path, COLUMNS)
    allowed = "one of them, or periods that do not overlap"
    assert str(refused.value) == f"{path}:{FIRST + 2}: rules[1].id: {message} Allowed: {allowed}"


OTHER = tokenise_one(KeyRing([b"b" * 32]), "phone", NUMBER)[0] or ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{NUMBER},,,me,x\n",
         "2: token: is no token of this kind. Plain identifiers may not stand here: delete it and "
         "use `mesh policy add`. Allowed: phone:KEY:26 characters"),
        (f"{PHONE},,,me\n", "2: has 4 fields. Allowed: 5: token,from,until,author,why"),
        (f"{PHONE},,,me, \n", "2: why: is missing. Allowed: text of up to 500"),
        (f"{PHONE},soon,,me,x\n", "2: from: is no date. Allowed: empty, or such as 2020-06-01 or 2020-06-01T12:00:00"),
        (f"{PHONE},2020-06-02,2020-06-01,me,x\n", "2: until: is not later than from. Allowed: a later date"),
        (f"{PHONE},,,me,x\n{PHONE},,,me,x\n", "3: token: stands in this list twice. Allowed: once"),
        (f"{PHONE},,,me,x\n{OTHER},,,me,x\n",
         "3: token: was made with another key than the entries above it, so one of "
         f"them never matches. Allowed: tokens of one key, here {RING.active_id}"),
        (f"{PHONE},,,me,x", "2: The last line has no end, so the file may be cut short."),
    ],
)  # fmt: skip
def test_a_damaged_list_is_told_without_its_values(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, ON_PHONES, phones=HEADER + text)
    with pytest.raises(ProjectError) as refused:
        read_policy(path, COLUMNS)
    assert str(refused.value) == f"{tmp_path / 'lists/phones.csv'}:{message}"
    assert NUMBER not in str(refused.value)


def test_a_list_of_another_key_is_refused_since_it_could_never_match(tmp_path: Path) -> None:
    definition = read_policy(write(tmp_path, ON_PHONES, phones=f"{HEADER}{OTHER},,,me,x\n"), COLUMNS)
    with pytest.raises(ProjectError, match=r"holds tokens of key .* Begin the list anew with identifiers"):
        Policy(definition, RING)


def test_identifiers_go_on_a_list_as_tokens_and_off_again(tmp_path: Path) -> None:
    file = tmp_path / "phones.csv"
    assert add_entries(file, "phone", [NUMBER], RING, author="me", why="so, there", end="2030-01-01") == (PHONE,)
    assert file.read_text() == f'{HEADER}{PHONE},,2030-01-01,me,"so, there"\n'
    with pytest.raises(UsageError, match=r"^Identifier 2, phone:.* is on this list already"):
        add_entries(file, "phone", ["0131 496 0001", "+44 131 4960000"], RING, author="me", why="x")
    with pytest.raises(UsageError, match=r"^Identifier 1 is not valid as phone \(malformed\), so nothing was added"):
        add_entries(file, "phone", ["12"], RING, author="me", why="x")
    assert file.read_text().count("\n") == 2
    assert remove_entry(file, "phone", "(0131) 4960000", RING) == PHONE
    assert file.read_text() == HEADER
    with pytest.raises(NotFound):
        remove_entry(file, "phone", PHONE, RING)


def follow(folder: Path, *rules: str) -> PolicyFile:
    return PolicyFile(write(folder, *rules), columns=COLUMNS, keyring=RING, home=folder / "home")


def test_an_added_rule_acts_on_the_next_decision_and_a_removed_one_stops(tmp_path: Path) -> None:
    policies = follow(tmp_path)
    decisions = [decide(policies.current, orders_1h=10).decision]
    for rules in ((rule("many", "block", "when: orders_1h >= 10"),), ()):
        write(tmp_path, *rules)
        assert policies.refresh()
        decisions.append(decide(policies.current, orders_1h=10).decision)
    assert decisions == ["accept", "block", "accept"]
    assert not policies.refresh()


def test_an_identifier_put_on_a_list_acts_on_the_next_decision(tmp_path: Path) -> None:
    policies = follow(tmp_path, ON_PHONES)
    decisions = [decide(policies.current, phone_token=PHONE).decision]
    add_entries(tmp_path / "lists/phones.csv", "phone", [NUMBER], RING, author="me", why="x")
    policies.refresh()
    decisions.append(decide(policies.current, phone_token=PHONE).decision)
    remove_entry(tmp_path / "lists/phones.csv", "phone", NUMBER, RING)
    policies.refresh()
    decisions.append(decide(policies.current, phone_token=PHONE).decision)
    assert decisions == ["accept", "block", "accept"]


def test_a_bad_edit_leaves_the_last_good_policy_and_is_told(tmp_path: Path) -> None:
    policies = follow(tmp_path, MANY)
    before = policies.current
    path = write(tmp_path, MANY.replace("review", "stop"))
    assert not policies.refresh()
    assert policies.current is before
    assert policies.problem == f"{path}:11: rules[0].action: does not fit Allowed: block, review, accept"
    write(tmp_path, MANY)
    policies.refresh()
    assert (policies.problem, policies.current.sha256) == (None, before.sha256)
    path.unlink()
    policies.refresh()
    assert (policies.problem, policies.current.sha256) == (f"{path}: cannot be read", before.sha256)


def test_what_cannot_be_kept_does_not_decide(tmp_path: Path) -> None:
    policies = follow(tmp_path)
    before = policies.current
    kept = tmp_path / "home/policies"
    kept.rename(tmp_path / "elsewhere")
    kept.write_text("in the way")
    write(tmp_path, MANY)
    assert not policies.refresh()
    assert policies.current is before
    assert policies.problem is not None


def test_a_changed_text_of_one_version_is_told(tmp_path: Path) -> None:
    policies = follow(tmp_path)
    first = policies.current.definition.text_sha256
    assert policies.warning is None
    write(tmp_path, MANY)
    policies.refresh()
    second = policies.current.definition.text_sha256
    assert policies.warning is not None
    assert "version 1.0.0 of orders has another text than when it first came into effect" in policies.warning
    assert first in policies.warning
    assert second in policies.warning
    write(tmp_path, MANY, head=HEAD.replace("1.0.0", "1.1.0"))
    policies.refresh()
    assert policies.warning is None


def test_a_kept_policy_decides_as_it_did(tmp_path: Path) -> None:
    """Rules, lists and types as they were, whatever the files say now; the hash covers all of them."""
    policies = follow(tmp_path, MANY, ON_PHONES)
    hashes = [policies.current.sha256]
    add_entries(tmp_path / "lists/phones.csv", "phone", [NUMBER], RING, author="me", why="x")
    policies.refresh()
    hashes.append(policies.current.sha256)
    then = decide(policies.current, phone_token=PHONE)
    write(tmp_path)
    (tmp_path / "lists/phones.csv").unlink()
    kept = [load_kept(tmp_path / "home", sha256) for sha256 in hashes]
    assert [decide(Policy(one, RING), phone_token=PHONE).decision for one in kept] == ["accept", "block"]
    assert decide(Policy(kept[1], RING), phone_token=PHONE) == then
    with pytest.raises(NotFound, match="No policy of sha256 abc is kept"):
        load_kept(tmp_path / "home", "abc")


def test_an_altered_kept_file_is_refused(tmp_path: Path) -> None:
    definition = read_policy(write(tmp_path, MANY), COLUMNS)
    keep(tmp_path / "home", definition)
    file = tmp_path / f"home/policies/{definition.text_sha256}.yaml"
    file.write_text(file.read_text().replace("review", "accept"))
    with pytest.raises(MeshError, match="was altered"):
        load_kept(tmp_path / "home", definition.sha256)


def test_lint_tells_what_is_probably_not_meant(tmp_path: Path) -> None:
    rules = (
        rule("old", "review", "when: orders_1h >= 10, until: 2020-06-01"),
        rule("north", "block", "when: shop = 'north'"),
        ON_PHONES,
    )
    head = HEAD + "not_known: {check: [error]}\n"
    listed = f"{HEADER}{PHONE},,2020-06-01,me,x\n"
    definition = read_policy(write(tmp_path, *rules, head=head, phones=listed), COLUMNS)
    assert [f"{one.field}: {one.what}" for one in lint_policy(definition, at=NOW)] == [
        "random: nothing is reviewed at random, so the model only ever learns about rows that it suspects already.",
        "lists.phones: 1 of 1 entries are past their end.",
        "lists.shops: no rule uses this list.",
        "old: its end is past, so it does nothing.",
        "north: it blocks by a condition and without an end (`until`).",
        "not_known.check: no rule reads this column.",
    ]
    good = read_policy(write(tmp_path, MANY, head=HEAD + RANDOM, lists=""), COLUMNS)
    assert lint_policy(good, at=NOW) == ()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mesh's own project with a policy of the insight domain that is the test's."""
    project = tmp_path / "mesh"
    project.mkdir()
    for name in ("contracts", "dbt", "workspace.yaml"):
        (project / name).symlink_to(ROOT / name)
    for domain in ROOT.glob("data_products/*/domain.yaml"):
        folder = project / "data_products" / domain.parent.name
        folder.mkdir(parents=True)
        (folder / "domain.yaml").symlink_to(domain)
    policies = project / "data_products/insight/policies"
    policies.mkdir()
    text = (ROOT / "data_products/insight/policies/claim_decisions.yaml").read_text()
    (policies / "claim_decisions.yaml").write_text(text)
    monkeypatch.setenv("MESH_PROJECT", str(project))
    monkeypatch.setenv("MESH_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield policies
    get_settings.cache_clear()


def test_the_commands_keep_lists_and_check_policies(shop: Path) -> None:
    run, app = CliRunner(), build_app()
    key = "insight/claim_decisions"
    added = run.invoke(app, ["policy", "add", key, "accounts", "--why", "fraud"], input="20-00-00 12345678\n")
    assert added.exit_code == 0, added.output
    assert added.output.endswith(" is on accounts.\n")
    assert "12345678" not in added.output + (shop / "lists/accounts.csv").read_text()
    linted = run.invoke(app, ["policy", "lint"])
    assert (linted.exit_code, linted.output) == (0, "Policies: 1, errors: 0, warnings: 0\n")
    shown = run.invoke(app, ["policy", "show", key])
    assert "bank_account_token is on accounts" in shown.output
    removed = run.invoke(app, ["policy", "remove", key, "accounts"], input="20000012345678\n")
    assert (removed.exit_code, (shop / "lists/accounts.csv").read_text()) == (0, HEADER)
    file = shop / "claim_decisions.yaml"
    file.write_text(file.read_text().replace("nino_overlapping_schemes", "nino_overlaping_schemes"))
    wrong = run.invoke(app, ["policy", "lint"])
    assert wrong.exit_code == 1
    assert "rules[6].when: reads nino_overlaping_schemes, which is no column here (did you mean" in wrong.output
