"""Raw tables as `domain.yaml` lists them, and the sources of a domain held against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mesh.errors import ProjectError
from mesh.ingest.source import NAME, Column, Source, load_source
from mesh.project import DomainFile, read_domain_file

CONTRACT_PREFIX = "source:"
BOOKKEEPING = ("_load_id", "_source", "_source_file", "_source_row")
REVERSIBLE = "reversibleIdentifiers"


@dataclass(frozen=True)
class RawTable:
    """A raw table: its columns without the four bookkeeping ones, all of them text, and the product it feeds."""

    name: str
    feeds: str | None
    columns: tuple[str, ...]


def load_raw_tables(domain_file: Path) -> tuple[RawTable, ...]:
    """The raw tables among the input ports of a `domain.yaml`, in its order.

    Raises:
        ProjectError: the file is wrong, or a raw table does not list its columns.
    """
    return _raw_tables(read_domain_file(domain_file), domain_file)


def load_sources(project: Path, domain: str) -> tuple[Source, ...]:
    """The sources of a domain, ordered by name.

    Args:
        project: the folder that holds `data_products/`.

    Raises:
        ProjectError: a source file is wrong, two share a name, one fills a raw table or column that the domain does
            not list, or keeps a ciphertext where the domain may not.
    """
    folder = project / "data_products" / domain
    domain_file = folder / "domain.yaml"
    sources = [load_source(path) for path in sorted((folder / "sources").glob("*.yaml"))]
    described = read_domain_file(domain_file) if domain_file.is_file() else None
    tables = {table.name: table for table in _raw_tables(described, domain_file)} if described else {}
    reversible = described is not None and described.properties.get(REVERSIBLE) is True
    seen: dict[str, Source] = {}
    for source in sources:
        if source.name in seen:
            _fail(source, "source", f"`{source.name}` is the name of {seen[source.name].path.name} too.")
        seen[source.name] = source
        _check(source, tables, reversible)
    return tuple(sorted(sources, key=lambda source: source.name))


def _check(source: Source, tables: Mapping[str, RawTable], reversible: bool) -> None:
    if tables and source.into not in tables:
        _fail(source, "into", f"`{source.into}` is no raw table of domain {source.domain}.", ", ".join(tables))
    for column in source.columns:
        if column.keep_cipher and not reversible:
            what = f"keeps a ciphertext, which domain {source.domain} may not."
            _fail(source, f"columns.{column.name}", what, f"only with `{REVERSIBLE}: true` in domain.yaml")
        if tables:
            _check_column(source, column, tables[source.into].columns)


def _check_column(source: Source, column: Column, listed: Sequence[str]) -> None:
    strangers = [name for name in column.raw_columns if name not in listed]
    if strangers:
        what = f"fills {', '.join(strangers)}, not among the columns of {source.into} in domain.yaml."
        _fail(source, f"columns.{column.name}", what, ", ".join(listed))


def _raw_tables(described: DomainFile, file: Path) -> tuple[RawTable, ...]:
    tables = []
    for port in described.input_ports:
        if not (port.contract_id or "").startswith(CONTRACT_PREFIX):
            continue
        field = f"inputPorts.{port.name}"
        columns = port.properties.get("columns")
        if not NAME.fullmatch(port.name):
            raise ProjectError("is no name of a raw table.", file=file, field=field, allowed="such as raw_claims")
        if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
            raise ProjectError("does not list its columns.", file=file, field=field, allowed="property: columns")
        wrong = [name for name in columns if not NAME.fullmatch(name)]
        if wrong or len(set(columns)) != len(columns):
            what = f"`{wrong[0]}` is no name of a column." if wrong else "lists a column twice."
            raise ProjectError(what, file=file, field=field, allowed="lower case letters, digits and _")
        feeds = port.properties.get("feeds")
        tables.append(RawTable(port.name, None if feeds is None else str(feeds), tuple(columns)))
    return tuple(tables)


def _fail(source: Source, field: str, what: str, allowed: str | None = None) -> None:
    raise ProjectError(what, file=source.path, line=source.lines.get(field), field=field, allowed=allowed)
