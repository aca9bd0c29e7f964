"""From a foreign project to the files of a domain: what would change, what is delivered first, and the report."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.errors import SourceError, UsageError
from mesh.profile.names import snake
from mesh.project import Project
from mesh.scaffold.adopt.contract import contract
from mesh.scaffold.adopt.foreign import ForeignModel, ForeignProject, Note
from mesh.scaffold.adopt.report import heading, in_order, report
from mesh.scaffold.adopt.rules import NotTaken, Promises, promises
from mesh.scaffold.adopt.tables import Raw, raw_table
from mesh.scaffold.bundles import Change, bundle_changes
from mesh.scaffold.domain import domain_changes
from mesh.scaffold.files import check_name, write, yaml_text
from mesh.scaffold.product import dbt_models

# What ingest keeps in a domain's private schema, beside the models.
KEPT = ("current_loads", "loads", "rejected_rows")


@dataclass(frozen=True)
class Adoption:
    """What adopting would change: files, first deliveries by pattern, and a note on everything that was seen."""

    domain: str
    products: tuple[str, ...]
    changes: tuple[Change, ...]
    deliveries: tuple[tuple[Path, str], ...]
    notes: tuple[Note, ...]


def check_adoptable(project: Project, name: str, domain: str) -> None:
    """Refuse what was adopted before; nothing is made twice.

    Raises:
        UsageError: it is there already, or the domain's name means something else.
    """
    check_name(domain, "domain")
    for file in sorted((project.root / "data_products").glob("*/adopted.md")):
        if heading(name) in file.read_text(encoding="utf-8").splitlines():
            raise UsageError(
                f"{name} is there already: {file.relative_to(project.root)} says what became of it. Its files are "
                "yours to edit; nothing is made twice."
            )


def plan_adoption(
    project: Project, foreign: ForeignProject, domain: str, *, landing: Path, owner: str | None = None
) -> Adoption:
    """What adopting a project into a domain would change; the domain is made where it is not there.

    Args:
        landing: where first deliveries would go.
        owner: who owns models that name no owner.

    Raises:
        UsageError: it is there already, or holds no product, or a model has the name of another.
        SourceError: another delivery stands where a first one would go.
    """
    check_adoptable(project, foreign.name, domain)
    products = [model for model in foreign.models if model.layer == "products"]
    if not products:
        raise UsageError(_no_product(foreign))
    _check_names(project, foreign, products, domain)
    made = [] if domain in project.domains else domain_changes(project, domain, owner=owner)
    team = owner or _team(project, domain)
    raws = [raw_table(domain, table, [model.name for model in foreign.models]) for table in foreign.tables]
    for raw in raws:
        _check_free(project, domain, raw)
    notes = [*foreign.notes, *(note for raw in raws for note in raw.notes)]
    promised = {model.name: found for model, found in _promises(foreign, products, domain, notes)}
    with tempfile.TemporaryDirectory(prefix="mesh-adopt-") as place:
        folder = Path(place)
        _write(folder, domain, foreign, products, raws, promised, team)
        changes = bundle_changes(folder, project.root, made)
    notes += [_came(model, domain) for model in foreign.models]
    notes = in_order(notes)
    changes.append(_appended(project.root / "dbt" / "models" / domain / ".sqlfluffignore", _exempt(foreign.models)))
    changes.append(_appended(project.root / "data_products" / domain / "adopted.md", report(foreign.name, notes)))
    deliveries = [(raw.sample, raw.files) for raw in raws if raw.sample is not None]
    wanted = tuple(one for one in deliveries if _wanted(*one, landing))
    return Adoption(domain, tuple(f"{domain}/{model.name}" for model in products), tuple(changes), wanted, tuple(notes))


def _no_product(foreign: ForeignProject) -> str:
    reasons = [f"{note.file}: {note.why}" for note in foreign.notes if note.outcome == "not taken over"]
    told = f" Not taken over: {'; '.join(reasons[:3])}." if reasons else ""
    return (
        f"{foreign.name} has no model that could become a product: one that is public, stands under marts/, or that no "
        f"other model reads.{told}"
    )


def _check_names(project: Project, foreign: ForeignProject, products: Collection[ForeignModel], domain: str) -> None:
    taken = dbt_models(project.root)
    for model in foreign.models:
        if model.layer == "products":
            check_name(model.name, "product")
        if model.name in taken or model.name in KEPT:
            there = taken.get(model.name, "ingest")
            raise UsageError(
                f"{model.file}: {there} has something called {model.name} already, and names of models are unique in "
                "the mesh. Allowed: another name of the model"
            )
    names = {model.name for model in foreign.models}
    for product in products:
        if f"{domain}/{product.name}" in project.products:
            raise UsageError(f"{domain}/{product.name} is there already: contracts/{domain}/{product.name}.yaml.")
        for companion in (f"{product.name}_filtered", f"{product.name}_quarantine"):
            if companion in names:
                what = f"{companion} is what the mesh calls rows that {product.name} leaves out"
                raise UsageError(f"{product.file}: {what}. Allowed: another name of the model {companion}")


def _check_free(project: Project, domain: str, raw: Raw) -> None:
    """A raw table and its base model are new in the mesh."""
    ports = project.domains[domain].file.input_ports if domain in project.domains else ()
    if any(port.name == raw.name for port in ports):
        raise UsageError(f"Domain {domain} has a raw table {raw.name} already. Allowed: another domain")
    if raw.base in dbt_models(project.root):
        raise UsageError(f"{dbt_models(project.root)[raw.base]} is there already. Allowed: another domain")


def _team(project: Project, domain: str) -> str:
    team = project.domains[domain].file.team if domain in project.domains else {}
    name = team.get("name") if isinstance(team, Mapping) else None
    return str(name) if name else f"{domain}-data-team"


def _promises(
    foreign: ForeignProject, products: Collection[ForeignModel], domain: str, notes: list[Note]
) -> list[tuple[ForeignModel, Promises]]:
    """What each product promises. Relationships lead to products only, and never in a circle."""
    by_name = {model.name: model for model in products}
    before = {model.name: _ancestors(foreign, model.name) & set(by_name) for model in products}
    found = []
    for model in products:
        made, taken, left = promises(model, domain, _target(model, domain, by_name, before))
        for test, became in taken:
            notes.append(Note("taken over", test.file, test.label, f"{became} in contracts/{domain}/{model.name}.yaml"))
        notes += [Note("not taken over", test.file, test.label, why) for test, why in left]
        found.append((model, made))
    for model in foreign.models:
        if model.layer != "products":
            why = f"{model.name} is no product, and only products have contracts"
            notes += [Note("not taken over", test.file, test.label, why) for test in model.tests]
    return found


def _target(
    model: ForeignModel, domain: str, products: Mapping[str, ForeignModel], before: dict[str, set[str]]
) -> Callable[[str, str], str]:
    def target(name: str, column: str) -> str:
        if name not in products:
            raise NotTaken(f"it points to {name}, which is no product")
        if column not in [one.name for one in products[name].columns]:
            raise NotTaken(f"{name} has no column {column}")
        if name == model.name:
            return f"{name}.{column}"
        if model.name in _reached(name, before):
            raise NotTaken(f"it points to {name}, which is published after {model.name} because it is made from it")
        before[model.name].add(name)
        return f"{domain}.{name}.{column}"

    return target


def _reached(name: str, before: Mapping[str, set[str]]) -> set[str]:
    """All products that come before one."""
    seen: set[str] = set()
    queue = [name]
    while queue:
        for other in before[queue.pop()] - seen:
            seen.add(other)
            queue.append(other)
    return seen


def _ancestors(foreign: ForeignProject, name: str) -> set[str]:
    by_name = {model.name: model for model in foreign.models}
    seen: set[str] = set()
    queue = [name]
    while queue:
        for parent in by_name[queue.pop()].parents:
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)
    return seen


def _write(
    folder: Path,
    domain: str,
    foreign: ForeignProject,
    products: Collection[ForeignModel],
    raws: Collection[Raw],
    promised: Mapping[str, Promises],
    team: str,
) -> None:
    models = f"dbt/models/{domain}"
    for model in products:
        made = f"Adopted from {model.file} of the dbt project {foreign.name}; yours to edit from now on."
        told = contract(domain, model, model.owner or team, promised[model.name], project=foreign.name)
        write(folder, f"contracts/{domain}/{model.name}.yaml", yaml_text(told, header=made))
    for raw in raws:
        made = f"Adopted from {raw.table.file} of the dbt project {foreign.name}; yours to edit from now on."
        write(folder, f"data_products/{domain}/sources/{raw.source['source']}.yaml", yaml_text(raw.source, header=made))
        write(folder, f"{models}/staging/{raw.base}.sql", raw.sql)
    for model in foreign.models:
        write(folder, f"{models}/{model.layer}/{model.name}.sql", model.sql.strip("\n") + "\n")
    for name, text in foreign.macros.items():
        write(folder, f"dbt/macros/{domain}_{name}", text)
    write(folder, f"{models}/{snake(foreign.name)}.yml", yaml_text(_dbt(domain, foreign, raws)))
    ports = _ports(domain, foreign, products, raws, promised)
    write(folder, f"data_products/{domain}/domain.yaml", yaml_text(ports))


def _ports(
    domain: str,
    foreign: ForeignProject,
    products: Collection[ForeignModel],
    raws: Collection[Raw],
    promised: Mapping[str, Promises],
) -> dict[str, Any]:
    by_name = {model.name: model for model in foreign.models}
    users: dict[str, list[str]] = {}
    for product in products:
        chain = [by_name[name] for name in {product.name, *_ancestors(foreign, product.name)}]
        for table in {table for model in chain for table in model.tables}:
            users.setdefault(table, []).append(product.name)
    inputs = []
    for raw in raws:
        custom: list[dict[str, Any]] = [{"property": "columns", "value": raw.columns}]
        if raw.table.name in users:
            custom.append({"property": "usedBy", "value": sorted(users[raw.table.name])})
        port = {"name": raw.name, "version": "1.0.0", "contractId": f"source:{raw.name}"}
        inputs.append({**port, "customProperties": custom})
    outputs = []
    for product in products:
        key = promised[product.name].key
        says = product.description or (f"One row per {key}." if key else f"Adopted from {product.file}.")
        port = {"name": product.name, "description": says, "type": "tables", "version": "1.0.0"}
        looked_into = [{"id": f"{domain}-{name}", "version": "1.0.0"} for name in promised[product.name].looked_into]
        rules = {"inputContracts": looked_into} if looked_into else {}
        outputs.append({**port, "contractId": f"{domain}-{product.name}", **rules})
    return {"inputPorts": inputs, "outputPorts": outputs}


def _dbt(domain: str, foreign: ForeignProject, raws: Collection[Raw]) -> dict[str, Any]:
    tables = [{"name": raw.name, "description": raw.table.description or "One row per delivered row."} for raw in raws]
    models: list[dict[str, Any]] = [
        {"name": raw.base, "description": f"{raw.table.name} with its types. Grain - one row per delivered row."}
        for raw in raws
    ]
    for model in foreign.models:
        product = model.layer == "products"
        says = model.description or (f"The product {domain}/{model.name}." if product else "")
        # The columns of a product are described by its contract.
        columns = [
            {"name": column.name, "description": column.description}
            for column in model.columns
            if column.description and not product
        ]
        described: dict[str, Any] = {"name": model.name, **({"description": says} if says else {})}
        models.append({**described, **({"columns": columns} if columns else {})})
    sources: list[dict[str, Any]] = []
    if tables:
        sources.append({"name": f"{domain}_raw", "database": "lake", "schema": f"{domain}_build", "tables": tables})
    return {**({"sources": sources} if sources else {}), "models": models}


def _came(model: ForeignModel, domain: str) -> Note:
    where = f"dbt/models/{domain}/{model.layer}/{model.name}.sql"
    became = f"product {domain}/{model.name}, {where}" if model.layer == "products" else where
    return Note("taken over", model.file, model.name, became)


def _exempt(models: Collection[ForeignModel]) -> str:
    listed = "".join(f"{model.layer}/{model.name}.sql\n" for model in models)
    return f"# Adopted SQL keeps the style it came in. Take a line out once its model follows ours.\n{listed}"


def _appended(path: Path, text: str) -> Change:
    before = path.read_bytes() if path.is_file() else None
    return Change(path, before, text.encode() if before is None else before.rstrip() + b"\n\n" + text.encode())


def _wanted(sample: Path, files: str, landing: Path) -> bool:
    """Whether a first delivery has to be made; it may stand there from an earlier attempt."""
    there = landing / Path(files).parent / sample.name
    if not there.exists():
        return True
    if _digest(there) == _digest(sample):
        return False
    raise SourceError("is there already.", file=there, allowed="another file name of the seed, or no such delivery")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
