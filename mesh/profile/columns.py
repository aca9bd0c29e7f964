"""Facts of every column of a sample, by one pass of DuckDB a column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import duckdb
import pyarrow as pa

from mesh.contract.predicates import FORMATS, literal, quoted
from mesh.errors import UsageError
from mesh.ingest.reading import ROW
from mesh.ingest.sampling import Sample
from mesh.profile.names import column_names
from mesh.profile.personal import Handling, bank_account, handling

TYPED_SHARE = 0.98
"""Share of the values that must fit a type; the others are slips, whose rows a contract puts aside."""

SET_SIZE = 20
"""More different values than this are no set of codes."""

SET_REPEATS = 10
"""How often a value of a set appears on average, at least."""

LOOKED_AT = 2000  # distinct values from which identifiers are told
FREE_TEXT_WORDS = 5  # average words of a sentence-like column
DATE_FORMATS = (
    "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%d %B %Y",
    "%d/%m/%y", "%m/%d/%y", "%d/%m/%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S",
)  # fmt: skip
KEY_WORDS = re.compile(r"(^|_)(id|key|no|nr|num|number|ref|reference|code|uuid|guid)(_|$)")
DATE_WORDS = re.compile(r"(^|_)(date|dob|day|birth|on|at)(_|$)")
MAX_KEY_COLUMNS = 3


@dataclass(frozen=True)
class ColumnProfile:
    """One delivered column.

    `type` is a DuckDB type; `date_format` how a date is written where that is not ISO 8601; `slips` counts values that
    do not fit the type, `placeholders` are words that stand for a missing value among numbers and dates; `low` and
    `high` are the ends of a number's or date's range, as text; `values` the whole set where it is small; `pattern` a
    regular expression that every value fits, where they share one shape.
    """

    delivered: tuple[str, ...]
    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    handling: Handling = field(default_factory=Handling)
    date_format: str | None = None
    slips: int = 0
    placeholders: tuple[str, ...] = ()
    low: str | None = None
    high: str | None = None
    values: tuple[str, ...] = ()
    pattern: str | None = None
    longest: int = 0

    @property
    def logical_type(self) -> str:
        head = self.type.partition("(")[0]
        return {
            "VARCHAR": "string", "INTEGER": "integer", "BIGINT": "integer", "DECIMAL": "number", "DOUBLE": "number",
            "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp", "TIME": "time",
        }[head]  # fmt: skip

    @property
    def unique(self) -> bool:
        """Whether each row has a value of its own."""
        return self.rows > 0 and self.missing == 0 and self.slips == 0 and self.distinct == self.rows


@dataclass(frozen=True)
class Profile:
    """A sample's columns in delivered order, and the columns that name a row; none where nothing does."""

    rows: int
    rejected: int
    columns: tuple[ColumnProfile, ...]
    key: tuple[str, ...]
    skipped: dict[str, str]

    def column(self, name: str) -> ColumnProfile:
        return next(column for column in self.columns if column.name == name)


def profile(sample: Sample, *, key: Sequence[str] = (), watch: Callable[[str], None] | None = None) -> Profile:
    """Profile every column of a sample.

    Args:
        key: the columns that name a row, as delivered or in the mesh's spelling; by default they are looked for.
        watch: told each column before it is looked at.

    Raises:
        UsageError: a key column is not there, or does not name each row.
        SourceError: the file stopped being readable.
    """
    names = column_names(sample.names)
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        batches = sample.batches()
        schema = pa.schema([*((f"d{at}", pa.string()) for at in range(len(names))), (ROW, pa.int64())])
        renamed = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)
        con.register("delivered", pa.RecordBatchReader.from_batches(schema, renamed))
        listed = ", ".join(f"nullif(trim(d{at}), '') as {quoted(name)}" for at, name in enumerate(names))
        con.execute(f"create table sample as select {listed} from delivered")
        columns = []
        for place, name in enumerate(names):
            if watch:
                watch(name)
            columns.append(_column(con, sample.names[place], name, sample.rows))
        found = _join_accounts(con, columns)
        keys = _given_key(con, found, key) if key else _find_key(con, found)
    return Profile(sample.rows, sample.rejected, found, keys, sample.skipped)


def _column(con: duckdb.DuckDBPyConnection, delivered: str, name: str, rows: int) -> ColumnProfile:
    v = quoted(name)
    facts = con.execute(
        f"""
        select
            count({v}),
            count(distinct {v}),
            coalesce(max(length({v})), 0),
            count(*) filter (regexp_full_match({v}, '[+-]?(0|[1-9][0-9]{{0,17}})')),
            count(*) filter (regexp_full_match({v}, '[+-]?(0|[1-9][0-9]*)([.][0-9]+)?')),
            count(*) filter (try_cast({v} as double) is not null and isfinite(try_cast({v} as double))
                and not regexp_full_match({v}, '[+-]?0[0-9].*')),
            count(*) filter (lower({v}) in ('true', 'false')),
            count(*) filter (regexp_matches({v}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$')
                and try_cast({v} as date) is not null),
            count(*) filter (regexp_matches({v}, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ][0-9]{{2}}:[0-9]{{2}}')
                and try_cast({v} as timestamp) is not null),
            count(*) filter (regexp_full_match({v}, '([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?')),
            count(*) filter (regexp_full_match({v}, '0[0-9]+')),
            coalesce(avg(length({v}) - length(replace({v}, ' ', '')) + 1), 0)
        from sample
        """
    ).fetchone()
    assert facts is not None
    present, distinct, longest, average_words = facts[0], facts[1], facts[2], facts[-1]
    made = ColumnProfile((delivered,), name, "VARCHAR", rows, rows - present, distinct, longest=longest)
    if not present:
        return made
    free_text = average_words >= FREE_TEXT_WORDS and distinct > SET_SIZE
    treated = handling(name, _some(con, v), free_text=free_text)
    made = replace(made, handling=treated)
    if treated.identifier or treated.redact:
        return made
    made = _typed(con, made, facts)
    # A handful of codes is no name and no address, whatever the column is called.
    return replace(made, handling=Handling()) if made.values and treated.classification == "confidential" else made


def _typed(con: duckdb.DuckDBPyConnection, made: ColumnProfile, facts: tuple[int, ...]) -> ColumnProfile:
    present, _, _, integers, decimals, floats, booleans, dates, moments, times, zeros, _ = facts
    enough = TYPED_SHARE * present
    if DATE_WORDS.search(made.name) and (dated := _date(con, made, present)):
        return dated
    # 0800 is a code: as a number it would lose what it begins with.
    if zeros:
        return _date(con, made, present) or _text(con, made)
    if integers >= enough and integers == decimals:
        return _number(con, made, present - integers, fraction=False)
    if decimals >= enough:
        return _number(con, made, present - decimals, fraction=True)
    if floats >= enough:
        return _ranged(con, replace(made, type="DOUBLE", slips=present - floats))
    for hits, type_ in ((booleans, "BOOLEAN"), (dates, "DATE"), (moments, "TIMESTAMP"), (times, "TIME")):
        if hits >= enough:
            return _ranged(con, replace(made, type=type_, slips=present - hits))
    return _date(con, made, present) or _text(con, made)


def _number(con: duckdb.DuckDBPyConnection, made: ColumnProfile, slips: int, *, fraction: bool) -> ColumnProfile:
    v = quoted(made.name)
    fits = f"regexp_full_match({v}, '[+-]?(0|[1-9][0-9]*)([.][0-9]+)?')"
    row = con.execute(
        f"select coalesce(max(length(replace(split_part(ltrim({v}, '+-'), '.', 1), '-', ''))), 1), "
        f"coalesce(max(length(split_part({v}, '.', 2))), 0) from sample where {fits}"
    ).fetchone()
    assert row is not None
    whole, scale = int(row[0]), int(row[1])
    if not fraction and whole <= 18:
        return _ranged(con, replace(made, type="INTEGER" if whole <= 9 else "BIGINT", slips=slips))
    if scale <= 10 and whole + scale <= 38:
        width = 18 if whole + scale <= 15 else 38
        return _ranged(con, replace(made, type=f"DECIMAL({width},{max(scale, 2)})", slips=slips))
    return _ranged(con, replace(made, type="DOUBLE", slips=slips))


def _date(con: duckdb.DuckDBPyConnection, made: ColumnProfile, present: int) -> ColumnProfile | None:
    """The first format that reads the values; day before month where both would do, as in the United Kingdom."""
    v = quoted(made.name)
    counts = ", ".join(f"count(try_strptime({v}, {literal(one)}))" for one in DATE_FORMATS)
    row = con.execute(f"select {counts} from sample where regexp_matches({v}, '[0-9]')").fetchone()
    assert row is not None
    best = max(row)
    if best < TYPED_SHARE * present:
        return None
    written = DATE_FORMATS[list(row).index(best)]
    type_ = "TIMESTAMP" if "%H" in written else "DATE"
    return _ranged(con, replace(made, type=type_, date_format=written, slips=present - best))


def _ranged(con: duckdb.DuckDBPyConnection, made: ColumnProfile) -> ColumnProfile:
    """The typed column with its range, its set and the words that stand for a missing value."""
    v = quoted(made.name)
    value = (
        f"cast(try_strptime({v}, {literal(made.date_format)}) as {made.type})"
        if made.date_format
        else f"try_cast({v} as {made.type})"
    )
    row = con.execute(
        f"select cast(min({value}) as varchar), cast(max({value}) as varchar), count(distinct {value}) from sample"
    ).fetchone()
    assert row is not None
    low, high, distinct = row
    slips = con.execute(
        f"select {v}, count(*) from sample where {v} is not null and {value} is null group by 1 order by 2 desc, 1"
    ).fetchmany(50)
    words = tuple(word for word, _ in slips if str(word).lower() in PLACEHOLDERS)
    stand_ins = sum(count for word, count in slips if word in words)
    made = replace(
        made,
        low=low,
        high=high,
        distinct=distinct,
        placeholders=words if made.date_format is None else (),
        slips=made.slips - (stand_ins if made.date_format is None else 0),
        missing=made.missing + (stand_ins if made.date_format is None else 0),
    )
    if made.logical_type in ("integer", "boolean"):
        return replace(made, values=_set(con, made, f"cast({value} as varchar)"))
    return made


PLACEHOLDERS = ("null", "none", "n/a", "na", "nan", "-", "--", "?", "unknown", "nil", ".")


def _text(con: duckdb.DuckDBPyConnection, made: ColumnProfile) -> ColumnProfile:
    v = quoted(made.name)
    made = replace(made, values=_set(con, made, v))
    if made.values:
        return made
    for name, pattern in FORMATS.items():
        if name in ("uuid", "uri", "ipv4"):
            row = con.execute(f"select bool_and(regexp_matches({v}, {literal(pattern)})) from sample").fetchone()
            assert row is not None
            if row[0]:
                return replace(made, pattern=pattern)
    shape = (
        "regexp_replace(regexp_replace(regexp_replace({0}, '[0-9]', '9', 'g'), '[A-Z]', 'A', 'g'), '[a-z]', 'a', 'g')"
    )
    shapes = con.execute(f"select distinct {shape.format(v)} from sample where {v} is not null limit 2").fetchall()
    if len(shapes) == 1 and "9" in shapes[0][0] and made.distinct > SET_SIZE:
        return replace(made, pattern=_expression(str(shapes[0][0])))
    return made


def _expression(shape: str) -> str:
    """`AA999` as `^[A-Z]{2}[0-9]{3}$`."""
    classes = {"9": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}
    parts = []
    for run in re.finditer(r"(.)\1*", shape, re.DOTALL):
        char, length = run.group(1), len(run.group(0))
        one = classes.get(char, re.escape(char))
        parts.append(one if length == 1 else f"{one}{{{length}}}")
    return f"^{''.join(parts)}$"


def _set(con: duckdb.DuckDBPyConnection, made: ColumnProfile, value: str) -> tuple[str, ...]:
    """All values of a column that has few, each often; else nothing."""
    rows = con.execute(
        f"select {value} as one, count(*) from sample where {value} is not null group by one order by one "
        f"limit {SET_SIZE + 1}"
    ).fetchall()
    if not rows or len(rows) > SET_SIZE or sum(count for _, count in rows) < SET_REPEATS * len(rows):
        return ()
    values = [str(one) for one, _ in rows]
    return tuple(sorted(values, key=int)) if made.logical_type == "integer" else tuple(sorted(values))


def _some(con: duckdb.DuckDBPyConnection, v: str) -> list[str]:
    rows = con.execute(
        f"select distinct {v} as one from sample where {v} is not null order by hash(one) limit {LOOKED_AT}"
    )
    return [str(row[0]) for row in rows.fetchall()]


def _join_accounts(con: duckdb.DuckDBPyConnection, columns: Sequence[ColumnProfile]) -> tuple[ColumnProfile, ...]:
    """Sort code and account number as one bank account, which ingest turns into one token."""
    parts = bank_account([column.name for column in columns])
    if not parts:
        return tuple(columns)
    joined = [next(column for column in columns if column.name == part) for part in parts]
    both = ", ".join(quoted(part) for part in parts)
    row = con.execute(f"select count(*) filter (concat({both}) = ''), count(distinct ({both})) from sample").fetchone()
    assert row is not None
    name = column_names(["bank_account"], [column.name for column in columns])[0]
    account = ColumnProfile(
        tuple(part.delivered[0] for part in joined),
        name,
        "VARCHAR",
        joined[0].rows,
        row[0],
        row[1],
        Handling("confidential", ("personal data", "identifier"), identifier="bank_account"),
    )
    kept = [column for column in columns if column not in joined]
    kept.insert(columns.index(joined[0]), account)
    return tuple(kept)


def _given_key(con: duckdb.DuckDBPyConnection, columns: Sequence[ColumnProfile], key: Sequence[str]) -> tuple[str, ...]:
    by_name = {name: column for column in columns for name in (*column.delivered, column.name)}
    for name in key:
        if name not in by_name:
            raise UsageError(
                f"--key {name}: the sample has no such column. Allowed: {', '.join(c.name for c in columns)}"
            )
    names = tuple(by_name[name].name for name in key)
    if any(by_name[name].handling.redact for name in key):
        raise UsageError(f"--key {key[0]}: free text names no row. Allowed: an identifier or a code")
    missing, repeated = _not_named(con, names)
    if missing or repeated:
        told = [f"{missing} rows have no value there"] if missing else []
        told += [f"{repeated} rows share a value with another"] if repeated else []
        raise UsageError(
            f"--key {', '.join(names)} does not name each row: {' and '.join(told)}. Allowed: a column, or several "
            "--key together, whose values are never missing and never repeat; without --key one is looked for"
        )
    return names


def _find_key(con: duckdb.DuckDBPyConnection, columns: Sequence[ColumnProfile]) -> tuple[str, ...]:
    """A unique column, best one that is named like a key; else two or three such columns together; else none."""
    plain = [c for c in columns if c.logical_type in ("string", "integer") and not c.handling.redact]
    unique = [column for column in plain if column.unique]
    for column in sorted(unique, key=lambda column: not KEY_WORDS.search(column.name)):
        if KEY_WORDS.search(column.name) or column.handling.identifier is None:
            return (column.name,)
    parts = [c for c in columns if c.missing == 0 and (KEY_WORDS.search(c.name) or c.logical_type == "date")]
    chosen: list[ColumnProfile] = []
    for column in sorted(parts, key=lambda column: -column.distinct)[:MAX_KEY_COLUMNS]:
        chosen.append(column)
        names = tuple(one.name for one in columns if one in chosen)
        if len(chosen) > 1 and _not_named(con, names) == (0, 0):
            return names
    return ()


def _not_named(con: duckdb.DuckDBPyConnection, names: Sequence[str]) -> tuple[int, int]:
    """Rows without a whole key, and rows whose key another row has."""
    if not all(_exists(con, name) for name in names):
        return 0, 0
    listed = ", ".join(quoted(name) for name in names)
    whole = " and ".join(f"{quoted(name)} is not null" for name in names)
    row = con.execute(
        f"select count(*) filter (not ({whole})), "
        f"count(*) filter ({whole}) - count(distinct ({listed})) filter ({whole}) from sample"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def _exists(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    row = con.execute("select count(*) from duckdb_columns() where table_name = 'sample' and column_name = ?", [name])
    return bool(row.fetchall()[0][0])
