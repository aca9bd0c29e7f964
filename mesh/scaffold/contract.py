"""A first contract from a profile: promises that hold at once, strict only where a breach can mean nothing else.

A sample shows what was, not what may come. So only what is wrong under any reading stops a row or a release: a key
that is missing or repeats, text that is no number, a weekday nobody knows, a negative count. What was merely never
seen in the sample - a missing value, a code, a larger number - is a warning, until the owner says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mesh.profile import ColumnProfile, Profile, words

UNREADABLE = "unreadable"
ROW_ID = "row_id"

# Sets that are complete whatever a sample holds.
CLOSED = (
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
     "December"),
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ("Yes", "No"),
    ("Y", "N"),
    ("0", "1"),
)  # fmt: skip

TO_BE_WRITTEN = "To be written"

HAS_ROWS = {
    "id": "has_rows",
    "description": "The product is never empty.",
    "type": "library",
    "metric": "rowCount",
    "mustBeGreaterThan": 0,
    "dimension": "coverage",
    "severity": "error",
}
"""The rule that every first contract has."""


def contract(
    domain: str, name: str, owner: str, found: Profile, *, sample: str, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """The contract of `domain/name` as plain data, columns in delivered order.

    Args:
        sample: the name of the file that was profiled, for people.
    """
    key = found.key
    columns = [column for one in found.columns for column in _columns(one, key)]
    if not key:
        columns.insert(0, _surrogate())
    if any(column.type != "VARCHAR" for column in found.columns):
        columns.append(_unreadable())
    grain = f"One row per {' and '.join(words(part).lower() for part in key)}." if key else "One row per delivered row."
    personal = any(column.handling.personal for column in found.columns)
    purpose = f"{TO_BE_WRITTEN}: what {domain}/{name} is for, and for whom."
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{domain}-{name}",
        "name": name,
        "version": "1.0.0",
        "status": "draft",
        "domain": domain,
        "dataProduct": name,
        "tags": [*tags, *(["personal data"] if personal else [])],
        "description": {
            "purpose": purpose,
            "usage": f"{TO_BE_WRITTEN}: how to use it, and what to join it with.",
            "limitations": f"Known from one sample, {sample} with {found.rows:,} rows; {TO_BE_WRITTEN.lower()}: "
            "what the data cannot say.",
        },
        "schema": [
            {
                "name": name,
                "id": name,
                "logicalType": "object",
                "physicalType": "table",
                "description": f"{words(name)}, as delivered.",
                "dataGranularityDescription": grain,
                "properties": [*columns, *_origin()],
                "quality": [HAS_ROWS],
            }
        ],
        "slaProperties": [
            {
                "property": "freshness",
                "value": 7,
                "unit": "d",
                "description": "Assumed until the owner says how often it is delivered.",
            }
        ],
        **people(domain, owner),
    }


def people(domain: str, owner: str) -> dict[str, Any]:
    """Who owns a product and who may read what."""

    def role(name: str, access: str, clearance: str, says: str) -> dict[str, Any]:
        custom = [{"property": "clearance", "value": clearance}]
        return {"role": name, "access": access, "description": says, "customProperties": custom}

    return {
        "team": {"name": owner, "members": [{"username": owner, "role": "owner"}]},
        "roles": [
            role("analyst", "read", "internal", "Reads public and internal columns."),
            role(f"{domain}-investigator", "read", "confidential",
                 "Reads confidential columns too, for a named purpose."),
            role(owner, "write", "restricted", "Builds and publishes the product; reads every column."),
        ],
    }  # fmt: skip


def published_name(column: ColumnProfile) -> str:
    """The name under which a column is published: an identifier is known by its token."""
    return f"{column.name}_token" if column.handling.identifier else column.name


def _columns(column: ColumnProfile, key: Sequence[str]) -> list[dict[str, Any]]:
    delivered = " and ".join(f"`{name}`" for name in column.delivered)
    if column.handling.identifier:
        token = _start(column, f"Token of the {words(column.name).lower()} delivered in {delivered}.", key)
        token |= {"name": published_name(column), "logicalType": "string", "physicalType": "VARCHAR"}
        status = {
            "name": f"{column.name}_status",
            "logicalType": "string",
            "physicalType": "VARCHAR",
            "description": f"What the {words(column.name).lower()} was like as delivered.",
            "classification": "internal",
            "required": True,
            "quality": [_known(f"{column.name}_status", ("valid", "malformed", "missing"), closed=True)],
        }
        return [token, status]
    made = _start(column, _says(column, delivered), key)
    options: dict[str, Any] = {}
    quality: list[dict[str, Any]] = []
    in_key = column.name in key
    if not in_key and not column.missing and not column.slips:
        quality.append(
            {
                "id": f"{column.name}_present",
                "description": "Rarely missing: the sample had a value in every row.",
                "type": "library",
                "metric": "nullValues",
                "mustBeLessOrEqualTo": 1,
                "unit": "percent",
                "dimension": "completeness",
                "severity": "warning",
            }
        )
    number = column.logical_type in ("integer", "number")
    calendar = "year" in column.name.split("_")
    closed = _closed(column.values)
    if column.values and not in_key and not calendar and (closed or column.logical_type == "string"):
        quality.append(_known(column.name, _typed(column, closed or column.values), closed=bool(closed)))
    elif number and not in_key and column.low is not None and float(column.low) >= 0:
        options["minimum"] = 0
    if (
        number
        and not in_key
        and not closed
        and not calendar
        and not column.handling.personal
        and column.low is not None
    ):
        quality.append(_usual(column))
    if column.pattern and not column.handling.personal:
        quality.append(_shaped(column))
    if options:
        made["logicalTypeOptions"] = options
    if quality:
        made["quality"] = quality
    if options or in_key:
        made["customProperties"] = [{"property": "action", "value": "quarantine"}]
    return [made]


def _start(column: ColumnProfile, says: str, key: Sequence[str]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": column.name,
        "logicalType": column.logical_type,
        "physicalType": column.type,
        "description": says,
        "classification": column.handling.classification,
        "required": column.name in key,
    }
    if column.name in key:
        made |= {"primaryKey": True, "primaryKeyPosition": list(key).index(column.name) + 1}
    if column.handling.tags:
        made["tags"] = list(column.handling.tags)
    if column.name in key and column.handling.identifier:
        made["customProperties"] = [{"property": "action", "value": "quarantine"}]
    return made


def _says(column: ColumnProfile, delivered: str) -> str:
    """What is known of a column, in words; its meaning is for its owner to write."""
    known = [f"{words(column.name)}, delivered in {delivered}"]
    if column.handling.redact:
        known.append("free text, identifiers in it redacted at ingest")
    if column.date_format:
        known.append(f"written as {column.date_format}")
    if column.missing:
        known.append(f"missing in {_percent(column.missing, column.rows)} of the sample")
    return "; ".join(known) + "."


def _percent(part: int, whole: int) -> str:
    share = 100 * part / max(whole, 1)
    return f"{share:.0f} %" if share >= 1 else "less than 1 %"


def _closed(values: Sequence[str]) -> tuple[str, ...]:
    """The complete set that these values belong to; nothing where they may have others beside them."""
    for known in CLOSED:
        if values and set(values) <= set(known):
            return known
    return ()


def _typed(column: ColumnProfile, values: Sequence[str]) -> list[Any]:
    return [int(value) for value in values] if column.logical_type == "integer" else list(values)


def _known(name: str, values: Sequence[Any], *, closed: bool) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": f"{name}_known",
        "description": "One of the known values." if closed else "One of the values that the sample had.",
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"validValues": list(values)},
        "mustBe": 0,
        "dimension": "conformity",
        "severity": "error" if closed else "warning",
    }
    if closed:
        rule["customProperties"] = [{"property": "action", "value": "quarantine"}]
    return rule


def _usual(column: ColumnProfile) -> dict[str, Any]:
    return {
        "id": f"{column.name}_usual",
        "description": f"Within the range of the sample, {column.low} to {column.high}.",
        "type": "sql",
        "query": f"select count(*) from ${{table}} where {column.name} < {column.low} or {column.name} > {column.high}",
        "mustBe": 0,
        "dimension": "conformity",
        "severity": "warning",
    }


def _shaped(column: ColumnProfile) -> dict[str, Any]:
    return {
        "id": f"{column.name}_shaped",
        "description": "Written as in the sample.",
        "type": "library",
        "metric": "invalidValues",
        "arguments": {"pattern": column.pattern},
        "mustBe": 0,
        "dimension": "conformity",
        "severity": "warning",
    }


def _surrogate() -> dict[str, Any]:
    return {
        "name": ROW_ID,
        "logicalType": "string",
        "physicalType": "VARCHAR",
        "description": "Made from the delivered file and the place of the row in it, as no column names a row.",
        "classification": "internal",
        "required": True,
        "primaryKey": True,
        "primaryKeyPosition": 1,
    }


def _unreadable() -> dict[str, Any]:
    return {
        "name": UNREADABLE,
        "logicalType": "string",
        "physicalType": "VARCHAR",
        "description": "Columns whose delivered text is none of their type. Such rows are put aside, so here it is "
        "always empty.",
        "classification": "internal",
        "required": False,
        "quality": [
            {
                "id": "readable",
                "description": "Every delivered value can be read as its column's type.",
                "type": "library",
                "metric": "invalidValues",
                "arguments": {"pattern": "^$"},
                "mustBe": 0,
                "dimension": "conformity",
                "severity": "error",
                "customProperties": [{"property": "action", "value": "quarantine"}],
            }
        ],
    }


def _origin() -> list[dict[str, Any]]:
    told = (
        ("load_id", "string", "VARCHAR", "Load that brought the row."),
        ("source_file", "string", "VARCHAR", "Delivered file, relative to the landing folder."),
        ("source_row", "integer", "BIGINT", "Row number in the delivered file, from 1."),
    )
    return [
        {
            "name": name,
            "logicalType": logical,
            "physicalType": physical,
            "description": says,
            "classification": "internal",
            "required": True,
        }
        for name, logical, physical, says in told
    ]
