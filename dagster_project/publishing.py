"""Published products as assets: the public views, and what a product shows of itself."""

import getpass
from collections.abc import Iterator
from typing import Any

import dagster as dg

from dagster_project.checks import audit_candidate
from dagster_project.guard import values_kept_out
from dagster_project.keys import candidate_key, owners, published_keys, source_key
from dagster_project.resources import MeshResource
from mesh.access.clearance import classified
from mesh.contract import Column, Contract, Table
from mesh.contract.service import of_the_release
from mesh.errors import PublishRefused
from mesh.project import Product
from mesh.release import Release, find_audit, last_build, publish
from mesh.release.history import read_whole
from mesh.settings import get_settings


def published_assets(product: Product) -> dg.AssetsDefinition:
    """The public views of a product; publishing repoints all of them at once."""
    contract = product.contract
    keys = published_keys(product)
    policy = _freshness(contract)
    specs = [
        dg.AssetSpec(
            keys[table.name],
            deps=[candidate_key(product.domain, each.name) for each in contract.tables],
            description=_description(product, table),
            group_name=product.domain,
            owners=owners(product),
            kinds={"product", "ducklake", "duckdb"},
            tags={
                "domain": product.domain,
                "layer": "product",
                "contract": contract.version,
                "status": contract.status,
            },
            metadata={
                "dagster/column_schema": _column_schema(table),
                "dagster/table_name": ".".join(keys[table.name].path),
                "contract_version": contract.version,
                "contract_file": f"contracts/{product.key}.yaml",
                "catalogue": dg.MetadataValue.url(f"{get_settings().pages_address}/catalogue/{product.key}.html"),
            },
            freshness_policy=policy,
        )
        for table in contract.tables
    ]

    @dg.multi_asset(name=f"publish_{product.name}", specs=specs, op_tags={"domain": product.domain})
    def release(context: dg.AssetExecutionContext, mesh: MeshResource) -> Iterator[dg.MaterializeResult]:
        opened = mesh.mesh
        build = last_build(opened.postgres, product.key)
        if build is None:
            raise PublishRefused(f"{product.key}: there is no candidate to publish. Build {product.key} first.")
        done = opened.history().served.get(product.key)
        # A second click, or a daemon that comes late: what is served already is shown once more, not refused.
        if done is None or (done.snapshot, done.contract_hash) != (build.snapshot, contract.hash):
            if find_audit(opened.postgres, product.key, build.snapshot, contract.hash) is None:
                audit_candidate(opened, product, build)
            with values_kept_out(product.key), opened.writer() as connection:
                done = publish(connection, opened.postgres, opened.project, contract, build, author=_author(context))
        context.log.info(f"{done.reference} is served from snapshot {done.snapshot}")
        whole = read_whole(opened.postgres, done)
        for table in contract.tables:
            yield dg.MaterializeResult(asset_key=keys[table.name], metadata=facts(whole, table.name))

    return release


def facts(release: Release, table: str) -> dict[str, Any]:
    """What Dagster shows of a release."""
    return {
        "dagster/row_count": release.rows[table],
        "release": release.release,
        "contract_version": release.contract_version,
        "verdict": str(release.audit["verdict"]),
        "quarantined": release.quarantined.get(table, 0),
        "upstream_releases": [str(upstream) for upstream in release.inputs],
        "snapshot": release.snapshot,
        "code_revision": release.code_revision,
        "content_digest": release.content.get(table, ""),
        **_column_lineage(release, table),
        **({"accounting": release.accounting} if release.accounting else {}),
        **({"rolled back because": release.why} if release.kind == "rollback" else {}),
    }


def _column_lineage(release: Release, table: str) -> dict[str, dg.TableColumnLineage]:
    """Where the columns come from, as Dagster links them; a record that was read without its columns tells none."""
    found = {
        column.column: [
            dg.TableColumnDep(asset_key=source_key(source.table), column_name=source.column)
            for source in column.sources
        ]
        for column in release.lineage.get(table, ())
    }
    return {"dagster/column_lineage": dg.TableColumnLineage(found)} if found else {}


def note(instance: dg.DagsterInstance, release: Release) -> None:
    """Show a release or rollback that no Dagster run told of: the UI follows, and so does what is made from it."""
    for table, view in zip(release.tables, release.views, strict=True):
        event = dg.AssetMaterialization(dg.AssetKey(view.split(".")), metadata=facts(release, table))
        instance.report_runless_asset_event(event)


def _author(context: dg.AssetExecutionContext) -> str:
    """Who asked for the run: the user named in its tags (by the UI), else whoever runs this process."""
    return context.run.tags.get("user") or context.run.tags.get("mesh/author") or getpass.getuser()


def _description(product: Product, table: Table) -> str:
    contract = product.contract
    reads = ", ".join(product.inputs) or "its own source files"
    return (
        f"{(table.description or product.description).strip()}\n\n"
        f"**Contract** `{contract.id}` {contract.version} ({contract.status}) · **Made from** {reads} · "
        f"**Query** `select * from {contract.view(table)}`"
    )


def _column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                name=column.name,
                type=column.physical_type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=not column.required,
                    unique=column.unique or table.primary_key == (column.name,),
                    other=_handling(column),
                ),
            )
            for column in table.columns
        ]
    )


def _handling(column: Column) -> list[str]:
    word = classified(column)
    return [word] if word else []


def _freshness(contract: Contract) -> dg.FreshnessPolicy | None:
    """The contract's age of a release as Dagster watches it: time since the last publish."""
    ages = [level.age for level in contract.sla if of_the_release(level) and level.age is not None]
    return dg.FreshnessPolicy.time_window(fail_window=min(ages)) if ages else None
