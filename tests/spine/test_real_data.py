"""Real files, by bundles: mapping files for a second source, a whole product with its model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mesh.scaffold.bundles import add_bundle
from tests.conftest import copy_project
from tests.spine.conftest import new_spine


def test_real_files_become_a_second_source_by_mapping_files_alone(
    simulated: Path, shared_data: Path, postgres_host: str, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project")
    shutil.copytree(simulated, tmp_path / "landing")
    spine = new_spine(tmp_path, postgres_host, tmp_path / "landing", project)
    for bundle, product, rows in (
        ("febrl", "identity/persons", 10_000),
        ("banking77", "interactions/messages", 13_083),
    ):
        changed = add_bundle(project / "examples" / bundle, project)
        assert {change.path.parent.name for change in changed} == {"sources"}
        shutil.copytree(shared_data / bundle, tmp_path / "landing" / bundle)

        outcome = spine.run("--select", product)[product]

        assert outcome["status"] == "released", outcome
        counts = spine.mesh.history().served[product].accounting
        total = sum(_delivered(simulated, product)) + rows
        assert (counts["source"], counts["published"], counts["difference"]) == (total, total, 0)


def _delivered(landing: Path, product: str) -> list[int]:
    folders = {"identity/persons": ("tax_records", "benefit_records"), "interactions/messages": ("messages",)}[product]
    counts = []
    for folder in folders:
        for path in landing.glob(f"*/{folder}/*"):
            header = 1 if path.suffix == ".csv" else 0
            counts.append(len(path.read_bytes().splitlines()) - header)
    return counts


def test_real_motor_claims_go_from_file_to_published_scores(shared_data: Path) -> None:
    """As good on 1995 as was measured when the product was written, and better than boosting on every column."""
    from benchmarks.real_claims import measure

    figures = {figure.name: figure for figure in measure(shared_data, resamples=50)}
    assert {name: figure.reached for name, figure in figures.items()} == {
        "auc": True,
        "average_precision": True,
        "recall_at_22": True,
    }
    assert all(figure.value > figure.peers["plain gradient boosting"] for figure in figures.values())


def test_a_bundle_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    from mesh.errors import ContractError

    project = copy_project(tmp_path / "project")
    bundle = tmp_path / "bundle"
    shutil.copytree(project / "examples" / "motor", bundle)
    contract = bundle / "contracts/claims/motor_claims.yaml"
    contract.write_text(contract.read_text().replace("kind: DataContract", "kind: DataContrat"))
    before = {path: path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()}
    with pytest.raises(ContractError, match=r"motor_claims\.yaml:2: kind"):
        add_bundle(bundle, project)
    assert {path: path.read_bytes() for path in sorted(project.rglob("*")) if path.is_file()} == before


def test_a_bundle_is_added_once(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    assert add_bundle(project / "examples" / "motor", project)
    assert add_bundle(project / "examples" / "motor", project) == ()
