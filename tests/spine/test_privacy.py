"""No plain identifier anywhere: lake, catalogs, logs, MLflow."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pyarrow.parquet as pq

from tests.spine.conftest import Spine

NINO = re.compile(rb"(?<![A-Z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"
                  rb"(?![A-Z0-9])")  # fmt: skip

# What stands inside a longer text: an address, and digits as people write an account, a UTR or a phone number.
EMAIL = re.compile(rb"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
NUMBER = re.compile(rb"(?<![A-Za-z0-9.])\+?[0-9](?:[ -]?[0-9]){7,}(?![A-Za-z0-9])")


def _delivered(landing: Path) -> set[bytes]:
    """Every NINO, UTR, e-mail address, phone and account number of the landing zone, as delivered."""
    names = re.compile("nino|national_insurance|^utr$|mail|phone|mobile|account_number")
    found: set[str] = set()
    for path in landing.glob("[a-z]*/*/*"):
        with path.open(newline="") as file:
            rows = map(json.loads, file) if path.suffix == ".jsonl" else csv.DictReader(file)
            for row in rows:
                found |= {value for name, value in row.items() if value and names.search(name)}
    return {value.encode() for value in found if len(value) > 7}


def _written(spine: Spine) -> Iterator[tuple[str, bytes]]:
    """All that the mesh wrote, decompressed, with the name of its place."""
    for path in spine.home.rglob("*"):
        if path.is_dir() or path.is_socket() or "postgres" in path.relative_to(spine.home).parts:
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            for name in table.column_names:
                values = table.column(name).to_pylist()
                yield f"{path.parent.name}.{name}", "\n".join(str(value) for value in values).encode()
        else:
            yield str(path.relative_to(spine.home)), path.read_bytes()
    postgres = spine.mesh.postgres
    for database in (postgres.database, postgres.dagster_database, postgres.mlflow_database):
        with psycopg2.connect(postgres.dsn(database)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "select format('%I.%I', schemaname, tablename) from pg_tables "
                "where schemaname not in ('pg_catalog', 'information_schema')"
            )
            for (table,) in cursor.fetchall():
                cursor.execute(f"select t::text from {table} t")
                yield f"{database}:{table}", "\n".join(row[0] for row in cursor.fetchall()).encode()
        connection.close()


def test_no_plain_identifier_is_written_anywhere(spine: Spine) -> None:
    delivered = _delivered(spine.landing)
    assert len(delivered) > 3000
    places = 0
    words = re.compile(rb"[A-Za-z0-9@._+ -]+")
    for place, content in _written(spine):
        places += 1
        assert not NINO.search(content), f"a NINO in {place}"
        if "mlflow" in place or "model" in place or "loads" in place:
            continue  # hashes and file names; the pattern above has looked at them
        found = {word.strip() for word in words.findall(content)}
        hits = found.union(EMAIL.findall(content), NUMBER.findall(content)) & delivered
        assert not hits, f"{len(hits)} identifiers in {place}"
    assert places > 200


def test_only_identity_keeps_a_ciphertext(spine: Spine) -> None:
    reader = spine.mesh.reader()
    rows = reader.execute(
        "select distinct table_schema from information_schema.columns "
        "where table_catalog = 'mesh' and column_name like '%cipher%' order by 1"
    ).fetchall()
    assert [row[0] for row in rows] == ["identity", "identity_build"]


def test_the_same_person_has_the_same_token_in_every_domain(spine: Spine) -> None:
    reader = spine.mesh.reader()
    row = reader.execute(
        "select count(distinct nino_token) from claims.claims_v1 semi join identity.persons_v1 using (nino_token)"
    ).fetchone()
    assert row is not None
    assert row[0] > 500
