"""From delivered columns to raw columns: identifiers in Arrow, everything else as one SQL expression a column.

Identifiers become tokens before DuckDB sees a row, so a plain identifier is in no table, no spill file and no error
of the engine.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from mesh.access import PARTS, KeyRing, encrypt, redact_sql, tokenise
from mesh.ingest.reading import ROW
from mesh.ingest.source import Column, Source

TIME_DIRECTIVES = "HIjMpSf"
ROW_ID_CHARACTERS = 20


def protector(source: Source, keyring: KeyRing) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """A function that makes of a delivered batch one with the columns that `expressions` reads."""
    plain = _plain(source)
    identifiers = [column for column in source.columns if column.identifier]

    def protect(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [batch.column(name) for name in plain] + [batch.column(ROW)]
        for column in identifiers:
            arrays += _protected(column, batch, keyring)
        return pa.RecordBatch.from_arrays(arrays, schema=schema(source))

    return protect


def schema(source: Source) -> pa.Schema:
    """The columns that `protector` makes. Delivered ones are numbered: their names could be anything."""
    made = [name for column in source.columns if column.identifier for name in column.raw_columns]
    texts = [f"d{at}" for at in range(len(_plain(source)))]
    return pa.schema([*((name, pa.string()) for name in texts), (ROW, pa.int64()), *((n, pa.string()) for n in made)])


def expressions(source: Source, *, sha256: str) -> dict[str, str]:
    """DuckDB SQL for each raw column that the source fills.

    Args:
        sha256: of the file, for ids of its rows.
    """
    at = {name: f"d{number}" for number, name in enumerate(_plain(source))}
    made: dict[str, str] = {}
    for column in source.columns:
        if column.identifier:
            made.update((name, name) for name in column.raw_columns)
        else:
            made[column.name] = _expression(column, at, source, sha256)
    return made


def literal(text: str) -> str:
    """The text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _expression(column: Column, at: dict[str, str], source: Source, sha256: str) -> str:
    if column.value is not None:
        return literal(column.value)
    if column.row_id:
        return f"substr(sha256({literal(f'{source.name}|{sha256}|')} || {ROW}), 1, {ROW_ID_CHARACTERS})"
    parts = [at[name] for name in column.delivered]
    text = parts[0]
    if column.join is not None:
        filled = ", ".join(f"nullif(trim({part}), '')" for part in parts)
        text = f"nullif(concat_ws({literal(column.join)}, {filled}), '')"
    if column.date_format:
        iso = "%Y-%m-%d %H:%M:%S" if any(f"%{one}" in column.date_format for one in TIME_DIRECTIVES) else "%Y-%m-%d"
        # what is no date stays as delivered: the contract's rules are there to catch it
        return f"coalesce(strftime(try_strptime(trim({text}), {literal(column.date_format)}), '{iso}'), {text})"
    if column.lookup:
        cases = " ".join(f"when {literal(key)} then {literal(value)}" for key, value in column.lookup)
        return f"case trim({text}) {cases} else {text} end"
    return redact_sql(text) if column.redact else text


def _protected(column: Column, batch: pa.RecordBatch, keyring: KeyRing) -> list[pa.Array]:
    assert column.identifier is not None
    values = batch.column(column.delivered[0])
    if len(column.delivered) > 1:
        parts = [pc.fill_null(batch.column(name), "") for name in column.delivered]
        values = pc.binary_join_element_wise(*parts, PARTS)
    token, status = tokenise(keyring, column.identifier, values)
    return [token, status, encrypt(keyring, values)] if column.keep_cipher else [token, status]


def _plain(source: Source) -> tuple[str, ...]:
    """Delivered columns that are used as they are, each once."""
    used = (name for column in source.columns if not column.identifier for name in column.delivered)
    return tuple(dict.fromkeys(used))
