"""`custom` rules of a contract that Great Expectations itself runs: on pandas, over the columns that they need.

Its import takes seconds, so it stands inside the functions; a contract without such a rule never waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import duckdb
from open_data_contract_standard.model import DataQuality, OpenDataContractStandard

from mesh.audit.candidate import Candidate, safe_message
from mesh.audit.gx import with_great_expectations
from mesh.audit.measured import Measured
from mesh.contract.expectation import is_great_expectations
from mesh.contract.model import Contract, Rule
from mesh.contract.predicates import quoted
from mesh.contract.reading import Path_, read_document
from mesh.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_expectations(contract: Contract) -> None:
    """Hold every `custom` rule against the classes of Great Expectations.

    Raises:
        ContractError: an expectation or an argument that Great Expectations does not know, at the rule's line.
    """
    for error in refused_expectations(contract):
        raise error


def refused_expectations(contract: Contract) -> Iterator[ContractError]:
    """Every `custom` rule that Great Expectations does not take; it is imported only where there is such a rule."""
    rules = [rule for rule in contract.rules if rule.kind == "expectation"]
    if not rules:
        return
    document, odcs = read_document(contract.text.encode(), contract.path)
    for rule, place in zip(rules, _places(odcs), strict=True):
        problem = _problem(rule)
        if problem:
            what, allowed = problem
            try:
                document.fail((*place, "implementation"), what, allowed)
            except ContractError as error:
                yield error


def _places(odcs: OpenDataContractStandard) -> Iterator[Path_]:
    """Where these rules stand in the contract, in the order of its rules."""
    for i, schema in enumerate(odcs.schema_ or ()):
        lists: list[tuple[Path_, Sequence[DataQuality]]] = [
            (("schema", i, "properties", j), column.quality or ()) for j, column in enumerate(schema.properties or ())
        ]
        for place, entries in (*lists, (("schema", i), schema.quality or ())):
            for k, given in enumerate(entries):
                if given.type == "custom" and is_great_expectations(given.engine):
                    yield *place, "quality", k


def _problem(rule: Rule) -> tuple[str, str | None] | None:
    """What Great Expectations says against a rule, and what it allows."""
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )
    from pydantic.v1 import ValidationError

    from mesh.contract.reading import did_you_mean

    with_great_expectations()
    name, kwargs = rule.arguments["type"], rule.arguments["kwargs"]
    try:
        kind = get_expectation_impl(name)
    except ExpectationNotFoundError:
        known = sorted(list_registered_expectation_implementations())
        return f"Great Expectations knows no `{name}`{did_you_mean(name, known)}.", "an expectation of its core"
    try:
        kind(**kwargs)
    except ValidationError as error:
        places = {".".join(str(part) for part in entry["loc"]): entry["msg"] for entry in error.errors()}
        told = "; ".join(f"{place}: {message}".removeprefix("__root__: ") for place, message in places.items())
        own = [field for field in kind.__fields__ if field not in ADMINISTRATION]
        return f"Great Expectations does not take the arguments of `{name}`: {told}.", ", ".join(own)
    return None


ADMINISTRATION = (
    "id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity",
    "windows", "batch_id",
)  # fmt: skip


def run_expectations(
    candidate: Candidate, table: str, rules: Sequence[Rule], present: Sequence[str]
) -> dict[str, Measured]:
    """What each `custom` rule saw, by its id; the frame is read once for all of them."""
    if not rules:
        return {}
    try:
        frame = _frame(candidate, table, _needed(rules, present))
    except duckdb.Error as error:
        return {rule.id: Measured(error=safe_message(error)) for rule in rules}
    return {rule.id: _run(rule, frame) for rule in rules}


def _needed(rules: Sequence[Rule], present: Sequence[str]) -> list[str]:
    """The columns that the rules name, in the table's order; all of them where a rule is about the columns."""
    needed: set[str] = set()
    for rule in rules:
        if rule.arguments["type"].startswith("expect_table_column"):
            return list(present)
        condition = rule.arguments["kwargs"].get("row_condition")
        needed |= {*rule.columns, *WORD.findall(str(condition or ""))}
    return [name for name in present if name in needed] or list(present[:1])


def _frame(candidate: Candidate, table: str, columns: Sequence[str]) -> pd.DataFrame:
    names = ", ".join(quoted(name) for name in columns)
    frame = candidate.con.sql(f"select {names} from {candidate.table(table)}").df()
    for name, kind in frame.dtypes.items():
        # Great Expectations trips over pandas' own missing value, which stands in whole numbers and truth values.
        if str(kind)[:1] in "IU" or str(kind) == "boolean":
            frame[name] = frame[name].astype("object" if str(kind) == "boolean" else "float64")
    return frame


def _run(rule: Rule, frame: pd.DataFrame) -> Measured:
    problem = _problem(rule)
    if problem:
        return Measured(error=problem[0].rstrip("."))
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    gx = with_great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("asset")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    expectation = ExpectationConfiguration(type=rule.arguments["type"], kwargs=dict(rule.arguments["kwargs"]))
    try:
        outcome = batch.validate(expectation.to_domain_obj(), result_format="BASIC")
    except Exception as error:  # What an expectation raises is its own; its text may hold values.
        return Measured(error=f"Great Expectations could not run it: {type(error).__name__}")
    if _raised(outcome.exception_info):
        return Measured(error="Great Expectations could not run it on these columns")
    return _measured(outcome.success, outcome.result)


def _raised(info: dict[str, Any]) -> bool:
    entries = [info] if "raised_exception" in info else list(info.values())
    return any(entry.get("raised_exception") for entry in entries)


def _measured(success: bool, result: dict[str, Any]) -> Measured:
    """Numbers of rows where the expectation judges rows; what it observed may be a value of a row and is left out."""
    failing, rows = result.get("unexpected_count"), result.get("element_count")
    if failing is None or rows is None:
        told = "as expected" if success else "not as expected"
        return Measured(passed=bool(success), detail=f"Great Expectations found it {told}")
    judged = int(rows) - int(result.get("missing_count") or 0)
    detail = f"Great Expectations: {int(failing):,} of {judged:,} failed"
    return Measured(passed=bool(success), failing=int(failing), rows=judged, detail=detail)
