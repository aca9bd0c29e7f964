"""`mesh contract export` and `import` as they are called: bytes on the output, what is left out on the error stream."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.domains.desk import ROOT


def mesh(*words: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from mesh.cli import main; main()", "contract", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, timeout=60, env={**os.environ, "MESH_HOME": str(home)}
    )


def test_odcs_leaves_the_command_byte_for_byte_and_no_file_is_overwritten(tmp_path: Path) -> None:
    content = (ROOT / "contracts/claims/outcomes.yaml").read_bytes()
    done = mesh("export", "claims/outcomes", "--format", "odcs", home=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, content, b"")
    file = tmp_path / "out.yaml"
    file.write_text("mine")
    done = mesh("export", "claims/outcomes", "--format", "odcs", "--out", str(file), home=tmp_path)
    assert done.returncode == 2
    assert b"exists already" in done.stderr
    assert file.read_text() == "mine"


def test_what_a_format_cannot_say_is_told_beside_the_output(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.sql"
    done = mesh("export", "claims/outcomes", "--format", "sql", "--out", str(file), home=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"outcomes.finding.finding_known" in done.stderr
    assert b"primary_key" not in done.stderr
    pytest.importorskip("datacontract", reason="EXTRA MISSING: pip install -e '.[exchange]' to run this test")
    done = mesh("import", str(file), "--format", "sql", "--domain", "claims", "--product", "outcomes", home=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"status: draft" in done.stdout
