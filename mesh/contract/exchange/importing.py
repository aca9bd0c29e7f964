"""Drafts of contracts from other formats: read by `datacontract-cli`, brought to what the mesh takes, and checked.

What the mesh does not take is left out of the draft and told, field by field, with the reason of the contract reader.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from mesh.contract.columns import NAME, OPTIONS
from mesh.contract.exchange.extra import needs_extra
from mesh.contract.exchange.sql import check_dialect
from mesh.contract.loading import parse_contract
from mesh.contract.model import Contract
from mesh.contract.reading import API_VERSIONS, read_contract_yaml
from mesh.contract.types import FAMILIES, LOGICAL_TYPES, duckdb_type, family, normal_type
from mesh.errors import ContractError, NotFound, UsageError

IMPORTS = ("odcs", "jsonschema", "sql", "dbt", "avro")
MOST_REPAIRS = 10_000


@dataclass(frozen=True)
class Imported:
    """A contract that `parse_contract` takes, as text, and what of the file is not in it."""

    contract: Contract
    left_out: tuple[str, ...]

    @property
    def text(self) -> str:
        return self.contract.text


def import_contract(
    file: Path, form: str, *, domain: str, product: str, table: str | None = None, dialect: str = "duckdb"
) -> Imported:
    """A draft for `domain/product` from a file.

    Args:
        form: one of `IMPORTS`; `dbt` reads a manifest.json, `odcs` keeps the bytes of a contract that the
            mesh reads as it is.
        table: take only this table (a model, of dbt); all of them without it.
        dialect: the SQL dialect of a DDL file.

    Raises:
        UsageError: a format, dialect or name that there is not.
        NotFound: no such file or table.
        ContractError: the file cannot be read, or nothing of it makes a contract.
        ServiceError: the extra `exchange` is not installed.
    """
    if form not in IMPORTS:
        raise UsageError(f"No contract is read from `{form}`. Allowed: {', '.join(IMPORTS)}.")
    for option, name in (("--domain", domain), ("--product", product)):
        if not NAME.fullmatch(name):
            raise UsageError(f"{option}: `{name}` is no name in the mesh. Allowed: lower case letters, digits and _.")
    if form == "sql":
        check_dialect(dialect)
    if not file.is_file():
        raise NotFound(f"There is no file {file}.")
    if form == "odcs":
        return _of_the_standard(file, domain, product, table)
    told: list[str] = []
    with _logged(told):
        data = _read(file, form, table, dialect, told)
    given = data.get("schema") or []
    if table is not None:
        given = [entry for entry in given if entry.get("name") == table]
    if not given:
        what = f"no table `{table}`" if table else "no table"
        raise NotFound(f"{file}: {what} was found in it.")
    draft = {
        "apiVersion": "v3.2.0" if _newer(given) else "v3.1.0",
        "kind": "DataContract",
        "id": f"{domain}-{product}".replace("_", "-"),
        "name": product,
        "version": "0.1.0",
        "status": "draft",
        "domain": domain,
        "dataProduct": product,
        "schema": [_table(entry, form, told) for entry in given],
    }
    return Imported(accepted(draft, file, told), tuple(dict.fromkeys(told)))


def _of_the_standard(file: Path, domain: str, product: str, table: str | None) -> Imported:
    from mesh.contract.exchange.foreign import draft_of
    from mesh.contract.standard import violations

    content = file.read_bytes()
    try:
        contract = parse_contract(content, file)
    except ContractError:
        data = read_contract_yaml(content, file).data
        if violations(data) or data["apiVersion"] not in API_VERSIONS:
            raise
    else:
        return _as_it_is(contract, file, f"{domain}/{product}")
    told: list[str] = []
    draft = draft_of(data, domain, product, table, told)
    if not draft["schema"]:
        raise NotFound(f"{file}: {f'no table `{table}`' if table else 'no table with columns'} was found in it.")
    return Imported(accepted(draft, file, told), tuple(dict.fromkeys(told)))


def _as_it_is(contract: Contract, file: Path, wanted: str) -> Imported:
    if contract.name != wanted:
        what = f"This is the contract of {contract.name}, and a contract keeps its bytes."
        raise ContractError(what, file=file, line=1, field="dataProduct", allowed=f"--domain and --product of {wanted}")
    return Imported(contract, ())


def _read(file: Path, form: str, table: str | None, dialect: str, told: list[str]) -> dict[str, Any]:
    with needs_extra():
        from datacontract.data_contract import DataContract
    arguments: dict[str, Any] = {"dialect": dialect} if form == "sql" else {}
    if form == "dbt" and table:
        arguments["dbt_model"] = [table]
    try:
        with warnings.catch_warnings():
            # Of logical types that the Avro package does not know; they are read below.
            warnings.simplefilter("ignore")
            found = DataContract.import_from_source(form, str(file), **arguments)
    except Exception as error:
        # Every importer has errors of its own; their texts may quote the file, so only their kind is told.
        what = f"The file cannot be read as {form}: {type(error).__name__}."
        raise ContractError(what, file=file, allowed=_EXPECTED[form]) from error
    data: dict[str, Any] = found.model_dump(by_alias=True, exclude_none=True, mode="json")
    if form == "sql":
        from mesh.contract.exchange.corrections import with_comments

        told += with_comments(data, file, dialect)
    elif form == "avro":
        from mesh.contract.exchange.corrections import with_avro_types

        with_avro_types(data, file)
    return data


_EXPECTED = {
    "jsonschema": "a JSON Schema of an object",
    "sql": "CREATE TABLE statements of the given --dialect",
    "dbt": "the manifest.json that `dbt parse` writes",
    "avro": "an Avro record schema",
}


@contextmanager
def _logged(told: list[str]) -> Iterator[None]:
    """What the importers say of what they cannot express, which they only log."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(" ".join(record.getMessage().partition("\nYou may")[0].split()))

    logger, keep = logging.getLogger("datacontract"), Keep(logging.WARNING)
    before = logger.propagate
    logger.addHandler(keep)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(keep)
        logger.propagate = before


def _newer(given: Any) -> bool:
    """True where a part of the schema uses a word of v3.2.0."""
    if isinstance(given, dict):
        return "enum" in given or any(_newer(value) for value in given.values())
    return isinstance(given, list) and any(_newer(value) for value in given)


def _table(given: dict[str, Any], form: str, told: list[str]) -> dict[str, Any]:
    name = mesh_name(str(given.get("name", "")), told)
    rest = {key: value for key, value in given.items() if key not in ("name", "physicalName", "physicalType")}
    rest["properties"] = [_column(column, name, form, told) for column in given.get("properties", ())]
    return {"name": name, "physicalType": "table", **rest, "logicalType": "object"}


def _column(given: dict[str, Any], table: str, form: str, told: list[str]) -> dict[str, Any]:
    name = mesh_name(str(given.get("name", "")), told)
    column = {"name": name, **{key: value for key, value in given.items() if key not in ("name", "physicalName")}}
    place = f"{table}.{name}"
    physical = _native(column, form)
    if column.get("logicalType") not in LOGICAL_TYPES:
        told.append(f"{place}: the type {column.get('logicalType') or physical or 'none'} is taken as string")
        column["logicalType"] = "string"
    if form == "jsonschema":
        _dates(column)
    logical = column["logicalType"]
    kept = normal_type(physical) if physical else ""
    if kept and family(kept) in FAMILIES.get(logical, ()) and kept != "ENUM":
        column["physicalType"] = kept
    elif logical == "number":
        told.append(f"{place}: the file does not say how many digits; {duckdb_type('number')} is taken")
    options = column.get("logicalTypeOptions") or {}
    for option in [option for option in options if option not in OPTIONS[logical]]:
        told.append(f"{place}: {option} {options.pop(option)} has no meaning for a {logical}")
    if not options:
        column.pop("logicalTypeOptions", None)
    if column.get("unique") and column.get("primaryKey"):
        column.pop("unique")  # a key says so already
    return column


OF_THE_FORMAT = ("precision", "scale", "avroType", "avroLogicalType")


def _native(column: dict[str, Any], form: str) -> str:
    """The type as SQL writes it, taken out of the column; empty where the format has no such types."""
    physical = str(column.pop("physicalType", ""))
    custom = {entry["property"]: entry.get("value") for entry in column.pop("customProperties", ())}
    rest = [{"property": key, "value": value} for key, value in custom.items() if key not in OF_THE_FORMAT]
    if rest:
        column["customProperties"] = rest
    if "precision" in custom:
        return f"DECIMAL({custom['precision']},{custom.get('scale', 0)})"
    # The types of JSON are too wide to name one of DuckDB's: its `integer` is not SQL's.
    return "" if form == "jsonschema" else physical


def _dates(column: dict[str, Any]) -> None:
    """Text of a date or time format is a date or time; what describes its spelling goes with the text."""
    options = column.get("logicalTypeOptions") or {}
    logical = {"date": "date", "time": "time", "date-time": "timestamp"}.get(str(options.get("format")))
    if column["logicalType"] == "string" and logical:
        column["logicalType"] = logical
        column["logicalTypeOptions"] = {"timezone": True} if logical == "timestamp" else {}


def mesh_name(given: str, told: list[str]) -> str:
    """The name as the mesh writes names: `orderId` is `order_id`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", given)
    name = re.sub(r"[^a-z0-9]+", "_", snake.lower()).strip("_")
    name = name if name[:1].isalpha() else f"n_{name}".rstrip("_")
    if name != given:
        told.append(f"{given or 'a part without a name'}: is named {name} here")
    return name


def accepted(draft: dict[str, Any], file: Path, told: list[str]) -> Contract:
    """Leave out what the contract reader refuses, one field at a time, until it takes the rest."""
    for _ in range(MOST_REPAIRS):
        try:
            return parse_contract(_written(draft).encode(), file)
        except ContractError as error:
            place = _place(draft, error.field or "")
            if not _remove(draft, error.field or ""):
                # Without the line, which is one of the draft and not of the file.
                raise ContractError(error.what, file=file, field=place or None, allowed=error.allowed) from None
            told.append(f"{place}: left out. {error.what}")
    raise ContractError("Too much of the file is nothing that a contract takes.", file=file)


ENTRIES = ("quality", "relationships", "slaProperties")
REQUIRED = ("name", "logicalType", "properties", "schema", "domain", "dataProduct", "id", "version", "status")


def _remove(draft: dict[str, Any], field: str) -> bool:
    """Take a field out of the draft; False where there is no such field or a contract cannot be without it."""
    parts = [int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in re.findall(r"[^.\[\]]+", field)]
    for i, part in enumerate(parts):
        if part in ENTRIES:
            # Half a rule or half a relationship means nothing.
            parts = parts[: i + 2]
            break
    whole = len(parts) > 1 and isinstance(parts[-1], int) and parts[-2] in ("properties", "schema")
    if not parts or whole or parts[-1] in REQUIRED:
        return False
    node: Any = draft
    try:
        for part in parts[:-1]:
            node = node[part]
        del node[parts[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _place(draft: dict[str, Any], field: str) -> str:
    """A field by the names of its table and column instead of their numbers."""
    match = re.match(r"schema\[(\d+)\](?:\.properties\[(\d+)\])?\.?(.*)", field)
    if match is None:
        return field
    table = draft["schema"][int(match[1])]
    names = [table["name"]] + ([table["properties"][int(match[2])]["name"]] if match[2] else [])
    return ".".join([*names, match[3]] if match[3] else names)


def _written(draft: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt", pure=True)
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(draft, text)
    return text.getvalue()
