"""dbt models as assets: staging, intermediate models and candidates, built at pinned inputs.

Products that share a model are built by one step; all others by a step of their own, so that one
product's broken model does not hold up its neighbours.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtProject, build_dbt_asset_specs

from dagster_project import dbt, lineage, plan
from dagster_project.candidate import Engine, finish
from dagster_project.guard import values_kept_out
from dagster_project.keys import candidate_key, owners, published_keys
from dagster_project.resources import MeshResource
from mesh.lake import current_snapshot
from mesh.project import Domain, Product
from mesh.session import Mesh


def transform_assets(
    mesh: Mesh, domain: Domain, products: Sequence[Product], manifest: Mapping[str, Any]
) -> list[dg.AssetsDefinition]:
    """The dbt models of a domain, a step per group of products that share models."""
    candidates = {table.name: product for product in products for table in product.contract.tables}
    translator = _Translator(mesh, domain, candidates)
    specs = build_dbt_asset_specs(
        manifest=manifest, dagster_dbt_translator=translator, select=f"fqn:{dbt.PROJECT}.{domain.name}"
    )
    by_key = {spec.key: spec for spec in specs}
    assets = []
    for group, models in _groups(domain, products, manifest):
        keys = {translator.get_asset_key(manifest["nodes"][unique_id]): unique_id for unique_id in models}
        assets.append(_step(domain, group, keys, [by_key[key] for key in keys], manifest))
    return assets


def _groups(
    domain: Domain, products: Sequence[Product], manifest: Mapping[str, Any]
) -> list[tuple[tuple[Product, ...], frozenset[str]]]:
    groups: list[tuple[tuple[Product, ...], frozenset[str]]] = []
    for product in products:
        tables = [table.name for table in product.contract.tables]
        models = frozenset(dbt.product_models(manifest, domain.name, tables))
        members: tuple[Product, ...] = (product,)
        for other in [group for group in groups if group[1] & models]:
            groups.remove(other)
            members, models = (*other[0], *members), models | other[1]
        groups.append((members, models))
    return groups


def _step(
    domain: Domain,
    products: Sequence[Product],
    keys: Mapping[dg.AssetKey, str],
    specs: Sequence[dg.AssetSpec],
    manifest: Mapping[str, Any],
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"build_{'_and_'.join(product.name for product in products)}",
        specs=specs,
        can_subset=True,
        op_tags={"domain": domain.name},
    )
    def build(context: dg.AssetExecutionContext, mesh: MeshResource) -> Iterator[dg.MaterializeResult]:
        opened = mesh.mesh
        wanted = {keys[key]: key for key in context.selected_asset_keys}
        done = [
            product
            for product in products
            if all(candidate_key(domain.name, t.name) in context.selected_asset_keys for t in product.contract.tables)
        ]
        with values_kept_out(domain.name), opened.build_lock(domain.name):
            with opened.writer() as connection:
                inputs_at = current_snapshot(connection)
            started = time.perf_counter()
            timings = {t.unique_id: t.seconds for t in dbt.build(opened, wanted, inputs_at=inputs_at)}
            engine = Engine(context.run.run_id, time.perf_counter() - started, {"engine": "dbt"})
            rows: dict[dg.AssetKey, dict[str, Any]] = {}
            with opened.writer(inputs_at=inputs_at) as connection:
                for product in done:
                    traced = replace(engine, lineage=lineage.of_dbt(opened, connection, product, manifest))
                    found = finish(
                        opened, connection, product, plan.inputs(opened, connection, product, inputs_at), traced
                    )
                    for table in product.contract.tables:
                        aside = found.quarantined.get(table.name)
                        rows[candidate_key(domain.name, table.name)] = {
                            "snapshot": found.snapshot,
                            "inputs": [str(release) for release in found.inputs],
                            "quarantined": aside.quarantined if aside else 0,
                            **({"accounting": found.accounting} if found.accounting else {}),
                        }
        # In the order dbt finished them, which is an order of dependencies.
        for unique_id, seconds in timings.items():
            key = wanted[unique_id]
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={"seconds": round(seconds, 3), "inputs_snapshot": inputs_at} | rows.get(key, {}),
            )

    return build


LOADS = "current_loads"


class _Translator(DagsterDbtTranslator):
    """Names and looks of dbt models in Dagster."""

    def __init__(self, mesh: Mesh, domain: Domain, candidates: Mapping[str, Product]) -> None:
        super().__init__()
        self._mesh, self._domain, self._candidates = mesh, domain, candidates

    def _views_of_inputs(self, product: Product | None) -> list[dg.AssetKey]:
        upstream = [self._mesh.project.product(key) for key in product.inputs] if product else []
        return [key for each in upstream for key in published_keys(each).values()]

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            # `claims_raw.raw_claims` is the domain's raw table, `claims.claims_v1` a published view.
            return dg.AssetKey([dbt_resource_props["source_name"].removesuffix("_raw"), name])
        domain = dbt_resource_props["fqn"][1]
        if domain == self._domain.name and name in self._candidates:
            return candidate_key(domain, name)
        return dg.AssetKey([domain, name])

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        if unique_id not in manifest["nodes"]:
            return spec
        node = manifest["nodes"][unique_id]
        layer = node["fqn"][2]
        product = self._candidates.get(node["name"])
        return spec.replace_attributes(
            # A view that ingest keeps beside the raw tables; it says nothing about where data comes from.
            deps=[
                *(dep for dep in spec.deps if dep.asset_key.path[-1] != LOADS),
                # Products that only its rules look into are read as they were published before this build, too.
                *(key for key in self._views_of_inputs(product) if key not in {dep.asset_key for dep in spec.deps}),
            ],
            group_name=self._domain.name,
            kinds={"dbt", "ducklake", "table" if node["config"]["materialized"] != "view" else "view"},
            tags={"domain": self._domain.name, "layer": "candidate" if product else layer},
            owners=owners(product) if product else [],
            description=node["description"] or spec.description,
        )
