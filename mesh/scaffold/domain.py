"""`mesh new domain`: the places of a domain, its code location and its workspace line."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from mesh.errors import ProjectError, UsageError
from mesh.profile import words
from mesh.project import Project
from mesh.scaffold.bundles import Change, apply
from mesh.scaffold.contract import TO_BE_WRITTEN
from mesh.scaffold.files import check_name, round_trip, yaml_text


def new_domain(
    project: Project, name: str, *, owner: str | None = None, purpose: str | None = None
) -> tuple[Change, ...]:
    """Write the files of a domain that has no products yet; returns what changed.

    Args:
        owner: the team that owns it; default NAME-data-team.
        purpose: what its products are for.

    Raises:
        UsageError: it is there already, or the name means something else.
    """
    return apply(domain_changes(project, name, owner=owner, purpose=purpose), project.root)


def domain_changes(
    project: Project, name: str, *, owner: str | None = None, purpose: str | None = None
) -> list[Change]:
    """What `new_domain` would change."""
    check_name(name, "domain")
    if name in project.domains:
        raise UsageError(f"Domain {name} is there already: data_products/{name}/domain.yaml.")
    root, team = project.root, owner or f"{name}-data-team"
    made = {
        f"data_products/{name}/domain.yaml": yaml_text(_described(name, team, purpose)),
        f"dbt/models/{name}/group.yml": yaml_text({"groups": [{"name": name, "owner": {"name": team}}]}),
        f"dbt/models/{name}/sources.yml": yaml_text(_sources(name)),
        f"dagster_project/locations/{name}.py": "from dagster_project.factory import domain_definitions\n\n"
        f'defs = domain_definitions("{name}")\n',
    }
    changes = [_added(root / path, text) for path, text in made.items()]
    changes += [_in_dbt(root / "dbt" / "dbt_project.yml", name), _in_workspace(root / "workspace.yaml", name)]
    return changes


def _described(name: str, team: str, purpose: str | None) -> dict[str, Any]:
    return {
        "apiVersion": "v1.0.0",
        "kind": "DataProduct",
        "id": name,
        "name": words(name),
        "version": "1.0.0",
        "status": "active",
        "domain": name,
        "description": {"purpose": purpose or f"{TO_BE_WRITTEN}: what the products of {name} are for."},
        "team": {"name": team, "members": [{"username": team, "role": "owner"}]},
        "inputPorts": [],
        "outputPorts": [],
    }


def _sources(name: str) -> dict[str, Any]:
    loads = {
        "name": "current_loads",
        "description": "The loads that count now; a replaced delivery is not among them. Made by ingest.",
    }
    return {
        "sources": [
            {
                "name": f"{name}_raw",
                "description": f"Deliveries of domain {name} as text, tokenised at ingest; append-only.",
                "database": "lake",
                "schema": f"{name}_build",
                "tables": [loads],
            }
        ]
    }


def _added(path: Path, text: str) -> Change:
    if path.exists():
        raise UsageError(f"{path} is there already, though the domain is not. Move it away first.")
    return Change(path, None, text.encode())


def _in_dbt(path: Path, name: str) -> Change:
    before = path.read_bytes()
    yaml = round_trip()
    tree = yaml.load(before)
    try:
        models = tree["models"][tree["name"]]
    except (KeyError, TypeError) as error:
        raise ProjectError("has no `models` of its own project.", file=path) from error
    entry = {"+schema": f"{name}_build", "+group": name, "products": {"+materialized": "table"}}
    models.setdefault(name, entry)
    out = StringIO()
    yaml.dump(tree, out)
    return Change(path, before, out.getvalue().encode())


def _in_workspace(path: Path, name: str) -> Change:
    before = path.read_text(encoding="utf-8")
    line = f"  - python_module: {{module_name: dagster_project.locations.{name}, location_name: {name}}}\n"
    after = before.rstrip("\n") + "\n" + line
    listed = round_trip().load(after)
    if not isinstance(listed, dict) or list(listed) != ["load_from"]:
        raise ProjectError("is no plain list of code locations, so a line cannot be added.", file=path)
    return Change(path, before.encode(), after.encode())
