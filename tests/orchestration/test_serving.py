"""What `mesh up` sees: edits of the files that code locations are made from, and whether a process still lives."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from dagster_project.reloading import stamp
from dagster_project.services import _lives
from tests.conftest import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (
        "contracts/claims/claims.yaml",
        "dbt/models/claims/claims.sql",
        "dbt/dbt_project.yml",
        "workspace.yaml",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "files", "workspace"),
    [
        ("contracts/claims/claims.yaml", True, False),
        ("contracts/claims/claims.consumers/case_work.yaml", True, False),
        ("data_products/claims/sources/new.yaml", True, False),
        ("dbt/models/claims/claims.sql", True, False),
        ("dbt/dbt_project.yml", True, False),
        ("workspace.yaml", False, True),
        ("contracts/claims/notes.txt", False, False),
        ("data_products/claims/__pycache__/assets.py", False, False),
    ],
)
def test_an_edit_is_noticed_where_a_code_location_is_made_of_it(
    project: Path, name: str, files: bool, workspace: bool
) -> None:
    before = stamp(project)
    assert stamp(project) == before
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text("another")
    after = stamp(project)
    assert (after.files != before.files, after.workspace != before.workspace) == (files, workspace)


def test_a_process_that_has_ended_is_gone_though_nobody_asked_for_its_end() -> None:
    """Else `mesh down` waits in vain for a `mesh up` whose parent is busy."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = psutil.Process(process.pid)
    assert _lives(seen)
    assert process.stdin is not None
    process.stdin.close()
    deadline = time.monotonic() + 30
    while _lives(seen) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(seen)
    process.wait()
    assert not _lives(seen)


def test_every_domain_has_its_code_location_and_line() -> None:
    domains = {path.parent.name for path in (ROOT / "data_products").glob("*/domain.yaml")}
    lines = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    assert [line["python_module"] for line in lines] == [
        {"module_name": f"dagster_project.locations.{name}", "location_name": name}
        for name in (line["python_module"]["location_name"] for line in lines)
    ]
    assert {line["python_module"]["location_name"] for line in lines} == domains
    assert {path.stem for path in (ROOT / "dagster_project/locations").glob("[a-z]*.py")} == domains
