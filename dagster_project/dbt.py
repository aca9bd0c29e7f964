"""dbt, in process: the manifest, what a model is made of, and building models at pinned inputs.

Importing dbt costs two seconds, so it happens only where something is parsed or built; a run in which
nothing changed reads the cached manifest as plain JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml import YAML

from dagster_project.guard import without_values
from mesh.errors import BuildFailed, ServiceError
from mesh.features.batch import batch_forms
from mesh.lake import LAKE, homes
from mesh.session import Mesh

PROJECT = "insight_mesh"

# dbt keeps its adapters in globals: two invocations at once fail each other.
_lock = threading.Lock()
_parsed: dict[str, Any] = {}


@dataclass(frozen=True)
class ModelTiming:
    """One built model: unique id in the manifest and seconds it took."""

    unique_id: str
    seconds: float


def variables(mesh: Mesh) -> dict[str, Any]:
    """The dbt variables that domains give as files.

    `dbtVars: {name: glob}` in domain.yaml: a list of the files' contents, in the order of their names. Declarations of
    features: each as SQL, named like its product.
    """
    values: dict[str, Any] = dict(batch_forms(mesh.project))
    for domain in mesh.project.domains.values():
        for name, pattern in (domain.file.properties.get("dbtVars") or {}).items():
            values[name] = [_content(path.read_text()) for path in sorted(domain.path.parent.glob(pattern))]
    return values


@lru_cache(maxsize=256)
def _content(text: str) -> Any:
    """YAML, read once per process and text: every build asks for all of it. Nobody may change what it holds."""
    return YAML(typ="safe", pure=True).load(text)


def manifest(mesh: Mesh) -> Mapping[str, Any]:
    """The manifest as plain JSON, parsed anew only where a file of the dbt project or a variable changed."""
    target = _target(mesh)
    digest = _digest(mesh)
    stamp, file = target / "mesh_digest", target / "manifest.json"
    # Over processes too: the code locations of `mesh up` start together, and dbt writes its manifest in place.
    with _lock, _alone(mesh):
        if not (file.is_file() and stamp.is_file() and stamp.read_text() == digest):
            _parse(mesh)
            stamp.write_text(digest)
        loaded: Mapping[str, Any] = json.loads(file.read_text())
    return loaded


def model_of(manifest: Mapping[str, Any], domain: str, name: str) -> str | None:
    """The unique id of a domain's model, or None."""
    unique_id = f"model.{PROJECT}.{name}"
    node = manifest["nodes"].get(unique_id)
    return unique_id if node is not None and node["fqn"][1] == domain else None


def ancestors(manifest: Mapping[str, Any], unique_ids: Iterable[str]) -> tuple[str, ...]:
    """These models and all models they are made from, sorted. Sources are left out."""
    seen: set[str] = set()
    queue = list(unique_ids)
    while queue:
        unique_id = queue.pop()
        if unique_id in seen or not unique_id.startswith("model."):
            continue
        seen.add(unique_id)
        queue.extend(manifest["nodes"][unique_id]["depends_on"]["nodes"])
    return tuple(sorted(seen))


def product_models(manifest: Mapping[str, Any], domain: str, tables: Iterable[str]) -> tuple[str, ...]:
    """Every model needed to build a product's tables, their `_filtered` companions included."""
    names = [name for table in tables for name in (table, f"{table}_filtered")]
    wanted = [unique_id for name in names if (unique_id := model_of(manifest, domain, name))]
    return ancestors(manifest, wanted)


def code_digest(manifest: Mapping[str, Any], unique_ids: Iterable[str], variables: Mapping[str, Any]) -> str:
    """A digest of the code behind these models: their SQL, the macros they call, their configuration.

    A variable counts where one of the models or macros names it.
    """
    parts: list[Any] = []
    text = ""
    for unique_id in sorted(unique_ids):
        node = manifest["nodes"][unique_id]
        macros = _macros(manifest, node["depends_on"]["macros"])
        parts.append([unique_id, node["checksum"]["checksum"], node["config"], macros])
        text += node["raw_code"] + json.dumps(macros)
    named = {name: value for name, value in variables.items() if re.search(rf"\b{re.escape(name)}\b", text)}
    return hashlib.sha256(json.dumps([parts, named], sort_keys=True, default=str).encode()).hexdigest()


def compiled_file(mesh: Mesh, node: Mapping[str, Any]) -> Path:
    """Where dbt leaves the text of a model as it last built it: macros gone, names of tables in full."""
    return _target(mesh) / "compiled" / str(node["package_name"]) / str(node["original_file_path"])


def build(mesh: Mesh, unique_ids: Iterable[str], *, inputs_at: int) -> tuple[ModelTiming, ...]:
    """Build these models with every upstream product pinned at snapshot `inputs_at`.

    Raises:
        BuildFailed: a model failed; the message names it and what the engine said, without row values.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    from dagster_project import dbt_plugin

    names = sorted(unique_id.split(".")[-1] for unique_id in unique_ids)
    with _lock:
        # An open connection would silently go on reading the inputs of an earlier build.
        DuckDBConnectionManager.close_all_connections()
        dbt_plugin.pin_inputs(inputs_at)
        started = time.perf_counter()
        select = [part for name in names for part in ("--select", f"fqn:*.{name}")]
        result = _invoke(
            mesh,
            "run",
            "--no-write-json",
            "--cache-selected-only",
            *select,
            parsed=_parsed.get(_digest(mesh)) or _parse_alone(mesh),
        )
        DuckDBConnectionManager.close_all_connections()
    if result.exception is not None and result.result is None:
        raise BuildFailed(f"dbt could not run {', '.join(names)}: {without_values(str(result.exception))}")
    failed = [node for node in result.result.results if node.status not in ("success", "skipped")]
    if failed or not result.success:
        first = failed[0] if failed else None
        where = first.node.original_file_path if first else "dbt"
        said = _said(str(first.message)) if first else str(result.exception)
        raise BuildFailed(
            f"dbt/{where}: model {first.node.name if first else ''} failed: {said} The last good release stays served; "
            "mend the model and run again."
        )
    if dbt_plugin.attached_inputs() != inputs_at:
        raise BuildFailed(
            f"dbt read its inputs at snapshot {dbt_plugin.attached_inputs()} instead of {inputs_at} "
            f"({time.perf_counter() - started:.1f} s in); the candidate is not used."
        )
    _check_homes(mesh, {node.node.name: node.node.schema for node in result.result.results})
    return tuple(ModelTiming(node.node.unique_id, node.execution_time) for node in result.result.results)


def _check_homes(mesh: Mesh, schemas: Mapping[str, str]) -> None:
    """Every model stands in its own schema and nowhere else; a stray one is taken away.

    DuckLake was seen to write a view into another domain's schema (duckdb/ducklake#1248), where everybody would read
    it. One model at a time keeps that from happening; this is for the case that it does.
    """
    served = {view for release in mesh.history().served.values() for view in release.views}
    found = {
        name: {schema for schema in there if f"{schema}.{name}" not in served}
        for name, there in homes(mesh.postgres, schemas).items()
    }
    lost = sorted(name for name, schema in schemas.items() if found.get(name) != {schema})
    if not lost:
        return
    with mesh.writer() as connection:
        for name in lost:
            for schema in found.get(name, set()) - {schemas[name]}:
                kind = connection.execute(
                    "select count(*) from duckdb_views() where database_name = ? and schema_name = ? and view_name = ?",
                    [LAKE, schema, name],
                ).fetchone()
                word = "view" if kind and kind[0] else "table"
                connection.execute(f'drop {word} if exists {LAKE}.{schema}."{name}"')
    raise ServiceError(
        f"The lake did not keep {', '.join(lost)} where it belongs (a known fault of DuckLake under load). What was "
        "out of place is gone, and nothing was published; run again."
    )


def _said(message: str) -> str:
    """What an engine said, without values; dbt's own words about a model that it cannot compile have none."""
    return " ".join(message.split()) if message.lstrip().startswith("Compilation Error") else without_values(message)


def _macros(manifest: Mapping[str, Any], unique_ids: Iterable[str]) -> dict[str, str]:
    """The text of these macros and of all macros they call."""
    seen: dict[str, str] = {}
    queue = list(unique_ids)
    while queue:
        unique_id = queue.pop()
        # dbt's own macros change only with its version, which the lock file holds.
        if unique_id in seen or not unique_id.startswith(f"macro.{PROJECT}."):
            continue
        macro = manifest["macros"][unique_id]
        seen[unique_id] = macro["macro_sql"]
        queue.extend(macro["depends_on"]["macros"])
    return seen


def _target(mesh: Mesh) -> Path:
    return mesh.settings.home / "dbt" / "target"


def _digest(mesh: Mesh) -> str:
    digest = hashlib.sha256(json.dumps(variables(mesh), sort_keys=True, default=str).encode())
    root = mesh.settings.project / "dbt"
    for path in sorted(root.rglob("*")):
        if path.suffix in (".sql", ".yml", ".yaml", ".md") and path.is_file():
            digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _alone(mesh: Mesh) -> FileLock:
    _target(mesh).mkdir(parents=True, exist_ok=True)
    return FileLock(_target(mesh) / "mesh_parse.lock")


def _parse_alone(mesh: Mesh) -> Any:
    with _alone(mesh):
        return _parse(mesh)


def _parse(mesh: Mesh) -> Any:
    result = _invoke(mesh, "parse", parsed=None)
    if not result.success:
        raise BuildFailed(f"The dbt project does not parse: {str(result.exception).strip()}")
    _parsed.clear()
    _parsed[_digest(mesh)] = result.result
    return result.result


def _invoke(mesh: Mesh, command: str, *arguments: str, parsed: Any) -> Any:
    from dbt.cli.main import dbtRunner

    project = str(mesh.settings.project / "dbt")
    home = mesh.settings.home / "dbt"
    _target(mesh).mkdir(parents=True, exist_ok=True)
    words = [
        "--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check",
        "--log-path", str(home / "logs"), "--log-level-file", "none",
        command, "--project-dir", project, "--profiles-dir", project, "--target-path", str(_target(mesh)),
        "--vars", json.dumps(variables(mesh), default=str), *arguments,
    ]  # fmt: skip
    # A thread has a short stack: for each of its flags dbt reads the source lines of every frame that it is called by,
    # which under a Dagster step costs as much as building a model.
    with ThreadPoolExecutor(1, thread_name_prefix="dbt") as alone:
        return alone.submit(dbtRunner(manifest=parsed).invoke, words).result()
