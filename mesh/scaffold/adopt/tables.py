"""Tables that an adopted project reads: raw tables with their sources, and base models that give them their types."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mesh.errors import SourceError
from mesh.ingest.sampling import Sample, read_sample
from mesh.profile import ColumnProfile, column_names, profile
from mesh.profile.names import snake
from mesh.scaffold.adopt.foreign import ForeignTable, Note, base_model
from mesh.scaffold.adopt.sql import base_sql


@dataclass
class Raw:
    """A raw table to be made: its source file, base model and columns."""

    table: ForeignTable
    name: str
    base: str
    source: dict[str, Any]
    columns: list[str]
    sql: str
    notes: list[Note] = field(default_factory=list)

    @property
    def files(self) -> str:
        return str(self.source["files"])

    @property
    def sample(self) -> Path | None:
        return self.table.sample


def raw_table(domain: str, table: ForeignTable, taken: Collection[str]) -> Raw:
    """The raw table of a seed or source.

    Args:
        taken: names of models, which stand in the same schema.
    """
    stem = snake(table.name).removeprefix("raw_")
    name = f"raw_{stem}" if f"raw_{stem}" not in taken else f"delivered_{stem}"
    made = Raw(table, name, base_model(domain, table.name), {}, [], "")
    sample = _sample(table, made)
    source: dict[str, Any] = {"source": stem, "into": name, "files": f"{domain}/{stem}/*.csv", "format": "csv"}
    source |= {"encoding": sample.encoding, "delimiter": sample.delimiter} if sample else _PLAIN
    types = {column.name.lower(): column.type for column in table.columns}
    columns: dict[str, Any] = {}
    typed: list[tuple[str, str, str]] = []
    if sample is not None:
        found = profile(sample)
        for column in found.columns:
            columns[column.name] = _mapping(column, made)
            raws = [f"{column.name}_token", f"{column.name}_status"] if column.handling.identifier else [column.name]
            made.columns += raws
            plain = column.handling.personal and bool(column.handling.identifier or column.handling.redact)
            typed += [
                (raws[0], name, "VARCHAR" if plain else types.get(name.lower(), "VARCHAR")) for name in column.delivered
            ]
    else:
        delivered = [column.name for column in table.columns]
        for raw, wanted in zip(column_names(delivered), table.columns, strict=True):
            columns[raw] = wanted.name
            made.columns.append(raw)
            typed.append((raw, wanted.name, wanted.type))
    made.source = source | {"required": True, "columns": columns}
    made.sql = base_sql(domain, name, typed)
    _tell(made)
    return made


_PLAIN = {"encoding": "utf-8", "delimiter": ","}


def _sample(table: ForeignTable, made: Raw) -> Sample | None:
    if table.sample is None:
        return None
    try:
        return read_sample(table.sample)
    except SourceError as error:
        made.notes.append(Note("changed", table.file, table.name, f"waits for deliveries: its file {error.what}"))
        return None


def _mapping(column: ColumnProfile, made: Raw) -> Any:
    origin: Any = column.delivered[0] if len(column.delivered) == 1 else list(column.delivered)
    file, what = made.table.file, f"{made.table.name}.{' and '.join(column.delivered)}"
    if column.handling.identifier:
        why = f"looks like an identifier ({column.handling.identifier}): ingest makes a token of it, which models read"
        made.notes.append(Note("changed", file, what, why))
        return {"from": origin, "identifier": column.handling.identifier}
    if column.handling.redact:
        made.notes.append(Note("changed", file, what, "free text: identifiers in it are redacted at ingest"))
        return {"from": origin, "redact": True}
    return origin


def _tell(made: Raw) -> None:
    table = made.table
    where = f"raw table {made.name}, typed by {made.base}"
    if table.sample is not None:
        made.notes.append(Note("taken over", table.file, table.name, f"{where}; its file is the first delivery"))
    else:
        made.notes.append(Note("changed", table.file, table.name, f"{where}; no file here: waits for {made.files}"))
    assumed = [column.name for column in table.columns if column.assumed]
    if assumed:
        what = f"{table.name}: {', '.join(assumed)}"
        why = "no type that DuckDB knows is documented, and there are no rows to tell it from: text is assumed"
        made.notes.append(Note("changed", table.file, what, why))
