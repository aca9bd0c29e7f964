"""Two majors of one product side by side: the newest is `claims`, an older one that still lives is `claims_v1`.

    contracts/claims/claims.yaml       version 2.0.0, published as claims.claims_v2
    contracts/claims/claims_v1.yaml    version 1.4.0, the same id, published as claims.claims_v1

Both texts call the table `claims`, so that they can be compared and their rules keep their ids. Built in one schema,
the older one's is `claims_major1` there: no build table has the name of a public view.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.contract.model import Rule, Table

OLDER = re.compile(r"(?P<product>[a-z][a-z0-9_]*)_v(?P<major>\d+)")


def published_name(table: str, major: int) -> str:
    """The name of a table's public view: `claims_v1` of the build table claims, and of claims_major1."""
    return f"{table.removesuffix(f'_major{major}')}_v{major}"


def built_name(table: str, major: int) -> str:
    """The name of an older major's build table: `claims_major1` of the table claims."""
    return f"{table}_major{major}"


def is_older(file: Path, product: str, major: int) -> bool:
    """Whether a contract file is that of a major that lives on beside a newer one."""
    return file.stem == f"{product}_v{major}"


def current(key: str) -> str | None:
    """The key of the newest major, for that of an older one; None for any other."""
    domain, _, name = key.partition("/")
    match = OLDER.fullmatch(name)
    return f"{domain}/{match['product']}" if match else None


def as_older(tables: tuple[Table, ...], major: int) -> tuple[Table, ...]:
    """The tables of an older major under the names that they are built as. Ids of rules stay."""
    names = {table.name: built_name(table.name, major) for table in tables}
    return tuple(
        replace(
            table,
            name=names[table.name],
            declared=table.name,
            rules=tuple(_moved(rule, names) for rule in table.rules),
        )
        for table in tables
    )


def _moved(rule: Rule, names: dict[str, str]) -> Rule:
    arguments: dict[str, Any] = dict(rule.arguments)
    if rule.kind == "relationship" and arguments["domain"] is None:
        arguments["to_table"] = names[arguments["to_table"]]
    return replace(rule, table=names[rule.table], arguments=arguments)
