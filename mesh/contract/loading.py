"""Contract files to `Contract` objects: every table, column and promise checked before anything relies on it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from open_data_contract_standard.model import OpenDataContractStandard, SchemaObject, Team

from mesh.contract.columns import check_handling, check_name, column_rules, custom_properties, read_column
from mesh.contract.majors import as_older, current, is_older
from mesh.contract.model import Column, Contract, Rule, Table
from mesh.contract.nested import nested_rules
from mesh.contract.quality import quality_rules
from mesh.contract.reading import Document, Path_, read_document
from mesh.contract.relations import relationship_rules
from mesh.contract.service import check_availability_window, freshness_rules, service_levels
from mesh.errors import ContractError, NotFound

# The pattern of semver.org, without build metadata: two builds of one contract are the same contract.
# Nine digits a part: beyond some thousands Python reads no number from a text at all.
_PART = r"(0|[1-9][0-9]{0,8})"
SEMVER = re.compile(rf"{_PART}\.{_PART}\.{_PART}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
REQUIRED = ("kind", "id", "version", "status", "domain", "dataProduct")
STATUSES = ("proposed", "draft", "active", "deprecated", "retired")


def load_contract(path: Path | str) -> Contract:
    """Read one contract.

    Raises:
        ContractError: the file is damaged or says something that no audit could hold; with file, line and field.
        NotFound: there is no such file.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        raise NotFound(f"The contract {file} cannot be read: {error.strerror}.") from error
    return parse_contract(content, file)


def load_contracts(project_dir: Path | str) -> dict[str, Contract]:
    """All contracts of a project, `contracts/DOMAIN/PRODUCT.yaml`, by `DOMAIN/PRODUCT` in that order.

    Raises:
        ContractError: a contract is wrong, stands in the wrong place or has the id of another.
    """
    folder = Path(project_dir) / "contracts"
    found: dict[str, Contract] = {}
    ids: dict[str, Contract] = {}
    for file in sorted(folder.glob("*/*.y*ml")):
        if file.parent.name == "policies":
            continue
        contract = load_contract(file)
        if contract.name != f"{file.parent.name}/{file.stem}" or file.suffix != ".yaml":
            expected = f"contracts/{contract.name}.yaml"
            raise ContractError(f"This is the contract of {contract.name}.", file=file, line=1, allowed=expected)
        if contract.id in ids and current(contract.name) != ids[contract.id].name:
            what = f"The id is that of {ids[contract.id].path} too."
            raise ContractError(what, file=file, line=1, field="id", allowed="an id of its own")
        if not contract.older:
            ids[contract.id] = contract
        found[contract.name] = contract
    for contract in found.values():
        _beside_newer(contract, found)
    return found


def _beside_newer(contract: Contract, found: dict[str, Contract]) -> None:
    """An older major stands beside a newer one of the same contract."""
    if not contract.older:
        return
    newer = found.get(str(current(contract.name)))
    if newer is None or newer.id != contract.id or newer.major <= contract.major:
        told = f"contracts/{current(contract.name)}.yaml has no newer major of contract {contract.id}."
        raise ContractError(
            f"This is an older major, but {told}", file=contract.path, line=1, field="version",
            allowed="the same id as the newer major, and a lower version",
        )  # fmt: skip


@lru_cache(maxsize=256)
def parse_contract(content: bytes, file: Path) -> Contract:
    """`load_contract` for bytes that are already at hand; `file` is only named in errors."""
    document, odcs = read_document(content, file)
    missing = [name for name in REQUIRED if not getattr(odcs, name)]
    if missing:
        others = f", as is {' and '.join(f'`{name}`' for name in missing[1:])}" if missing[1:] else ""
        told = "kind, id, version, status, domain and dataProduct are required"
        document.fail((missing[0],), f"This is missing{others}.", told)
    document.choose(("kind",), odcs.kind, ("DataContract",))
    version = str(odcs.version)
    if not SEMVER.fullmatch(version):
        said = version if len(version) <= 40 else f"{version[:40]}..."
        document.fail(("version",), f"`{said}` is no semantic version.", "MAJOR.MINOR.PATCH, such as 1.0.0")
    document.choose(("status",), odcs.status, STATUSES)
    for name in ("domain", "dataProduct"):
        text = getattr(odcs, name)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
            document.fail((name,), f"`{text}` is no name in the mesh.", "lower case letters, digits and _")
    custom = custom_properties(document, (), odcs.customProperties)
    limit = custom.get("quarantineLimitPercent", 10)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit <= 100:
        document.fail(("customProperties",), "`quarantineLimitPercent` must be a number.", "0 to 100")
    check_availability_window(document, custom)
    tables = _tables(document, odcs)
    levels = service_levels(document, odcs.slaProperties, tables)
    rules = [rule for table in tables.values() for rule in table.rules]
    rules += freshness_rules(document, levels, tables, custom)
    rules = _unique_ids(rules)
    done = tuple(
        replace(table, rules=tuple(rule for rule in rules if rule.table == table.name)) for table in tables.values()
    )
    major = int(version.partition(".")[0])
    if is_older(file, str(odcs.dataProduct), major):
        done = as_older(done, major)
    return Contract(
        path=file,
        text=document.text,
        hash=hashlib.sha256(content).hexdigest(),
        id=str(odcs.id),
        version=version,
        domain=str(odcs.domain),
        product=str(odcs.dataProduct),
        status=str(odcs.status),
        description=(odcs.description.purpose or "") if odcs.description else "",
        owner=_owner(odcs),
        tables=done,
        sla=levels,
        custom=custom,
        odcs=odcs,
    )


def _owner(odcs: OpenDataContractStandard) -> str | None:
    """The team's name, else its first member with the role owner."""
    team = odcs.team
    members = (team.members or []) if isinstance(team, Team) else (team or [])
    owners = [member.name or member.username for member in members if (member.role or "").lower() == "owner"]
    names = [team.name] if isinstance(team, Team) and team.name else owners
    return str(names[0]) if names else None


def _tables(document: Document, odcs: OpenDataContractStandard) -> dict[str, Table]:
    objects = odcs.schema_ or []
    if not objects:
        document.fail(("schema",), "A contract without a table promises nothing.", "at least one entry in `schema`")
    names = [check_name(document, ("schema", i), given.name, "table") for i, given in enumerate(objects)]
    for i, name in enumerate(names):
        if name in names[:i]:
            document.fail(("schema", i, "name"), f"The table `{name}` stands here twice.", "each table once")
    known = frozenset(names)
    tables = {name: _table(document, ("schema", i), objects[i], known) for i, name in enumerate(names)}
    for name, rules in relationship_rules(document, objects, tables).items():
        tables[name] = replace(tables[name], rules=(*tables[name].rules, *rules))
    return tables


def _table(document: Document, path: Path_, given: SchemaObject, tables: frozenset[str]) -> Table:
    name = str(given.name)
    if not given.properties:
        document.fail(path, f"The table `{name}` has no columns.", "at least one entry in `properties`")
    columns: dict[str, Column] = {}
    for i, entry in enumerate(given.properties):
        column = read_column(document, (*path, "properties", i), entry)
        if column.name in columns:
            here = (*path, "properties", i, "name")
            document.fail(here, f"The column `{column.name}` stands here twice.", "each column once")
        columns[column.name] = column
    custom = custom_properties(document, path, given.customProperties)
    rules: list[Rule] = [
        Rule(f"{name}.schema", name, (), "schema", f"{name} has exactly the contract's columns, each of its type.",
             dimension="conformity")
    ]  # fmt: skip
    key = _primary_key(document, path, columns)
    if key:
        # A key of one column is handled as its column says, unless the table says otherwise.
        own = dict(columns[key[0]].custom) if len(key) == 1 else {}
        rules.append(
            Rule(f"{name}.primary_key", name, key, "duplicateValues", f"{' + '.join(key)} names one row.",
                 dimension="uniqueness", **check_handling(document, path, own | custom))
        )  # fmt: skip
    for i, (entry, column) in enumerate(zip(given.properties, columns.values(), strict=True)):
        here = (*path, "properties", i)
        if not (column.unique and key == (column.name,)):
            rules += column_rules(document, here, name, column)
        else:
            # The primary key already promises it; two rules would count each row twice.
            rules += column_rules(document, here, name, replace(column, unique=False))
        rules += quality_rules(document, here, entry.quality, name, columns, column, tables)
        rules += nested_rules(document, here, entry, name, column, tables)
        if entry.enum:
            rules.append(_enum_rule(document, here, name, column, [value.value for value in entry.enum]))
    rules += quality_rules(document, path, given.quality, name, columns, None, tables)
    return Table(name, given.description or "", tuple(columns.values()), key, tuple(rules), custom)


def _enum_rule(document: Document, path: Path_, table: str, column: Column, values: list[object]) -> Rule:
    from mesh.contract.columns import check_value

    for i, value in enumerate(values):
        if value is None:
            document.fail((*path, "enum", i), "An entry of `enum` needs a `value`.")
        check_value(document, (*path, "enum", i, "value"), column.logical_type, value)
    types = {"logicalType": column.logical_type, "physicalType": column.physical_type}
    return Rule(
        id=f"{table}.{column.name}.enum",
        table=table,
        columns=(column.name,),
        kind="invalidValues",
        description=f"{column.name} is one of {', '.join(str(value) for value in values)}.",
        arguments=types | {"validValues": values},
        dimension="conformity",
        **check_handling(document, path, dict(column.custom)),
    )


def _primary_key(document: Document, path: Path_, columns: dict[str, Column]) -> tuple[str, ...]:
    parts = [column for column in columns.values() if column.primary_key_position is not None]
    positions = [column.primary_key_position for column in parts]
    if len(parts) > 1 and sorted(positions, key=lambda p: p or 0) != list(range(1, len(parts) + 1)):
        what = f"The primary key's {len(parts)} columns have the positions {positions}."
        document.fail((*path, "properties"), what, f"primaryKeyPosition 1 to {len(parts)}")
    return tuple(column.name for column in sorted(parts, key=lambda column: column.primary_key_position or 0))


def _unique_ids(rules: Iterable[Rule]) -> list[Rule]:
    """Number rules that would share an id, in the order of the contract."""
    found: dict[str, Rule] = {}
    for rule in rules:
        name, n = rule.id, 1
        while name in found:
            n += 1
            name = f"{rule.id}_{n}"
        found[name] = replace(rule, id=name)
    return list(found.values())
