"""Short ways to make a contract and a candidate in a lake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from mesh.audit import Audit, audit, quarantine
from mesh.contract import Contract, columns_ddl, parse_contract

NOW = datetime(2026, 1, 10, 12, 0, 0)

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
version: 1.0.0
status: active
domain: shop
dataProduct: orders
schema:
"""


def contract(schema: str, rest: str = "") -> Contract:
    """A contract from its `schema` list (and what follows it) as YAML text."""
    return parse_contract((HEAD + schema + "\n" + rest).encode(), Path("shop/orders.yaml"))


@dataclass
class Lake:
    """A lake with the schema `shop_build`, and another one attached as `inputs`."""

    con: duckdb.DuckDBPyConnection

    @property
    def snapshot(self) -> int:
        row = self.con.execute("select id from ducklake_current_snapshot('lake')").fetchone()
        assert row is not None
        return int(row[0])

    def build(self, terms: Contract, **tables: str) -> int:
        """Make each table of the contract anew and fill it with VALUES; the snapshot after that."""
        for table in terms.tables:
            self.con.execute(f"create or replace table shop_build.{table.name} ({columns_ddl(table)})")
            # Build tables carry no constraints of their own: the audit must find what is wrong.
            for column in table.columns:
                if column.required:
                    self.con.execute(f"alter table shop_build.{table.name} alter {column.name} drop not null")
            if tables.get(table.name):
                self.con.execute(f"insert into shop_build.{table.name} values {tables[table.name]}")
        return self.snapshot

    def audit(self, terms: Contract, snapshot: int | None = None, **more: Any) -> Audit:
        at = self.snapshot if snapshot is None else snapshot
        return audit(self.con, terms, domain_schema="shop_build", snapshot=at, **({"now": NOW} | more))

    def quarantine(self, terms: Contract) -> Any:
        return quarantine(self.con, terms, domain_schema="shop_build")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.con.execute(query).fetchall()
