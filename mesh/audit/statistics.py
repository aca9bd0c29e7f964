"""What the lake's catalog knows about a table without reading it: missing values, per column.

DuckDB answers minima, maxima and `count(*)` from these statistics by itself; a count of a column that has missing
values it reads, although every data file of the lake came with the number.
"""

from __future__ import annotations

from mesh.audit.candidate import Candidate

# The table is named by its number, so that Postgres picks the rows out and not DuckDB.
_MISSING = """
with files as (
    select data_file_id, record_count from {catalog}.ducklake_data_file f where table_id = {table} and {alive_f}
),
gaps as (
    select v.column_id, v.null_count
    from {catalog}.ducklake_file_column_stats v
    join files using (data_file_id)
    where v.table_id = {table} and v.null_count is not null
)
select c.column_name, coalesce(sum(g.null_count), 0)::bigint
from {catalog}.ducklake_column c
left join gaps g on g.column_id = c.column_id
where c.table_id = {table} and {alive_c} and c.parent_column is null
  and (select coalesce(sum(record_count), 0) from files) = {rows}
  and not exists (select 1 from {catalog}.ducklake_inlined_data_tables where table_id = {table})
group by c.column_name
having count(g.null_count) = (select count(*) from files)
"""


def missing_values(candidate: Candidate, table: str, rows: int) -> dict[str, int]:
    """Column to its number of missing values at the candidate's snapshot; only where the number is exact.

    A column is left out where a file came without the number, as files written elsewhere may. All are left out where
    rows live in the catalog itself, or were deleted since the files were written: then the rows of the files and those
    of the table are not as many.

    Args:
        rows: the rows of the table at that snapshot, as the engine counts them.
    """
    # Without a snapshot a transaction may hold rows that the catalog does not know yet.
    number = None if candidate.snapshot is None else candidate.number(table)
    if number is None:
        return {}
    query = _MISSING.format(
        catalog=candidate.metadata,
        table=number,
        rows=int(rows),
        **{f"alive_{each}": candidate.alive(each) for each in "fc"},
    )
    return {str(name): int(missing) for name, missing in candidate.con.execute(query).fetchall()}
