"""Where the columns of a table come from, read out of the SQL that builds it.

A table is built by a chain of queries. Each is traced by itself, down to the columns of the tables it reads; then the
chain is put together, until only tables remain that no query of the chain builds: published inputs and raw tables.
Only the flow of values counts. What a filter or a join looks at decides which rows there are, and is not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node
    from sqlglot.optimizer.scope import Scope

Kind = Literal["identity", "transformation", "aggregation"]
KINDS: tuple[Kind, ...] = ("identity", "transformation", "aggregation")
"""From what leaves a value as it is to what melts many rows into one; of a chain the last of these counts."""

DIALECT = "duckdb"


@dataclass(frozen=True, order=True)
class ColumnSource:
    """A column that values flow from: its table as `schema.table`, its name, and what happens on the way."""

    table: str
    column: str
    kind: Kind = "identity"


@dataclass(frozen=True)
class ColumnLineage:
    """Where one column comes from.

    Attributes:
        sources: by table and name; empty where the column is computed from no column, such as a constant or a count.
        untraced: why some or all of its sources are not known, or empty where all are.
    """

    column: str
    sources: tuple[ColumnSource, ...] = ()
    untraced: str = ""

    @property
    def computed(self) -> bool:
        """True where no column flows in, as far as everything is known."""
        return not self.sources and not self.untraced


Lineage = tuple[ColumnLineage, ...]
"""The columns of one table, in their order."""


class Tracer:
    """Traces tables that a set of queries builds.

    Args:
        queries: the SELECT that builds each table, by `catalog.schema.table`.
        columns_of: the columns, in order, of a table that none of the queries builds.
    """

    def __init__(self, queries: Mapping[str, str], columns_of: Callable[[str], Sequence[str]]) -> None:
        self._queries, self._columns_of = queries, columns_of
        self._steps: dict[str, Lineage] = {}
        self._whole: dict[str, Lineage] = {}
        self._outside: dict[str, tuple[str, ...]] = {}

    def trace(self, table: str) -> Lineage:
        """The lineage of a table, down to tables that no query builds.

        Names of tables lose their catalog: `schema.table`. A query that cannot be read makes its columns untraced; it
        raises nothing.
        """
        if table not in self._whole:
            self._whole[table] = tuple(self._composed(table, column) for column in self._step(table))
        return self._whole[table]

    def _composed(self, table: str, column: ColumnLineage) -> ColumnLineage:
        """One column with every source that a query builds replaced by where that one comes from."""
        found: dict[tuple[str, str], Kind] = {}
        reasons = [column.untraced] if column.untraced else []
        for source in column.sources:
            if source.table == table:
                continue  # what it holds already came from its other sources
            if source.table not in self._queries:
                _add(found, _short(source.table), source.column, source.kind)
                continue
            upstream = {each.column: each for each in self.trace(source.table)}.get(source.column)
            if upstream is None:
                reasons.append(f"{_short(source.table)} has no column {source.column}")
                continue
            reasons += [upstream.untraced] if upstream.untraced else []
            for origin in upstream.sources:
                _add(found, origin.table, origin.column, max(source.kind, origin.kind, key=KINDS.index))
        sources = tuple(ColumnSource(table, name, kind) for (table, name), kind in sorted(found.items()))
        return ColumnLineage(column.column, sources, "; ".join(dict.fromkeys(reasons)))

    def _step(self, table: str) -> Lineage:
        """The lineage of a table to the tables that its own query reads."""
        if table not in self._steps:
            self._steps[table] = ()  # a query that reads its own table, as an incremental one does, ends here
            self._steps[table] = self._traced(table)
        return self._steps[table]

    def _traced(self, table: str) -> Lineage:
        from sqlglot import exp, parse_one
        from sqlglot.optimizer.qualify import qualify
        from sqlglot.optimizer.scope import build_scope

        try:
            parsed = parse_one(self._queries[table], dialect=DIALECT)
            query = qualify(
                parsed,
                dialect=DIALECT,
                schema=self._schema(parsed),
                validate_qualify_columns=False,
                quote_identifiers=False,
            )
            scope = build_scope(query)
        except Exception as error:  # whatever goes wrong here must not stop a release
            return self._unreadable(table, type(error).__name__)
        if scope is None or not isinstance(query, exp.Query):
            return self._unreadable(table, "no SELECT")
        if query.find(exp.Columns) or "*" in query.named_selects:
            return self._unreadable(table, "its columns are not written out")
        return tuple(self._column(name, scope, query) for name in query.named_selects)

    def _unreadable(self, table: str, why: str) -> Lineage:
        reason = f"the query of {_short(table)} cannot be traced ({why})"
        return tuple(ColumnLineage(column, (), reason) for column in self._columns(table))

    def _column(self, name: str, scope: Scope, query: exp.Query) -> ColumnLineage:
        from sqlglot.lineage import lineage

        try:
            root = lineage(name, query, {}, dialect=DIALECT, scope=scope, trim_selects=False, copy=False)
        except Exception as error:  # as above
            return ColumnLineage(name, (), f"the expression cannot be traced ({type(error).__name__})")
        found: dict[tuple[str, str], Kind] = {}
        reasons: list[str] = []
        _walk(root, "identity", found, reasons)
        sources = tuple(ColumnSource(table, column, kind) for (table, column), kind in sorted(found.items()))
        return ColumnLineage(name, sources, "; ".join(dict.fromkeys(reasons)))

    def _schema(self, query: exp.Expr) -> dict[str, object]:
        """What the query may refer to, nested as sqlglot takes it; every type stands as text, for none is looked at."""
        from sqlglot import exp

        schema: dict[str, object] = {}
        for found in query.find_all(exp.Table):
            if not found.db:
                continue  # a common table expression, or a function
            columns = self._columns(_name(found))
            database = schema.setdefault(found.catalog, {})
            tables = database.setdefault(found.db, {})  # type: ignore[attr-defined]
            tables[found.name] = dict.fromkeys(columns, "text")
        return schema

    def _columns(self, table: str) -> tuple[str, ...]:
        if table in self._queries and (step := self._step(table)):
            return tuple(column.column for column in step)
        if table not in self._outside:
            self._outside[table] = tuple(self._columns_of(table))
        return self._outside[table]


def _walk(node: Node, kind: Kind, found: dict[tuple[str, str], Kind], reasons: list[str]) -> None:
    from sqlglot import exp

    if isinstance(node.expression, exp.Table) and not node.downstream:
        column = node.name.rpartition(".")[2]
        if not node.expression.db:
            reasons.append("a table function is not looked into")
        elif column == "*":
            reasons.append(f"all columns of {_short(_name(node.expression))} are read at once")
        else:
            _add(found, _name(node.expression), column.strip('"'), kind)
        return
    if isinstance(node.expression, exp.Placeholder):
        reasons.append(f"{node.name} cannot be traced")
        return
    # The node of a union repeats the expression of its first branch, which says nothing of the others.
    union = isinstance(node.source, exp.SetOperation)
    here: Kind = kind if union else max(kind, _kind(node.expression), key=KINDS.index)
    for upstream in node.downstream:
        _walk(upstream, here, found, reasons)


def _kind(expression: exp.Expr) -> Kind:
    from sqlglot import exp

    value = expression.unalias()
    if isinstance(value, exp.Column | exp.Query | exp.Table):
        return "identity"
    melts = any(not each.find_ancestor(exp.Window) for each in value.find_all(exp.AggFunc))
    return "aggregation" if melts else "transformation"


def _add(found: dict[tuple[str, str], Kind], table: str, column: str, kind: Kind) -> None:
    found[table, column] = max(found.get((table, column), "identity"), kind, key=KINDS.index)


def _name(table: exp.Table) -> str:
    return ".".join(part for part in (table.catalog, table.db, table.name) if part)


def _short(table: str) -> str:
    return ".".join(table.split(".")[-2:])
