"""What the catalogue tells, read from the project's files and from what is on record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from mesh.access.log import Usage, read_usage
from mesh.audit import Audit
from mesh.catalogue.queries import Query, sample_queries
from mesh.contract import Consumer, Contract, ServiceLevel
from mesh.contract.consumers import folder, read_consumer
from mesh.contract.service import holds_frequency, of_the_release
from mesh.errors import ContractError
from mesh.levels import LevelResult, judge_levels, last_probe
from mesh.levels.releases import allowed_gap
from mesh.lineage import Lineage
from mesh.project import Domain, Product, Project
from mesh.release import History, Release, find_audit
from mesh.release.history import read_whole

if TYPE_CHECKING:
    from mesh.postgres import Postgres
    from mesh.session import Mesh


@dataclass(frozen=True)
class Entry:
    """A product of the catalogue.

    Attributes:
        served: the release its views point to, with its contract and lineage; None before the first.
        records: releases and rollbacks, newest first.
        audit: what each rule said of the served release.
        unreadable: files of consumers that are wrong, with what is wrong.
        majors: the products that are other major versions of this one.
        levels: how the service levels were kept that are judged from releases and probes.
        judged_at: when that was: at the product's newest release or probe, so that the same records give the same page.
    """

    product: Product
    served: Release | None
    records: tuple[Release, ...]
    audit: Audit | None
    consumers: tuple[Consumer, ...]
    unreadable: tuple[str, ...]
    downstream: tuple[str, ...]
    majors: tuple[str, ...]
    usage: tuple[Usage, ...]
    queries: tuple[Query, ...]
    levels: tuple[LevelResult, ...] = ()
    judged_at: datetime | None = None

    @property
    def contract(self) -> Contract:
        return self.product.contract

    @property
    def retired(self) -> Release | None:
        """The record of its end, where it was retired."""
        newest = self.records[0] if self.records else None
        return newest if newest is not None and newest.kind == "retired" else None

    @property
    def status(self) -> str:
        """As its contract says, unless the mesh has retired it."""
        return "retired" if self.retired else self.contract.status

    @property
    def end(self) -> str | None:
        """The announced day after which it may be retired."""
        return next((str(level.value) for level in self.contract.sla if level.name == "endOfLife"), None)

    @property
    def page(self) -> str:
        """The page of the product, from the catalogue's folder."""
        return f"{self.product.key}.html"

    @property
    def lineage(self) -> Mapping[str, Lineage]:
        """Per view of the served release where its columns come from; without views whose lineage is not on record."""
        if self.served is None:
            return {}
        views = zip(self.served.tables, self.served.views, strict=True)
        return {view: self.served.lineage[table] for table, view in views if table in self.served.lineage}

    @property
    def freshness(self) -> ServiceLevel | None:
        """The shortest age that the newest release may have."""
        ages = [level for level in self.contract.sla if of_the_release(level)]
        return min(ages, key=lambda level: (level.age is None, level.age), default=None)

    @property
    def due(self) -> datetime | None:
        """When the next release has to be there by the contract's freshness."""
        level, newest = self.freshness, next((record for record in self.records if record.kind == "release"), None)
        if self.served is None or level is None or level.age is None or newest is None or newest.published_at is None:
            return None
        return newest.published_at + level.age

    @property
    def dues(self) -> Mapping[ServiceLevel, datetime]:
        """When the next release has to be there, by each level that says so."""
        made = next((record.published_at for record in self.records if record.kind == "release"), None)
        if self.served is None or made is None:
            return {}
        ages = {level: level.age for level in self.contract.sla if of_the_release(level) and level.age}
        gaps = {level: allowed_gap(level) for level in self.contract.sla if holds_frequency(level)}
        return {level: made + length for level, length in {**ages, **gaps}.items()}


@dataclass(frozen=True)
class Catalogue:
    """Every domain with its products, by name."""

    project: Project
    entries: Mapping[str, Entry]

    @property
    def domains(self) -> tuple[Domain, ...]:
        return tuple(self.project.domains[name] for name in sorted(self.project.domains))

    def of(self, domain: Domain) -> tuple[Entry, ...]:
        """The products of a domain, by name."""
        return tuple(self.entries[product.key] for product in sorted(domain.products, key=lambda each: each.key))

    def view_page(self, view: str) -> str | None:
        """The page of the product that publishes `schema.view`, if one does."""
        for entry in self.entries.values():
            if entry.served is not None and view in entry.served.views:
                return entry.page
        return None


def gather(mesh: Mesh) -> Catalogue:
    """The catalogue as things stand now. Reads only; takes one connection to try the sample queries.

    Raises:
        ProjectError, ContractError: a file of the mesh is wrong; the message names it.
    """
    project, history = mesh.project, mesh.history()
    usage = read_usage(mesh.postgres)
    served = {key: read_whole(mesh.postgres, release) for key, release in history.served.items()
              if key in project.products}  # fmt: skip
    queries = _queries(mesh, project, served)
    entries = {
        key: _entry(project, mesh.postgres, history, product, served.get(key), queries.get(key, ()), usage)
        for key, product in sorted(project.products.items())
    }
    return Catalogue(project, entries)


def stamp(mesh: Mesh) -> str:
    """A digest of all that the catalogue is made from, cheap to take: equal means that nothing has to be made anew."""
    digest = hashlib.sha256()
    for name in ("contracts", "data_products"):
        for path in sorted((mesh.settings.project / name).rglob("*.y*ml")):
            found = path.stat()
            digest.update(f"{path}\0{found.st_mtime_ns}\0{found.st_size}\n".encode())
    with mesh.postgres.cursor() as cursor:
        cursor.execute(
            "select (select max(id) from mesh.audit), (select sum(looks) from mesh.usage), "
            "(select max(id) from mesh.probe), "
            "to_regclass('public.ducklake_snapshot') is not null"
        )
        audit, access, probe, lake = cursor.fetchone()
        snapshot = None
        if lake:
            cursor.execute("select max(snapshot_id) from ducklake_snapshot")
            (snapshot,) = cursor.fetchone()
    digest.update(f"{audit} {access} {probe} {snapshot}".encode())
    return digest.hexdigest()


def _entry(
    project: Project,
    postgres: Postgres,
    history: History,
    product: Product,
    served: Release | None,
    queries: Sequence[Query],
    usage: Iterable[Usage],
) -> Entry:
    consumers, unreadable = _consumers(project, product)
    records = history.of(product.key)
    moments = [*(record.published_at for record in records[-1:]), last_probe(postgres, product.key)]
    judged_at = max((moment for moment in moments if moment is not None), default=None)
    return Entry(
        product=product,
        served=served,
        records=tuple(reversed(records)),
        audit=find_audit(postgres, product.key, served.snapshot, served.contract_hash) if served else None,
        consumers=consumers,
        unreadable=unreadable,
        downstream=tuple(sorted(project.downstream(product.key))),
        majors=_majors(project, product),
        usage=tuple(each for each in usage if each.product == product.key),
        queries=tuple(queries),
        levels=judge_levels(postgres, history, product.contract, judged_at) if judged_at else (),
        judged_at=judged_at,
    )


def _majors(project: Project, product: Product) -> tuple[str, ...]:
    """The other majors of a product: their contracts have the same id."""
    return tuple(
        other.key
        for other in sorted(project.domains[product.domain].products, key=lambda each: each.key)
        if other.contract.id == product.contract.id and other.key != product.key
    )


def _consumers(project: Project, product: Product) -> tuple[tuple[Consumer, ...], tuple[str, ...]]:
    """Who is registered; a file that is wrong is told, for it must not hide the others."""
    found, wrong = [], []
    for file in sorted(folder(project.root, product.key).glob("*.y*ml")):
        try:
            found.append(read_consumer(file, product.contract))
        except ContractError as error:
            wrong.append(f"{file.name}: {error.what}")
    return tuple(found), tuple(wrong)


def _queries(mesh: Mesh, project: Project, served: Mapping[str, Release]) -> dict[str, tuple[Query, ...]]:
    """Sample queries of every served product, each bound against its views."""
    if not served:
        return {}
    connection = mesh.reader()
    try:
        return {
            key: sample_queries(connection, project.products[key].contract, release) for key, release in served.items()
        }
    finally:
        connection.close()
