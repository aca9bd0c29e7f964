"""Names and shapes of a candidate's tables at one snapshot of the lake."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import duckdb

from mesh.contract.model import Contract, Rule
from mesh.contract.predicates import literal, quoted

# Messages of these name only tables, columns and words of the query; all others may repeat a value of a row.
SPEAKING = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


class RuleError(Exception):
    """A rule that could not be run; the text holds no row values."""


def safe_message(error: duckdb.Error) -> str:
    """What an engine error may say to people: never a value of a row."""
    if isinstance(error, SPEAKING):
        return str(error).strip().splitlines()[0]
    return f"{type(error).__name__} (its text is kept back, as it may repeat a value)"


@dataclass(frozen=True)
class Candidate:
    """The build tables of one domain, read at one snapshot (None: as they are now)."""

    con: duckdb.DuckDBPyConnection
    domain_schema: str
    snapshot: int | None
    catalog: str = "lake"
    inputs: str = "inputs"
    # What stands at a snapshot never changes; asking the catalog takes as long as scanning a column of a million rows.
    _seen: dict[str, dict[str, str] | None] = field(default_factory=dict, compare=False, repr=False)

    def table(self, name: str) -> str:
        """The FROM term of a build table."""
        term = quoted(self.catalog, self.domain_schema, name)
        # A subquery, because DuckDB takes no alias behind `at (...)`.
        return term if self.snapshot is None else f"(select * from {term} at (version => {int(self.snapshot)}))"

    def columns(self, name: str) -> dict[str, str] | None:
        """Column to type, in order, or None where the table does not exist."""
        if self.snapshot is None:
            return self._columns(name)
        if name not in self._seen:
            self._seen[name] = self._columns(name)
        return self._seen[name]

    def _columns(self, name: str) -> dict[str, str] | None:
        try:
            rows = self.con.execute(f"describe select * from {self.table(name)}").fetchall()
        except duckdb.CatalogException:
            return None
        return {str(row[0]): str(row[1]) for row in rows}

    def identity(self, name: str) -> str | None:
        """The lake's own identity of a build table: a rebuilt table has another, an appended one keeps it.

        None where the table does not exist.
        """
        entry = self._entry(name)
        return None if entry is None else str(entry[1])

    def number(self, name: str) -> int | None:
        """The number under which the catalog keeps a build table, or None where the table does not exist."""
        entry = self._entry(name)
        return None if entry is None else int(entry[0])

    @property
    def metadata(self) -> str:
        """The catalog's own tables."""
        return quoted(f"__ducklake_metadata_{self.catalog}")

    def alive(self, alias: str) -> str:
        """The condition of what stands in the catalog's tables at the snapshot."""
        if self.snapshot is None:
            return f"{alias}.end_snapshot is null"
        at = int(self.snapshot)
        return f"{alias}.begin_snapshot <= {at} and ({alias}.end_snapshot is null or {alias}.end_snapshot > {at})"

    def _entry(self, name: str) -> tuple[Any, ...] | None:
        return self.con.execute(
            f"select t.table_id, t.table_uuid from {self.metadata}.ducklake_table t "
            f"join {self.metadata}.ducklake_schema s using (schema_id) where {self.alive('t')} and {self.alive('s')} "
            f"and t.table_name = {literal(name)} and s.schema_name = {literal(self.domain_schema)}"
        ).fetchone()

    def scope(self, contract: Contract, query: str) -> str:
        """A query that sees the contract's tables at the snapshot under their plain names."""
        tables = ", ".join(
            f"{quoted(table.declared)} as not materialized (select * from {self.table(table.name)})"
            for table in contract.tables
            if self.columns(table.name) is not None
        )
        return f"with {tables} select * from ({query})" if tables else query

    def target(self, rule: Rule) -> str:
        """The FROM term of the table that a relationship points to.

        Raises:
            RuleError: no published table of that name can be found.
        """
        domain, name, major = (rule.arguments[key] for key in ("domain", "to_table", "major"))
        if domain is None:
            return self.table(name)
        found = self.con.execute(
            "select schema_name, view_name from duckdb_views() where database_name = "
            f"'{self.inputs}' and starts_with(view_name, '{name}_v')"
        ).fetchall()
        majors = {
            int(match.group(1)): view
            for schema, view in found
            if schema == domain and (match := re.fullmatch(rf"{name}_v(\d+)", view))
        }
        if not majors or (major is not None and major not in majors):
            wanted = f"{domain}.{name}" + (f"_v{major}" if major is not None else "")
            raise RuleError(f"no release of {wanted} is published, so nothing can be looked up in it")
        return quoted(self.inputs, domain, majors[max(majors) if major is None else major])

    def unmatched(self, rule: Rule) -> str:
        """The condition of rows, under the alias `judged`, whose key is not in the table a relationship points to.

        Raises:
            RuleError: see `target`.
        """
        columns = rule.arguments["to_columns"]
        target = self.target(rule)
        if len(columns) == 1:
            # Faster than `not exists` by half, and the same where no missing value is on either side.
            there = quoted(columns[0])
            return f"judged.{quoted(rule.columns[0])} not in (select {there} from {target} where {there} is not null)"
        pairs = zip(rule.columns, columns, strict=True)
        same = " and ".join(f"target.{quoted(there)} = judged.{quoted(here)}" for here, there in pairs)
        return f"not exists (select 1 from {target} as target where {same})"
