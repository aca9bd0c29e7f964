"""From the bytes of a contract file to checked plain data that still knows its lines.

The data is held against the JSON schema of the standard and read into its pydantic model, which is stricter in a few
places.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin

import yaml
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import BaseModel, ValidationError

from mesh.contract.yaml_events import plain_data
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

API_VERSIONS = ("v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0")

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
    """The plain data of a contract in the words of v3.1 or later, not yet held against the standard."""
    from mesh.contract.older import in_newer_words

    document = read_yaml(content, file, holds="contract", allowed="`kind: DataContract`, ...")
    in_newer_words(document)
    return document


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
        data = plain_data(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        # What is missing at the end is missed on the line after the last.
        place = min(mark.line + 1, len(text.splitlines())) if mark else None
        raise ContractError(f"The YAML is damaged: {what}.", file=file, line=place) from None
    except yaml.YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0) or 0) + 1
        reason = getattr(error, "reason", "") or type(error).__name__
        raise ContractError(f"The YAML is damaged: {reason}.", file=file, line=line) from None
    except ValueError as error:
        # Half characters and digits without end, which no reader stores.
        raise ContractError(f"The YAML is damaged: {type(error).__name__}.", file=file, line=1) from None
    if not isinstance(data, dict):
        raise ContractError(f"There is no {holds} in this file.", file=file, allowed=allowed)
    document.data = data
    return document


def _check_version(document: Document) -> None:
    if "apiVersion" not in document.data:
        document.fail(("apiVersion",), "This is missing.", ", ".join(API_VERSIONS))
    document.choose(("apiVersion",), document.data["apiVersion"], API_VERSIONS)


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
