"""From the bytes of a contract file to checked plain data that still knows its lines.

YAML is composed to nodes and turned into plain values here, not by a loader: that keeps the line of every
field for errors, keeps dates as the text the standard wants, and lets no tag build an object. The data is then held
against the JSON schema of the standard and read into its pydantic model, which is stricter in a few places.
"""

from __future__ import annotations

import difflib
import types
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin

from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mesh.errors import ContractError

type_words = {
    "string_type": "must be text; put it in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "too_long": "has too many entries",
    "too_short": "has too few entries",
}

API_VERSIONS = ("v3.1.0", "v3.2.0")

Path_ = tuple[str | int, ...]


@dataclass
class Document:
    """Plain data of a contract file and the line (from 1) on which each field stands."""

    file: Path
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path_, int] = field(default_factory=dict)

    def line(self, path: Iterable[str | int]) -> int:
        """The line of a field, or of the nearest part around it that the file has."""
        parts = tuple(path)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)

    def fail(self, path: Iterable[str | int], what: str, allowed: str | None = None) -> NoReturn:
        """Raise ContractError for the field at `path`."""
        parts = tuple(path)
        raise ContractError(what, file=self.file, line=self.line(parts), field=field_name(parts), allowed=allowed)

    def choose(self, path: Iterable[str | int], value: object, allowed: Iterable[str]) -> None:
        """Raise ContractError unless `value` is one of `allowed`."""
        options = list(allowed)
        if value not in options:
            self.fail(path, f"`{value}` is not known{did_you_mean(value, options)}.", ", ".join(options))


def field_name(path: Iterable[str | int]) -> str:
    """`("schema", 0, "name")` as `schema[0].name`."""
    name = ""
    for part in path:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def did_you_mean(value: object, options: Iterable[str]) -> str:
    """` (did you mean `x`?)` when one option is close to `value`, else an empty text."""
    near = difflib.get_close_matches(str(value), list(options), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def read_document(content: bytes, file: Path) -> tuple[Document, OpenDataContractStandard]:
    """Parse a contract and hold it against the JSON schema of the standard.

    Raises:
        ContractError: not UTF-8, not YAML, an alias or tag, or the first thing that the standard does not allow; with
            its line.
    """
    from mesh.contract.standard import violations

    document = read_contract_yaml(content, file)
    _check_version(document)
    found = [violation for violation in violations(document.data) if not violation.newer]
    if found:
        first = min(found, key=lambda violation: document.line(violation.path))
        document.fail(first.path, first.what, first.allowed)
    _check_keys(document, document.data, OpenDataContractStandard, ())
    return document, _validate(document)


def read_contract_yaml(content: bytes, file: Path) -> Document:
    """The plain data of a contract, not yet held against the standard."""
    return read_yaml(content, file, holds="contract", allowed="`kind: DataContract`, ...")


def read_yaml(content: bytes, file: Path, *, holds: str, allowed: str) -> Document:
    """A mapping as plain data that knows its lines; what its keys mean is for the caller to check.

    Args:
        holds, allowed: what the file should hold, as the error says it where it is no mapping.

    Raises:
        ContractError: not UTF-8, not YAML, an alias or a tag; with its line.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError("The file is not UTF-8 text.", file=file, line=line, allowed="UTF-8") from None
    document = Document(file, text)
    try:
        with warnings.catch_warnings():
            # Anchors mean nothing here: their aliases are refused.
            warnings.simplefilter("ignore", ReusedAnchorWarning)
            node = YAML(typ="safe", pure=True).compose(text)
        if not isinstance(node, MappingNode):
            raise ContractError(f"There is no {holds} in this file.", file=file, allowed=allowed)
        document.data = _plain(document, node, (), set())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ContractError(f"The YAML is damaged: {what}.", file=file, line=mark.line + 1 if mark else None) from None
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        reason = getattr(error, "reason", "") or type(error).__name__
        raise ContractError(f"The YAML is damaged: {reason}.", file=file, line=line) from None
    except RecursionError:
        raise ContractError("The YAML is nested too deeply.", file=file, line=1, allowed="plain YAML") from None
    except (ValueError, OverflowError, AttributeError, TypeError, KeyError, IndexError) as error:
        # The YAML reader itself trips over some damaged directives and escapes.
        raise ContractError(f"The YAML is damaged: {type(error).__name__}.", file=file, line=1) from None
    return document


def _check_version(document: Document) -> None:
    if "apiVersion" not in document.data:
        document.fail(("apiVersion",), "This is missing.", ", ".join(API_VERSIONS))
    document.choose(("apiVersion",), document.data["apiVersion"], API_VERSIONS)


def _plain(document: Document, node: Node, path: Path_, seen: set[int]) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in seen:
        document.fail(path, "YAML aliases are not taken: a contract says what it means in place.", "the value itself")
    seen.add(id(node))
    kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
    if isinstance(node, MappingNode) and kind == "map":
        plain: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                document.lines[path] = key_node.start_mark.line + 1
                document.fail(path, "A key must be plain text.", "text")
            key = str(key_node.value)
            _check_text(document, key, path)
            document.lines[*path, key] = key_node.start_mark.line + 1
            if key in plain:
                document.fail((*path, key), "The key stands here twice.", "each key once")
            plain[key] = _plain(document, value_node, (*path, key), seen)
        return plain
    if isinstance(node, SequenceNode) and kind == "seq":
        return [_plain(document, item, (*path, i), seen) for i, item in enumerate(node.value)]
    if isinstance(node, ScalarNode):
        return _scalar(document, kind, str(node.value), path)
    return document.fail(path, f"The YAML tag `{kind}` is not taken.", "plain values, lists and mappings")


def _check_text(document: Document, text: str, path: Path_) -> None:
    """An escape in YAML can spell half of a character, which nothing can store."""
    if any("\ud800" <= char <= "\udfff" for char in ("" if text.isascii() else text)):
        document.fail(path, "Half of a character is escaped here.", "whole Unicode characters")


def _scalar(document: Document, kind: str, text: str, path: Path_) -> Any:
    _check_text(document, text, path)
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


def _shapes(annotation: Any) -> tuple[type[BaseModel] | None, type[BaseModel] | None]:
    """The model that an annotation takes for a mapping, and the one it takes for each entry of a list."""
    single: type[BaseModel] | None = None
    listed: type[BaseModel] | None = None
    union = get_origin(annotation) in (Union, types.UnionType)
    for option in get_args(annotation) if union else (annotation,):
        if get_origin(option) is list:
            (entry,) = get_args(option)
            listed = entry if isinstance(entry, type) and issubclass(entry, BaseModel) else listed
        elif isinstance(option, type) and issubclass(option, BaseModel):
            single = option
    return single, listed


def _check_keys(document: Document, data: dict[str, Any], model: type[BaseModel], path: Path_) -> None:
    """Refuse a key that the schema lets pass (in `description`) and the model would drop in silence."""
    fields = {info.alias or name: info for name, info in model.model_fields.items()}
    for key, value in data.items():
        here = (*path, key)
        if key not in fields:
            what = f"`{key}` is not a key of the standard{did_you_mean(key, fields)}."
            document.fail(here, what, ", ".join(sorted(fields)))
        single, listed = _shapes(fields[key].annotation)
        if isinstance(value, dict) and single:
            _check_keys(document, value, single, here)
        elif isinstance(value, list) and listed:
            for i, entry in enumerate(value):
                if isinstance(entry, dict):
                    _check_keys(document, entry, listed, (*here, i))


def _validate(document: Document) -> OpenDataContractStandard:
    try:
        return OpenDataContractStandard.model_validate(document.data, strict=True)
    except ValidationError as error:
        # A union reports every branch; the deepest one that exists in the file is the one that was meant.
        first = max(error.errors(include_url=False), key=lambda e: len(_known(document, e["loc"])))
        what = type_words.get(first["type"], first["msg"][:1].lower() + first["msg"][1:])
        document.fail(_known(document, first["loc"]), f"This {what}.")
    except RecursionError:
        raise ContractError("The YAML is nested too deeply.", file=document.file, allowed="plain ODCS") from None


def _known(document: Document, location: tuple[str | int, ...]) -> Path_:
    """A pydantic location without the names of union branches."""
    path: Path_ = ()
    for part in location:
        if (*path, part) in document.lines:
            path = (*path, part)
    return path
