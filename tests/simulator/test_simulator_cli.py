"""The command: `simulate` in any Typer application, and `python -m simulator` alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import simulator
from simulator.cli import register


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    register(app)
    app.command("other")(lambda: None)
    return app


def test_json_is_the_whole_summary_and_nothing_else(app, tmp_path):
    done = CliRunner().invoke(app, ["simulate", "--claims", "200", "--seed", "5", "--out", str(tmp_path), "--json"])
    assert done.exit_code == 0
    summary = json.loads(done.stdout)
    assert sorted(summary) == ["files", "fraud_rate", "rows", "seconds"]
    assert sum(summary["rows"][name] for name in ("cjrs", "seiss", "ssp", "uc_advance")) == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--claims", "0"], "between 1 and 100,000,000, not 0"),
        (["--claims", "-5"], "between 1 and 100,000,000, not -5"),
        (["--seed", "-1"], "seed must be 0 or greater, not -1"),
    ],
)
def test_impossible_requests_are_refused_with_the_reason(app, tmp_path, options, message):
    done = CliRunner().invoke(app, ["simulate", "--out", str(tmp_path / "new"), *options])
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_directory_with_foreign_files_is_refused_by_name(app, tmp_path):
    (tmp_path / "thesis.docx").write_text("mine")
    done = CliRunner().invoke(app, ["simulate", "--claims", "50", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "thesis.docx" in done.stderr
    assert "nothing was touched" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_file_in_place_of_the_directory_is_refused(app, tmp_path):
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["simulate", "--claims", "50", "--out", str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "is not a directory" in done.stderr


def test_the_package_runs_on_its_own(tmp_path):
    root = Path(simulator.__file__).parents[1]
    command = [sys.executable, "-m", "simulator", "--claims", "120", "--out", str(tmp_path / "landing")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "120 claims (seed 7" in done.stdout
    assert (tmp_path / "landing" / "manifest.json").is_file()
