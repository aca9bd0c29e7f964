"""A contract as a Python module of strict pydantic models, one class a table, one more for each nested column."""

from __future__ import annotations

import keyword
import textwrap
from typing import Any

from mesh.contract.exchange.fields import BOUNDS, Field, Limit, fields, regular
from mesh.contract.model import Contract

OPERATORS = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
ARGUMENTS = OPERATORS | {"minLength": "min_length", "maxLength": "max_length", "multipleOf": "multiple_of"}
ARGUMENTS |= {"minItems": "min_length", "maxItems": "max_length"}
PHYSICAL = {"UUID": "UUID", "BLOB": "bytes"}
LOGICAL = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "date": "date", "timestamp": "datetime",
    "time": "time", "object": "dict[str, Any]", "array": "list[Any]",
    "map": "dict[str, Any]", "vector": "list[float]",
}  # fmt: skip

HEAD = """\
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
"""
STRICT = '    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=(), validate_by_name=True)'


def to_pydantic(contract: Contract) -> tuple[str, set[str]]:
    """The module as text, and the ids of the rules that its models hold."""
    said: set[str] = set()
    classes: list[str] = []
    for table in contract.tables:
        said.add(f"{table.name}.schema")
        parts = fields(table)
        _class(_class_name(table.name), table.description, parts, classes, said)
    about = _docstring(f"{contract.name} {contract.version}. {contract.description}", "")
    return "\n\n".join([f"{about}\n\n{HEAD}", *classes]), said


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _class(name: str, about: str, parts: Any, classes: list[str], said: set[str]) -> None:
    lines = [f"class {name}(BaseModel):"]
    if about:
        lines += [_docstring(about, "    "), ""]
    lines += [STRICT, ""]
    for part in parts:
        lines += _field(name, part, classes, said)
    classes.append("\n".join(lines) + "\n")


def _docstring(text: str, indent: str) -> str:
    plain = " ".join(text.split()).replace("\\", "\\\\").replace('"""', "'''").rstrip('"')
    return textwrap.indent("\n".join(textwrap.wrap(f'"""{plain}"""', 116)), indent)


def _field(owner: str, field: Field, classes: list[str], said: set[str]) -> list[str]:
    kind = _type(owner, field, classes, said)
    said.update(field.needed)
    if not field.required:
        kind = f"{kind} | None"
    extra = {}
    # A name that Python or pydantic has taken stands with a _ behind it and is still read under its own.
    name = field.name
    if keyword.iskeyword(name) or hasattr(_base(), name):
        extra["alias"], name = name, f"{name}_"
    if field.description:
        extra["description"] = field.description
    given = "" if field.required else "default=None, "
    arguments = given + ", ".join(f"{key}={value!r}" for key, value in extra.items())
    value = f" = Field({arguments.rstrip(', ')})" if arguments else ""
    return [f"    {name}: {kind}{value}"]


def _base() -> type:
    from pydantic import BaseModel

    return BaseModel


def _type(owner: str, field: Field, classes: list[str], said: set[str]) -> str:
    limit, choices = field.choices
    if limit is not None and all(isinstance(value, str | int) for value in choices):
        said.add(limit.rule)
        kind = f"Literal[{', '.join(repr(value) for value in choices)}]"
        # The other limits still hold for text; for a list of numbers they say nothing new.
        return _limited(kind, [], field, said)
    if field.properties:
        name = f"{owner}{_class_name(field.name)}"
        _class(name, field.description, field.properties, classes, said)
        return name
    if field.items:
        return _limited(f"list[{_item(owner, field.items, classes, said)}]", [], field, said)
    return _limited(*_plain(field), field, said)


def _item(owner: str, item: Field, classes: list[str], said: set[str]) -> str:
    kind = _type(owner, item, classes, said)
    said.update(item.needed)
    return kind if item.required else f"{kind} | None"


def _plain(field: Field) -> tuple[str, list[str]]:
    """The type of a field, and what its DuckDB type bounds."""
    if field.decimal:
        digits, places = field.decimal
        return "Decimal", [f"max_digits={digits}, decimal_places={places}"]
    if field.integer_range:
        low, high = field.integer_range
        return "int", [f"ge={low}, le={high}"]
    return PHYSICAL.get(field.physical, LOGICAL.get(field.logical, "str")), []


def _limited(kind: str, arguments: list[str], field: Field, said: set[str]) -> str:
    """`Annotated[...]` with a `Field` for each limit; only one pattern, as pydantic lets a second replace the first."""
    for limit in field.limits:
        argument = None if kind.startswith("Literal") else _argument(kind, limit)
        second = (
            argument is not None
            and argument.startswith("pattern=")
            and any(a.startswith("pattern=") for a in arguments)
        )
        if argument and not second:
            said.add(limit.rule)
            arguments.append(argument)
    return f"Annotated[{kind}, {', '.join(f'Field({argument})' for argument in arguments)}]" if arguments else kind


def _argument(kind: str, limit: Limit) -> str | None:
    if limit.word in ("pattern", "format"):
        pattern = regular(limit)
        return None if pattern is None else f"pattern={pattern!r}"
    if limit.word not in ARGUMENTS:
        return None
    value = repr(limit.value)
    if limit.word in BOUNDS and kind in ("date", "datetime", "time"):
        value = f"{kind}.fromisoformat({str(limit.value)!r})"
    elif kind == "Decimal":
        value = f"Decimal({str(limit.value)!r})"
    return f"{ARGUMENTS[limit.word]}={value}"
