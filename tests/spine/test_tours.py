"""Every command of the five-minute tours is run as it stands, in its order; the notebook is executed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT, copy_project
from tests.spine.conftest import Spine, new_spine

TOURS = ROOT / "docs/tours"
FAILS = "# exits with 1"

pytestmark = pytest.mark.timeout(900)


def blocks(page: Path) -> list[tuple[str, str]]:
    """The shell and Python blocks of a page, in their order."""
    found: list[tuple[str, str]] = re.findall(r"```(sh|python)\n(.*?)```", page.read_text(), re.S)
    return found


def environment(spine: Spine) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MESH_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, **spine.environment, "PATH": path, "PYTHONWARNINGS": "ignore"}


def follow(page: Path, spine: Spine) -> dict[str, list[str]]:
    """Run a page; what each command printed, each time that it stands there."""
    printed: dict[str, list[str]] = {}
    for kind, block in blocks(page):
        for words in [block] if kind == "python" else block.splitlines():
            command = [sys.executable, "-c", words] if kind == "python" else ["bash", "-c", words]
            done = subprocess.run(
                command, cwd=spine.project, env=environment(spine), capture_output=True, text=True, check=False
            )
            assert done.returncode == (1 if FAILS in words else 0), f"{words}\n{done.stdout}\n{done.stderr}"
            printed.setdefault(words.partition("  #")[0].strip(), []).append(done.stdout)
    return printed


@pytest.mark.parametrize("name", ["analyst", "model-owner", "consumer"])
def test_a_reader_s_tour_works_as_written(name: str, spine: Spine) -> None:
    printed = follow(TOURS / f"{name}.md", spine)
    assert len(printed) >= 5
    # What goes to a file says nothing.
    assert [words for words, said in printed.items() if not said[0].strip() and "--out " not in words] == []


def test_a_domain_team_s_tour_works_as_written(postgres_host: str, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    spine = new_spine(tmp_path, postgres_host, landing, copy_project(tmp_path / "project"))
    printed = {words: said[-1] for words, said in follow(TOURS / "domain-team.md", spine).items()}
    history = spine.mesh.history().of("parking/permits")
    assert [(one.kind, one.release, one.rows["permits"], one.quarantined.get("permits", 0)) for one in history] == [
        ("release", 1, 360, 0), ("release", 2, 360, 0), ("release", 3, 367, 1), ("rollback", 1, 360, 0),
    ]  # fmt: skip
    failures = printed["mesh failures parking/permits"]
    assert "permits.appealed.appealed_known" in failures
    assert "parking/permits/permits_spring.csv" in failures
    assert "Perhaps" not in failures
    assert "Perhaps" in printed['mesh failures parking/permits --role parking-team --purpose "mend the delivery"']
    assert "mend the delivery" in printed["mesh accesses"]
    assert "permits.has_rows" in printed["mesh audit parking/permits"]


def test_the_analyst_s_notebook_runs(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(spine).items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(TOURS / "analyst.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(spine.project)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds


def test_every_tour_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [path.name for path in sorted(TOURS.glob("*.md")) if f"docs/tours/{path.name}" not in readme] == []
