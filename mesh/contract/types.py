"""Column types: what a logical type of the standard is in DuckDB when a contract names no physical type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.contract.model import Table

LOGICAL_TYPES = (
    "string",
    "date",
    "timestamp",
    "time",
    "number",
    "integer",
    "object",
    "array",
    "boolean",
    "map",
    "vector",
)
# The step of a path from an array to its items.
ITEMS = "[]"

INTEGER_FORMATS = {
    "i8": "TINYINT", "i16": "SMALLINT", "i32": "INTEGER", "i64": "BIGINT", "i128": "HUGEINT",
    "u8": "UTINYINT", "u16": "USMALLINT", "u32": "UINTEGER", "u64": "UBIGINT", "u128": "UHUGEINT",
}  # fmt: skip
NUMBER_FORMATS = {"f32": "FLOAT", "f64": "DOUBLE"}

# Spellings that DuckDB takes for the types it reports.
SYNONYMS = {
    "TEXT": "VARCHAR", "STRING": "VARCHAR", "CHAR": "VARCHAR", "BPCHAR": "VARCHAR", "INT": "INTEGER", "INT4": "INTEGER",
    "SIGNED": "INTEGER", "INT8": "BIGINT", "LONG": "BIGINT", "INT2": "SMALLINT", "SHORT": "SMALLINT", "INT1": "TINYINT",
    "BOOL": "BOOLEAN", "LOGICAL": "BOOLEAN", "FLOAT8": "DOUBLE", "DOUBLE PRECISION": "DOUBLE", "FLOAT4": "FLOAT",
    "REAL": "FLOAT", "DATETIME": "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE", "BYTEA": "BLOB", "BINARY": "BLOB", "VARBINARY": "BLOB",
    "NUMERIC": "DECIMAL", "DEC": "DECIMAL", "NVARCHAR": "VARCHAR", "CHARACTER VARYING": "VARCHAR",
    "INT64": "BIGINT", "FLOAT64": "DOUBLE", "SERIAL": "INTEGER", "BIGSERIAL": "BIGINT", "SMALLSERIAL": "SMALLINT",
    "TIMESTAMP_NTZ": "TIMESTAMP", "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip

# A logical type takes only physical types of its own family, so that a rule's arguments always fit the column.
FAMILIES = {
    "string": ("VARCHAR", "UUID", "ENUM"),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"),
    "time": ("TIME",),
    "number": ("DECIMAL", "DOUBLE", "FLOAT", *INTEGER_FORMATS.values()),
    "integer": tuple(INTEGER_FORMATS.values()),
    "boolean": ("BOOLEAN",),
}


def normal_type(name: str) -> str:
    """A type as DuckDB reports it: `decimal(14, 2)` is `DECIMAL(14,2)`, `text` is `VARCHAR`."""
    flat = re.sub(r"\s+", " ", name.strip()).upper()
    if flat.endswith("[]"):
        return normal_type(flat[:-2]) + "[]"
    head, bracket, rest = flat.partition("(")
    head = SYNONYMS.get(head.strip(), head.strip())
    if head == "VARCHAR":
        return head  # DuckDB ignores the length of a text type
    if head == "DECIMAL":
        inner = rest.partition(")")[0].replace(" ", "") if bracket else "18,3"
        return f"DECIMAL({inner if ',' in inner else inner + ',0'})"
    return flat if bracket else head


# Words for nested types that say no more than the logical type does.
SHAPES = ("ARRAY", "LIST", "OBJECT", "STRUCT", "RECORD", "MAP", "VECTOR")
VECTOR_ITEMS = {"float32": "FLOAT", "float64": "DOUBLE", "int8": "TINYINT", "uint8": "UTINYINT"}


def is_duckdb_nested(physical_type: str) -> bool:
    """False for a bare word (`array`) and for other engines' spelling (`MAP<STRING, INT>`, `vector(3)`)."""
    flat = physical_type.strip().upper()
    return flat not in SHAPES and "<" not in flat and not flat.startswith("VECTOR")


def logical_type_of(physical_type: str | None) -> str | None:
    """What a flat physical type says about the logical one; None where it says nothing or is not known."""
    if physical_type is None:
        return None
    kind = family(normal_type(physical_type))
    return next((name for name in sorted(FAMILIES) if kind in FAMILIES[name]), None)


def vector_type(options: Mapping[str, Any]) -> str | None:
    """`FLOAT[3]`; None where the standard's element type is none of DuckDB's."""
    size, item = options.get("dimensions"), VECTOR_ITEMS.get(str(options.get("elementType", "float32")))
    return f"{item}[{size}]" if item and isinstance(size, int) else None


def family(physical_type: str) -> str:
    """The type without its arguments: `DECIMAL(14,2)` is of the family DECIMAL."""
    return physical_type.partition("(")[0]


def duckdb_type(logical_type: str, options: dict[str, Any] | None = None) -> str:
    """The DuckDB type of a column that names no physical type.

    Numbers are DECIMAL(18,3) unless `format` says f32 or f64: floats do not add up the same way twice.
    """
    form = (options or {}).get("format")
    match logical_type:
        case "integer":
            return INTEGER_FORMATS.get(str(form), "BIGINT")
        case "number":
            return NUMBER_FORMATS.get(str(form), "DECIMAL(18,3)")
        case "timestamp":
            return "TIMESTAMP WITH TIME ZONE" if (options or {}).get("timezone") is True else "TIMESTAMP"
        case "date" | "time" | "boolean":
            return logical_type.upper()
        case "object" | "array" | "map":
            return "JSON"
        case "vector":
            return "FLOAT[]"
        case _:
            return "VARCHAR"


@cache
def nested_type(text: str) -> str | None:
    """A nested type as DuckDB reports it, `STRUCT(a BIGINT)[]`, or None where DuckDB knows no such type."""
    import duckdb

    with duckdb.connect() as con:
        try:
            # Parsed as the type of a column and nothing else: a text with more in it is no type.
            row = con.execute(f"select typeof(cast(null as {text}))").fetchone()
        except duckdb.Error:
            return None
    return None if row is None else str(row[0])


def columns_ddl(table: Table) -> str:
    """The columns of a table as DuckDB takes them in CREATE TABLE: `"id" BIGINT NOT NULL, "name" VARCHAR`."""
    return ", ".join(
        f'"{column.name}" {column.physical_type}' + (" NOT NULL" if column.required else "") for column in table.columns
    )
