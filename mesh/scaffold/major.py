"""`mesh new major` and the end of an older one: today's major lives on beside the next, until an announced day."""

from __future__ import annotations

import re
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

from mesh.contract import Contract
from mesh.contract.consumers import folder
from mesh.contract.evolution import Version
from mesh.contract.majors import built_name
from mesh.errors import UsageError
from mesh.project import Project
from mesh.scaffold.bundles import Change
from mesh.scaffold.files import round_trip, yaml_text

VERSION = re.compile(r"^version:.*$", re.MULTILINE)


def new_major(project: Project, key: str, *, until: str) -> tuple[tuple[Change, ...], tuple[Path, ...]]:
    """Write the files that keep the present major of a product, and give the contract its next version.

    The older major is a product of its own, with the SQL and the consumers of today, deprecated and with an end; the
    contract and SQL that are edited from now on are the newer one's.

    Args:
        until: the day on which the older major ends, ISO 8601, not before tomorrow.

    Returns:
        what was written, and what is no longer there.

    Raises:
        NotFound: no such product.
        UsageError: the day has passed, the product is an older major itself, or no dbt model of it is known.
    """
    from mesh.scaffold.bundles import apply

    contract = project.product(key).contract
    end = _day(until)
    if contract.older:
        raise UsageError(f"{key} is an older major already. Allowed: the product itself, such as claims/claims")
    older = f"{contract.product}_v{contract.major}"
    if f"{contract.domain}/{older}" in project.products:
        raise UsageError(f"{contract.domain}/{older} is there already: edit contracts/{key}.yaml.")
    models = {table.name: _model(project.root, contract, table.name) for table in contract.tables}
    root = project.root
    changes = [
        _edit(
            root / f"contracts/{key}.yaml", lambda text: _renumbered(text, Version.of(contract.version).next("major"))
        ),
        Change(root / f"contracts/{contract.domain}/{older}.yaml", None, _deprecated(contract, end).encode()),
        _edit(project.domain(contract.domain).path, lambda text: _ports(text, contract, older)),
    ]
    for table, model in models.items():
        name = built_name(table, contract.major)
        changes.append(Change(model.with_name(f"{name}.sql"), None, model.read_bytes()))
        changes.append(Change(model.parents[1] / f"{name}.yml", None, _described(contract, older, name).encode()))
    consumers = folder(root, key)
    moved = sorted(consumers.glob("*.y*ml"))
    changes += [Change(folder(root, f"{contract.domain}/{older}") / file.name, None, file.read_bytes())
                for file in moved]  # fmt: skip
    done = apply(changes, root)
    for file in moved:
        file.unlink()
    if moved and not any(consumers.iterdir()):
        consumers.rmdir()
    return done, tuple(moved)


def drop_major(project: Project, key: str) -> tuple[Path, ...]:
    """Take the files of an older major out of the mesh; returns what is gone. The domain's file loses its ports."""
    contract = project.product(key).contract
    root, name = project.root, key.partition("/")[2]
    gone = [root / f"contracts/{key}.yaml", *sorted(folder(root, key).glob("*.y*ml"))]
    for table in contract.tables:
        gone += sorted((root / "dbt/models" / contract.domain).rglob(f"{table.name}.sql"))
        gone += sorted((root / "dbt/models" / contract.domain).rglob(f"{table.name}.yml"))
    path = project.domain(contract.domain).path
    path.write_text(_without(path.read_text(), name))
    for file in gone:
        file.unlink()
    if folder(root, key).is_dir() and not any(folder(root, key).iterdir()):
        folder(root, key).rmdir()
    return tuple(gone)


def _without(text: str, name: str) -> str:
    yaml = round_trip()
    tree = yaml.load(text)
    tree["outputPorts"] = [port for port in tree["outputPorts"] if port["name"] != name]
    for raw in tree.get("inputPorts") or []:
        for entry in list(raw.get("customProperties") or []):
            if entry["property"] == "usedBy" and name in entry["value"]:
                entry["value"].remove(name)
                if not entry["value"]:
                    raw["customProperties"].remove(entry)
    return _dumped(yaml, tree)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is no day. Allowed: YYYY-MM-DD") from error
    if day <= date.today():
        raise UsageError(f"{text} is not ahead. Allowed: a day from tomorrow on, so that consumers can move")
    return day


def _model(root: Path, contract: Contract, table: str) -> Path:
    found = sorted((root / "dbt/models" / contract.domain).rglob(f"{table}.sql"))
    if not found:
        raise UsageError(
            f"No dbt model builds {table}, so it cannot be built twice. The next major of a model's scores is a new "
            "model: `mesh new model`."
        )
    return found[0]


def _edit(path: Path, change: Any) -> Change:
    before = path.read_bytes()
    return Change(path, before, change(before.decode()).encode())


def _renumbered(text: str, version: Version) -> str:
    return VERSION.sub(f"version: {version}", text, count=1)


def _deprecated(contract: Contract, end: date) -> str:
    """The contract of today with the next minor version, deprecated, and the day of its end as a service level."""
    text = _renumbered(contract.text, Version.of(contract.version).next("minor"))
    text = re.sub(r"^status:.*$", "status: deprecated", text, count=1, flags=re.MULTILINE)
    yaml = round_trip()
    tree = yaml.load(text)
    levels = [level for level in tree.get("slaProperties") or [] if level.get("property") != "endOfLife"]
    tree["slaProperties"] = [*levels, {"property": "endOfLife", "value": end.isoformat()}]
    return _dumped(yaml, tree)


def _ports(text: str, contract: Contract, older: str) -> str:
    """The domain with an output port of the older major, fed by what feeds the newer one."""
    yaml = round_trip()
    tree = yaml.load(text)
    port = next(port for port in tree["outputPorts"] if port["name"] == contract.product)
    before = Version.of(contract.version)
    mine: dict[str, Any] = {key: value for key, value in port.items() if key != "customProperties"}
    tree["outputPorts"].append({**mine, "name": older, "version": str(before.next("minor"))})
    port["version"] = str(before.next("major"))
    for raw in tree.get("inputPorts") or []:
        told = {entry["property"]: entry for entry in raw.get("customProperties") or []}
        uses = told.get("usedBy", {}).get("value") or []
        if told.get("feeds", {}).get("value") == contract.product or contract.product in uses:
            if "usedBy" in told:
                told["usedBy"]["value"] = [*uses, older]
            else:
                raw["customProperties"].append({"property": "usedBy", "value": [older]})
    return _dumped(yaml, tree)


def _described(contract: Contract, older: str, model: str) -> str:
    words = f"The product {contract.domain}/{older}, kept as it was until its end. Grain - as the newer major."
    return yaml_text({"models": [{"name": model, "description": words}]})


def _dumped(yaml: Any, tree: Any) -> str:
    out = StringIO()
    yaml.dump(tree, out)
    return out.getvalue()
