"""Registered consumers: who relies on a product, on which of its columns and rules, and where to reach them.

`contracts/<domain>/<product>.consumers/<name>.yaml`, one file per consumer beside the contract it relies on:

    consumer: benefit-analysts            # the name of the file
    description: Weekly figures of claims.
    contact: {email: analysts@example.org, webhook: "https://analysts.example.org/hooks/mesh"}
    events: [release, audit_failed]       # default: all of EVENTS
    columns: [amount, scheme]             # columns it relies on; table.column where the product has several tables
    rules: [claims.amount.minimum]        # rules of the contract it relies on
    schema:                               # what it expects beyond the contract, as the standard writes it
      - name: claims
        properties:
          - name: amount
            required: true
            quality: [{metric: invalidValues, arguments: {validValues: [1, 2]}, mustBeLessThan: 1, unit: percent}]

What it expects becomes rules of the producer's audit, named after the consumer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from mesh.contract.consumer_schema import expected_columns, expected_rules
from mesh.contract.model import Contract, Rule
from mesh.contract.reading import Document, Path_, did_you_mean, read_yaml
from mesh.errors import ContractError, NotFound

EventKind = Literal["release", "audit_failed", "late", "unavailable", "deprecation"]
EVENTS: tuple[EventKind, ...] = get_args(EventKind)

KEYS = ("consumer", "description", "contact", "events", "columns", "rules", "schema")
RELIED_ON = ("columns", "rules", "schema")
CONTACT_KEYS = ("email", "webhook")
NAME = re.compile(r"[a-z][a-z0-9_-]*")
# The pattern by which HTML checks an address: no display name, no comment, nothing that could start a header line.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_{|}~`-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class Consumer:
    """One registered consumer of a product.

    Attributes:
        product: `domain/product`.
        email, webhook: where it is told of `events`; at least one. A webhook's address may hold a secret.
        columns: columns it relies on, as `table.column`.
        rules: ids of rules of the contract that it relies on.
        expects: rules of its own, which the producer's audit runs.
    """

    name: str
    product: str
    email: str | None
    webhook: str | None = field(repr=False)
    events: tuple[EventKind, ...]
    columns: tuple[str, ...]
    rules: tuple[str, ...]
    expects: tuple[Rule, ...]
    description: str
    path: Path


def load_consumers(root: Path, contract: Contract) -> tuple[Consumer, ...]:
    """The registered consumers of a product, by name.

    Raises:
        ContractError: a file is wrong; the message names the line and the field, and what is allowed there.
    """
    return tuple(read_consumer(file, contract) for file in sorted(folder(root, contract.name).glob("*.y*ml")))


def folder(root: Path, product: str) -> Path:
    """Where the consumers of `domain/product` are registered."""
    return root / "contracts" / f"{product}.consumers"


def registered(root: Path) -> tuple[str, ...]:
    """The products that have a folder of consumers, whether or not there is such a product."""
    folders = sorted((root / "contracts").glob("*/*.consumers"))
    return tuple(f"{path.parent.name}/{path.stem}" for path in folders)


def read_consumer(file: Path, contract: Contract) -> Consumer:
    """Read one consumer of this contract; raises as `load_consumers` does."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"The consumer {file} cannot be read: {error.strerror}.") from error
    document = read_yaml(content, file, holds="consumer", allowed=", ".join(KEYS))
    _known(document, (), document.data, KEYS)
    name = _text(document, ("consumer",), required=True)
    if not NAME.fullmatch(str(name)):
        document.fail(("consumer",), f"`{name}` is no name.", "lower case letters, digits, _ and -, a letter first")
    if file.name != f"{name}.yaml":
        raise ContractError(f"This is consumer {name}.", file=file, line=document.line(("consumer",)),
                            field="consumer", allowed=f"{contract.name}.consumers/{name}.yaml")  # fmt: skip
    contact = document.data.get("contact")
    if not isinstance(contact, dict) or not contact:
        document.fail(("contact",), "This must say where the consumer is reached.", ", ".join(CONTACT_KEYS))
    _known(document, ("contact",), contact, CONTACT_KEYS)
    expects = tuple(expected_rules(document, contract, str(name)))
    return Consumer(
        name=str(name),
        product=contract.name,
        email=_checked(document, ("contact", "email"), is_address, "NAME@HOST, one address"),
        webhook=_checked(document, ("contact", "webhook"), is_webhook, "https://HOST/PATH, or http://"),
        events=_events(document),
        columns=tuple(dict.fromkeys((*_columns(document, contract), *expected_columns(document)))),
        rules=tuple(_rules(document, contract)),
        expects=expects,
        description=_text(document, ("description",)) or "",
        path=file,
    )


def with_consumers(root: Path, contract: Contract) -> Contract:
    """The contract with the rules that registered consumers expect of it: what an audit holds a candidate against.

    Its text and hash stay those of the file. A consumer that relies on what the contract does not have becomes a rule
    that fails and says so, for the producer to see before anything is published. What else is wrong with a consumer's
    file holds up nobody; notifications tell it.
    """
    expected: list[Rule] = []
    for file in sorted(folder(root, contract.name).glob("*.y*ml")):
        try:
            expected += read_consumer(file, contract).expects
        except ContractError as error:
            if re.split(r"[.\[]", error.field or "")[0] in RELIED_ON:
                expected.append(_unmet(contract, file, error))
    if not expected:
        return contract
    tables = (
        replace(table, rules=(*table.rules, *(rule for rule in expected if rule.table == table.name)))
        for table in contract.tables
    )
    return replace(contract, tables=tuple(tables))


def only(contract: Contract, consumer: Consumer) -> Contract:
    """The contract with nothing but what one consumer relies on and expects: to be tried before it registers."""
    expected = {rule.id: rule for rule in consumer.expects}
    relied_on = [rule for rule in contract.rules if rule.id in consumer.rules or rule.kind == "schema"]
    tables = (
        replace(table, rules=tuple(rule for rule in (*relied_on, *expected.values()) if rule.table == table.name))
        for table in contract.tables
    )
    return replace(contract, tables=tuple(tables))


def _unmet(contract: Contract, file: Path, error: ContractError) -> Rule:
    table = contract.tables[0]
    place = f"contracts/{contract.name}.consumers/{file.name}" + (f":{error.line}" if error.line else "")
    why = ": ".join(part for part in (place, error.field, error.what) if part).rstrip(".")
    return Rule(
        f"{table.declared}.for_{file.stem}",
        table.name,
        (),
        "unmet",
        f"What {file.stem} relies on is there.",
        {"why": why},
    )


def is_address(text: str) -> bool:
    """True for one plain email address."""
    return bool(ADDRESS.fullmatch(text))


def is_webhook(text: str) -> bool:
    """True for an address that can be posted to."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False


def _checked(document: Document, path: Path_, fits: Callable[[str], bool], allowed: str) -> str | None:
    text = _text(document, path)
    if text is not None and not fits(text):
        document.fail(path, "This is no address.", allowed)  # not quoted: it may hold a secret
    return text


def _events(document: Document) -> tuple[EventKind, ...]:
    given = _texts(document, "events")
    for i, event in enumerate(given):
        document.choose(("events", i), event, EVENTS)
    return tuple(event for event in EVENTS if event in given or "events" not in document.data)


def _columns(document: Document, contract: Contract) -> Iterator[str]:
    known = [f"{table.declared}.{column.name}" for table in contract.tables for column in table.columns]
    bare = {column.name: f"{contract.tables[0].declared}.{column.name}" for column in contract.tables[0].columns}
    for i, given in enumerate(_texts(document, "columns")):
        name = bare.get(given, given) if len(contract.tables) == 1 else given
        if name not in known:
            options = list(bare) if len(contract.tables) == 1 else known
            what = f"{contract.name} has no column `{given}`{did_you_mean(given, options)}."
            document.fail(("columns", i), what, ", ".join(options))
        yield name


def _rules(document: Document, contract: Contract) -> Iterator[str]:
    known = [rule.id for rule in contract.rules]
    for i, given in enumerate(_texts(document, "rules")):
        if given not in known:
            what = f"{contract.name} has no rule `{given}`{did_you_mean(given, known)}."
            document.fail(("rules", i), what, f"the rules that `mesh contract show {contract.name}` lists")
        yield given


def _known(document: Document, path: Path_, data: dict[str, Any], allowed: tuple[str, ...]) -> None:
    for key in data:
        document.choose((*path, key), key, allowed)


def _text(document: Document, path: Path_, *, required: bool = False) -> str | None:
    """The text of a field; where it may be left out, None."""
    value: Any = document.data
    for part in path:
        value = value.get(part, ...)
    if value is ... and not required:
        return None
    if not isinstance(value, str) or not value.strip():
        document.fail(path, "This is missing." if value is ... else "This must be text; put it in quotes.")
    return value.strip()


def _texts(document: Document, key: str) -> tuple[str, ...]:
    """A list of texts, each once; empty where it is left out."""
    value = document.data.get(key, [])
    if not isinstance(value, list) or (key in document.data and not value):
        document.fail((key,), "This must be a list.", "such as [first, second], or leave it out")
    for i, item in enumerate(value):
        if not isinstance(item, str):
            document.fail((key, i), "This must be text; put it in quotes.")
        if item in value[:i]:
            document.fail((key, i), f"`{item}` stands here twice.", "each once")
    return tuple(value)
