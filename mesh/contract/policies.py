"""Policies: what a mesh asks of every contract beyond the standard, one small class each in `contracts/policies/`.

A policy's docstring is the message that people see. It yields the places at fault; where a place cannot be mended, a
contract waives the policy there, with a reason, and the waiver is told:

    customProperties:
      - property: policyWaivers
        value:
          - policy: money_is_decimal
            reason: The engine of the insurer delivers doubles.
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from mesh.contract.findings import Finding
from mesh.contract.model import Severity
from mesh.contract.reading import Document, Path_, did_you_mean
from mesh.errors import ProjectError

WAIVERS = "policyWaivers"
UNFINISHED = ("draft", "proposed")
"""A contract of this status is still being written: what its policies find are warnings."""


@dataclass(frozen=True)
class Column:
    """A column of a table, at any depth, as the contract states it."""

    path: Path_
    data: dict[str, Any]
    table: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.data.get("name") or "")

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(str(tag).lower() for tag in self.data.get("tags") or ())


@dataclass(frozen=True)
class Place:
    """Where a policy is not met, and what exactly is wrong there, if its docstring leaves that open."""

    path: Path_
    detail: str = ""


class Terms:
    """A contract that is valid by the standard, as policies read it: plain data with its tables and columns."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @property
    def description(self) -> dict[str, Any]:
        return self.data.get("description") or {}

    def tables(self) -> Iterator[tuple[Path_, dict[str, Any]]]:
        for i, table in enumerate(self.data.get("schema") or ()):
            yield ("schema", i), table

    def columns(self) -> Iterator[Column]:
        """Every column, a nested one after the one that holds it."""
        for path, table in self.tables():
            yield from _inside(path, table, table)

    def members(self) -> list[dict[str, Any]]:
        team = self.data.get("team") or {}
        return list((team.get("members") if isinstance(team, dict) else team) or ())

    def service_level(self, *names: str) -> tuple[Path_, dict[str, Any]] | None:
        """The first service level with one of these names, in any spelling of the standard's."""
        from mesh.contract.service import LONG_NAMES

        wanted = {name.lower() for name in names}
        for i, level in enumerate(self.data.get("slaProperties") or ()):
            name = str(level.get("property", "")).lower()
            if LONG_NAMES.get(name, name).lower() in wanted:
                return ("slaProperties", i), level
        return None

    def custom(self, name: str) -> Any:
        """The value of a custom property of the contract, or None."""
        return custom(self.data, name)


class Policy(ABC):
    """The message of the policy stands here, in one or two sentences."""

    severity: ClassVar[Severity] = "error"
    allowed: ClassVar[str | None] = None

    @abstractmethod
    def check(self, contract: Terms) -> Iterable[Place]:
        """Every place of `contract` that does not meet the policy."""

    @property
    def name(self) -> str:
        """The class's name in snake_case, by which a contract waives the policy."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def message(self) -> str:
        return " ".join((inspect.getdoc(type(self)) or self.name).split())


@dataclass
class _Waiver:
    place: Path_
    path: Path_
    policy: str
    reason: str
    used: bool = False


def custom(data: dict[str, Any], name: str) -> Any:
    """The value of the custom property `name` of a contract, table or column, or None."""
    return next((one.get("value") for one in data.get("customProperties") or () if one.get("property") == name), None)


def load_policies(project_dir: Path | str) -> tuple[Policy, ...]:
    """Every policy in `contracts/policies/*.py` of a project, by name; none where there is no such folder.

    Raises:
        ProjectError: a file cannot be run, or two policies share a name.
    """
    found: dict[str, Policy] = {}
    for file in sorted((Path(project_dir) / "contracts" / "policies").glob("*.py")):
        for policy in _policies(file):
            if policy.name in found:
                raise ProjectError(
                    f"The policy `{policy.name}` is there twice.", file=file, allowed="a name of its own"
                )
            found[policy.name] = policy
    return tuple(found[name] for name in sorted(found))


def check_policies(document: Document, policies: Sequence[Policy]) -> list[Finding]:
    """Hold a contract that is valid by the standard against `policies`; what it waives is told as waived."""
    terms = Terms(document.data)
    draft = str(terms.data.get("status") or "").lower() in UNFINISHED
    waivers, findings = _waivers(document, terms, policies)
    for policy in policies:
        for place in policy.check(terms):
            waiver = _waived(waivers, policy.name, place.path)
            findings.append(_finding(document, policy, place, waiver, draft))
    for waiver in waivers:
        if not waiver.used:
            what = f"The waiver of `{waiver.policy}` waives nothing here."
            findings.append(Finding.at(document, waiver.path, "warning", WAIVERS, what, "to leave it out"))
    return findings


def _policies(file: Path) -> Iterator[Policy]:
    name = f"mesh_policies_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProjectError("This file cannot be read as Python.", file=file)
    module = importlib.util.module_from_spec(spec)
    # No bytecode beside the contracts: the folder is the project's.
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = error.lineno if isinstance(error, SyntaxError) else None
        raise ProjectError(
            f"The policies cannot be loaded: {type(error).__name__}: {error}.", file=file, line=line
        ) from error
    finally:
        sys.dont_write_bytecode = written
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, Policy) and found.__module__ == name:
            if inspect.isabstract(found):
                continue
            yield found()


def _finding(document: Document, policy: Policy, place: Place, waiver: _Waiver | None, draft: bool) -> Finding:
    what = f"{policy.message} {place.detail}".strip()
    if waiver:
        what = f"{what} Waived: {waiver.reason}"
        return Finding.at(document, place.path, "waived", policy.name, what)
    severity = "warning" if draft else policy.severity
    return Finding.at(document, place.path, severity, policy.name, what, policy.allowed)


def _waived(waivers: list[_Waiver], policy: str, path: Path_) -> _Waiver | None:
    """The waiver nearest around a place."""
    around = [one for one in waivers if one.policy == policy and path[: len(one.place)] == one.place]
    if not around:
        return None
    nearest = max(around, key=lambda one: len(one.place))
    nearest.used = True
    return nearest


def _waivers(document: Document, terms: Terms, policies: Sequence[Policy]) -> tuple[list[_Waiver], list[Finding]]:
    found: list[_Waiver] = []
    wrong: list[Finding] = []
    known = [policy.name for policy in policies]
    parts: list[tuple[Path_, dict[str, Any]]] = [((), terms.data), *terms.tables()]
    parts += [(column.path, column.data) for column in terms.columns()]
    for place, data in parts:
        for i, entry in enumerate(data.get("customProperties") or ()):
            if entry.get("property") != WAIVERS:
                continue
            value = entry.get("value")
            for j, given in enumerate(value if isinstance(value, list) else [value]):
                path = (*place, "customProperties", i, "value", *([j] if isinstance(value, list) else []))
                named = given if isinstance(given, dict) else {}
                policy, reason = named.get("policy"), str(named.get("reason") or "").strip()
                if policy not in known:
                    what = f"`{policy}` is no policy of this mesh{did_you_mean(policy, known)}."
                    wrong.append(Finding.at(document, path, "error", WAIVERS, what, ", ".join(known)))
                elif not reason:
                    what = f"The waiver of `{policy}` gives no reason."
                    wrong.append(Finding.at(document, path, "error", WAIVERS, what, "`policy` and `reason`"))
                else:
                    found.append(_Waiver(place, path, str(policy), reason))
    return found, wrong


def _inside(path: Path_, data: dict[str, Any], table: dict[str, Any]) -> Iterator[Column]:
    for i, given in enumerate(data.get("properties") or ()):
        here = (*path, "properties", i)
        yield Column(here, given, table)
        yield from _inside(here, given, table)
        items = given.get("items")
        if isinstance(items, dict):
            yield from _inside((*here, "items"), items, table)
