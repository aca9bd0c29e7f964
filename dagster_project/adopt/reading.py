"""What dbt saw of another project as plain data for the mesh, with a note on everything that is no model of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_project import dbt
from dagster_project.adopt.jinja import MACRO, as_compiled, as_written, built_whole, macro_as_written, with_values
from dagster_project.adopt.rehearsal import PROFILE, Rehearsal, macros_of, relation
from mesh.profile import Handling
from mesh.scaffold.adopt import (
    ForeignColumn,
    ForeignModel,
    ForeignProject,
    ForeignTable,
    ForeignTest,
    Layer,
    Note,
    base_model,
)
from mesh.scaffold.adopt.sql import in_lower_case

NAME = re.compile(r"[a-z][a-z0-9_]*")
USUAL = {"limit": None, "fail_calc": "count(*)", "warn_if": "!= 0", "error_if": "!= 0"}
GENERIC = ("model", "column_name")
NOT_KEPT = ("ENUM", "BIT", "UNION")  # types that DuckLake does not store
OTHERS = {
    "exposures": "who uses a product is told by its downstream products and its readers",
    "metrics": "the mesh has no metrics; a figure that others need is a column of a product",
    "semantic_models": "the mesh has no semantic layer",
    "saved_queries": "the mesh has no semantic layer",
    "unit_tests": "the mesh tests data, not code; write it as a test of the domain",
    "functions": "the mesh has no functions of a warehouse; write a macro",
}
NODES = {
    "snapshot": "the mesh keeps every release of a product; read an earlier one with AT VERSION or `--at`",
    "analysis": "an analysis builds nothing; run it with `mesh sql`",
    "operation": "hooks run around a build of dbt; the mesh has builds of its own",
}


def read(seen: Rehearsal, path: Path, domain: str, taken_macros: Collection[str]) -> ForeignProject:
    """The project as the mesh can take it over.

    Args:
        path: the project's own folder.
        taken_macros: names of macros that the mesh has.
    """
    return _Reader(seen, path, domain, taken_macros).project()


class _Reader:
    def __init__(self, seen: Rehearsal, path: Path, domain: str, taken_macros: Collection[str]) -> None:
        self.seen, self.path, self.domain, self.taken_macros = seen, path, domain, taken_macros
        self.manifest, self.variables = seen.manifest, seen.variables
        self.name = str(self.manifest["metadata"]["project_name"])
        self.notes: list[Note] = []
        self.refused = dict(seen.refused)
        self.macros: dict[str, dict[str, Any]] = {}
        self.tables = self._tables()
        self.base = {name: base_model(domain, table) for name, table in self.tables.items()}

    def project(self) -> ForeignProject:
        order = self._in_order([name for name in self._own("model") if name not in self.refused])
        models = [model for name in order if (model := self._model(name)) is not None]
        used = {table for model in models for table in model.tables}
        tables = [self._table(name, table) for name, table in self.tables.items() if table in used]
        self._tell_rest(used)
        return ForeignProject(
            self.name,
            tuple(models),
            tuple({table.name: table for table in tables}.values()),
            self._macro_files(),
            tuple(self.notes),
        )

    def _own(self, kind: str) -> list[str]:
        nodes = self.manifest["nodes"].values()
        return [one["unique_id"] for one in nodes if one["resource_type"] == kind and one["package_name"] == self.name]

    def _note(self, outcome: Any, node: Mapping[str, Any], what: str, why: str) -> None:
        file = str(node["original_file_path"]).removeprefix("./")
        self.notes.append(Note(outcome, file, what, why.rstrip(".")))

    # Tables that no model makes.

    def _tables(self) -> dict[str, str]:
        """A name for every seed and source that models read; a source that a seed fills is that seed."""
        names: dict[str, str] = {}
        places: dict[str, str] = {}
        for unique_id in (*self._own("seed"), *self.manifest["sources"]):
            node = self._node(unique_id)
            if not any(child.startswith("model.") for child in self.manifest["child_map"].get(unique_id, ())):
                continue
            wanted = str(node["name"])
            sample = self.seen.samples.get(unique_id)
            same = sample is not None and places.get(wanted) == sample
            if not same and base_model(self.domain, wanted) in {base_model(self.domain, n) for n in places}:
                wanted = f"{node.get('source_name', 'seed')}_{wanted}"
            names[unique_id] = wanted
            places.setdefault(wanted, sample or unique_id)
        return names

    def _node(self, unique_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.manifest["nodes"].get(unique_id) or self.manifest["sources"][unique_id]
        return found

    def _table(self, unique_id: str, name: str) -> ForeignTable:
        node = self._node(unique_id)
        sample = self.seen.samples.get(unique_id)
        assumed = self.seen.assumed.get(unique_id, set())
        columns = tuple(
            ForeignColumn(column, type_, assumed=column in assumed)
            for column, type_ in self.seen.columns.get(unique_id, [])
        )
        says = " ".join(str(node["description"] or "").split())
        return ForeignTable(
            name, str(node["original_file_path"]), says, columns, self.path / sample if sample else None
        )

    # Models.

    def _in_order(self, unique_ids: Collection[str]) -> list[str]:
        """Parents before children, else by file."""
        done: dict[str, None] = {}

        def visit(unique_id: str) -> None:
            if unique_id in unique_ids and unique_id not in done:
                for parent in sorted(self.manifest["nodes"][unique_id]["depends_on"]["nodes"]):
                    visit(parent)
                done[unique_id] = None

        for unique_id in sorted(unique_ids, key=lambda name: self.manifest["nodes"][name]["original_file_path"]):
            visit(unique_id)
        return list(done)

    def _model(self, unique_id: str) -> ForeignModel | None:
        node = self.manifest["nodes"][unique_id]
        parents = node["depends_on"]["nodes"]
        lost = [parent for parent in parents if parent in self.refused]
        if lost:
            self.refused[unique_id] = f"it reads {lost[0].split('.')[2]}, which is not taken over"
            return None
        seen = self.seen.columns[unique_id]
        layer = self._layer(node)
        if layer == "products" and (why := _unpublishable(seen)):
            self._note("changed", node, node["name"], f"an intermediate model, not a product: {why}")
            layer = "intermediate"
        sql = self._sql(unique_id, node)
        if sql is None:
            return None
        if layer == "products" and any(name != name.lower() for name, _ in seen):
            sql = in_lower_case(sql, [name for name, _ in seen])
            self._note("changed", node, node["name"], "its columns have lower case names")
        self._tell_settings(node, layer)
        return ForeignModel(
            name=str(node["name"]),
            file=str(node["original_file_path"]),
            layer=layer,
            sql=sql,
            description=" ".join(str(node["description"] or "").split()),
            columns=self._columns(unique_id, node, layer),
            parents=tuple(parent.split(".")[2] for parent in parents if parent.startswith("model.")),
            tables=tuple(dict.fromkeys(self.tables[parent] for parent in parents if parent in self.tables)),
            tests=tuple(self._tests(unique_id)),
            tags=tuple(dict.fromkeys((*node["tags"], *self._meta_tags(node)))),
            owner=self._owner(node),
            rows=self.seen.rows.get(unique_id, 0),
        )

    def _layer(self, node: Mapping[str, Any]) -> Layer:
        folders, name = node["original_file_path"].split("/")[:-1], node["name"]
        children = [one for one in self.manifest["child_map"][node["unique_id"]] if one.startswith("model.")]
        early = bool({"staging", "base"} & set(folders)) or name.startswith(("stg_", "base_"))
        between = "intermediate" in folders or name.startswith("int_")
        if node["access"] == "public" or {"marts", "mart"} & set(folders):
            return "products"
        if not children and not early and not between:
            return "products"
        return "staging" if early else "intermediate"

    def _columns(self, unique_id: str, node: Mapping[str, Any], layer: Layer) -> tuple[ForeignColumn, ...]:
        described = {name.lower(): column for name, column in node["columns"].items()}
        made = []
        for name, type_ in self.seen.columns[unique_id]:
            told = described.get(name.lower(), {})
            treated = self.seen.handlings.get(unique_id, {}).get(name, Handling())
            says = " ".join(str(told.get("description") or "").split())
            shown = name.lower() if layer == "products" else name
            made.append(ForeignColumn(shown, type_, says, tuple(told.get("tags") or ()), treated))
        seen = {name.lower() for name, _ in self.seen.columns[unique_id]}
        for name in described:
            if name not in seen:
                self._note(
                    "not taken over", node, f"{node['name']}.{name}", "described, but the model has no such column"
                )
        return tuple(made)

    def _sql(self, unique_id: str, node: Mapping[str, Any]) -> str | None:
        """The model as it was written; where it cannot be, as it was compiled."""
        wanted, why = self._macros(node)
        sql: str | None = None
        put: tuple[str, ...] = ()
        if wanted is not None:
            text, put = with_values(built_whole(node["raw_code"]), self.variables)
            sql, why = as_written(text, self.name, self._resolved)
        if sql is not None and wanted is not None:
            self.macros |= wanted
            for name in put:
                why = f"its value stands in the model: {self.variables[name]}"
                self._note("changed", node, f"variable {name} in {node['name']}", why)
            return sql
        compiled = as_compiled(self.seen.compiled[unique_id], self._relations())
        if f'"{PROFILE}"' in compiled:
            self.refused[unique_id] = "it reads a table that is neither a model, a seed nor a source"
            return None
        self._note("changed", node, node["name"], f"written out as dbt compiled it: {why}")
        return compiled

    def _resolved(self, kind: str, first: str, second: str | None) -> str | None:
        if kind == "source":
            found = [
                unique_id
                for unique_id, node in self.manifest["sources"].items()
                if (node["source_name"], node["name"]) == (first, second)
            ]
            return self.base.get(found[0]) if found else None
        name = second or first
        if f"seed.{self.name}.{name}" in self.base:
            return self.base[f"seed.{self.name}.{name}"]
        return name if f"model.{self.name}.{name}" in self.manifest["nodes"] else None

    def _relations(self) -> dict[str, str]:
        """Every relation that compiled SQL may name, and what it is called in the mesh."""
        models = {relation(self._node(name)): self._node(name)["name"] for name in self._own("model")}
        return models | {relation(self._node(name)): base for name, base in self.base.items()}

    # Macros.

    def _macros(self, node: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]] | None, str]:
        """The project's macros that a model needs; None and why where one of them cannot come along."""
        wanted: dict[str, dict[str, Any]] = {}
        for unique_id in sorted(macros_of(self.manifest, node)):
            macro = self.manifest["macros"][unique_id]
            if macro["package_name"] == self.name:
                wanted |= {one["unique_id"]: one for one in self._with_dispatched(macro)}
            elif not macro["package_name"].startswith("dbt"):
                return None, f"it uses the package {macro['package_name']}, which the mesh does not have"
            elif macro["package_name"] == "dbt_utils":
                return None, "it uses the package dbt_utils, which the mesh does not have"
        for macro in wanted.values():
            if macro["name"] in self.taken_macros:
                return None, f"the mesh has a macro called {macro['name']} already"
            text, why = macro_as_written(macro["macro_sql"], self.name, dbt.PROJECT)
            if text is None:
                return None, f"of its macro {macro['name']}, {why}"
        return wanted, ""

    def _with_dispatched(self, macro: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """A macro and what it may be dispatched to in another warehouse."""
        for one in self.manifest["macros"].values():
            same = one["package_name"] == self.name
            if same and (one["name"] == macro["name"] or one["name"].endswith(f"__{macro['name']}")):
                yield one

    def _macro_files(self) -> dict[str, str]:
        """Files of the macros that come along: whole, where all of a file does."""
        files: dict[str, list[dict[str, Any]]] = {}
        for macro in sorted(self.macros.values(), key=lambda one: (one["original_file_path"], one["name"])):
            files.setdefault(macro["original_file_path"], []).append(macro)
        made = {}
        for file, macros in files.items():
            whole = (self.path / file).read_text(encoding="utf-8")
            all_of_it = set(MACRO.findall(whole)) == {macro["name"] for macro in macros}
            text, _ = macro_as_written(
                whole if all_of_it else "\n\n".join(macro["macro_sql"] for macro in macros) + "\n",
                self.name,
                dbt.PROJECT,
            )
            name = file.removeprefix("macros/").replace("/", "_")
            made[name] = text or ""
            for macro in macros:
                where = f"dbt/macros/{self.domain}_{name}"
                self._note("taken over", macro, f"macro {macro['name']}", where)
        return made

    # Tests.

    def _tests(self, model: str) -> Iterator[ForeignTest]:
        for unique_id in sorted(self._own("test")):
            node = self.manifest["nodes"][unique_id]
            if self._judged(node) == model:
                yield self._generic(node) if node.get("test_metadata") else self._singular(node, model)

    def _judged(self, node: Mapping[str, Any]) -> str | None:
        """The model that a test judges: a singular one judges the only model it reads."""
        if node.get("attached_node"):
            return str(node["attached_node"])
        read = node["depends_on"]["nodes"]
        return read[0] if len(read) == 1 and read[0].startswith("model.") else None

    def _generic(self, node: Mapping[str, Any]) -> ForeignTest:
        told = node["test_metadata"]
        known = told["namespace"] in (None, "dbt_utils") and not (
            told["namespace"] is None and f"macro.{self.name}.test_{told['name']}" in self.manifest["macros"]
        )
        unclear = None if known else "a test of its own or of a package, whose SQL the mesh does not know"
        column = node.get("column_name")
        return ForeignTest(
            name=str(told["name"]),
            label=_label(node),
            file=str(node["original_file_path"]),
            column=str(column).strip('"`').lower() if column else None,
            arguments={key: value for key, value in told["kwargs"].items() if key not in GENERIC},
            warning=_warns(node),
            where=node["config"].get("where"),
            unclear=unclear or _unusual(node),
        )

    def _singular(self, node: Mapping[str, Any], model: str) -> ForeignTest:
        compiled = self.seen.compiled.get(node["unique_id"], "")
        table = relation(self.manifest["nodes"][model])
        query = compiled.strip().rstrip(";").replace(table, "${table}")
        unclear = _unusual(node) or (None if table in compiled else "its SQL was not compiled")
        return ForeignTest(
            name="singular", label=str(node["name"]), file=str(node["original_file_path"]), warning=_warns(node),
            query=query, unclear=unclear,
        )  # fmt: skip

    # Everything else.

    def _meta_tags(self, node: Mapping[str, Any]) -> list[str]:
        """Facts that are merely true, as tags."""
        return [str(key).replace("_", " ") for key, value in (node["meta"] or {}).items() if value is True]

    def _owner(self, node: Mapping[str, Any]) -> str | None:
        group = self.manifest["groups"].get(f"group.{self.name}.{node['group']}") if node["group"] else None
        told = [group["owner"].get("name"), group["owner"].get("email")] if group else []
        told.append((node["meta"] or {}).get("owner"))
        return next((str(one) for one in told if one and re.fullmatch(r"[\w.+-]+(@[\w.-]+)?", str(one))), None)

    def _tell_settings(self, node: Mapping[str, Any], layer: Layer) -> None:
        config, name = node["config"], node["name"]
        built = "table" if layer == "products" else "view"
        if config["materialized"] == "incremental":
            self._note("changed", node, name, f"incremental in dbt; here a {built} that is built whole each time")
        elif config["materialized"] not in (built, "view", "table"):
            self._note("changed", node, name, f"{config['materialized']} in dbt; here a {built}")
        if config["alias"]:
            why = f"{config['alias']} is left out: a product has its model's name"
            self._note("changed", node, f"alias of {name}", why)
        for key, what in (("pre-hook", "its pre-hook"), ("post-hook", "its post-hook")):
            if config.get(key):
                self._note("not taken over", node, f"{what} of {name}", "the mesh runs no SQL beside a build")
        if config["grants"]:
            why = "who may read what is said by the roles of the contract"
            self._note("not taken over", node, f"grants of {name}", why)
        constraints = [*node["constraints"], *(one for c in node["columns"].values() for one in c["constraints"])]
        if constraints:
            why = "promise it in the contract, where the audit judges it"
            self._note("not taken over", node, f"constraints of {name}", why)
        rest = [key for key, value in (node["meta"] or {}).items() if value is not True and key != "owner"]
        if rest:
            why = "a contract has no place for it; write what matters into its description or tags"
            self._note("not taken over", node, f"meta of {name}: {', '.join(rest)}", why)

    def _tell_rest(self, used: Collection[str]) -> None:
        for unique_id, why in self.refused.items():
            node = self.manifest["nodes"][unique_id]
            if node["package_name"] == self.name:
                self._note("not taken over", node, node["name"], why)
                for test in self._tests(unique_id):
                    why = f"its model {node['name']} is not taken over"
                    self.notes.append(Note("not taken over", test.file, test.label, why))
        for kind, why in NODES.items():
            for unique_id in self._own(kind):
                node = self.manifest["nodes"][unique_id]
                self._note("not taken over", node, f"{kind} {node['name']}", why)
        for kind, why in OTHERS.items():
            for node in (self.manifest.get(kind) or {}).values():
                if node["package_name"] == self.name:
                    what = f"{kind.removesuffix('s').replace('_', ' ').replace('querie', 'query')} {node['name']}"
                    self._note("not taken over", node, what, why)
        for nodes in (self.manifest.get("disabled") or {}).values():
            for node in nodes:
                if node["package_name"] == self.name and node["resource_type"] != "test":
                    self._note("not taken over", node, node["name"], "disabled")
        for package in self.seen.missing:
            why = (
                "the package is not installed; `dbt deps` in the project before adopting lets its macros be written out"
            )
            self.notes.append(Note("not taken over", "packages.yml", f"package {package}", why))
        self._tell_tables(used)
        self._tell_tests()
        self._tell_macros()

    def _tell_tables(self, used: Collection[str]) -> None:
        filled = {self.seen.samples.get(unique_id) for unique_id, name in self.tables.items() if name in used}
        for unique_id in (*self._own("seed"), *self.manifest["sources"]):
            node = self._node(unique_id)
            if node["package_name"] != self.name:
                continue
            name = f"{node['source_name']}.{node['name']}" if "source_name" in node else node["name"]
            sample = self.seen.samples.get(unique_id)
            if self.tables.get(unique_id) not in used and (sample is None or sample not in filled):
                kind = "source" if "source_name" in node else "seed"
                self._note("not taken over", node, f"{kind} {name}", "no model that is taken over reads it")
            freshness = node.get("freshness") or {}
            if any((freshness.get(level) or {}).get("count") for level in ("warn_after", "error_after")):
                why = "write slaProperties into the contracts of what is made from it"
                self._note("not taken over", node, f"freshness of source {node.get('source_name', name)}", why)

    def _tell_tests(self) -> None:
        for unique_id in self._own("test"):
            node = self.manifest["nodes"][unique_id]
            judged = self._judged(node)
            if judged is None:
                why = "it reads several models, and a rule judges one product"
                self._note("not taken over", node, _label(node), why)
            elif not judged.startswith("model."):
                why = "raw tables have no contract; promise it of the products made from it"
                self._note("not taken over", node, _label(node), why)

    def _tell_macros(self) -> None:
        for macro in self.manifest["macros"].values():
            if macro["package_name"] == self.name and macro["unique_id"] not in self.macros:
                why = "no model that is taken over as written needs it"
                self._note("not taken over", macro, f"macro {macro['name']}", why)


def _unpublishable(columns: Collection[tuple[str, str]]) -> str | None:
    for name, type_ in columns:
        if not NAME.fullmatch(name.lower()):
            return f"its column {name} is no name of a contract: letters, digits and _"
        if type_.startswith(NOT_KEPT):
            return f"its column {name} is of type {type_.partition('(')[0]}, which the lake does not keep"
    return None


def _warns(node: Mapping[str, Any]) -> bool:
    return str(node["config"].get("severity", "error")).lower() == "warn"


def _unusual(node: Mapping[str, Any]) -> str | None:
    """A setting that changes what a test means."""
    for name, usual in USUAL.items():
        if node["config"].get(name) != usual:
            return f"its setting {name} has no place in a rule; write a rule with a threshold of its own"
    return None


def _label(node: Mapping[str, Any]) -> str:
    """A test as people call it: its own name, else kind, model and column."""
    told = node.get("test_metadata")
    if not told:
        return str(node["name"])
    generated = f"{told['namespace']}_{told['name']}" if told["namespace"] else str(told["name"])
    if not str(node["name"]).startswith(generated):
        return str(node["name"])
    model = str(node.get("attached_node") or node["depends_on"]["nodes"][0]).split(".")[-1]
    place = f"{model}.{node['column_name']}" if node.get("column_name") else model
    return f"{'.'.join(filter(None, (told['namespace'], told['name'])))} of {place}"
