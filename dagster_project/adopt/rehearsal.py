"""Another dbt project, run by dbt itself on a throw-away copy: what it says, and what its models turn out to be.

Nothing is downloaded and nothing of the project's own warehouse is touched: profile, hooks and grants are left out, and
packages that are not installed are stood in for, so that the rest can be read.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dagster_project.adopt.columns import columns_read
from dagster_project.guard import without_values
from mesh.contract.predicates import literal, quoted
from mesh.errors import ProjectError
from mesh.profile import Handling, handling
from mesh.profile.names import snake

PROFILE = "adopted"
LEFT_OUT = (".git", ".venv", "venv", "node_modules", "target", "logs", "__pycache__")
LOOKED_AT = 200


@dataclass
class Rehearsal:
    """What was seen. All mappings are by dbt's unique ids.

    `manifest` is as the project was parsed; `refused` says why a model could not be run; `columns` are (name, type);
    `samples` are files of rows, relative to the project; `assumed` are columns of sources that nothing gives a type.
    """

    manifest: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    compiled: dict[str, str] = field(default_factory=dict)
    columns: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    handlings: dict[str, dict[str, Handling]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)
    assumed: dict[str, set[str]] = field(default_factory=dict)


def copied(path: Path, copy: Path) -> None:
    """The project's files without its history and what earlier runs left."""
    shutil.copytree(path, copy, ignore=shutil.ignore_patterns(*LEFT_OUT), ignore_dangling_symlinks=True)


def project_name(copy: Path) -> str:
    """What a project calls itself.

    Raises:
        ProjectError: its dbt_project.yml is no YAML.
    """
    return str(_project_file(copy).get("name") or copy.name)


def rehearse(copy: Path, work: Path) -> Rehearsal:
    """Parse the copy, load its seeds, run its models.

    dbt keeps much in globals, so this wants a process of its own.

    Raises:
        ProjectError: it does not parse, in dbt's own words.
    """
    missing = _stand_ins(copy)
    _write_profile(work, ())
    parsed = _invoke(copy, work, None, "parse")
    if not parsed.success:
        said = " ".join(str(parsed.exception).replace(f"{copy}/", "").split())
        raise ProjectError(f"The dbt project does not parse: {said}")
    manifest = parsed.result
    plain = manifest.writable_manifest().to_dict(omit_none=False)
    seen = Rehearsal(plain, _variables(_project_file(copy)), missing)
    seen.refused = _refused(seen.manifest, missing)
    _defuse(manifest)
    _write_profile(work, _databases(seen.manifest))
    if any(unique_id.startswith("seed.") for unique_id in manifest.nodes):
        _keep(seen, _invoke(copy, work, manifest, "seed"))
    _describe(seen, work, "seed")
    _fill_sources(seen, copy, work, manifest)
    if [unique_id for unique_id in _models(seen.manifest) if unique_id not in seen.refused]:
        refused = [name for name in seen.refused if name.startswith("model.")]
        excluded = [f"fqn:{'.'.join(seen.manifest['nodes'][name]['fqn'])}" for name in refused]
        _keep(seen, _invoke(copy, work, manifest, "run", *(["--exclude", *excluded] if excluded else [])))
    if any(node["resource_type"] == "test" and not node.get("test_metadata") for node in _nodes(seen.manifest)):
        _keep(seen, _invoke(copy, work, manifest, "compile", "--select", "test_type:singular"))
    _describe(seen, work, "model")
    return seen


def _invoke(copy: Path, work: Path, manifest: Any, command: str, *arguments: str) -> Any:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    words = [
        "--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check", "--no-partial-parse",
        "--no-write-json", "--log-path", str(work / "logs"), "--log-level-file", "none", "--log-level", "none",
        command, "--project-dir", str(copy), "--profiles-dir", str(work), "--profile", PROFILE,
        "--target-path", str(work / "target"), *arguments,
    ]  # fmt: skip
    done = dbtRunner(manifest=manifest).invoke(words)
    # The file is looked into between two commands.
    DuckDBConnectionManager.close_all_connections()
    return done


def _stand_ins(copy: Path) -> tuple[str, ...]:
    """Empty macros for every package that is not installed; dbt would otherwise read nothing at all."""
    wanted: list[str] = []
    for name in ("packages.yml", "dependencies.yml"):
        wanted += _packages(copy / name)
        (copy / name).unlink(missing_ok=True)
    (copy / "package-lock.yml").unlink(missing_ok=True)
    folder = copy / str(_project_file(copy).get("packages-install-path") or "dbt_packages")
    have = {path.parent.name for path in folder.glob("*/dbt_project.yml")}
    missing = sorted(set(wanted) - have)
    for package in missing:
        names = sorted(_used_of(package, copy))
        macros = "".join(
            f"{{% macro {prefix}{name}() %}}{{% set _ = [varargs, kwargs] %}}null{{% endmacro %}}\n"
            for name in names
            for prefix in ("", "test_")
        )
        (folder / package / "macros").mkdir(parents=True)
        (folder / package / "dbt_project.yml").write_text(f'name: {package}\nversion: "0.0.0"\nconfig-version: 2\n')
        (folder / package / "macros" / "stand_ins.sql").write_text(macros)
    return tuple(missing)


def _packages(file: Path) -> list[str]:
    """The names of the packages that a file lists, as far as it tells them."""
    listed = _yaml(file).get("packages") if file.is_file() else None
    places = [str(next(iter(one.values()), "")) for one in listed or () if isinstance(one, dict)]
    return [re.sub(r"\W", "_", place.rstrip("/").removesuffix(".git").rpartition("/")[2]) for place in places]


def _used_of(package: str, copy: Path) -> set[str]:
    pattern = re.compile(rf"\b{re.escape(package)}\.(\w+)")
    files = (path for path in copy.rglob("*") if path.suffix in (".sql", ".yml", ".yaml") and path.is_file())
    return {name for path in files for name in pattern.findall(path.read_text(encoding="utf-8", errors="replace"))}


def _project_file(copy: Path) -> Mapping[str, Any]:
    return _yaml(copy / "dbt_project.yml")


def _yaml(file: Path) -> Mapping[str, Any]:
    try:
        tree = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(getattr(error, "problem", None) or "it is not UTF-8 text").split())
        mark = getattr(error, "problem_mark", None)
        raise ProjectError(f"not YAML: {problem}.", file=file.name, line=mark.line + 1 if mark else None) from None
    return tree if isinstance(tree, dict) else {}


def _variables(described: Mapping[str, Any]) -> dict[str, Any]:
    """The project's variables with the values that it gives them; its own before those for all projects."""
    told = dict(described.get("vars") or {})
    own = told.get(str(described.get("name")))
    return told | own if isinstance(own, dict) else told


def _write_profile(work: Path, databases: Iterable[str]) -> None:
    output = {
        "type": "duckdb",
        "path": str(work / f"{PROFILE}.duckdb"),
        "schema": "main",
        "threads": 1,
        "settings": {"TimeZone": "UTC"},
        "config_options": {"autoinstall_known_extensions": False},
        "attach": [{"path": str(work / f"{name}.db"), "alias": name} for name in databases],
    }
    work.mkdir(parents=True, exist_ok=True)
    (work / "profiles.yml").write_text(json.dumps({PROFILE: {"target": "adopt", "outputs": {"adopt": output}}}))


def _databases(manifest: Mapping[str, Any]) -> list[str]:
    """The databases that the project names beside its own."""
    named = {node["database"] for node in (*_nodes(manifest), *manifest["sources"].values()) if node.get("database")}
    return sorted(str(name) for name in named - {PROFILE})


def _nodes(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the project itself holds, not its packages."""
    own = manifest["metadata"]["project_name"]
    yield from (node for node in manifest["nodes"].values() if node["package_name"] == own)


def _models(manifest: Mapping[str, Any]) -> list[str]:
    return [node["unique_id"] for node in _nodes(manifest) if node["resource_type"] == "model"]


def _refused(manifest: Mapping[str, Any], missing: Iterable[str]) -> dict[str, str]:
    """Models that cannot be run here or in the mesh, and why; what is made from them is not either."""
    refused: dict[str, str] = {}
    own = manifest["metadata"]["project_name"]
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "snapshot" or (node["resource_type"] == "model" and node["package_name"] != own):
            refused[unique_id] = "a snapshot, or a model of a package"
    for unique_id in _models(manifest):
        node = manifest["nodes"][unique_id]
        packages = {name.split(".")[1] for name in macros_of(manifest, node)} & set(missing)
        if packages:
            refused[unique_id] = f"it uses the package {sorted(packages)[0]}, which is not installed"
        elif node["language"] != "sql":
            refused[unique_id] = f"a model in {node['language'].capitalize()}; the mesh builds SQL"
        elif node["version"] is not None:
            refused[unique_id] = "versions of a model; in the mesh a product's versions are those of its contract"
    _pass_on(manifest, refused)
    return {name: why for name, why in refused.items() if name.startswith("model.")}


def _pass_on(manifest: Mapping[str, Any], refused: dict[str, str]) -> None:
    waiting = list(refused)
    while waiting:
        parent = waiting.pop()
        for child in manifest["child_map"].get(parent, ()):
            if child.startswith("model.") and child not in refused:
                refused[child] = f"it reads {parent.split('.')[2]}, which is not taken over"
                waiting.append(child)


def macros_of(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> set[str]:
    """All macros that a model calls, through other macros too."""
    seen: set[str] = set()
    queue = list(node["depends_on"]["macros"])
    while queue:
        name = queue.pop()
        if name not in seen and name in manifest["macros"]:
            seen.add(name)
            queue.extend(manifest["macros"][name]["depends_on"]["macros"])
    return seen


def _defuse(manifest: Any) -> None:
    """Take out what only concerns the project's own warehouse, and build everything whole."""
    for unique_id in [name for name in manifest.nodes if name.startswith("operation.")]:
        del manifest.nodes[unique_id]
    for node in manifest.nodes.values():
        if node.resource_type not in ("model", "seed"):
            continue
        node.config.pre_hook, node.config.post_hook, node.config.grants = [], [], {}
        if node.resource_type == "model":
            node.config.contract.enforced = node.contract.enforced = False
            if node.language == "sql":
                views = ("view", "ephemeral", "materialized_view")
                node.config.materialized = "view" if node.config.materialized in views else "table"


def _keep(seen: Rehearsal, done: Any) -> None:
    for result in done.result.results if done.result is not None else ():
        node = result.node
        if str(result.status) in ("error", "fail") and node.resource_type in ("model", "seed"):
            seen.refused[node.unique_id] = f"it does not run on DuckDB: {without_values(str(result.message))}"
        elif node.resource_type == "model" and node.compiled_code:
            seen.compiled[node.unique_id] = node.compiled_code
        elif node.resource_type == "test":
            seen.compiled[node.unique_id] = node.compiled_code or ""
    _pass_on(seen.manifest, seen.refused)


def _fill_sources(seen: Rehearsal, copy: Path, work: Path, manifest: Any) -> None:
    """Every source as a table: from the seed or CSV file of its name, else empty with the columns that are known."""
    used = {name: node for name, node in seen.manifest["sources"].items() if _readers(seen.manifest, name)}
    seeds = {node["name"]: node for node in _nodes(seen.manifest) if node["resource_type"] == "seed"}
    bare = []
    with _opened(work, _databases(seen.manifest)) as con:
        for unique_id, node in used.items():
            con.execute(f"create schema if not exists {quoted(node['database'], node['schema'])}")
            seed = seeds.get(node["identifier"]) or seeds.get(node["name"])
            file = next(iter(_files(copy, node)), None)
            if seed is not None and seed["unique_id"] in seen.columns:
                seen.samples[unique_id] = seen.samples[seed["unique_id"]]
                if relation(seed) != relation(node):
                    con.execute(f"create table {relation(node)} as from {relation(seed)}")
                seen.columns[unique_id] = seen.columns[seed["unique_id"]]
            elif file is not None:
                con.execute(f"create table {relation(node)} as from read_csv({literal(str(file))}, header = true)")
                seen.samples[unique_id] = str(file.relative_to(copy))
                seen.columns[unique_id] = _columns(con, relation(node))
            else:
                bare.append(unique_id)
    if not bare:
        return
    wanted = sorted({reader for name in bare for reader in _readers(seen.manifest, name)} - set(seen.refused))
    selected = [f"fqn:{'.'.join(seen.manifest['nodes'][name]['fqn'])}" for name in wanted]
    _keep(seen, _invoke(copy, work, manifest, "compile", "--select", *selected))
    with _opened(work, _databases(seen.manifest)) as con:
        for unique_id in bare:
            _make_bare(seen, con, unique_id)


def _make_bare(seen: Rehearsal, con: duckdb.DuckDBPyConnection, unique_id: str) -> None:
    node = seen.manifest["sources"][unique_id]
    queries = [seen.compiled[name] for name in _readers(seen.manifest, unique_id) if name in seen.compiled]
    read = columns_read(queries, (node["database"], node["schema"], node["identifier"]))
    types = {name.lower(): (name, column.get("data_type")) for name, column in node["columns"].items()}
    for name in read:
        types.setdefault(name.lower(), (name, None))
    made: list[tuple[str, str]] = []
    seen.assumed[unique_id] = set()
    for name, type_ in types.values():
        known = _known_type(con, type_)
        made.append((name, known or "VARCHAR"))
        if known is None:
            seen.assumed[unique_id].add(name)
    if made:
        listed = ", ".join(f"{quoted(name)} {type_}" for name, type_ in made)
        con.execute(f"create table {relation(node)} ({listed})")
        seen.columns[unique_id] = made


def _known_type(con: duckdb.DuckDBPyConnection, type_: str | None) -> str | None:
    """A documented type as DuckDB calls it."""
    if not type_:
        return None
    try:
        return str(con.execute(f"describe select cast(null as {type_})").fetchall()[0][1])
    except duckdb.Error:
        return None


def _readers(manifest: Mapping[str, Any], unique_id: str) -> list[str]:
    own = f"model.{manifest['metadata']['project_name']}."
    return [child for child in manifest["child_map"].get(unique_id, ()) if child.startswith(own)]


def _files(copy: Path, node: Mapping[str, Any]) -> Iterator[Path]:
    for name in dict.fromkeys((node["identifier"], node["name"])):
        yield from sorted(path for path in copy.rglob(f"{name}.csv") if "dbt_packages" not in path.parts)


def relation(node: Mapping[str, Any]) -> str:
    """A node's table as dbt writes it."""
    if node.get("relation_name"):
        return str(node["relation_name"])
    return quoted(node["database"], node["schema"], node.get("identifier") or node["alias"])


def _opened(work: Path, databases: Iterable[str]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(str(work / f"{PROFILE}.duckdb"))
    con.execute("set timezone = 'UTC'")
    for name in databases:
        con.execute(f"attach if not exists {literal(str(work / f'{name}.db'))} as {quoted(name)}")
    return con


def _describe(seen: Rehearsal, work: Path, kind: str) -> None:
    with _opened(work, _databases(seen.manifest)) as con:
        for node in _nodes(seen.manifest):
            unique_id = node["unique_id"]
            if node["resource_type"] != kind or unique_id in seen.refused:
                continue
            try:
                seen.columns[unique_id] = _columns(con, relation(node))
                count = con.execute(f"select count(*) from {relation(node)}").fetchone()
            except duckdb.Error as error:
                seen.refused[unique_id] = f"it does not run on DuckDB: {without_values(str(error))}"
                continue
            seen.rows[unique_id] = int(count[0]) if count else 0
            if kind == "seed":
                seen.samples[unique_id] = node["original_file_path"]
            else:
                seen.handlings[unique_id] = {
                    name: handling(snake(name), _values(con, relation(node), name, type_), free_text=False)
                    for name, type_ in seen.columns[unique_id]
                }


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> list[tuple[str, str]]:
    described = con.execute(f"describe select * from {table}").fetchall()
    # A column that is null everywhere becomes an integer as soon as it is stored.
    return [(str(row[0]), "INTEGER" if row[1] == '"NULL"' else str(row[1])) for row in described]


def _values(con: duckdb.DuckDBPyConnection, table: str, name: str, type_: str) -> list[str]:
    if type_ != "VARCHAR":
        return []
    query = f"select distinct {quoted(name)} as one from {table} where one is not null order by hash(one)"
    return [str(row[0]) for row in con.execute(f"{query} limit {LOOKED_AT}").fetchall()]
