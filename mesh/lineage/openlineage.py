"""What happened to products as OpenLineage run events, computed from what is on record.

Events are derived, not collected: builds, audits and releases stand in the catalog's own transactions, so no event is
lost when a process is killed, none tells of what did not commit, and past releases have theirs too. The same record
gives the same event under the same run id, so a receiver that gets it twice knows it.

Jobs of a product: `domain/product` (build and publish), `domain/product.audit` (its contract held against the
candidate) and `domain/product.rollback`. Events hold names, counts and verdicts, never a value of a row.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mesh.contract import Contract, parse_contract
from mesh.errors import ContractError
from mesh.lineage.columns import ColumnLineage
from mesh.lineage.record import Try, tries
from mesh.release import History, Release
from mesh.release.history import read_whole

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent

    from mesh.audit import Audit
    from mesh.project import Product
    from mesh.session import Mesh

NAMESPACE = "insight-mesh"
PRODUCER = "https://insight-mesh.invalid/openlineage"
_IDS = uuid.UUID("6f0d2b52-6f0c-5a43-9d36-0d6a6a2f6c5e")


def events(mesh: Mesh, product: Product) -> list[RunEvent]:
    """Every event of a product, in the order of time: builds that were released or refused, audits, rollbacks."""
    from openlineage.client.event_v2 import set_producer

    set_producer(PRODUCER)
    history = mesh.history()
    contracts: dict[str, Contract | None] = {product.contract.hash: product.contract}
    releases = {record.snapshot: record for record in history.of(product.key) if record.kind == "release"}
    found: list[RunEvent] = []
    for attempt in tries(mesh.postgres, product.key):
        release = releases.get(attempt.build.snapshot)
        whole = read_whole(mesh.postgres, release) if release else None
        contract = _contract(contracts, product, whole) or product.contract
        found += _built(product, contract, history, attempt, whole)
    found += [event for record in history.of(product.key) if record.kind == "rollback"
              for event in _rolled_back(product, record)]  # fmt: skip
    return sorted(found, key=lambda event: (str(event.eventTime), event.job.name))


def to_json(event: RunEvent) -> str:
    """An event as one line of JSON, keys in order."""
    from openlineage.client.serde import Serde

    line: str = Serde.to_json(event)
    return line


def _contract(known: dict[str, Contract | None], product: Product, release: Release | None) -> Contract | None:
    """The contract as it was sealed into a release; None where its text cannot be read any more."""
    if release is None:
        return None
    if release.contract_hash not in known:
        try:
            known[release.contract_hash] = parse_contract(release.contract_text.encode(), product.contract.path)
        except ContractError:
            known[release.contract_hash] = None
    return known[release.contract_hash]


def _built(
    product: Product, contract: Contract, history: History, attempt: Try, release: Release | None
) -> Iterable[RunEvent]:
    """START and end of a build, and of the audit of its candidate."""
    from openlineage.client.event_v2 import RunEvent, RunState

    build, audit = attempt.build, attempt.audit
    key = f"{product.key}#{build.snapshot}#{build.run_id}"
    inputs, outputs = _inputs(product, build, history), _outputs(product, contract, build.lineage, release, audit)
    job, run = _job(product, "", product.description), _run(key, build.run_id)
    started = attempt.built_at - timedelta(seconds=build.seconds)
    yield RunEvent(eventType=RunState.START, eventTime=_time(started), run=run, job=job, inputs=inputs)
    if release is not None and release.published_at is not None:
        yield RunEvent(
            eventType=RunState.COMPLETE, eventTime=_time(release.published_at), run=run, job=job, inputs=inputs,
            outputs=outputs,
        )  # fmt: skip
    elif audit is not None and audit.verdict == "failed":
        failed = _run(key, build.run_id, refused=audit)
        yield RunEvent(eventType=RunState.FAIL, eventTime=_time(attempt.audited_at), run=failed, job=job, inputs=inputs)
    if audit is None:
        return
    judged = _judged(product, contract, audit)
    audit_job = _job(product, ".audit", "Holds the contract against a candidate.")
    audit_run = _run(f"{key}#audit", build.run_id)
    yield RunEvent(eventType=RunState.START, eventTime=_time(attempt.built_at), run=audit_run, job=audit_job)
    end = RunState.FAIL if audit.verdict == "failed" else RunState.COMPLETE
    yield RunEvent(eventType=end, eventTime=_time(attempt.audited_at), run=audit_run, job=audit_job, inputs=judged)


def _rolled_back(product: Product, record: Release) -> Iterable[RunEvent]:
    from openlineage.client.event_v2 import RunEvent, RunState

    assert record.published_at is not None
    job = _job(product, ".rollback", "Serves an earlier release again.")
    run = _run(f"{product.key}#rollback#{record.commit}", "")
    for state in (RunState.START, RunState.COMPLETE):
        outputs = _outputs(product, product.contract, {}, record, None) if state is RunState.COMPLETE else []
        yield RunEvent(eventType=state, eventTime=_time(record.published_at), run=run, job=job, outputs=outputs)


def _job(product: Product, suffix: str, description: str) -> Job:
    from openlineage.client.event_v2 import Job
    from openlineage.client.facet_v2 import documentation_job, job_type_job, ownership_job

    facets: dict[str, Any] = {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="INSIGHT_MESH", jobType="PRODUCT"),
        "documentation": documentation_job.DocumentationJobFacet(description=description.strip()),
        "ownership": ownership_job.OwnershipJobFacet(
            owners=[ownership_job.Owner(name=f"team:{product.contract.owner}", type="OWNER")]
        ),
    }
    return Job(namespace=NAMESPACE, name=f"{product.key}{suffix}", facets=facets)


def _run(key: str, parent: str, refused: Audit | None = None) -> Run:
    """The run of one job; its parent is the run of the orchestration, which may build several products."""
    from openlineage.client.event_v2 import Run
    from openlineage.client.facet_v2 import error_message_run, parent_run

    facets: dict[str, Any] = {}
    if _is_uuid(parent):
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(runId=parent), job=parent_run.Job(namespace=NAMESPACE, name="dagster")
        )
    if refused is not None:
        names = ", ".join(result.rule_id for result in refused.failed)
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=f"The candidate breaks its contract: {names}.", programmingLanguage="PYTHON"
        )
    return Run(runId=str(uuid.uuid5(_IDS, key)), facets=facets)


def _inputs(product: Product, build: Any, history: History) -> list[InputDataset]:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    found = [InputDataset(namespace=NAMESPACE, name=f"{product.build_schema}.{raw}") for raw in product.raw_tables]
    for upstream in build.inputs:
        release = history.get(upstream.product, upstream.release)
        version = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=str(upstream))
        found += [InputDataset(namespace=NAMESPACE, name=view, facets={"version": version}) for view in release.views]
    return found


def _outputs(
    product: Product,
    contract: Contract,
    lineage: Mapping[str, tuple[ColumnLineage, ...]],
    release: Release | None,
    audit: Audit | None,
) -> list[OutputDataset]:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        dataset_version_dataset,
        documentation_dataset,
        output_statistics_output_dataset,
        ownership_dataset,
        schema_dataset,
    )  # fmt: skip

    if release is None:
        return []
    found = []
    types = {(table.name, column.name): column for table in contract.tables for column in table.columns}
    for table, view in zip(release.tables, release.views, strict=True):
        columns = [(name, types.get((table, name))) for name in release.columns[table]]
        fields = [
            schema_dataset.SchemaDatasetFacetFields(
                name=name,
                type=column.physical_type if column else None,
                description=column.description.strip() if column else None,
                ordinal_position=place,
            )
            for place, (name, column) in enumerate(columns, start=1)
        ]
        facets: dict[str, Any] = {
            "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=release.reference),
            "ownership": ownership_dataset.OwnershipDatasetFacet(
                owners=[ownership_dataset.Owner(name=f"team:{contract.owner}", type="OWNER")]
            ),
            "documentation": documentation_dataset.DocumentationDatasetFacet(
                description=(product.description or contract.description).strip(), contentType="text/plain"
            ),
        }
        if table in lineage:
            facets["columnLineage"] = _column_lineage(lineage[table])
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=release.rows.get(table)
        )
        found.append(OutputDataset(
            namespace=NAMESPACE, name=view, facets=facets, outputFacets={"outputStatistics": statistics}
        ))  # fmt: skip
    return found


def _column_lineage(lineage: Iterable[ColumnLineage]) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as facet

    fields = {
        column.column: facet.Fields(
            inputFields=[
                facet.InputField(
                    namespace=NAMESPACE,
                    name=source.table,
                    field=source.column,
                    transformations=[facet.Transformation(type="DIRECT", subtype=source.kind.upper())],
                )
                for source in column.sources
            ]
        )
        for column in lineage
    }
    return facet.ColumnLineageDatasetFacet(fields=fields)


def _judged(product: Product, contract: Contract, audit: Audit) -> list[InputDataset]:
    """The candidate's tables with what each rule of the contract said of them."""
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as facet

    found = []
    for table in contract.tables:
        assertions = [
            facet.Assertion(
                assertion=result.kind,
                success=result.passed,
                column=result.columns[0] if len(result.columns) == 1 else None,
                severity="error" if result.severity == "error" else "warn",
                name=result.rule_id,
                description=result.description,
            )
            for result in audit.results
            if result.table == table.name
        ]
        found.append(InputDataset(
            namespace=NAMESPACE, name=f"{product.build_schema}.{table.name}",
            inputFacets={"dataQualityAssertions": facet.DataQualityAssertionsDatasetFacet(assertions=assertions)},
        ))  # fmt: skip
    return found


def _time(moment: datetime | None) -> str:
    assert moment is not None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
