"""A contract held against the lake by hand: the same audit as before a release, with nothing recorded or published.

`check_contract` takes any contract of the product's tables, so that rules which are not filed yet can be tried.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from mesh.audit import Audit, Candidate, audit, check_expectations, safe_message
from mesh.contract import Contract, not_executed
from mesh.errors import MeshError, NotFound, UsageError
from mesh.lake import INPUTS, attach_inputs, reader
from mesh.levels import LevelResult, judge_levels
from mesh.release import find_build, last_build, parse_reference

if TYPE_CHECKING:
    from mesh.project import Product
    from mesh.session import Mesh

CATALOG = "mesh"


@dataclass(frozen=True)
class Source:
    """What is checked: a product's build tables at one snapshot, its inputs at another."""

    product: Product
    snapshot: int
    inputs_snapshot: int | None


@dataclass(frozen=True)
class Difference:
    """A rule on which the audit and Great Expectations on pandas do not agree."""

    rule: str
    passed: bool
    failing: int | None
    gx_passed: bool
    gx_failing: int | None

    def __str__(self) -> str:
        words = {True: "passed", False: "failed"}
        ours, theirs = (
            f"{words[passed]}" + ("" if failing is None else f" with {failing:,} failing rows")
            for passed, failing in ((self.passed, self.failing), (self.gx_passed, self.gx_failing))
        )
        return f"{self.rule}: compiled {ours}, Great Expectations {theirs}"


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        levels: how the service levels are kept that no snapshot holds; none of another consumer's terms.
        only_compiled: rules that Great Expectations has no words for; empty unless it was asked.
    """

    audit: Audit
    levels: tuple[LevelResult, ...]
    not_executed: tuple[tuple[str, str], ...]
    with_gx: bool
    differing: tuple[Difference, ...] = ()
    only_compiled: tuple[str, ...] = ()


def source_of(mesh: Mesh, key: str, at: str | None = None) -> Source:
    """The newest candidate of a product, else its served release; with `at`, that snapshot or release.

    Raises:
        NotFound: no such product or release, or nothing was built yet.
        UsageError: `at` is neither a snapshot nor a release of this product.
    """
    product = mesh.project.product(key)
    if at is not None and at.isdecimal():
        build = find_build(mesh.postgres, product.key, int(at))
        return Source(product, int(at), build.inputs_snapshot if build else None)
    if at is not None:
        name, number = parse_reference(at)
        if name != product.key:
            raise UsageError(f"{at} is no release of {product.key}.")
        release = mesh.history().get(name, number)
        return Source(product, release.snapshot, release.inputs_snapshot)
    newest = last_build(mesh.postgres, product.key)
    if newest is not None:
        return Source(product, newest.snapshot, newest.inputs_snapshot)
    served = mesh.history().served.get(product.key)
    if served is None:
        raise NotFound(f"{product.key} was not built yet, so there is nothing to check. `mesh run` builds it.")
    return Source(product, served.snapshot, served.inputs_snapshot)


def check_contract(mesh: Mesh, source: Source, contract: Contract | None = None, *, with_gx: bool = False) -> Checked:
    """Audit a product's tables, through the role that can only read.

    Args:
        contract: other terms for the same tables; default: the product's own.
        with_gx: run Great Expectations on pandas too; it reads every row into memory.

    Raises:
        ContractError: a custom rule that Great Expectations does not know.
        MeshError: the lake cannot be read at that snapshot.
    """
    product, terms = source.product, contract or source.product.contract
    check_expectations(terms)
    differing: list[Difference] = []
    only: list[str] = []
    with contextlib.closing(reader(mesh.postgres, mesh.settings, at=source.snapshot)) as connection:
        try:
            if source.inputs_snapshot is not None:
                attach_inputs(connection, mesh.postgres, mesh.settings, source.inputs_snapshot)
            now = datetime.now(UTC).replace(tzinfo=None)
            found = audit(connection, terms, domain_schema=product.build_schema, snapshot=source.snapshot,
                          catalog=CATALOG, inputs=INPUTS, now=now)  # fmt: skip
            if with_gx:
                candidate = Candidate(connection, product.build_schema, source.snapshot, CATALOG, INPUTS)
                differing, only = _compared(candidate, terms, found)
        except duckdb.Error as error:
            # from None: the engine's own text may repeat a value
            raise MeshError(f"{product.key} cannot be checked: {safe_message(error)}.") from None
    levels = () if contract else judge_levels(mesh.postgres, mesh.history(), terms, datetime.now(UTC))
    return Checked(found, levels, tuple(not_executed(terms)), with_gx, tuple(differing), tuple(only))


def _compared(candidate: Candidate, contract: Contract, found: Audit) -> tuple[list[Difference], list[str]]:
    from mesh.audit.gx import validate_with_gx

    differing, only = [], []
    for table in contract.tables:
        if candidate.columns(table.name) is None:
            continue
        frame = candidate.con.sql(f"select * from {candidate.table(table.name)}").df()
        theirs = validate_with_gx(frame, contract, table)
        for rule in table.rules:
            ours = next(result for result in found.results if result.rule_id == rule.id)
            seen = theirs.get(rule.id)
            if seen is None:
                only.append(rule.id)
            elif (ours.passed, ours.failing_rows) != (seen["success"], seen["unexpected_count"]):
                both = (ours.passed, ours.failing_rows, seen["success"], seen["unexpected_count"])
                differing.append(Difference(rule.id, *both))
    return differing, only
