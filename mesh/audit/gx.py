"""A contract and an audit in the words of Great Expectations: suites, validation results, report pages.

Great Expectations does not run the audit (it has no DuckDB engine, and pandas would need every row); it is the
vocabulary and the report, and in tests the second opinion: `validate_with_gx` runs the same rules on pandas.
Its import takes seconds, so every import of it stands inside a function.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from mesh.audit.pattern import neutral_pattern
from mesh.audit.results import Audit, RuleResult
from mesh.contract.model import Contract, Rule, Table, Threshold
from mesh.contract.predicates import FORMATS

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationSuiteValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

# The expectation type under which rules stand that Great Expectations has no word for.
ELSEWHERE = "expect_contract_rule_to_hold"


@dataclass(frozen=True)
class Expected:
    """One rule as an expectation: its type and arguments."""

    type: str
    kwargs: Mapping[str, Any]


def expected(rule: Rule) -> Expected | None:
    """The expectation that says the same as a rule, down to its threshold, or None where there is none.

    None: rules inside a column; schema, sql, relationship, freshness and multipleOf rules; lists of missing values with
    null in them; pattern and value list in one rule; value lists of dates; patterns in syntax of RE2's own; thresholds
    in rows other than none; percentages from below.
    """
    if rule.kind == "rowCount":
        return _row_count(rule.threshold)
    if rule.kind == "expectation":
        return Expected(rule.arguments["type"], rule.arguments["kwargs"])
    if rule.kind == "schema" or rule.path:
        return None
    share = mostly(rule.threshold)
    described = _describe(rule)
    if share is None or described is None:
        return None
    name, kwargs = described
    place: dict[str, Any] = (
        {"column": rule.columns[0]} if len(rule.columns) == 1 else {"column_list": list(rule.columns)}
    )
    return Expected(name, place | kwargs | {"mostly": share})


def mostly(threshold: Threshold) -> float | None:
    """The least share of good rows that a threshold accepts, or None where no such share says the same.

    Computed in decimals and rounded once, as Great Expectations rounds its own ratio: 7 % is 0.93 in both.
    """
    if threshold.none_allowed:
        return 1.0
    if threshold.unit != "percent":
        return None
    worst = threshold.values[-1]
    share = float((100 - Decimal(str(worst))) / 100)
    match threshold.operator:
        case "mustBeLessOrEqualTo":
            return share
        case "mustBeBetween" if threshold.values[0] == 0:
            return share
        case "mustBeLessThan" if worst > 0:
            return math.nextafter(share, 2)
    return None


def _row_count(threshold: Threshold) -> Expected | None:
    first, last = threshold.values[0], threshold.values[-1]
    bounds: dict[str, tuple[float | None, float | None]] = {
        "mustBe": (first, first),
        "mustBeGreaterThan": (math.floor(first) + 1, None),
        "mustBeGreaterOrEqualTo": (math.ceil(first), None),
        "mustBeLessThan": (None, math.ceil(first) - 1),
        "mustBeLessOrEqualTo": (None, math.floor(first)),
        "mustBeBetween": (math.ceil(first), math.floor(last)),
    }
    if threshold.operator not in bounds:
        return None
    low, high = bounds[threshold.operator]
    return Expected("expect_table_row_count_to_be_between", {"min_value": low, "max_value": high})


def _describe(rule: Rule) -> tuple[str, dict[str, Any]] | None:
    given = rule.arguments
    temporal = given.get("logicalType") in ("date", "timestamp", "time")
    match rule.kind:
        case "nullValues":
            return "expect_column_values_to_not_be_null", {}
        case "missingValues" if not rule.judges_nulls and not temporal:
            return "expect_column_values_to_not_be_in_set", {"value_set": list(given["missingValues"])}
        case "invalidValues" if "pattern" not in given and not temporal:
            return "expect_column_values_to_be_in_set", {"value_set": list(given["validValues"])}
        case "invalidValues" if "validValues" not in given:
            return _matches(given["pattern"])
        case "pattern":
            return _matches(given["pattern"])
        case "format":
            return _matches(FORMATS[given["format"]])
        case "duplicateValues" if len(rule.columns) == 1:
            return "expect_column_values_to_be_unique", {}
        case "duplicateValues":
            return "expect_compound_columns_to_be_unique", {"ignore_row_if": "any_value_is_missing"}
        case "minLength" | "maxLength":
            end = "min_value" if rule.kind == "minLength" else "max_value"
            return "expect_column_value_lengths_to_be_between", {end: given[rule.kind]}
        case "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum":
            return _between(rule, given[rule.kind])
    return None


def _matches(pattern: str) -> tuple[str, dict[str, Any]] | None:
    neutral = neutral_pattern(pattern)
    return None if neutral is None else ("expect_column_values_to_match_regex", {"regex": neutral})


def _between(rule: Rule, bound: Any) -> tuple[str, dict[str, Any]] | None:
    logical = rule.arguments["logicalType"]
    if logical == "time":
        return None
    value = datetime.fromisoformat(str(bound)) if logical in ("date", "timestamp") else bound
    end = "min" if rule.kind.lower().endswith("minimum") else "max"
    strict = {f"strict_{end}": True} if rule.kind.startswith("exclusive") else {}
    return "expect_column_values_to_be_between", {f"{end}_value": value} | strict


def to_suite(contract: Contract, table: Table) -> ExpectationSuite:
    """A table's rules as a Great Expectations suite.

    Rules without an expectation of their own are named in `meta["executed_elsewhere"]`.
    """
    gx = with_great_expectations()
    told = [rule for rule in table.rules if expected(rule) is not None]
    # Given at once, because adding them one by one replaces a minimum by the maximum of the same column.
    suite = gx.ExpectationSuite(
        name=f"{contract.domain}.{contract.product}.{table.name}",
        expectations=[_configuration(rule) for rule in told],
        meta={
            "contract": {"id": contract.id, "version": contract.version, "hash": contract.hash},
            "executed_elsewhere": [
                {"rule": rule.id, "description": rule.description} for rule in table.rules if rule not in told
            ],
        },
    )
    if len(suite.expectations) != len(told):
        # A suite only logs an expectation that it does not take.
        raise RuntimeError(f"Great Expectations took {len(suite.expectations)} of {len(told)} rules of {table.name}.")
    return cast("ExpectationSuite", suite)


def _configuration(rule: Rule, *, any_rule: bool = False, runs: bool = True) -> ExpectationConfiguration:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    told = expected(rule) if runs else None
    if told is None:
        assert any_rule
        place = {"column": rule.columns[0]} if len(rule.columns) == 1 else {}
        told = Expected(ELSEWHERE, place)
    meta = {"rule": rule.id, "threshold": str(rule.threshold), "action": rule.action}
    severity = "critical" if rule.severity == "error" else "warning"
    return ExpectationConfiguration(
        type=told.type, kwargs=dict(told.kwargs), meta=meta, description=rule.description, severity=severity
    )


def to_validation_result(audit: Audit, contract: Contract, table: Table) -> ExpectationSuiteValidationResult:
    """An audit of one table as a Great Expectations validation result, without running Great Expectations.

    Every rule is in it, also those that Great Expectations has no word for; no result holds a value of a row.
    """
    with_great_expectations()
    from great_expectations.core import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
        RunIdentifier,
    )

    by_id = {result.rule_id: result for result in audit.results}
    results = [
        ExpectationValidationResult(
            success=by_id[rule.id].passed,
            expectation_config=_configuration(rule, any_rule=True, runs=by_id[rule.id].status != "error"),
            result=_result(by_id[rule.id], audit.rows.get(table.name, 0)),
            meta={"message": by_id[rule.id].message},
            exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
        )
        for rule in table.rules
        if rule.id in by_id
    ]
    good = sum(1 for result in results if result.success)
    return ExpectationSuiteValidationResult(
        success=good == len(results),
        results=results,
        suite_name=f"{contract.domain}.{contract.product}.{table.name}",
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": good,
            "unsuccessful_expectations": len(results) - good,
            "success_percent": 100 * good / len(results) if results else None,
        },
        meta={
            "run_id": RunIdentifier(run_name=audit.id, run_time=audit.at),
            "contract": {"id": contract.id, "version": contract.version, "hash": contract.hash},
            "snapshot": audit.snapshot,
            "verdict": audit.verdict,
            "rows": audit.rows.get(table.name),
            "quarantined": audit.quarantined.get(table.name, 0),
        },
    )


def _result(seen: RuleResult, total: int) -> dict[str, Any]:
    if seen.failing_rows is None or seen.rows is None:
        return {"observed_value": seen.message}
    return {
        "element_count": total,
        "missing_count": total - seen.rows,
        "missing_percent": _percent(total - seen.rows, total),
        "unexpected_count": seen.failing_rows,
        "unexpected_percent": _percent(seen.failing_rows, seen.rows),
        "unexpected_percent_nonmissing": _percent(seen.failing_rows, seen.rows),
        "unexpected_percent_total": _percent(seen.failing_rows, total),
        "partial_unexpected_list": [],
    }


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def validate_with_gx(df: pd.DataFrame, contract: Contract, table: Table) -> dict[str, dict[str, Any]]:
    """Run a table's suite on pandas: rule id to `success`, `unexpected_count` and `observed_value` (or None).

    Nothing is kept and nothing leaves the machine. Date and timestamp columns must be of a datetime dtype.

    Raises:
        RuntimeError: Great Expectations could not run an expectation.
    """
    gx = with_great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    batch = context.data_sources.add_pandas("frame").add_dataframe_asset("asset")
    definition = batch.add_batch_definition_whole_dataframe("all")
    outcome = definition.get_batch({"dataframe": df}).validate(to_suite(contract, table), result_format="SUMMARY")
    seen: dict[str, dict[str, Any]] = {}
    for result in outcome.results:
        rule = result.expectation_config.meta["rule"]
        if any(entry.get("raised_exception") for entry in _exceptions(result.exception_info)):
            raise RuntimeError(f"Great Expectations could not run {rule}.")
        seen[rule] = {
            "success": bool(result.success),
            "unexpected_count": result.result.get("unexpected_count"),
            "observed_value": result.result.get("observed_value"),
        }
    return seen


def _exceptions(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Great Expectations gives one entry, or one per metric under the metric's name."""
    return [info] if "raised_exception" in info else list(info.values())


def with_great_expectations() -> Any:
    """The package, with the type known under which other rules are reported."""
    import great_expectations as gx

    from mesh.audit.expectation import register

    register()
    return gx
