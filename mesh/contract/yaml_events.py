"""YAML text to plain data that knows its lines, event by event.

libyaml's parser gives events many times faster than a parser in Python gives nodes, and contracts are read at every
command. Building from events keeps the line of each field, keeps dates as the text the standard wants, lets no tag
build an object, and never goes deeper than `DEPTH`, where libyaml's own composer would end the process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh.contract.reading import Document, Path_

DEPTH = 100
PREFIX = "tag:yaml.org,2002:"
CONTAINERS = {yaml.MappingStartEvent: "map", yaml.SequenceStartEvent: "seq"}

# The core schema of YAML 1.2: `yes` and `12:30` are text, `010` is ten.
PLAIN = (
    ("null", re.compile(r"~?|null|Null|NULL")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|[0-9_]+|0x[0-9a-fA-F_]+)")),
    ("float", re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
                         r"|\.[0-9_]+([eE][-+][0-9]+)?|\.(inf|Inf|INF))|\.(nan|NaN|NAN)")),
)  # fmt: skip


class _Open:
    """A mapping or a list whose entries are still coming."""

    def __init__(self, value: dict[str, Any] | list[Any], path: Path_) -> None:
        self.value, self.path = value, path
        self.key: str | None = None

    def here(self) -> Path_:
        """The path of the entry that comes next."""
        return (*self.path, len(self.value) if isinstance(self.value, list) else str(self.key))

    def put(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            self.value[str(self.key)] = value
            self.key = None


def plain_data(document: Document) -> Any:
    """The value of the one document in a text, its lines noted in `document`; None where it is empty.

    Raises:
        ContractError: an alias, a tag, a key twice, a number that is none, or too deep; with its line.
        yaml.YAMLError: the text is no YAML.
    """
    found: Any = None
    stack: list[_Open] = []
    documents = 0
    for event in _events(document.text):
        line = event.start_mark.line + 1
        path = stack[-1].here() if stack and not _awaits_key(stack[-1]) else stack[-1].path if stack else ()
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                _refuse(document, (), line, "There is more than one YAML document in this file.", "one")
        elif isinstance(event, yaml.AliasEvent):
            what = "YAML aliases are not taken: a contract says what it means in place."
            _refuse(document, path, line, what, "the value itself")
        elif stack and _awaits_key(stack[-1]) and isinstance(event, yaml.NodeEvent):
            _take_key(document, stack[-1], event, line)
        elif isinstance(event, yaml.ScalarEvent):
            document.lines.setdefault(path, line)
            value = _scalar(document, event, path)
            if stack:
                stack[-1].put(value)
            else:
                found = value
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            document.lines.setdefault(path, line)
            opened = _Open(_container(document, event, path), path)
            if stack:
                stack[-1].put(opened.value)
            else:
                found = opened.value
            stack.append(opened)
            if len(stack) > DEPTH:
                _refuse(document, (), line, "The YAML is nested too deeply.", "plain YAML")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
    return found


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=yaml.CSafeLoader))


def _awaits_key(opened: _Open) -> bool:
    return isinstance(opened.value, dict) and opened.key is None


def _take_key(document: Document, opened: _Open, event: Any, line: int) -> None:
    if not isinstance(event, yaml.ScalarEvent):
        _refuse(document, opened.path, line, "A key must be plain text.", "text")
    key = str(event.value)
    _check_text(document, key, opened.path)
    document.lines[*opened.path, key] = line
    if key in opened.value:
        document.fail((*opened.path, key), "The key stands here twice.", "each key once")
    opened.key = key


def _container(document: Document, event: Any, path: Path_) -> dict[str, Any] | list[Any]:
    kind = str(event.tag or PREFIX + CONTAINERS[type(event)]).removeprefix(PREFIX)
    if kind != CONTAINERS[type(event)]:
        document.fail(path, f"The YAML tag `{kind}` is not taken.", "plain values, lists and mappings")
    return {} if kind == "map" else []


def _scalar(document: Document, event: Any, path: Path_) -> Any:
    text = str(event.value)
    _check_text(document, text, path)
    if event.tag is not None and event.tag != "!":
        kind = str(event.tag).removeprefix(PREFIX)
    else:
        kind = _kind(text) if event.implicit[0] and event.tag is None else "str"
    match kind:
        case "str" | "timestamp" | "value" | "merge":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int" | "float":
            return _number(document, kind, text, path)
        case _:
            return document.fail(path, f"The YAML tag `{kind}` is not taken.", "text, number, true, false or null")


def _kind(text: str) -> str:
    return next((kind for kind, pattern in PLAIN if pattern.fullmatch(text)), "str")


def _number(document: Document, kind: str, text: str, path: Path_) -> int | float:
    try:
        if kind == "int":
            # `010` is ten in YAML 1.2; Python's base 0 would refuse it.
            number: int | float = int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(text)
        else:
            number = float(text)
    except ValueError:
        document.fail(path, f"`{text}` cannot be read as a number.", "a finite number, or text in quotes")
    if number != number or number in (float("inf"), float("-inf")) or abs(number) > 10**38:
        document.fail(path, f"`{text}` is no number that a rule can use.", "a finite number below 10^38")
    return number


def _check_text(document: Document, text: str, path: Path_) -> None:
    """An escape in YAML can spell half of a character, which nothing can store."""
    if any("\ud800" <= char <= "\udfff" for char in ("" if text.isascii() else text)):
        document.fail(path, "Half of a character is escaped here.", "whole Unicode characters")


def _refuse(document: Document, path: Path_, line: int, what: str, allowed: str) -> NoReturn:
    document.lines[path] = line
    document.fail(path, what, allowed)
