"""Service levels in Dagster: a sensor that reads every published view as a consumer does, and checks that judge.

The checks run with every release and whenever somebody asks in the UI. Between releases the sensor reports them anew
where one has turned, so that what the UI shows is not of the last release only.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg

from dagster_project.keys import published_keys
from dagster_project.resources import MeshResource, process_mesh
from mesh.contract import ServiceLevel
from mesh.contract.service import judged_in_service
from mesh.levels import LevelResult, judge_levels, probe
from mesh.project import Product
from mesh.session import Mesh

INTERVAL_SECONDS = 300


def probing_sensor(domain: str) -> dg.SensorDefinition:
    """Probes the products of a domain; its ticks show what could not be read."""

    @dg.sensor(
        name=f"{domain}_probes",
        description="Reads a row of every published view as a consumer does and records whether it could be read: what "
        "`availability` of the contracts is judged by.",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # It starts no run, so that every tick is a skipped one for Dagster.
        mesh = process_mesh()
        told, cursor = probed(mesh, context.instance, domain, context.cursor)
        return dg.SensorResult(skip_reason=told, cursor=cursor)

    return look


def probed(mesh: Mesh, instance: dg.DagsterInstance, domain: str, cursor: str | None) -> tuple[str, str]:
    """Probe a domain's products, report the checks that have turned since; what happened, and what to remember."""
    products = mesh.project.domain(domain).products
    seen = probe(mesh, [product.key for product in products])
    before = json.loads(cursor) if cursor else {}
    history, now, after = mesh.history(), datetime.now(UTC), {}
    for product in products:
        for evaluation in _evaluations(product, judge_levels(mesh.postgres, history, product.contract, now)):
            name = f"{product.key} {evaluation.check_name}"
            after[name] = evaluation.passed
            if before.get(name) != evaluation.passed:
                instance.report_runless_asset_event(evaluation)
    failed = [f"{each.product} ({each.view or 'the mesh'}: {each.error})" for each in seen if not each.ok]
    told = f"{len(seen) - len(failed)} of {len(seen)} products could be read"
    told += f", not {', '.join(failed)}." if failed else "."
    return told, json.dumps(after)


def level_checks(product: Product) -> dg.AssetChecksDefinition | None:
    """One check per service level that is judged from releases and probes; None where the contract has none."""
    levels = [level for level in product.contract.sla if judged_in_service(level)]
    if not levels:
        return None
    specs = [
        dg.AssetCheckSpec(
            name,
            asset=_asset(product, level),
            description=level.description or f"{level.name} {level.value} {level.unit or ''}".strip(),
        )
        for name, level in zip(_names(levels), levels, strict=True)
    ]

    # As a subset may be asked for, a check may also give no result, which is what is not measured yet.
    @dg.multi_asset_check(
        name=f"levels_{product.name}", specs=specs, can_subset=True, op_tags={"domain": product.domain}
    )
    def check(context: dg.AssetCheckExecutionContext, mesh: MeshResource) -> Iterator[dg.AssetCheckResult]:
        opened = mesh.mesh
        found = judge_levels(opened.postgres, opened.history(), product.contract, datetime.now(UTC))
        for each in _evaluations(product, found):
            if each.asset_check_key not in context.selected_asset_check_keys:
                continue
            yield dg.AssetCheckResult(
                passed=each.passed,
                check_name=each.check_name,
                asset_key=each.asset_key,
                severity=each.severity,
                description=each.description,
                metadata=each.metadata,
            )

    return check


def _evaluations(product: Product, results: tuple[LevelResult, ...]) -> Iterator[dg.AssetCheckEvaluation]:
    """What is not measured yet has none: a check has only passed and failed."""
    names = _names([result.level for result in results])
    for name, result in zip(names, results, strict=True):
        if result.status == "not measured":
            continue
        yield dg.AssetCheckEvaluation(
            asset_key=_asset(product, result.level),
            check_name=name,
            passed=not result.missed,
            severity=dg.AssetCheckSeverity.WARN,
            description=result.message,
            metadata={
                "promised": dg.MetadataValue.text(result.promised),
                "observed": dg.MetadataValue.float(float(result.observed or 0)),
            },
        )


def _asset(product: Product, level: ServiceLevel) -> dg.AssetKey:
    keys = published_keys(product)
    return keys[level.table] if level.table in keys else next(iter(keys.values()))


def _names(levels: Sequence[ServiceLevel]) -> list[str]:
    """`service_frequency`, and `service_frequency_2` where a contract promises it twice."""
    kinds = [level.name for level in levels]
    before = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
    return [f"service_{kind}" + (f"_{n + 1}" if n else "") for kind, n in zip(kinds, before, strict=True)]
