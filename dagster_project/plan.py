"""What a run has to do: which products are out of date, and why, without loading any engine.

A candidate is a function of its *fingerprint*: contract, code, upstream releases and loaded source files; of scores,
also the versions of the model that gave them. Equal to that of the newest release, there is nothing to do. (The newest,
not the served one: after a rollback the product stays where it was put until something new arrives.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import duckdb

from dagster_project import dbt, retraining
from mesh.ingest import Source, current_files, load_sources, pending_files
from mesh.lake import LAKE
from mesh.model import Ledger, ModelDefinition, load_definition, registered_name
from mesh.model.challengers import live
from mesh.model.definition import CHALLENGERS, MONITORING
from mesh.project import Product
from mesh.release import History, InputRelease, Release, refusal
from mesh.session import Mesh


@dataclass(frozen=True)
class Inputs:
    """All that one candidate is made from, as of one lake snapshot."""

    snapshot: int
    releases: tuple[InputRelease, ...]
    fingerprint: str


@dataclass(frozen=True)
class Step:
    """What a run will do about one product, and why. `digest` names what it would be built from: tried once with the
    same digest, it would come out the same.
    """

    product: Product
    action: Literal["build", "unchanged", "blocked"]
    why: str
    digest: str = ""


Scorers = Sequence[tuple[int, str]]
"""Versions of a model and the hashes of their bundles."""


def models(mesh: Mesh, domain: str) -> dict[str, ModelDefinition]:
    """The model definitions of a domain by the product they score."""
    return {definition.output: definition for definition in definitions(mesh, domain)}


def derived(mesh: Mesh, domain: str) -> dict[str, tuple[ModelDefinition, str]]:
    """The further products of a domain's models, each with its definition and its role."""
    return {
        product: (definition, role)
        for definition in definitions(mesh, domain)
        for role, product in definition.outputs.items()
    }


def definitions(mesh: Mesh, domain: str) -> tuple[ModelDefinition, ...]:
    """The model definitions of a domain."""
    folder = mesh.settings.project / "data_products" / domain / "models"
    return tuple(map(load_definition, sorted(folder.glob("*.yaml"))))


@lru_cache(maxsize=64)
def sources(project: Path, domain: str) -> tuple[Source, ...]:
    """The sources of a domain, read once per process."""
    return load_sources(project, domain)


def sources_of(mesh: Mesh, domain: str, raw_tables: Collection[str]) -> tuple[Source, ...]:
    """The sources that fill these raw tables."""
    return tuple(s for s in sources(mesh.settings.project, domain) if s.into in raw_tables)


def inputs(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    snapshot: int,
    scored_by: Scorers | None = None,
) -> Inputs:
    """What a candidate built now, with its inputs pinned at `snapshot`, is made from.

    Args:
        connection: sees the lake as `lake`; reads the loaded files of the product's raw tables.
        scored_by: the versions that scored it; default those that would now. Somebody may have promoted another one
            in between.
    """
    served = mesh.history().at(snapshot).served
    releases = tuple(served[key].as_input() for key in product.inputs if key in served)
    return Inputs(
        snapshot, releases, fingerprint(mesh, connection, product, releases, catalog=LAKE, scored_by=scored_by)
    )


def fingerprint(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    releases: Sequence[InputRelease],
    *,
    catalog: str,
    scored_by: Scorers | None = None,
) -> str:
    """The digest of contract, code, upstream releases and loaded files."""
    files = current_files(connection, product.domain, product.raw_tables, catalog=catalog)
    parts = {
        "contract": product.contract.hash,
        "code": _code(mesh, product, scored_by),
        "inputs": [str(release) + f"#{release.snapshot}" for release in releases],
        "files": [list(file) for file in files],
        "keys": mesh.keyring.active_id if product.raw_tables else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def plan_wave(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    products: Sequence[Product],
    landing: Path,
    *,
    catalog: str,
    without: Mapping[str, str],
) -> tuple[Step, ...]:
    """What to do about the products of one wave.

    Args:
        connection: sees the mesh as `catalog`.
        without: products that failed or were blocked earlier in this run, and why.
    """
    history = mesh.history()
    steps: dict[str, Step] = {}
    for product in products:
        steps[product.key] = _step(mesh, connection, product, landing, history, steps, catalog, without)
    return tuple(steps.values())


def _step(
    mesh: Mesh,
    connection: duckdb.DuckDBPyConnection,
    product: Product,
    landing: Path,
    history: History,
    steps: Mapping[str, Step],
    catalog: str,
    without: Mapping[str, str],
) -> Step:
    building = {key for key, step in steps.items() if step.action == "build"}
    missing = [key for key in product.inputs if key not in history.served and key not in building]
    if missing:
        reasons = "; ".join(f"{key} has no release ({without.get(key, 'not built yet')})" for key in missing)
        return Step(product, "blocked", reasons)
    arrived = [
        (source.name, file)
        for source in sources_of(mesh, product.domain, product.raw_tables)
        for file in pending_files(connection, source, landing, home=mesh.settings.home, catalog=catalog)
    ]
    releases = [history.served[key].as_input() for key in product.inputs if key in history.served]

    def build(why: str, breach: str = "") -> Step:
        # The same before a file is loaded and after: a run that loads it and fails was a try of it.
        files = {
            (source, file): sha256
            for source, file, sha256, _ in current_files(
                connection, product.domain, product.raw_tables, catalog=catalog
            )
        }
        files |= {(source, file.relative): file.sha256 for source, file in arrived}
        parts = {
            "contract": product.contract.hash,
            "code": _code(mesh, product),
            "inputs": [f"{release}#{release.snapshot}" for release in releases],
            "upstream": [steps[key].digest for key in product.inputs if key in building],
            "files": sorted([*key, sha256] for key, sha256 in files.items()),
            "keys": mesh.keyring.active_id if product.raw_tables else None,
            "breach": breach,
        }
        return Step(product, "build", why, hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest())

    if product.key not in history.newest:
        return build("no release yet")
    if product.key in history.retired:
        return Step(product, "blocked", f"it was retired: {history.retired[product.key].why}")
    refused = refusal(mesh.postgres, mesh.project, history, product.contract)
    if refused is not None:
        return Step(product, "blocked", refused)
    renewed = [key for key in product.inputs if key in building]
    if renewed:
        return build(f"{', '.join(renewed)} is built anew")
    if arrived:
        return build(f"{len(arrived)} new file{'s' if len(arrived) > 1 else ''}")
    newest = history.newest[product.key]
    if fingerprint(mesh, connection, product, releases, catalog=catalog) == newest.fingerprint:
        breach = retraining.due(history, models(mesh, product.domain).get(product.key), newest)
        if breach is not None:
            return build(breach, breach)
        return Step(product, "unchanged", f"release {history.served[product.key].release} is up to date")
    if newest.contract_hash != product.contract.hash:
        return build("its contract changed")
    old = {str(release) for release in newest.inputs}
    renewed = [str(release) for release in releases if str(release) not in old]
    return build(f"{', '.join(renewed)} is new" if renewed else _moved(mesh, product, newest))


def _moved(mesh: Mesh, product: Product, newest: Release) -> str:
    """What changed about a product whose contract and inputs did not."""
    definition = models(mesh, product.domain).get(product.key)
    made = derived(mesh, product.domain).get(product.key)
    if definition is not None:
        now = ", ".join(str(version) for version, _ in scorers(mesh, product.domain, definition))
        if now and now != newest.details.get("model_version"):
            return f"version {now} of {definition.model} is champion"
    elif made is not None and made[1] == CHALLENGERS:
        now = ", ".join(str(version) for version, _ in scorers(mesh, product.domain, *made)) or "none"
        if now != newest.details.get("challengers"):
            return f"challengers of {made[0].model}: {now}"
    return "its code changed"


def scorers(mesh: Mesh, domain: str, definition: ModelDefinition, role: str = "") -> Scorers:
    """The versions of a model that score a product now, by the ledger's word: the champion, or those in shadow."""
    standing = Ledger(mesh.postgres).standing(registered_name(definition, domain))
    versions: Sequence[int] = () if standing.champion is None else (standing.champion,)
    if role == CHALLENGERS:
        versions = live(standing.challengers)
    return tuple((version, standing.sha256[version]) for version in versions)


def _code(mesh: Mesh, product: Product, scored_by: Scorers | None = None) -> str:
    """A digest of the code and configuration that turn a product's inputs into its tables."""
    definition = models(mesh, product.domain).get(product.key)
    made = derived(mesh, product.domain).get(product.key)
    parts: dict[str, Any] = {
        "sources": sorted(
            hashlib.sha256(source.path.read_bytes()).hexdigest()
            for source in sources_of(mesh, product.domain, product.raw_tables)
        )
    }
    if definition is not None:
        parts["model"] = definition.digest
        parts["champion"] = scorers(mesh, product.domain, definition) if scored_by is None else scored_by
    elif made is not None:
        parts["model"], parts["role"] = made[0].digest, made[1]
        if made[1] == CHALLENGERS:
            parts["live"] = scorers(mesh, product.domain, *made) if scored_by is None else scored_by
        if made[1] == MONITORING:
            parts["monitoring"] = asdict(made[0].monitoring)
    else:
        manifest = _manifest(mesh)
        tables = [table.name for table in product.contract.tables]
        models_of = dbt.product_models(manifest, product.domain, tables)
        parts["dbt"] = dbt.code_digest(manifest, models_of, dbt.variables(mesh))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _manifest(mesh: Mesh) -> Mapping[str, Any]:
    """The manifest, looked at once per opened mesh: files do not change under a run."""
    if "dbt manifest" not in mesh.cache:
        mesh.cache["dbt manifest"] = dbt.manifest(mesh)
    manifest: Mapping[str, Any] = mesh.cache["dbt manifest"]
    return manifest
