"""A contract as Dagster asset checks: one per rule, blocking where its severity is error.

The checks show an audit; they do not replace the gate. What decides is the audit record that this
step writes and the publish transaction reads.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import dagster as dg

from dagster_project.keys import candidate_key, check_name
from dagster_project.resources import MeshResource
from mesh.audit import Audit, RuleResult, audit
from mesh.errors import PublishRefused
from mesh.failpoints import reached
from mesh.lake import INPUTS, LAKE
from mesh.project import Product
from mesh.release import Build, last_build, record_audit
from mesh.session import Mesh

ACCOUNTING = "accounting"


def audit_checks(product: Product) -> dg.AssetChecksDefinition:
    """The rules of a product's contract, and the accounting of its source rows."""
    names = {rule.id: check_name(product, rule) for table in product.contract.tables for rule in table.rules}
    specs = [
        dg.AssetCheckSpec(
            names[rule.id],
            asset=candidate_key(product.domain, table.name),
            description=rule.description,
            blocking=rule.severity == "error",
            metadata={"rule": rule.id, "severity": rule.severity, "action": rule.action},
        )
        for table in product.contract.tables
        for rule in table.rules
    ]
    first = candidate_key(product.domain, product.contract.tables[0].name)
    if product.fed_by:
        specs.append(
            dg.AssetCheckSpec(
                ACCOUNTING,
                asset=first,
                blocking=True,
                description="Every source row is published, quarantined, filtered or rejected.",
            )
        )
    tables = {rule.id: table.name for table in product.contract.tables for rule in table.rules}

    @dg.multi_asset_check(name=f"audit_{product.name}", specs=specs, op_tags={"domain": product.domain})
    def check(context: dg.AssetCheckExecutionContext, mesh: MeshResource) -> Iterator[dg.AssetCheckResult]:
        build = last_build(mesh.mesh.postgres, product.key)
        if build is None:
            raise PublishRefused(f"{product.key}: there is no candidate to audit. Build {product.key} first.")
        found = audit_candidate(mesh.mesh, product, build)
        for result in found.results:
            yield dg.AssetCheckResult(
                passed=result.passed,
                check_name=names.get(result.rule_id, ACCOUNTING),
                asset_key=candidate_key(product.domain, tables[result.rule_id]) if result.rule_id in tables else first,
                severity=dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN,
                description=result.message,
                metadata={
                    "rule": result.rule_id,
                    "failing_rows": result.failing_rows,
                    "rows": result.rows,
                    "snapshot": found.snapshot,
                    "contract_version": found.contract_version,
                    **_failing_rows(mesh.mesh, product, result, build),
                },
            )

    return check


def audit_candidate(mesh: Mesh, product: Product, build: Build) -> Audit:
    """Audit a candidate at its build's snapshot and put the result on record."""
    with mesh.writer(inputs_at=build.inputs_snapshot) as connection:
        found = audit(
            connection,
            product.contract,
            domain_schema=product.build_schema,
            snapshot=build.snapshot,
            catalog=LAKE,
            inputs=INPUTS,
            now=datetime.now(UTC).replace(tzinfo=None),
            quarantined=build.quarantined,
            extra_results=(_accounting(product, build),) if build.accounting else (),
        )
    record_audit(mesh.postgres, found)
    reached("audit.recorded", product.key)
    return found


def _failing_rows(mesh: Mesh, product: Product, result: RuleResult, build: Build) -> dict[str, Any]:
    """Where to look on: for a rule that did not pass, or that put rows aside."""
    aside = build.quarantined.get(result.table)
    if result.passed and not (aside and aside.by_rule.get(result.rule_id)):
        return {}
    query = urlencode({"rule": result.rule_id})
    return {
        "failing_rows_page": dg.MetadataValue.url(f"{mesh.settings.pages_address}/failures/{product.key}?{query}"),
        "look": f"mesh failures {product.key} --rule {result.rule_id}",
    }


def _accounting(product: Product, build: Build) -> RuleResult:
    """The accounting of source rows as one more rule: nothing may be lost on the way."""
    counts = build.accounting
    parts = ", ".join(f"{counts[name]} {name}" for name in ("published", "quarantined", "filtered", "rejected"))
    difference = counts["difference"]
    told = f"{counts['source']} source rows: {parts}" + (f"; {difference} unaccounted for" if difference else "")
    return RuleResult(
        rule_id=ACCOUNTING,
        table=product.contract.tables[0].name,
        columns=(),
        kind="accounting",
        severity="error",
        action="fail",
        status="passed" if difference == 0 else "failed",
        observed=difference,
        failing_rows=abs(difference),
        rows=counts["source"],
        description="Every source row is published, quarantined, filtered or rejected.",
        message=told + ".",
    )
