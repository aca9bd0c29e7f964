"""Data contracts: Open Data Contract Standard files, checked and compiled to engine-neutral rules."""

from mesh.contract.consumers import EVENTS, Consumer, EventKind, load_consumers, with_consumers
from mesh.contract.loading import load_contract, load_contracts, parse_contract
from mesh.contract.model import Column, Contract, Rule, ServiceLevel, Table, Threshold
from mesh.contract.types import columns_ddl, duckdb_type, normal_type
from mesh.contract.unexecuted import not_executed

__all__ = [
    "EVENTS",
    "Column",
    "Consumer",
    "Contract",
    "EventKind",
    "Rule",
    "ServiceLevel",
    "Table",
    "Threshold",
    "columns_ddl",
    "duckdb_type",
    "load_consumers",
    "load_contract",
    "load_contracts",
    "normal_type",
    "not_executed",
    "parse_contract",
    "with_consumers",
]
