"""Raw tables as assets: what the sources of a domain delivered, append-only."""

from datetime import UTC, datetime

import dagster as dg

from dagster_project.guard import values_kept_out
from dagster_project.keys import raw_key
from dagster_project.plan import sources_of
from dagster_project.resources import MeshResource
from mesh.failpoints import reached
from mesh.ingest import Digests, RawTable, ingest, load_raw_tables
from mesh.lake import LAKE
from mesh.project import Domain
from mesh.session import Mesh


def raw_assets(mesh: Mesh, domain: Domain) -> list[dg.AssetsDefinition]:
    """One asset per raw table of the domain."""
    return [_raw_asset(mesh, domain, table) for table in load_raw_tables(domain.path)]


def _raw_asset(mesh: Mesh, domain: Domain, table: RawTable) -> dg.AssetsDefinition:
    sources = sources_of(mesh, domain.name, [table.name])

    @dg.asset(
        key=raw_key(domain.name, table.name),
        description=f"Rows as delivered, identifiers tokenised, append-only. Sources: "
        f"{', '.join(source.name for source in sources) or 'none yet'}.",
        group_name=domain.name,
        kinds={*(source.format for source in sources), "ducklake"},
        tags={"domain": domain.name, "layer": "raw"},
        metadata={"files": [source.files for source in sources], "columns": list(table.columns)},
        op_tags={"domain": domain.name},
    )
    def raw_table(context: dg.AssetExecutionContext, mesh: MeshResource) -> dg.MaterializeResult:
        opened = mesh.mesh
        loads = []
        with (
            values_kept_out(f"{domain.name}/{table.name}"),
            opened.build_lock(domain.name),
            opened.writer() as connection,
        ):
            for source in sources:
                loads += ingest(
                    connection,
                    source,
                    table,
                    opened.settings.landing_dir,
                    keyring=opened.keyring,
                    run_id=context.run.run_id,
                    now=datetime.now(UTC).replace(tzinfo=None),
                    catalog=LAKE,
                    digests=Digests(opened.settings.home),
                )
                reached("ingest.loaded", f"{domain.name}/{source.name}")
        new = [load for load in loads if load.status == "loaded"]
        for load in new:
            context.log.info(f"{load.file}: {load.rows} rows loaded, {load.rejected} rejected")
            if load.ignored_columns:
                context.log.warning(f"{load.file}: columns no mapping names: {', '.join(load.ignored_columns)}")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(load.rows for load in new),
                "rejected": sum(load.rejected for load in new),
                "files_loaded": len(new),
                "files_known": len(loads) - len(new),
                "loads": dg.TableMetadataValue(
                    records=[
                        dg.TableRecord({"file": load.file, "rows": load.rows, "rejected": load.rejected,
                                        "status": load.status, "load_id": load.load_id})
                        for load in loads
                    ],
                    schema=dg.TableSchema(
                        [dg.TableColumn("file"), dg.TableColumn("rows", "int"), dg.TableColumn("rejected", "int"),
                         dg.TableColumn("status"), dg.TableColumn("load_id")]
                    ),
                ),
            }
        )  # fmt: skip

    return raw_table
