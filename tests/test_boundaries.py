"""The arrows of the architecture, held by the tools that know them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from importlinter.cli import lint_imports

from dagster_project import dbt
from mesh.session import Mesh
from tests.conftest import ROOT


def test_arrows_point_one_way() -> None:
    assert lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True) == 0


def test_every_model_is_private_to_the_group_of_its_domain(make_mesh: Callable[..., Mesh]) -> None:
    """Another domain's `ref()` of a private model is an error that dbt itself raises."""
    manifest = dbt.manifest(make_mesh())
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    assert len(models) > 30
    assert {
        name for name, node in models.items() if (node["group"], node["access"]) != (node["fqn"][1], "private")
    } == set()


def test_a_location_is_one_line(subtests: pytest.Subtests) -> None:
    """A new domain edits no platform file: its code location only names it."""
    for path in sorted((ROOT / "dagster_project/locations").glob("[a-z]*.py")):
        with subtests.test(path.stem):
            words = ["from", "dagster_project.factory", "import", "domain_definitions"]
            assert path.read_text().split() == [*words, "defs", "=", f'domain_definitions("{path.stem}")']
