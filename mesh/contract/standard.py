"""What the Open Data Contract Standard refuses in a contract, in plain words.

The verdict is that of the standard's own JSON schema; the words, and what is allowed instead, are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mesh.contract.reading import Path_, did_you_mean
from mesh.contract.schemas import NEWEST, SERVERS_SINCE_3_2, TYPES_SINCE_3_2, keys_of, resolve, schema

if TYPE_CHECKING:
    from jsonschema_rs import Draft201909Validator, ValidationError

TYPE_WORDS = {
    "string": "text; put it in quotes",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}


@dataclass(frozen=True)
class Violation:
    """One place where a contract is not what the standard allows.

    `newer` is set where only the contract's apiVersion is too old for the way it names another table, which every
    version of the mesh reads.
    """

    path: Path_
    what: str
    allowed: str | None = None
    newer: bool = False


def violations(data: dict[str, Any]) -> list[Violation]:
    """Everything in a contract that the JSON schema of its own apiVersion refuses; empty where it is valid.

    A contract of an apiVersion before v3.1.0 is held against the schema of v3.1.0, which takes those too.
    """
    newest = data.get("apiVersion") == NEWEST
    errors = list(_validator(newest).iter_errors(data))
    found: dict[tuple[Path_, str], Violation] = {}
    for error in errors:
        column = _untyped(data, error)
        told = [_options_of_no_type(column)] if column is not None else _told(error, errors, newest)
        for violation in told:
            found.setdefault((violation.path, violation.what), violation)
    if errors and not found:
        found[(), ""] = Violation((), f"The schema of the standard refuses this: {errors[0].kind.name}.")
    return list(found.values())


@lru_cache(maxsize=2)
def _validator(newest: bool) -> Draft201909Validator:
    from jsonschema_rs import Draft201909Validator

    return Draft201909Validator(schema(newest))


def _untyped(data: dict[str, Any], error: ValidationError) -> Path_ | None:
    """The column without a type in whose options an error is; every type's options are asked of it at once."""
    path = tuple(error.instance_path)
    if "logicalTypeOptions" not in path:
        return None
    column = path[: path.index("logicalTypeOptions")]
    return column if "logicalType" not in _mapping(resolve(data, list(column))) else None


def _options_of_no_type(column: Path_) -> Violation:
    return Violation((*column, "logicalType"), "Options need a type.", "a `logicalType` beside `logicalTypeOptions`")


def _told(error: ValidationError, errors: Sequence[ValidationError], newest: bool) -> Iterator[Violation]:
    """One error of the validator in our words; `errors` are those found beside it."""
    from jsonschema_rs import ValidationErrorKind as Kind

    path = tuple(error.instance_path)
    match error.kind:
        case Kind.Required(property=name):
            yield _missing(path, name, error)
        case Kind.AdditionalProperties(unexpected=keys) | Kind.UnevaluatedProperties(unexpected=keys):
            yield from _unexpected(path, keys, error, errors, newest)
        case Kind.OneOfNotValid(context=branches) | Kind.AnyOf(context=branches):
            yield from _branches(path, error, branches, newest)
        case Kind.OneOfMultipleValid():
            given = [key for key in _mapping(error.instance) if key in _required_by(error, newest)]
            what = (
                f"{' and '.join(f'`{key}`' for key in given)} contradict each other."
                if given
                else "This can be read in two ways."
            )
            yield Violation((*path, *given[1:2]), what, "one operator" if given else None)
        case Kind.Not():
            yield Violation((*path, "from"), "A column is itself what it refers from.", "to leave `from` out")
        case Kind.Enum(options=options):
            yield _unknown(path, error.instance, [str(option) for option in options], newest)
        case Kind.Pattern():
            yield _form(path, error, newest)
        case _:
            yield Violation(path, *_simple(error))


def _simple(error: ValidationError) -> tuple[str, str | None]:
    """(what, allowed) of an error that is about one value alone."""
    from jsonschema_rs import ValidationErrorKind as Kind

    match error.kind:
        case Kind.Type(types=types):
            words = " or ".join(TYPE_WORDS.get(name, name) for name in types)
            return f"This must be {words}.", None
        case Kind.MinItems(limit=limit):
            return "This list has too few entries.", f"at least {limit}"
        case Kind.MaxItems(limit=limit):
            return "This list has too many entries.", f"at most {limit}"
        case Kind.UniqueItems():
            return "An entry stands in this list twice.", "each entry once"
        case Kind.Minimum(limit=limit):
            return "This number is too small.", f"{limit} or more"
        case Kind.ExclusiveMinimum(limit=limit):
            return "This number is too small.", f"more than {limit}"
        case kind:
            return f"The schema of the standard refuses this (`{kind.name}`).", None


def _missing(path: Path_, name: str, error: ValidationError) -> Violation:
    if name == "map" and "logicalType" not in _mapping(error.instance):
        # The schema of v3.2.0 takes a column without a type for a map.
        if "logicalTypeOptions" in _mapping(error.instance):
            return _options_of_no_type(path)
        return Violation((*path, "logicalType"), "v3.2.0 of the standard asks for a type.", "a `logicalType`")
    if name == "metric" and "rule" in _mapping(error.instance):
        metrics = ", ".join(schema(True)["$defs"]["DataQualityLibrary"]["properties"]["metric"]["enum"])
        return Violation((*path, "rule"), "`rule` is the old name of `metric`.", f"metric: one of {metrics}")
    return Violation((*path, name), "This is missing.")


def _unknown(path: Path_, value: object, options: list[str], newest: bool) -> Violation:
    later = {"logicalType": TYPES_SINCE_3_2, "type": SERVERS_SINCE_3_2}.get(str(path[-1]) if path else "", ())
    if not newest and value in later:
        return Violation(path, f"`{value}` came with {NEWEST} of the standard.", f"apiVersion: {NEWEST}, or another")
    said = f"`{value}`" if isinstance(value, str | int | float) and len(str(value)) < 80 else "This"
    return Violation(path, f"{said} is not known{did_you_mean(value, options)}.", ", ".join(options))


def _form(path: Path_, error: ValidationError, newest: bool) -> Violation:
    if error.schema_path[1:2] == ["StableId"]:
        return Violation(path, "An id is written in letters, digits, - and _.", "letters, digits, - and _")
    pattern = getattr(error.kind, "pattern", "")
    if "://" in pattern:
        return Violation(path, "This address does not fit the server.", f"what matches {pattern}")
    return Violation(path, "This is not written as the standard wants it.", f"what matches {pattern}")


def _unexpected(
    path: Path_, keys: Iterable[str], error: ValidationError, errors: Sequence[ValidationError], newest: bool
) -> Iterator[Violation]:
    """Keys that cannot stand where they stand.

    Where another error is the cause - a part of the schema that failed declares none of its keys - a key that the
    schema knows is no error of its own.
    """
    known = set(keys_of(schema(newest), _node(error.schema_path, newest)))
    later = set() if newest else set(keys_of(schema(True), _node(error.schema_path, True))) - known
    caused = any(_explains(other, path) for other in errors)
    for key in keys:
        here = (*path, key)
        if key in later:
            what = f"`{key}` came with {NEWEST} of the standard."
            yield Violation(here, what, f"apiVersion: {NEWEST}, or leave it out")
        elif key not in known:
            what = f"`{key}` is not a key of the standard{did_you_mean(key, known)}."
            yield Violation(here, what, ", ".join(sorted(known)))
        elif not caused:
            yield Violation(here, f"`{key}` does not go with the other keys here.", "to leave it out")


def _explains(error: ValidationError, path: Path_) -> bool:
    """True for an error in the part at `path` that can leave keys of that part undeclared."""
    inside = tuple(error.instance_path)
    unexpected = error.kind.name in ("additionalProperties", "unevaluatedProperties")
    return inside[: len(path)] == path and (len(inside) > len(path) or not unexpected)


def _branches(
    path: Path_, error: ValidationError, branches: list[list[ValidationError]], newest: bool
) -> Iterator[Violation]:
    """Of several ways to write a part, what is wrong with the one that was meant."""
    needed = _required_by(error, newest)
    if needed and all(one.kind.name == "required" for branch in branches for one in branch):
        yield Violation(path, "The rule says not what its number must be.", f"one of {', '.join(needed)}")
        return
    if error.schema_path[-1] == "anyOf" and _is_reference(error):
        yield _reference(path, error.instance, newest)
        return
    kept = [branch for branch in branches if not _of_another_type(path, branch)]
    if needed:
        present = [branch for branch in branches if not any(one.kind.name == "required" for one in branch)]
        kept = present or kept
    if not kept:
        wanted = [word for branch in branches for one in branch for word in getattr(one.kind, "types", ())]
        words = " or ".join(dict.fromkeys(TYPE_WORDS.get(word, word) for word in wanted))
        yield Violation(path, f"This must be {words}.")
        return
    meant = min(kept, key=len)
    for one in meant:
        yield from _told(one, meant, newest)


def _of_another_type(path: Path_, branch: list[ValidationError]) -> bool:
    return any(one.kind.name == "type" and tuple(one.instance_path) == path for one in branch)


def _is_reference(error: ValidationError) -> bool:
    return isinstance(error.instance, str) and "RelationshipBase" in error.schema_path


def _reference(path: Path_, value: object, newest: bool) -> Violation:
    latest = schema(True)["$defs"]
    patterns = (latest[name]["pattern"] for name in ("ShorthandReference", "FullyQualifiedReference"))
    if not newest and any(re.search(pattern, str(value)) for pattern in patterns):
        what = f"A reference of this form came with {NEWEST} of the standard."
        return Violation(path, what, f"apiVersion: {NEWEST}, or table.column", newer=True)
    return Violation(path, "This names no column.", "table.column, or schema/TABLE_ID/properties/COLUMN_ID")


def _required_by(error: ValidationError, newest: bool) -> list[str]:
    """The keys of which a part wants exactly one."""
    options = resolve(schema(newest), list(error.schema_path))
    if not isinstance(options, list):
        return []
    return [key for option in options for key in option.get("required", ())]


def _node(schema_path: Sequence[str | int], newest: bool) -> dict[str, Any]:
    """The part of the schema whose keyword failed."""
    found = resolve(schema(newest), list(schema_path)[:-1])
    return found if isinstance(found, dict) else {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
