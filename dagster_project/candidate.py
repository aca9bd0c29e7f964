"""What every engine does with a finished table before it may be audited: quarantine, count, record.

dbt and Python build candidates in different ways; from here on a candidate is a candidate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import duckdb

from dagster_project.keys import candidate_key, owners
from dagster_project.plan import Inputs
from mesh.audit import quarantine
from mesh.failpoints import reached
from mesh.ingest import source_rows
from mesh.lake import LAKE, current_snapshot
from mesh.lineage import Lineage
from mesh.project import Product
from mesh.release import Build, record_build
from mesh.session import Mesh


@dataclass(frozen=True)
class Engine:
    """What the engine knows of a build: run, seconds, facts to keep with the release, and per table where its columns
    come from.
    """

    run_id: str
    seconds: float
    details: dict[str, Any]
    lineage: dict[str, Lineage] = field(default_factory=dict)


def candidate_asset(
    product: Product, deps: Sequence[dg.AssetKey], *, engine: str
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Decorates what makes the table of a product: how its asset is named, described and found.

    Args:
        engine: what builds it, such as `python` or an algorithm.
    """
    table = product.contract.tables[0]
    return dg.asset(
        key=candidate_key(product.domain, table.name),
        deps=list(deps),
        description=table.description,
        group_name=product.domain,
        kinds={engine, "ducklake", "table"},
        tags={"domain": product.domain, "layer": "candidate"},
        owners=owners(product),
        op_tags={"domain": product.domain},
    )


def finish(
    mesh: Mesh, connection: duckdb.DuckDBPyConnection, product: Product, inputs: Inputs, engine: Engine
) -> Build:
    """Quarantine, account for every source row, and record the candidate at its final snapshot.

    The caller holds the domain's build lock, so the tables at that snapshot are the ones just built.
    """
    reached("build.built", product.key)
    aside = quarantine(connection, product.contract, domain_schema=product.build_schema, catalog=LAKE)
    build = Build(
        product=product.key,
        snapshot=current_snapshot(connection),
        inputs_snapshot=inputs.snapshot,
        inputs=inputs.releases,
        fingerprint=inputs.fingerprint,
        code_revision=mesh.code_revision,
        run_id=engine.run_id,
        quarantined=aside,
        accounting=_accounting(connection, product, sum(found.quarantined for found in aside.values())),
        content={table.name: _digest(connection, product, table.name) for table in product.contract.tables},
        seconds=round(engine.seconds, 3),
        details=engine.details,
        lineage=engine.lineage,
    )
    record_build(mesh.postgres, build)
    reached("build.recorded", product.key)
    return build


def _accounting(connection: duckdb.DuckDBPyConnection, product: Product, quarantined: int) -> dict[str, int]:
    """Where the rows that feed the product went; empty for a product computed from others or from several tables.

    `source = published + quarantined + filtered + rejected` must hold: the audit has a rule for it.
    """
    if not product.fed_by:
        return {}
    delivered = rejected = 0
    for table in product.fed_by:
        found = source_rows(connection, product.domain, table, catalog=LAKE)
        delivered += found.rows + found.rejected
        rejected += found.rejected
    table = f"{LAKE}.{product.build_schema}.{product.contract.tables[0].name}"
    column = (product.contract.custom.get("accounting") or {}).get("column")
    measure = f"coalesce(sum({column}), 0)" if column else "count(*)"
    published = _number(connection, f"select {measure} from {table}")
    aside = _number(connection, f"select {measure} from {table}_quarantine") if quarantined else 0
    filtered = _number(connection, f"select count(*) from {table}_filtered") if _exists(connection, product) else 0
    return {
        "source": delivered,
        "published": published,
        "quarantined": aside,
        "filtered": filtered,
        "rejected": rejected,
        "difference": delivered - published - aside - filtered - rejected,
    }


def _exists(connection: duckdb.DuckDBPyConnection, product: Product) -> bool:
    name = f"{product.contract.tables[0].name}_filtered"
    found = connection.execute(
        "select count(*) from duckdb_tables() where database_name = ? and schema_name = ? and table_name = ?",
        [LAKE, product.build_schema, name],
    ).fetchone()
    assert found is not None
    return bool(found[0])


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _digest(connection: duckdb.DuckDBPyConnection, product: Product, table: str) -> str:
    """Equal rows, in whatever order and files, give an equal digest: row hashes added up without overflow."""
    columns = ", ".join(f'"{column.name}"' for column in product.contract.table(table).columns)
    row = connection.execute(
        f"select count(*), coalesce(sum(hash({columns})::hugeint), 0) from {LAKE}.{product.build_schema}.{table}"
    ).fetchone()
    assert row is not None
    return hashlib.sha256(f"{row[0]}:{row[1]}".encode()).hexdigest()[:32]
