"""A release of scores made again from its pinned inputs, model and contract, and compared bit for bit.

Doubles are compared by their 64 bits, not by value: -0.0 is not 0.0, and a last digit that differs is told. The
answer does not depend on threads, on what was published later, or on what is served now.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh.model.assembly import SCORED, assemble, facts_of
from mesh.model.frame import quote, read_rows
from mesh.model.pinned import PinnedScores, pin
from mesh.model.scoring import score

if TYPE_CHECKING:
    import duckdb

    from mesh.contract import Table
    from mesh.session import Mesh

REPLAYED = "replayed"
FLOATING = ("DOUBLE", "FLOAT", "REAL")


@dataclass(frozen=True)
class Replay:
    """What a replay found.

    Attributes:
        inputs: the pinned releases, `domain/product@number`.
        rows: published rows; `put_aside` were scored but kept back by a rule of the contract.
        differing: per column of the contract the rows whose bits differ.
        rows_differing: rows in which any column differs.
        only_published, only_replayed: rows that the other side does not have.
        made_by, replayed_by: the code revision of the release, and of this replay.
    """

    release: str
    model: str
    version: int
    sha256: str
    contract_version: str
    contract_hash: str
    inputs: tuple[str, ...]
    inputs_snapshot: int
    snapshot: int
    threads: int
    rows: int
    put_aside: int
    differing: dict[str, int] = field(hash=False)
    rows_differing: int
    only_published: int
    only_replayed: int
    made_by: str
    replayed_by: str

    @property
    def identical(self) -> bool:
        """Whether every bit of every row came out again."""
        return not (self.rows_differing or self.only_published or self.only_replayed)


def replay(mesh: Mesh, reference: str, *, threads: int | None = None) -> Replay:
    """Score again what a release scored and compare.

    Args:
        reference: `domain/product@number`, a release of scores.
        threads: of LightGBM and DuckDB; default those of the mesh. They change no bit.

    Raises:
        UsageError, NotFound, ModelError, MeshError: see `mesh.model.pinned`; the message says what is missing.
    """
    pinned = pin(mesh, reference)
    threads = threads or mesh.settings.threads
    with pinned.connect() as connection:
        connection.execute(f"set threads = {threads}")
        _score_again(connection, pinned, threads)
        return _compare(connection, pinned, threads)


def _score_again(connection: duckdb.DuckDBPyConnection, pinned: PinnedScores, threads: int) -> None:
    """Fill the temporary table `replayed` as a scoring would fill its candidate."""
    model, definition, table = pinned.model, pinned.definition, pinned.contract.tables[0]
    names = [feature.name for feature in model.card.features]
    rows = read_rows(connection, pinned.relation, model.card.key, definition.time, names)
    scored = score(model, rows, threads=threads)
    facts = facts_of(model, pinned.input.release, pinned.input.contract_version)
    made = assemble(connection, pinned.release.product, table, scored, pinned.relation, model.card.key, facts)
    connection.register(SCORED, scored)
    connection.execute(f"create temp table {REPLAYED} as {made.query}", list(made.values))
    connection.unregister(SCORED)


def _compare(connection: duckdb.DuckDBPyConnection, pinned: PinnedScores, threads: int) -> Replay:
    release, table, key = pinned.release, pinned.contract.tables[0], pinned.model.card.key
    put_aside = 0
    if release.quarantined.get(table.name):
        gone = f"{quote(key)} in (select {quote(key)} from {pinned.aside})"
        found = connection.execute(f"delete from temp.{REPLAYED} where {gone}").fetchone()
        put_aside = int(found[0]) if found else 0
    columns = [column.name for column in table.columns]
    unequal = [_unequal(table, name) for name in columns]
    both = f"p.{quote(key)} is not null and r.{quote(key)} is not null"
    counts = ", ".join(f"count(*) filter ({both} and {test})" for test in unequal)
    row = connection.execute(
        f"select count(p.{quote(key)}), count(*) filter (r.{quote(key)} is null), "
        f"count(*) filter (p.{quote(key)} is null), count(*) filter ({both} and ({' or '.join(unequal)})), {counts} "
        f"from {pinned.published} p full join temp.{REPLAYED} r on p.{quote(key)} = r.{quote(key)}"
    ).fetchone()
    assert row is not None
    rows, only_published, only_replayed, rows_differing, *differing = map(int, row)
    return Replay(
        release=release.reference,
        model=pinned.model.name,
        version=int(pinned.model.version or 0),
        sha256=pinned.model.sha256,
        contract_version=release.contract_version,
        contract_hash=release.contract_hash,
        inputs=tuple(map(str, release.inputs)),
        inputs_snapshot=int(release.inputs_snapshot or 0),
        snapshot=release.snapshot,
        threads=threads,
        rows=rows,
        put_aside=put_aside,
        differing=dict(zip(columns, differing, strict=True)),
        rows_differing=rows_differing,
        only_published=only_published,
        only_replayed=only_replayed,
        made_by=release.code_revision,
        replayed_by=pinned.mesh.code_revision,
    )


def _unequal(table: Table, name: str) -> str:
    """SQL that holds where a column differs in any bit; both sides were cast to the contract's type."""
    bits = "::bit" if table.column(name).physical_type.upper().startswith(FLOATING) else ""
    return f"(p.{quote(name)}{bits} is distinct from r.{quote(name)}{bits})"
