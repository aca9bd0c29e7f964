"""A data product that comes as a folder, put into its places in this mesh.

A bundle has the layout of the mesh itself (contracts/, data_products/, dbt/); its `domain.yaml` files hold
only the ports to add. Either all of it fits or nothing is changed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from mesh.errors import ProjectError, UsageError

PLACES = ("contracts", "data_products", "dbt")
PORTS = ("inputPorts", "outputPorts")


@dataclass(frozen=True)
class Change:
    """One file of this mesh that a bundle writes: what it holds now (None: nothing) and then."""

    path: Path
    before: bytes | None
    after: bytes


def add_bundle(bundle: Path, root: Path) -> tuple[Change, ...]:
    """Copy a bundle's files and merge its ports; returns what changed.

    Raises:
        UsageError: the folder is no bundle, or one of its files would replace a different one.
        ProjectError, ContractError: the mesh with the bundle would be wrong; it is left as it was.
    """
    return apply(bundle_changes(bundle, root), root)


def apply(wanted: Sequence[Change], root: Path) -> tuple[Change, ...]:
    """Write files of the mesh, all or none; returns those that changed.

    Raises:
        ProjectError, ContractError: the mesh with them would be wrong; it is left as it was.
    """
    from mesh.project import load_project

    changes = [change for change in wanted if change.before != change.after]
    try:
        for change in changes:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            change.path.write_bytes(change.after)
        load_project(root)
    except BaseException:
        _undo(changes, root)
        raise
    return tuple(changes)


def bundle_changes(bundle: Path, root: Path, made: Sequence[Change] = ()) -> list[Change]:
    """What a bundle would change.

    Args:
        made: changes that come before it, such as a new domain's; they are among those returned.

    Raises:
        UsageError: the folder is no bundle, or one of its files would replace a different one.
        ProjectError: a port is there already and differs.
    """
    if not bundle.is_dir():
        raise UsageError(f"{bundle} is not a folder. Allowed: a bundle, such as examples/motor")
    files = [file for place in PLACES for file in sorted((bundle / place).rglob("*")) if file.is_file()]
    if not files:
        raise UsageError(f"{bundle} holds none of {', '.join(f'{place}/' for place in PLACES)}, so it is no bundle.")
    changes: dict[Path, Change] = {change.path: change for change in made}
    for file in files:
        target = root / file.relative_to(bundle)
        before = target.read_bytes() if target.is_file() else None
        if file.name == "domain.yaml":
            there = changes[target].after if target in changes else before
            if there is None:
                raise UsageError(f"{file} adds to domain {file.parent.name}, which this mesh does not have.")
            after = _merged(file, target, there)
        else:
            after = file.read_bytes()
            if before is not None and before != after:
                raise UsageError(
                    f"{target} is there already and differs from {file}. Move it away, or take the bundle's changes "
                    "over by hand."
                )
        changes[target] = Change(target, before, after)
    return list(changes.values())


def _merged(fragment: Path, target: Path, text: bytes) -> bytes:
    """The target's text with the fragment's ports added by name; comments and layout stay."""
    from ruamel.yaml.error import YAMLError

    from mesh.scaffold.files import round_trip

    yaml = round_trip()
    try:
        new, old = yaml.load(fragment), yaml.load(text)
    except YAMLError as error:
        raise ProjectError(f"not YAML: {getattr(error, 'problem', error)}", file=fragment) from error
    foreign = sorted(set(new or {}) - {*PORTS, "apiVersion", "kind", "domain"})
    if foreign:
        raise ProjectError(f"{foreign[0]} cannot be added to a domain.", file=fragment, allowed=", ".join(PORTS))
    changed = False
    for ports in PORTS:
        # A list written as [] would take its entries in one line.
        have: list[Any] = old.get(ports) or []
        old[ports] = have
        by_name = {port["name"]: port for port in have}
        for port in new.get(ports) or []:
            there = by_name.get(port["name"])
            if there is not None and there != port:
                raise ProjectError(f"{port['name']} is there already and differs.", file=target, field=ports)
            if there is None:
                have.append(port)
                changed = True
    if not changed:
        return text
    out = StringIO()
    yaml.dump(old, out)
    return out.getvalue().encode()


def _undo(changes: Sequence[Change], root: Path) -> None:
    for change in changes:
        if change.before is not None:
            change.path.write_bytes(change.before)
            continue
        change.path.unlink(missing_ok=True)
        folder = change.path.parent
        while folder != root and folder.is_dir() and not any(folder.iterdir()):
            shutil.rmtree(folder)
            folder = folder.parent
