"""`mesh contract lint`: hold contracts against the standard, the limits of this mesh and its policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mesh.contract.findings import Finding

GITHUB = {"error": "error", "warning": "warning", "waived": "notice"}


def register(contract: typer.Typer) -> None:
    contract.command("lint")(lint)


def lint(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Any contract files; default all of the mesh.")
    ] = None,
    schema_only: Annotated[
        bool, typer.Option("--schema-only", help="Only the JSON schema of the standard: no policies, no mesh limits.")
    ] = False,
    shape: Annotated[
        Literal["text", "json", "github"],
        typer.Option("--format", help="How to print; github annotates a pull request."),
    ] = "text",
) -> None:
    """Check contract files against the Open Data Contract Standard and the mesh's policies. Fails on errors only.

    Of files that are named, what they say and no audit holds is told too, as notes (not to github).
    """
    from mesh.contract.linting import contract_files, lint_file, lint_project
    from mesh.contract.policies import load_policies
    from mesh.settings import get_settings

    root = get_settings().project
    policies = () if schema_only else load_policies(root)
    linted = files or contract_files(root)
    if files:
        found = [one for file in files for one in lint_file(file, policies, schema_only=schema_only)]
    else:
        found = lint_project(root, policies, schema_only=schema_only)
    if not schema_only:
        found = _with_rules(found, linted, notes=bool(files) and shape != "github")
    count = len(linted)
    told = {"text": _text, "json": _json, "github": _github}[shape](found, count)
    if told:
        typer.echo(_printable(told))
    if any(one.severity == "error" for one in found):
        raise typer.Exit(1)


def _with_rules(found: list[Finding], files: Sequence[Path], *, notes: bool) -> list[Finding]:
    """The findings, and what Great Expectations says against the `custom` rules of files that can be read.

    Asked here and not where contracts are read: its import takes seconds and belongs to the audit.

    Args:
        notes: tell what is not executed, too.
    """
    from mesh.audit import refused_expectations
    from mesh.contract import load_contract
    from mesh.contract.findings import MESH, Finding
    from mesh.contract.linting import unexecuted_notes
    from mesh.errors import MeshError

    more: list[Finding] = []
    for file in files:
        try:
            contract = load_contract(file)
        except MeshError:
            continue  # already told
        more += [Finding.of(error, file, MESH) for error in refused_expectations(contract)]
        more += unexecuted_notes(contract) if notes else []
    if not more:
        return found
    order = {file: i for i, file in enumerate(files)}
    return sorted([*found, *more], key=lambda one: (order.get(one.file, len(order)), one.line or 0))


def _text(found: Sequence[Finding], count: int) -> str:
    def number(severity: str, word: str) -> str:
        n = sum(one.severity == severity for one in found)
        return f"{n} {word}" if word == "waived" else f"{n} {word}{'' if n == 1 else 's'}"

    closing = f"{count} contract{'' if count == 1 else 's'}: {number('error', 'error')}, {number('warning', 'warning')}"
    waived = number("waived", "waived")
    closing += "." if waived.startswith("0 ") else f", {waived}."
    return "\n".join([*(str(one) for one in found), closing])


def _json(found: Sequence[Finding], count: int) -> str:
    return json.dumps([asdict(one) for one in found], indent=2, default=str)


def _github(found: Sequence[Finding], count: int) -> str:
    """Workflow commands of GitHub Actions, one a line."""
    lines = []
    for one in found:
        text = ": ".join(part for part in (one.field, one.what) if part)
        text += f" Allowed: {one.allowed}" if one.allowed else ""
        place = f"file={_property(str(one.file))}" + (f",line={one.line}" if one.line else "")
        lines.append(f"::{GITHUB[one.severity]} {place},title={_property(one.source)}::{_escaped(text)}")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _printable(text: str) -> str:
    """Characters that would steer the terminal, written out: the file may come from anywhere."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)
