"""`custom` rules of the engine greatExpectations: the expectation as the contract names it.

Only its shape is checked here. Whether Great Expectations knows the expectation and its arguments is asked where a
rule is run or linted (`mesh.audit.check_expectations`), because the package takes seconds to import.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from open_data_contract_standard.model import DataQuality

from mesh.contract.columns import check_pattern
from mesh.contract.model import Column
from mesh.contract.reading import Document, Path_, read_yaml
from mesh.errors import ContractError

KEYS = ("type", "expectation_type", "kwargs")
# What Great Expectations writes beside them into the JSON of a suite.
FOR_PEOPLE = ("meta", "notes", "id", "description", "severity", "rendered_content")
TYPE = re.compile(r"expect_[a-z0-9_]+")
ONE = ("column", "column_A", "column_B")
SEVERAL = ("column_list", "column_set")


def is_great_expectations(engine: str | None) -> bool:
    return re.sub(r"[^a-z]", "", (engine or "").lower()) == "greatexpectations"


def read_expectation(
    document: Document, path: Path_, given: DataQuality, columns: Mapping[str, Column], column: Column | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The columns that an expectation judges, and its `type` and `kwargs`; on a column, `column` is that column."""
    here = (*path, "implementation")
    told = given.implementation
    if isinstance(told, str):
        told = _parsed(document, here, told)
    assert told is not None
    for key in told:
        document.choose((*here, key), key, (*KEYS, *FOR_PEOPLE))
    name = told.get("type", told.get("expectation_type"))
    if not isinstance(name, str) or not TYPE.fullmatch(name):
        document.fail(here, "An implementation needs the `type` of its expectation.", "expect_column_..., kwargs")
    kwargs = told.get("kwargs") or {}
    if not isinstance(kwargs, dict):
        document.fail((*here, "kwargs"), "The arguments of an expectation are a mapping.", "name: value")
    # The standard's own examples write `minValue` for `min_value`.
    plain = {re.sub(r"(?<=[a-z])([A-Z])(?=[a-z])", r"_\1", key).lower() if key not in ONE else key: value
             for key, value in kwargs.items()}  # fmt: skip
    if column is not None and name.startswith("expect_column_") and not set(plain) & {*ONE, *SEVERAL}:
        plain["column"] = column.name
    judged = [plain[key] for key in ONE if key in plain]
    for key in SEVERAL:
        listed = plain.get(key, [])
        judged += listed if isinstance(listed, list) and name != "expect_table_columns_to_match_ordered_list" else []
    if not name.startswith("expect_table_"):
        for each in judged:
            document.choose((*here, "kwargs"), each, columns)
    for key in ("regex", "regex_list"):
        for pattern in plain[key] if isinstance(plain.get(key), list) else [plain[key]] if key in plain else []:
            _check_regex(document, (*here, "kwargs", key), pattern)
    of_table = name.startswith("expect_table_")
    return (() if of_table else tuple(dict.fromkeys(judged))), {"type": name, "kwargs": plain}


def _check_regex(document: Document, path: Path_, pattern: object) -> None:
    """Great Expectations runs patterns with Python's `re`, which knows look-around."""
    if not isinstance(pattern, str):
        check_pattern(document, path, pattern)
        return
    try:
        re.compile(pattern)
    except re.error as error:
        document.fail(path, f"The pattern cannot be used: {error}.", "a regular expression of Python")


def _parsed(document: Document, path: Path_, text: str) -> dict[str, Any]:
    try:
        inner = read_yaml(text.encode(), document.file, holds="expectation", allowed="type: expect_..., kwargs")
    except ContractError as error:
        document.fail(path, f"The implementation cannot be read: {error.what}", "YAML with `type` and `kwargs`")
    return inner.data
