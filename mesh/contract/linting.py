"""Lint: everything that can be told about a contract from its file alone.

First the standard, and all that it refuses; then what the standard allows and this mesh cannot publish, up to the
first such thing; then the mesh's policies. Without a sound file there is nothing to hold the rest against.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mesh.contract.findings import MESH, NOT_EXECUTED, STANDARD, Finding
from mesh.contract.loading import load_contracts, parse_contract
from mesh.contract.model import Contract
from mesh.contract.policies import Policy, check_policies
from mesh.contract.reading import read_contract_yaml
from mesh.contract.standard import violations
from mesh.contract.unexecuted import not_executed
from mesh.errors import ContractError

POLICIES = "policies"


def lint_file(file: Path, policies: Sequence[Policy] = (), *, schema_only: bool = False) -> list[Finding]:
    """Every finding in one file, in the order of its lines.

    Args:
        schema_only: hold the file against the JSON schema of the standard and against nothing else.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        return [Finding(file, None, None, "error", STANDARD, f"The file cannot be read: {error.strerror}.")]
    return lint_content(content, file, policies, schema_only=schema_only)


def lint_content(
    content: bytes, file: Path, policies: Sequence[Policy] = (), *, schema_only: bool = False
) -> list[Finding]:
    """`lint_file` for bytes that are already at hand; `file` is only named."""
    try:
        document = read_contract_yaml(content, file)
    except ContractError as error:
        return [Finding.of(error, file, STANDARD)]
    refused = violations(document.data)
    found = [Finding.at(document, one.path, "error", STANDARD, one.what, one.allowed) for one in refused]
    if not schema_only and all(one.newer for one in refused):
        try:
            parse_contract(content, file)
        except ContractError as error:
            found.append(Finding.of(error, file, MESH))
        found += check_policies(document, policies)
    return sorted(found, key=lambda one: (one.line or 0, one.field or "", one.source))


def unexecuted_notes(contract: Contract) -> list[Finding]:
    """What a contract says and no audit holds, each at its line."""
    document = read_contract_yaml(contract.text.encode(), contract.path)
    found = []
    for place, why in not_executed(contract):
        field = place.partition(" ")[0]
        path = tuple(
            int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in re.findall(r"[^.\[\]]+", field)
        )
        found.append(Finding.at(document, path, "note", NOT_EXECUTED, f"Not executed: {why}."))
    return found


def contract_files(project_dir: Path) -> list[Path]:
    """The contracts of a project, `contracts/DOMAIN/PRODUCT.yaml`, as seen from the working directory."""
    files = sorted(Path(os.path.relpath(file)) for file in (project_dir / "contracts").glob("*/*.y*ml"))
    return [file for file in files if file.parent.name != POLICIES]


def lint_project(project_dir: Path, policies: Sequence[Policy] = (), *, schema_only: bool = False) -> list[Finding]:
    """Every finding in the contracts of a project, their places and ids included."""
    found = [one for file in contract_files(project_dir) for one in lint_file(file, policies, schema_only=schema_only)]
    if not schema_only and not any(one.severity == "error" for one in found):
        try:
            load_contracts(project_dir)
        except ContractError as error:
            found.append(Finding.of(error, project_dir, MESH))
    return found
