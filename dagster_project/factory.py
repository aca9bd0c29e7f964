"""One code location per domain, all from one mould: `defs = domain_definitions("claims")`.

    raw tables -> dbt models -> candidate -> one check per rule -> published view
                  (or a model: train -> score -> candidate)

What a domain is comes from its YAML and SQL. Where it needs more, `data_products/<domain>/assets.py` brings
Dagster assets of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

import dagster as dg

from dagster_project import dbt, plan
from dagster_project.automation import automation
from dagster_project.checks import audit_checks
from dagster_project.derived import derived_asset
from dagster_project.models import model_assets
from dagster_project.notifying import notification_sensor
from dagster_project.publishing import published_assets
from dagster_project.raw import raw_assets
from dagster_project.resources import MeshResource, process_mesh
from dagster_project.serving import level_checks, probing_sensor
from dagster_project.transform import transform_assets


def domain_definitions(name: str) -> dg.Definitions:
    """Everything Dagster knows of a domain."""
    mesh = process_mesh()
    domain = mesh.project.domain(name)
    definitions = plan.models(mesh, name)
    derived = plan.derived(mesh, name)
    by_dbt = [product for product in domain.products if product.key not in {*definitions, *derived}]
    own = _own_definitions(name)
    assets: list[dg.AssetsDefinition] = [
        *raw_assets(mesh, domain),
        *(transform_assets(mesh, domain, by_dbt, dbt.manifest(mesh)) if by_dbt else ()),
        *(asset for product in domain.products if product.key in definitions
          for asset in model_assets(product, definitions[product.key])),
        *(derived_asset(product, *derived[product.key]) for product in domain.products if product.key in derived),
        *(published_assets(product) for product in domain.products),
    ]  # fmt: skip
    sensors, schedules = automation(mesh, domain)
    platform = dg.Definitions(
        assets=assets,
        asset_checks=[
            *(audit_checks(product) for product in domain.products),
            *(checks for product in domain.products if (checks := level_checks(product)) is not None),
        ],
        sensors=[*sensors, notification_sensor(name), *([probing_sensor(name)] if domain.products else [])],
        schedules=schedules,
        resources={"mesh": MeshResource()},
        # A process per step would cost seconds each; a step here is a fraction of one.
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(platform, own) if own else platform


@cache
def domain_job(name: str) -> dg.JobDefinition:
    """All assets of a domain as one job; made once per process."""
    return domain_definitions(name).resolve_implicit_global_asset_job_def()


def _own_definitions(name: str) -> dg.Definitions | None:
    """The assets of `data_products/<domain>/assets.py`, where a domain team wrote some."""
    module = f"data_products.{name}.assets"
    if importlib.util.find_spec(f"data_products.{name}") is None or importlib.util.find_spec(module) is None:
        return None
    return dg.load_definitions_from_module(importlib.import_module(module))
