"""The expectation under which a contract's other rules (sql, relationships, freshness, schema) are reported."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def register() -> None:
    """Make `expect_contract_rule_to_hold` known to Great Expectations; a class registers itself when it is made."""
    from great_expectations.expectations.expectation import BatchExpectation

    class ExpectContractRuleToHold(BatchExpectation):  # type: ignore[misc]  # the package is untyped to mypy
        """A rule that the mesh runs itself; Great Expectations only shows what came of it."""

        column: str | None = None
        metric_dependencies = ()
        success_keys = ()
        domain_keys = ("batch_id", "column")

        def _validate(
            self, metrics: Any, runtime_configuration: Any = None, execution_engine: Any = None
        ) -> dict[str, Any]:
            raise NotImplementedError("This rule is run by the audit of the mesh, not by Great Expectations.")
