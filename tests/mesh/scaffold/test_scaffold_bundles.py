"""A bundle goes into its places whole, or nothing is changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mesh.errors import ProjectError, UsageError
from mesh.model import load_definition
from mesh.project import load_project
from mesh.scaffold.bundles import add_bundle
from tests.conftest import ROOT, copy_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


def files(project: Path) -> dict[str, bytes]:
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*") if path.is_file()}


def test_the_motor_bundle_adds_a_product_and_its_model(project: Path) -> None:
    changed = add_bundle(ROOT / "examples/motor", project)
    assert [str(change.path.relative_to(project)) for change in changed] == [
        "contracts/claims/motor_claims.yaml",
        "contracts/insight/motor_scores.yaml",
        "data_products/claims/domain.yaml",
        "data_products/claims/sources/motor.yaml",
        "data_products/insight/domain.yaml",
        "data_products/insight/models/motor.yaml",
        "dbt/models/claims/motor.yml",
        "dbt/models/claims/products/motor_claims.sql",
        "dbt/models/claims/staging/stg_motor_claims.sql",
    ]
    products = load_project(project).products
    assert products["insight/motor_scores"].inputs == ("claims/motor_claims",)
    assert load_definition(project / "data_products/insight/models/motor.yaml").feature_selection == "automatic"
    assert add_bundle(ROOT / "examples/motor", project) == ()


def test_what_does_not_fit_leaves_everything_as_it_was(project: Path, tmp_path: Path) -> None:
    before = files(project)
    bundle = tmp_path / "bundle"
    shutil.copytree(ROOT / "examples/motor", bundle)
    (bundle / "contracts/insight/motor_scores.yaml").unlink()
    with pytest.raises(ProjectError, match="names contract insight-motor_scores"):
        add_bundle(bundle, project)
    assert files(project) == before

    (project / "dbt/models/claims/motor.yml").write_text("something else")
    with pytest.raises(UsageError, match=r"is there already and differs"):
        add_bundle(ROOT / "examples/motor", project)
    with pytest.raises(UsageError, match="is not a folder"):
        add_bundle(tmp_path / "nowhere", project)
    with pytest.raises(UsageError, match="holds none of contracts/, data_products/, dbt/"):
        add_bundle(project / "docs", project)
