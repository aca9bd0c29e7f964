"""The SQL of base models: a delivered table with its types, as the adopted models expect to read it."""

from __future__ import annotations

from mesh.contract.predicates import quoted
from mesh.profile.names import reserved_words

TEXT = ("VARCHAR", "TEXT", "STRING")


def base_sql(domain: str, raw: str, columns: list[tuple[str, str, str]]) -> str:
    """A view of the rows that count now.

    A value that is none of its type stops the build, as it would have stopped `dbt seed`: nothing is lost in silence.

    Args:
        columns: (raw column, name that models read, DuckDB type).
    """
    lines = ",\n".join(f"        {_column(*column)}" for column in columns)
    return f"""\
with delivered as (
    select * from {{{{ source('{domain}_raw', '{raw}') }}}}
),

loads as (
    select load_id from {{{{ source('{domain}_raw', 'current_loads') }}}}
),

final as (
    select
{lines}
    from delivered
    inner join loads on delivered._load_id = loads.load_id
)

select * from final
"""


def _column(raw: str, name: str, type_: str) -> str:
    # Names are compared without case everywhere; quotes only where the name needs them.
    plain = name.isidentifier() and name.isascii() and name.lower() not in reserved_words()
    shown = name.lower() if plain else quoted(name)
    value = f"delivered.{raw}"
    if type_ in TEXT:
        return value if shown == raw else f"{value} as {shown}"
    kind = type_.lower().replace(",", ", ") if "(" in type_ and "struct" not in type_.lower() else type_.lower()
    return f"cast({value} as {kind}) as {shown}"


def in_lower_case(sql: str, names: list[str]) -> str:
    """The SELECT with its columns under lower case names, by which other models find them all the same."""
    lines = ",\n".join(
        f"    {quoted(name)} as {name.lower()}" if name.lower() != name else f"    {name}" for name in names
    )
    return f"select\n{lines}\nfrom (\n{sql.strip()}\n)\n"
