"""`mesh adopt`: another dbt project becomes contracts and products of a domain, all of it or nothing.

dbt reads the project in a process of its own; the result is tried in a copy of the mesh before a file is written.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from dagster_project.adopt.jinja import MACRO
from mesh.errors import ProjectError, UsageError
from mesh.ingest import load_sources
from mesh.project import Project, load_project
from mesh.scaffold.adopt import Adoption, ForeignProject, check_adoptable, plan_adoption
from mesh.scaffold.bundles import PLACES, apply

PROJECT_FILE = "dbt_project.yml"


def adopt(project: Project, path: Path, domain: str, *, landing: Path, owner: str | None = None) -> Adoption:
    """Write what another dbt project holds into a domain, which is made where it is not there.

    Args:
        landing: where first deliveries would go; the caller makes them.
        owner: who owns models that name no owner.

    Raises:
        UsageError: this is no dbt project, it was adopted before, holds no product, or a name is taken.
        ProjectError: it does not parse, or the mesh with it would not; nothing was changed.
    """
    if not (path / PROJECT_FILE).is_file():
        raise UsageError(f"{path} is no dbt project: it holds no {PROJECT_FILE}.")
    with tempfile.TemporaryDirectory(prefix="mesh-adopt-") as place, _process() as alone:
        work = Path(place)
        foreign = _read(path, domain, project, work, alone)
        planned = plan_adoption(project, foreign, domain, landing=landing, owner=owner)
        _try(project.root, planned, work / "mesh", alone)
    apply(planned.changes, project.root)
    return planned


def _process() -> ProcessPoolExecutor:
    """A process for dbt, which keeps much of what it once saw in globals."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def _read(path: Path, domain: str, project: Project, work: Path, alone: ProcessPoolExecutor) -> ForeignProject:
    from dagster_project.adopt.reading import read
    from dagster_project.adopt.rehearsal import copied, project_name, rehearse

    copied(path, work / "project")
    # Told before anything is run.
    check_adoptable(project, project_name(work / "project"), domain)
    try:
        seen = alone.submit(rehearse, work / "project", work / "dbt").result()
    except ProjectError as error:
        raise ProjectError(str(error), file=path) from None
    macros = {
        name for file in (project.root / "dbt" / "macros").rglob("*.sql") for name in MACRO.findall(file.read_text())
    }
    return read(seen, path, domain, macros)


def _try(root: Path, planned: Adoption, copy: Path, alone: ProcessPoolExecutor) -> None:
    """Hold the mesh as it would be against its own readers and against dbt."""
    for place in PLACES:
        shutil.copytree(root / place, copy / place, ignore=shutil.ignore_patterns("target", "logs", "__pycache__"))
    for change in planned.changes:
        target = copy / change.path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(change.after)
    load_project(copy)
    load_sources(copy, planned.domain)
    said = alone.submit(_parse, copy / "dbt", copy / "target").result()
    if said is not None:
        told = " ".join(said.replace(f"{copy}/", "").split())
        raise ProjectError(f"The mesh with {planned.domain} would not parse, so nothing was changed: {told}")


def _parse(folder: Path, target: Path) -> str | None:
    """What dbt finds wrong with a project, or None."""
    from dbt.cli.main import dbtRunner

    words = [
        "--quiet", "--no-use-colors", "--no-send-anonymous-usage-stats", "--no-version-check", "--no-write-json",
        "--log-path", str(target), "--log-level-file", "none", "--log-level", "none",
        "parse", "--project-dir", str(folder), "--profiles-dir", str(folder), "--target", "lint",
        "--target-path", str(target),
    ]  # fmt: skip
    done = dbtRunner().invoke(words)
    return None if done.success else str(done.exception)
