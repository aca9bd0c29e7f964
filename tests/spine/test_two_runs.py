"""Two runs at once on one mesh: each product is released once, and nobody fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.spine.bench import served
from tests.spine.conftest import Spine, new_spine

pytestmark = pytest.mark.timeout(900)


def test_two_runs_at_once_share_the_work(simulated: Path, postgres_host: str, tmp_path: Path) -> None:
    """From an empty home on: keys, catalog, Dagster's tables and the dbt manifest are made by whoever is first."""
    spine = new_spine(tmp_path, postgres_host, simulated)
    told = at_once(spine, 2, "--select", "claims")
    for key in ("claims/claims", "claims/outcomes"):
        assert sorted(products[key]["status"] for products in told) == ["released", "unchanged"]
        assert served(spine.mesh)[key]["records"] == [("release", 1)]


@pytest.mark.torture
def test_many_whole_runs_at_once_share_the_work(
    spine: Spine, simulated: Path, postgres_host: str, tmp_path: Path
) -> None:
    many = new_spine(tmp_path, postgres_host, simulated)
    told = at_once(many, 4)
    for key in served(spine.mesh):
        assert sorted(products[key]["status"] for products in told) == ["released"] + ["unchanged"] * 3
        assert served(many.mesh)[key]["records"] == [("release", 1)]


def at_once(spine: Spine, times: int, *words: str) -> list[dict[str, dict[str, object]]]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(lambda _: spine.run(*words), range(times)))
