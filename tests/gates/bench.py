"""A database of its own for one contract: clean rows in, one damage after another, and what the audit says.

Most damages are tried on plain DuckDB tables, in a third of the time; `lake=True` makes it a real DuckLake, read at a
snapshot.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb

from mesh.audit import audit
from mesh.contract import Contract
from tests.gates.clean import NOW
from tests.gates.damage import Damage
from tests.gates.standard import Row, Table


class Bench:
    """The build schema of one product in a lake, and the published tables it reads as `inputs`."""

    def __init__(self, contract: Contract, lake: Path | None = None) -> None:
        """Plain tables in memory, or with a folder a DuckLake in it."""
        self.contract, self.lake = contract, lake
        self.schema = f"{contract.domain}_build"
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("attach ':memory:' as inputs")
        if lake is None:
            self.con.execute("attach ':memory:' as lake")
        else:
            self.con.execute(f"load '{_extension()}'")
            self.con.execute(
                f"attach 'ducklake:{lake}.ducklake' as lake (data_path '{lake}', data_inlining_row_limit 0)"
            )
        self.con.execute(f"create schema lake.{self.schema}")

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.con.close()

    def publish_targets(self, tables: Sequence[Table], rows: Mapping[str, list[Row]]) -> None:
        """For each reference to another product, that product's view with the values that the clean rows name."""
        for table in tables:
            for promise in table.promises:
                if promise.word == "relationships" and len(promise.given[0]) == 3:
                    domain, name, _ = promise.given[0]
                    self.con.execute(f"create schema if not exists inputs.{domain}")
                    fields = [(here, to[2], table.column(here).physical) for here, to in self._pairs(promise)]
                    columns = ", ".join(f"{there} {kind}" for _, there, kind in fields)
                    self.con.execute(f"create table inputs.{domain}.{name} ({columns})")
                    marks = ", ".join("?" for _ in fields)
                    self.con.executemany(
                        f"insert into inputs.{domain}.{name} values ({marks})",
                        [[row[here] for here, _, _ in fields] for row in rows[table.name]],
                    )
                    self.con.execute(f"create view inputs.{domain}.{name}_v1 as from inputs.{domain}.{name}")

    @staticmethod
    def _pairs(promise: Any) -> list[tuple[str, Any]]:
        return list(zip(promise.columns, promise.given, strict=True))

    def clean(self, table: str, rows: list[Row]) -> None:
        """The clean rows of a table, kept beside the lake to start every damage from."""
        columns = ", ".join(f'"{column.name}" {column.physical_type}' for column in self.contract.table(table).columns)
        self.con.execute(f"create or replace table memory.{table} (row_number integer, {columns})")
        marks = ", ".join("?" for _ in (0, *rows[0]))
        self.con.executemany(
            f"insert into memory.{table} values ({marks})", [[i, *row.values()] for i, row in enumerate(rows)]
        )
        self._build(table, f"memory.{table}", ())

    def damage(self, table: str, damage: Damage) -> None:
        """The clean rows with one damage, on top of what was there."""
        self.con.execute(f"create or replace temp table damaged as from memory.{table}")
        for (row, name), value in damage.cells.items():
            self.con.execute(f'update damaged set "{name}" = ? where row_number = ?', [value, row])
        if damage.keep is not None:
            self.con.execute("delete from damaged where row_number >= ?", [damage.keep])
        self._build(table, "damaged", damage.ddl)

    def _build(self, table: str, source: str, ddl: Sequence[str]) -> None:
        if ddl:
            self.con.execute(f"create or replace temp table changed as from {source} order by row_number")
            for statement in ddl:
                self.con.execute(statement.format(table="changed"))
            source = "changed"
        self.con.execute(
            f"create or replace table lake.{self.schema}.{table} as "
            f"select * exclude (row_number) from {source} order by row_number"
        )

    def failed(self) -> set[str]:
        """The rules that the audit of what was built last does not pass."""
        # Without a snapshot the tables are read as they are now.
        found = audit(
            self.con,
            self.contract,
            domain_schema=self.schema,
            snapshot=self._snapshot(),  # type: ignore[arg-type]
            now=NOW,
        )
        return {result.rule_id for result in found.results if result.status != "passed"}

    def _snapshot(self) -> int | None:
        if self.lake is None:
            return None
        row = self.con.execute("select id from ducklake_current_snapshot('lake')").fetchone()
        assert row is not None
        return int(row[0])


def _extension() -> Path:
    spec = importlib.util.find_spec("duckdb_extension_ducklake")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    [found] = folder.glob(f"extensions/v{duckdb.__version__}/ducklake.duckdb_extension")
    return found
