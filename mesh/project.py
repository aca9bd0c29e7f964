"""The mesh as its files describe it: domains, products, what each reads, and the order they build in.

`data_products/<domain>/domain.yaml` is an Open Data Product Standard document. Its output ports are the
products; each names its contract and, as input contracts, the products it is made from. Its input ports
are the raw tables its sources fill and the upstream products it may read.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mesh.contract import Contract, load_contracts, with_consumers
from mesh.errors import NotFound, ProjectError


class _Odps(BaseModel):
    """Base of the parts of Open Data Product Standard v1.0 that the mesh reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class CustomProperty(_Odps):
    property: str
    value: Any
    description: str | None = None


class _Port(_Odps):
    name: str
    version: str
    description: str | None = None
    contract_id: str | None = Field(default=None, alias="contractId")
    tags: tuple[str, ...] = ()
    custom_properties: tuple[CustomProperty, ...] = Field(default=(), alias="customProperties")
    authoritative_definitions: tuple[dict[str, str], ...] = Field(default=(), alias="authoritativeDefinitions")

    @property
    def properties(self) -> dict[str, Any]:
        return {item.property: item.value for item in self.custom_properties}


class InputContract(_Odps):
    id: str
    version: str


class InputPort(_Port):
    """A raw table (`contractId: source:<table>`) or an upstream product that the domain reads."""


class OutputPort(_Port):
    """A product that the domain publishes."""

    type: str | None = None
    sbom: tuple[dict[str, str], ...] = ()
    input_contracts: tuple[InputContract, ...] = Field(default=(), alias="inputContracts")


class DomainFile(_Odps):
    """`data_products/<domain>/domain.yaml`."""

    api_version: str = Field(alias="apiVersion", pattern=r"^v1\.\d+\.\d+$")
    kind: str = Field(pattern="^DataProduct$")
    id: str
    name: str
    version: str
    status: str
    domain: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    tenant: str | None = None
    description: dict[str, Any] = {}
    team: dict[str, Any] | tuple[dict[str, Any], ...] = {}
    tags: tuple[str, ...] = ()
    support: tuple[dict[str, Any], ...] = ()
    input_ports: tuple[InputPort, ...] = Field(default=(), alias="inputPorts")
    output_ports: tuple[OutputPort, ...] = Field(default=(), alias="outputPorts")
    management_ports: tuple[dict[str, Any], ...] = Field(default=(), alias="managementPorts")
    custom_properties: tuple[CustomProperty, ...] = Field(default=(), alias="customProperties")
    authoritative_definitions: tuple[dict[str, str], ...] = Field(default=(), alias="authoritativeDefinitions")
    product_created_ts: str | None = Field(default=None, alias="productCreatedTs")

    @property
    def properties(self) -> dict[str, Any]:
        return {item.property: item.value for item in self.custom_properties}


@dataclass(frozen=True)
class Product:
    """A product: its contract, with what its consumers expect of it, and the products it is made from, as
    `domain/product` keys.

    Of its raw tables, `fed_by` are those whose every row is accounted for; of the others it is computed.
    """

    key: str
    domain: str
    name: str
    description: str
    contract: Contract
    inputs: tuple[str, ...]
    raw_tables: tuple[str, ...]
    fed_by: tuple[str, ...]

    @property
    def build_schema(self) -> str:
        return f"{self.domain}_build"


@dataclass(frozen=True)
class Domain:
    """A domain team's part of the mesh."""

    name: str
    path: Path
    file: DomainFile
    products: tuple[Product, ...]

    @property
    def purpose(self) -> str:
        return str(self.file.description.get("purpose", ""))

    @property
    def build_schema(self) -> str:
        return f"{self.name}_build"


@dataclass(frozen=True)
class Project:
    """All domains of a mesh."""

    root: Path
    domains: Mapping[str, Domain]

    @cached_property
    def products(self) -> dict[str, Product]:
        """Every product by key, upstream before downstream; ties in the order of names."""
        by_key = {product.key: product for domain in self.domains.values() for product in domain.products}
        for product in by_key.values():
            for upstream in product.inputs:
                if upstream not in by_key:
                    raise ProjectError(
                        f"{product.key} reads {upstream}, which no domain publishes.",
                        file=self.domains[product.domain].path,
                    )
        sorter = graphlib.TopologicalSorter({key: sorted(by_key[key].inputs) for key in sorted(by_key)})
        try:
            return {key: by_key[key] for key in sorter.static_order()}
        except graphlib.CycleError as error:
            circle = " -> ".join(error.args[1])
            raise ProjectError(
                f"Products form a circle: {circle}. What flows back must arrive as source files or events."
            ) from error

    def product(self, key: str) -> Product:
        """The product of this key.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        if key not in self.products:
            raise NotFound(f"There is no product {key}. Products of this mesh: {', '.join(sorted(self.products))}.")
        return self.products[key]

    def domain(self, name: str) -> Domain:
        """The domain of this name, or NotFound."""
        if name not in self.domains:
            raise NotFound(f"There is no domain {name}. Domains of this mesh: {', '.join(sorted(self.domains))}.")
        return self.domains[name]

    def select(self, selection: str | None) -> tuple[Product, ...]:
        """All products, those of one domain, or one product, in build order."""
        if selection is None:
            return tuple(self.products.values())
        if "/" in selection:
            return (self.product(selection),)
        return tuple(p for p in self.products.values() if p.domain == self.domain(selection).name)

    def waves(self, products: Iterable[Product]) -> tuple[tuple[str, tuple[Product, ...]], ...]:
        """Group products into waves, each of one domain, so that no wave reads a later one.

        A domain's products go together as far as the order allows: one wave becomes one run.
        """
        left = {product.key: product for product in products}
        waves: list[tuple[str, tuple[Product, ...]]] = []
        while left:
            best: tuple[str, tuple[Product, ...]] | None = None
            for domain in sorted({product.domain for product in left.values()}):
                ready: dict[str, Product] = {}
                for key, product in self.products.items():
                    waits = any(upstream in left and upstream not in ready for upstream in product.inputs)
                    if key in left and product.domain == domain and not waits:
                        ready[key] = product
                if ready and (best is None or len(ready) > len(best[1])):
                    best = (domain, tuple(ready.values()))
            assert best is not None, "the products are ordered, so some wave is always ready"
            waves.append(best)
            for product in best[1]:
                del left[product.key]
        return tuple(waves)

    def downstream(self, key: str) -> tuple[str, ...]:
        """The products made directly from this one."""
        return tuple(product.key for product in self.products.values() if key in product.inputs)


def load_project(root: Path) -> Project:
    """Read every domain and contract under the mesh's folder.

    Raises:
        ProjectError, ContractError: a file is wrong; the message names file, line and field.
    """
    contracts = {key: with_consumers(root, contract) for key, contract in load_contracts(root).items()}
    by_id = {(contract.id, contract.major): key for key, contract in contracts.items()}
    domains = {}
    for path in sorted((root / "data_products").glob("*/domain.yaml")):
        file = read_domain_file(path)
        if file.domain != path.parent.name:
            raise ProjectError(
                f"says {file.domain}, but stands in the folder of {path.parent.name}.", file=path, field="domain"
            )
        domains[file.domain] = Domain(
            name=file.domain, path=path, file=file, products=_products(path, file, contracts, by_id)
        )
    return Project(root=root, domains=domains)


def read_domain_file(path: Path) -> DomainFile:
    """`domain.yaml` as the standard has it; ProjectError names the line and field that is wrong."""
    yaml = YAML(typ="rt")
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "is not UTF-8 text"
        raise ProjectError(f"not YAML: {problem}.", file=path, line=mark.line + 1 if mark else None) from error
    try:
        return DomainFile.model_validate(_plain(tree))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ProjectError(f"{first['msg']}.", file=path, line=_line(tree, first["loc"]), field=field) from error


def _products(
    path: Path, file: DomainFile, contracts: Mapping[str, Contract], by_id: Mapping[tuple[str, int], str]
) -> tuple[Product, ...]:
    upstream = {port.contract_id for port in file.input_ports}
    feeds: dict[str, list[str]] = {}
    used: dict[str, list[str]] = {}
    for raw in file.input_ports:
        if "feeds" in raw.properties:
            feeds.setdefault(str(raw.properties["feeds"]), []).append(raw.name)
        for product in _used_by(raw, path):
            used.setdefault(product, []).append(raw.name)
    strangers = sorted(set(used) - {port.name for port in file.output_ports})
    if strangers:
        known = ", ".join(port.name for port in file.output_ports)
        what = f"usedBy names {strangers[0]}, which is no output port."
        raise ProjectError(what, file=path, field=f"inputPorts.{used[strangers[0]][0]}", allowed=known)
    products = []
    for port in file.output_ports:
        key = f"{file.domain}/{port.name}"
        where = f"outputPorts.{port.name}"
        contract = contracts.get(key)
        if contract is None or contract.id != port.contract_id:
            raise ProjectError(
                f"names contract {port.contract_id}, which contracts/{key}.yaml does not hold.", file=path, field=where
            )
        if port.version.partition(".")[0] != str(contract.major):
            what = f"version {port.version}, its contract has {contract.version}."
            raise ProjectError(what, file=path, field=where, allowed=f"a version of major {contract.major}")
        inputs = []
        for wanted in port.input_contracts:
            upstream_key = _resolve(wanted, by_id, path, where)
            if not upstream_key.startswith(f"{file.domain}/") and wanted.id not in upstream:
                raise ProjectError(f"{wanted.id} is not among the domain's inputPorts.", file=path, field=where)
            inputs.append(upstream_key)
        products.append(
            Product(
                key=key,
                domain=file.domain,
                name=port.name,
                description=port.description or contract.description,
                contract=contract,
                inputs=tuple(inputs),
                raw_tables=tuple(dict.fromkeys((*feeds.get(port.name, ()), *used.get(port.name, ())))),
                fed_by=tuple(feeds.get(port.name, ())),
            )
        )
    return tuple(products)


def _resolve(wanted: InputContract, by_id: Mapping[tuple[str, int], str], path: Path, where: str) -> str:
    """The product of an input contract: of the major that its version names."""
    ids = sorted({contract_id for contract_id, _ in by_id})
    if wanted.id not in ids:
        raise ProjectError(f"unknown input contract {wanted.id}.", file=path, field=where, allowed=", ".join(ids))
    major = wanted.version.partition(".")[0]
    if not major.isdecimal() or (wanted.id, int(major)) not in by_id:
        majors = ", ".join(f"{number}.x" for contract_id, number in sorted(by_id) if contract_id == wanted.id)
        what = f"reads version {wanted.version} of {wanted.id}, which no contract has."
        raise ProjectError(what, file=path, field=where, allowed=majors)
    return by_id[wanted.id, int(major)]


def _used_by(raw: InputPort, path: Path) -> list[str]:
    """Products that are computed from a raw table: a new delivery builds them anew, but rows need not add up."""
    names = raw.properties.get("usedBy", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ProjectError("usedBy is no list.", file=path, field=f"inputPorts.{raw.name}", allowed="names of products")
    return names


def _plain(value: Any) -> Any:
    """Round-trip YAML nodes as plain Python values, so that validation errors are plain too."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _line(tree: Any, place: tuple[int | str, ...]) -> int | None:
    """The line of the innermost node of `place` that the file has."""
    line, node = None, tree
    for part in place:
        try:
            position = node.lc.key(part) if isinstance(part, str) else node.lc.item(part)
            line, node = position[0] + 1, node[part]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
