"""`mesh contract lint` as people and pipelines call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mesh.cli import build
from tests.conftest import ROOT
from tests.mesh.contract.test_contract_policies import MEETS_ALL, OWN


@pytest.fixture
def mesh_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one contract and one policy, as the working directory."""
    (tmp_path / "contracts" / "shop").mkdir(parents=True)
    (tmp_path / "contracts" / "shop" / "orders.yaml").write_text(MEETS_ALL)
    (tmp_path / "contracts" / "policies").mkdir()
    (tmp_path / "contracts" / "policies" / "own.py").write_text(OWN)
    monkeypatch.setenv("MESH_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path
