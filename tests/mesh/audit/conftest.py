"""A real DuckLake on a file catalog."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from audit_lake import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    spec = importlib.util.find_spec("duckdb_extension_ducklake")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    extension = next(folder.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension"))
    with duckdb.connect(config={"threads": 2}) as con:
        con.execute(f"load '{extension}'")
        for name in ("inputs", "lake"):
            files = tmp_path / name
            con.execute(
                f"attach 'ducklake:{files}.ducklake' as {name} (data_path '{files}', data_inlining_row_limit 0)"
            )
            con.execute(f"use {name}")
        con.execute("create schema shop_build")
        yield Lake(con)
