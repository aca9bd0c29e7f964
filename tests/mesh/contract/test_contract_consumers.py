"""Registered consumers: what a file may say, and how a wrong one is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mesh.contract import EVENTS, Consumer, Contract, load_consumers, load_contract, load_contracts
from mesh.contract.consumers import registered
from mesh.errors import ContractError, ProjectError
from tests.conftest import ROOT

KEY = "interactions/contacts"
WHOLE = """\
consumer: benefit-analysts
description: Weekly figures.
contact: {email: analysts@example.org, webhook: "https://hooks.example.org/mesh?key=secret"}
events: [late, release]
columns: [channel, contacts.started_at]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "contracts/interactions", tmp_path / "contracts/interactions")
    (tmp_path / f"contracts/{KEY}.consumers").mkdir()
    return tmp_path


def contract(project: Path) -> Contract:
    return load_contract(project / f"contracts/{KEY}.yaml")


def write(project: Path, text: str, name: str = "benefit-analysts.yaml") -> Path:
    file = project / f"contracts/{KEY}.consumers/{name}"
    file.write_text(text)
    return file


def test_a_consumer_says_where_it_is_reached_and_what_it_relies_on(project: Path) -> None:
    file = write(project, WHOLE)
    least = write(project, "{consumer: auditors, contact: {email: a@b}}", "auditors.yaml")
    assert load_consumers(project, contract(project)) == (
        Consumer("auditors", KEY, "a@b", None, EVENTS, (), (), (), "", least),
        Consumer(
            name="benefit-analysts",
            product=KEY,
            email="analysts@example.org",
            webhook="https://hooks.example.org/mesh?key=secret",
            events=("release", "late"),
            columns=("contacts.channel", "contacts.started_at"),
            rules=(),
            expects=(),
            description="Weekly figures.",
            path=file,
        ),
    )


def test_a_secret_in_a_webhook_is_not_shown(project: Path) -> None:
    write(project, WHOLE)
    assert "key=secret" not in repr(load_consumers(project, contract(project)))


def test_contracts_are_loaded_as_if_consumers_were_not_there(project: Path) -> None:
    before = load_contracts(project)
    write(project, WHOLE)
    assert load_contracts(project) == before
    assert registered(project) == (KEY,)
    assert load_consumers(project, before["interactions/messages"]) == ()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("consumer: benefit-analysts", "consumer: Analysts",
         ":1: consumer: `Analysts` is no name. Allowed: lower case letters, digits, _ and -, a letter first"),
        ("consumer: benefit-analysts", "consumer: others",
         ":1: consumer: This is consumer others. Allowed: interactions/contacts.consumers/others.yaml"),
        ("consumer: benefit-analysts\n", "", ":1: consumer: This is missing."),
        ("description: Weekly figures.", "description: 7",
         ":2: description: This must be text; put it in quotes."),
        ("description", "orders",
         ":2: orders: `orders` is not known. Allowed: consumer, description, contact, events, columns, rules, schema"),
        ("analysts@example.org", "Ann <a@example.org>", ":3: contact.email: This is no address. Allowed: NAME@HOST, "
         "one address"),
        ("https://hooks.example.org/mesh?key=secret", "ftp://hooks.example.org/secret",
         ":3: contact.webhook: This is no address. Allowed: https://HOST/PATH, or http://"),
        ("webhook:", "hook:", ":3: contact.hook: `hook` is not known (did you mean `webhook`?). Allowed: email, "
         "webhook"),
        ("contact: {", "contact: {} #", ":3: contact: This must say where the consumer is reached. Allowed: email, "
         "webhook"),
        ("[late, release]", "[late, releases]", ":4: events[1]: `releases` is not known (did you mean `release`?). "
         "Allowed: release, audit_failed, late, unavailable, deprecation"),
        ("[late, release]", "[late, late]", ":4: events[1]: `late` stands here twice. Allowed: each once"),
        ("[late, release]", "[]", ":4: events: This must be a list. Allowed: such as [first, second], or leave it out"),
        ("[channel,", "[chanel,", ":5: columns[0]: interactions/contacts has no column `chanel` (did you mean "
         "`channel`?). Allowed: contact_id, nino_token, nino_status, channel, started_at, duration_seconds, reason, "
         "device_id, phone_token, result, load_id, source_file, source_row"),
        (WHOLE, "- a list", ": There is no consumer in this file. Allowed: consumer, description, contact, events, "
         "columns, rules, schema"),
        ("events: [", "events: [[", ":5: The YAML is damaged: while parsing a flow sequence did not find expected "
         "',' or ']'."),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_line_and_field(project: Path, old: str, new: str, told: str) -> None:
    assert old in WHOLE
    file = write(project, WHOLE.replace(old, new, 1))
    with pytest.raises(ContractError) as error:
        load_consumers(project, contract(project))
    assert isinstance(error.value, ProjectError)
    assert str(error.value) == f"{file}{told}"


def test_columns_of_several_tables_are_named_with_their_table(tmp_path: Path) -> None:
    from tests.mesh.release.conftest import CONTRACT

    (tmp_path / "contracts/shop/orders.consumers").mkdir(parents=True)
    (tmp_path / "contracts/shop/orders.yaml").write_text(CONTRACT)
    orders = load_contract(tmp_path / "contracts/shop/orders.yaml")
    file = tmp_path / "contracts/shop/orders.consumers/till.yaml"
    file.write_text("consumer: till\ncontact: {email: a@b}\ncolumns: [lines.order_id]\n")
    [consumer] = load_consumers(tmp_path, orders)
    assert consumer.columns == ("lines.order_id",)
    file.write_text("consumer: till\ncontact: {email: a@b}\ncolumns: [amount]\n")
    with pytest.raises(ContractError, match=r"Allowed: orders\.order_id, orders\.amount, lines\.order_id"):
        load_consumers(tmp_path, orders)
