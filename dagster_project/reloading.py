"""Edits that `mesh up` notices: contracts, SQL and YAML of a domain reload its code location; a new domain restarts.

Runs that are at work go on: each is a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDERS = ("contracts", "data_products", "dbt/models", "dbt/macros", "dagster_project/locations")
FILES = ("dbt/dbt_project.yml",)
WORKSPACE = "workspace.yaml"
SUFFIXES = (".yaml", ".yml", ".sql", ".py")
TIMEOUT_SECONDS = 180

_RELOAD = """
mutation {
  reloadWorkspace {
    __typename
    ... on Workspace {
      locationEntries { name locationOrLoadError { __typename ...Told } }
    }
    ...Told
  }
}
fragment Told on PythonError { message causes { message } }
"""


@dataclass(frozen=True)
class Stamp:
    """The state of the files that code locations are made from, by their names, sizes and times."""

    workspace: str
    files: str


def stamp(project: Path) -> Stamp:
    """What the files are like now; costs one `stat` a file."""
    found = sorted(
        path
        for folder in FOLDERS
        for path in (project / folder).rglob("*")
        if path.suffix in SUFFIXES and "__pycache__" not in path.parts
    )
    return Stamp(_digest([project / WORKSPACE]), _digest([*found, *(project / name for name in FILES)]))


def reload_locations(address: str) -> dict[str, str]:
    """Have Dagster load every code location anew; per location that could not be loaded what it said.

    Raises:
        OSError: the webserver does not answer.
    """
    request = urllib.request.Request(
        f"{address}/graphql",
        data=json.dumps({"query": _RELOAD}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        told = json.load(answer)["data"]["reloadWorkspace"]
    if told["__typename"] != "Workspace":
        return {"workspace": _reason(told)}
    return {
        str(entry["name"]): _reason(entry["locationOrLoadError"])
        for entry in told["locationEntries"]
        if (entry["locationOrLoadError"] or {}).get("__typename") == "PythonError"
    }


def _reason(error: dict[str, Any]) -> str:
    """What went wrong at the bottom of it; Dagster's own message only says that something did."""
    said = [error, *(error.get("causes") or ())][-1]
    return " ".join(str(said.get("message")).split())


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            state = path.stat()
        except FileNotFoundError:
            continue
        digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
    return digest.hexdigest()
