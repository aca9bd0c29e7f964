"""`mesh new product`: from a sample file to the files of a product - source, types, model, contract, ports."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mesh.errors import SourceError, UsageError
from mesh.ingest.sampling import Sample, read_sample
from mesh.profile import ColumnProfile, Profile, profile
from mesh.project import Project
from mesh.scaffold.bundles import Change, add_bundle
from mesh.scaffold.contract import ROW_ID, UNREADABLE, contract, published_name
from mesh.scaffold.files import split_key, write, yaml_text

ORIGIN = ("load_id", "source_file", "source_row")


@dataclass(frozen=True)
class NewProduct:
    """What was made: the changed files, what the sample was like, and where deliveries are looked for."""

    key: str
    profile: Profile
    files: str
    changes: tuple[Change, ...]


def new_product(
    project: Project,
    product: str,
    sample: Path,
    *,
    landing: Path,
    key: Sequence[str] = (),
    owner: str | None = None,
    watch: Callable[[str], None] | None = None,
) -> NewProduct:
    """Write the files of a product from a sample of its deliveries.

    Args:
        product: `domain/name`; the domain is there already.
        landing: the landing zone, below which deliveries are looked for.
        key: columns that name a row; by default they are looked for.
        owner: who answers for the product, a team or an address; by default the domain's team.
        watch: told each column before it is profiled.

    Raises:
        UsageError: the product or one of its dbt models is there already, or the key does not name rows.
        NotFound: there is no such domain.
        SourceError: the sample cannot be read.
        ProjectError: the mesh would not fit together; nothing was changed.
    """
    domain, name = split_key(product)
    described = project.domain(domain)
    if product in project.products:
        raise UsageError(f"{product} is there already: contracts/{product}.yaml. Edit it, or take another name.")
    taken = dbt_models(project.root)
    for model in (name, f"{name}_filtered", f"stg_{domain}__{name}"):
        if model in taken:
            raise UsageError(f"{taken[model]} is a dbt model called {model} already. Allowed: another product name")
    read = read_sample(sample)
    found = profile(read, key=key, watch=watch)
    files = _pattern(read, landing, domain, name)
    owned = owner or _owner(described.file.team) or f"{domain}-data-team"
    with tempfile.TemporaryDirectory(prefix="mesh-new-") as place:
        folder = Path(place)
        _write(folder, domain, name, owned, read, found, files)
        changes = add_bundle(folder, project.root)
    return NewProduct(product, found, files, changes)


def deliver(sample: Path, landing: Path, files: str) -> Path | None:
    """Put a sample into the landing zone, as its first delivery; None where it stands there already.

    Raises:
        SourceError: another file has its name.
    """
    target = landing / Path(files).parent / sample.name
    if sample.resolve().is_relative_to(landing.resolve()):
        return None
    if target.exists():
        raise SourceError("is there already.", file=target, allowed="a name that no delivery has")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Whole under its final name, or not there: a sensor may be looking.
    draft = target.with_name(f"{target.name}.part")
    shutil.copyfile(sample, draft)
    draft.rename(target)
    return target


def _write(folder: Path, domain: str, name: str, owner: str, sample: Sample, found: Profile, files: str) -> None:
    made = f"Made from the sample {sample.path.name} ({found.rows:,} rows); yours to edit from now on."
    write(
        folder,
        f"contracts/{domain}/{name}.yaml",
        yaml_text(contract(domain, name, owner, found, sample=sample.path.name), header=made),
    )
    notes = "".join(f"\nNot taken: {column} - {why}." for column, why in found.skipped.items())
    write(
        folder,
        f"data_products/{domain}/sources/{name}.yaml",
        yaml_text(_source(name, sample, found, files), header=made + notes),
    )
    write(folder, f"data_products/{domain}/domain.yaml", yaml_text(_ports(domain, name, found)))
    models = f"dbt/models/{domain}"
    write(folder, f"{models}/{name}.yml", yaml_text(_dbt(domain, name, found)))
    write(folder, f"{models}/staging/stg_{domain}__{name}.sql", _staging(domain, name, found))
    write(folder, f"{models}/products/{name}.sql", _product(domain, name, found))
    if found.key:
        keys = ", ".join(f"'{published_name(found.column(part))}'" for part in found.key)
        text = f"{{{{ superseded_deliveries(ref('stg_{domain}__{name}'), key=[{keys}]) }}}}\n"
        write(folder, f"{models}/products/{name}_filtered.sql", text)


def _source(name: str, sample: Sample, found: Profile, files: str) -> dict[str, Any]:
    columns: dict[str, Any] = {} if found.key else {ROW_ID: {"row_id": True}}
    columns |= {column.name: _mapping(column) for column in found.columns}
    told: dict[str, Any] = {"source": name, "into": f"raw_{name}", "files": files, "format": sample.format}
    if sample.format != "parquet":
        told["encoding"] = sample.encoding
    if sample.format == "csv":
        told["delimiter"] = sample.delimiter
    return told | {"required": True, "columns": columns}


def _mapping(column: ColumnProfile) -> Any:
    origin: Any = column.delivered[0] if len(column.delivered) == 1 else list(column.delivered)
    if column.handling.identifier:
        return {"from": origin, "identifier": column.handling.identifier}
    if column.handling.redact:
        return {"from": origin, "redact": True}
    if column.date_format:
        return {"from": origin, "format": column.date_format}
    if column.placeholders:
        return {"from": origin, "map": dict.fromkeys(column.placeholders, "")}
    return origin


def _raw_columns(found: Profile) -> list[str]:
    names = [] if found.key else [ROW_ID]
    for column in found.columns:
        names += [f"{column.name}_token", f"{column.name}_status"] if column.handling.identifier else [column.name]
    return names


def _ports(domain: str, name: str, found: Profile) -> dict[str, Any]:
    custom = [
        {"property": "columns", "value": _raw_columns(found)},
        {"property": "feeds", "value": name},
    ]
    raw = f"raw_{name}"
    grain = " and ".join(found.key) if found.key else "delivered row"
    return {
        "inputPorts": [{"name": raw, "version": "1.0.0", "contractId": f"source:{raw}", "customProperties": custom}],
        "outputPorts": [
            {
                "name": name,
                "description": f"One row per {grain}.",
                "type": "tables",
                "version": "1.0.0",
                "contractId": f"{domain}-{name}",
            }
        ],
    }


def _dbt(domain: str, name: str, found: Profile) -> dict[str, Any]:
    grain = f"one row per {' and '.join(found.key) if found.key else 'delivered row'}"
    models = [
        {
            "name": f"stg_{domain}__{name}",
            "description": f"{name} with their types. Grain - one row per delivered row.",
        },
        {"name": name, "description": f"The product {domain}/{name}. Grain - {grain}."},
    ]
    if found.key:
        says = "Delivered rows that a later delivery replaces. Grain - one row per delivered row left out."
        models.append({"name": f"{name}_filtered", "description": says})
    table = {"name": f"raw_{name}", "description": "One row per delivered row."}
    schema = f"{domain}_build"
    return {
        "sources": [{"name": f"{domain}_raw", "database": "lake", "schema": schema, "tables": [table]}],
        "models": models,
    }


def _staging(domain: str, name: str, found: Profile) -> str:
    lines = [] if found.key else [f"delivered.{ROW_ID}"]
    typed = []
    for column in found.columns:
        raw = f"delivered.{column.name}"
        if column.handling.identifier:
            lines += [f"{raw}_token", f"coalesce({raw}_status, 'missing') as {column.name}_status"]
        elif column.type == "VARCHAR":
            lines.append(f"{{{{ clean_text('{raw}') }}}} as {column.name}")
        else:
            kind = column.type.lower().replace(",", ", ")
            lines.append(f"{{{{ {_cast(raw, kind)} }}}} as {column.name}")
            typed.append(f"            ('{column.name}', '{raw}', '{kind}'),\n")
    if typed:
        lines.append(f"{{{{ unreadable_columns([\n{''.join(typed)}        ]) }}}} as {UNREADABLE}")
    lines += [
        "delivered._source_file as source_file",
        "delivered._source_row as source_row",
        "delivered._load_id as load_id",
        "loads.loaded_seq",
    ]
    columns = ",\n".join(f"        {line}" for line in lines)
    return f"""\
with delivered as (
    select * from {{{{ source('{domain}_raw', 'raw_{name}') }}}}
),

loads as (
    select
        load_id,
        loaded_seq
    from {{{{ source('{domain}_raw', 'current_loads') }}}}
),

final as (
    select
{columns}
    from delivered
    inner join loads on delivered._load_id = loads.load_id
)

select * from final
"""


def _cast(raw: str, kind: str) -> str:
    if kind == "date":
        return f"safe_moment('{raw}', 'date')"
    if kind == "timestamp":
        return f"safe_moment('{raw}')"
    return f"safe_cast('{raw}', '{kind}')"


def _product(domain: str, name: str, found: Profile) -> str:
    names = [] if found.key else [ROW_ID]
    for column in found.columns:
        names += [f"{column.name}_token", f"{column.name}_status"] if column.handling.identifier else [column.name]
    names += [UNREADABLE] if any(column.type != "VARCHAR" for column in found.columns) else []
    columns = ",\n".join(f"        {column}" for column in [*names, *ORIGIN])
    newest = (
        f"""\
superseded as (
    select * from {{{{ ref('{name}_filtered') }}}}
),

newest as (
    {{{{ newest_deliveries('delivered', 'superseded') }}}}
),

"""
        if found.key
        else ""
    )
    return f"""\
with delivered as (
    select * from {{{{ ref('stg_{domain}__{name}') }}}}
),

{newest}final as (
    select
{columns}
    from {"newest" if found.key else "delivered"}
)

select * from final
"""


def _pattern(sample: Sample, landing: Path, domain: str, name: str) -> str:
    """Where deliveries like this one are: a folder of its own, or, in the landing zone, names that differ in digits."""
    path = sample.path.resolve()
    if not path.is_relative_to(landing.resolve()):
        return f"{domain}/{name}/*{path.suffix}"
    relative = path.relative_to(landing.resolve())
    general = re.sub(r"[0-9]+([_.-]?[0-9]+)*", "*", relative.stem) + relative.suffix
    pattern = (relative.parent / general).as_posix()
    for other in sorted(landing.glob(pattern)):
        if other.resolve() != path and other.is_file():
            try:
                alike = set(read_sample(other).names) >= set(sample.names)
            except SourceError:
                alike = True  # what is wrong with it is told when it is loaded
            if not alike:
                return relative.as_posix()
    return pattern


def dbt_models(root: Path) -> dict[str, str]:
    """Every dbt model by name, with its file."""
    return {path.stem: str(path.relative_to(root)) for path in sorted((root / "dbt" / "models").rglob("*.sql"))}


def _owner(team: Any) -> str | None:
    return str(team["name"]) if isinstance(team, dict) and team.get("name") else None
