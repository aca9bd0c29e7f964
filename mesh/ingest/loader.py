"""Loading the files of a source: plan, check all that is new, then write file by file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb

from mesh.access import KeyRing
from mesh.errors import SourceError
from mesh.ingest import landing
from mesh.ingest.digests import Digests
from mesh.ingest.landing import SourceFile, discover, read_manifest
from mesh.ingest.loads import ensure_tables, recipe, recorded
from mesh.ingest.plan import plan
from mesh.ingest.raw import RawTable
from mesh.ingest.reading import Inspection
from mesh.ingest.source import Source
from mesh.ingest.writing import READERS, Load, Writer


def ingest(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    table: RawTable,
    landing_dir: Path,
    *,
    keyring: KeyRing,
    run_id: str,
    now: datetime,
    catalog: str = "lake",
    digests: Digests | None = None,
) -> tuple[Load, ...]:
    """Load every file of a source that is new, and say what became of each file that is there.

    All new files are checked before the first is written; then each is one transaction, its rows and its row in
    `loads` together. Nothing is written when there is nothing new. Callers let one process at a time load a domain.

    Args:
        con: sees the lake, writable, as `catalog`; not inside a transaction.
        landing_dir: the landing directory.
        now: when the load happens, UTC without zone; kept in `loads` only.
        digests: remembered digests; by default every file is read for its digest.

    Raises:
        SourceError: a file is refused, or the source requires one and none ever arrived; nothing was written.
    """
    digests = digests or Digests()
    files = {file.relative: file for file in discover(source, landing_dir, digests)}
    digests.save()
    key_id = keyring.active_id if any(column.identifier for column in source.columns) else None
    known = recorded(con, source.domain, source.name, with_keys=key_id is not None, catalog=catalog)
    if source.required and not files and not known:
        _never_arrived(source, landing_dir)
    manifest = read_manifest(landing_dir)
    landing.check_complete(source, manifest, {*files, *known})
    actions = plan([(f.relative, f.sha256) for f in files.values()], known, recipe(source.mapping, key_id))
    wanted = [files[action.file] for action in actions if action.do == "load"]
    landing.check_settled([file for file in wanted if file.relative not in manifest])
    inspections = {file.relative: _inspect(source, file, manifest.get(file.relative)) for file in wanted}

    ensure_tables(con, source.domain, table, catalog=catalog)
    writer = Writer(con, source, table, keyring, key_id, run_id, now, catalog)
    return tuple(writer.carry_out(action, files[action.file], inspections.get(action.file)) for action in actions)


def pending_files(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    landing_dir: Path,
    *,
    home: Path | None = None,
    catalog: str = "lake",
) -> tuple[SourceFile, ...]:
    """The files that `ingest` would read now, unless a new key makes it read them all.

    Args:
        home: where digests are remembered; then an unchanged landing zone costs one `stat` a file.
    """
    digests = Digests(home)
    files = {file.relative: file for file in discover(source, landing_dir, digests)}
    digests.save()
    known = recorded(con, source.domain, source.name, with_keys=False, catalog=catalog)
    actions = plan([(f.relative, f.sha256) for f in files.values()], known, recipe(source.mapping, None))
    return tuple(files[action.file] for action in actions if action.do == "load")


def _inspect(source: Source, file: SourceFile, listed: landing.Listed | None) -> Inspection:
    if listed is not None:
        landing.check_listed(file, listed)
    inspection: Inspection = READERS[source.format].inspect(source, file, verified=listed is not None)
    records = inspection.rows + len(inspection.rejected)
    if listed is not None and listed.rows != records:
        what = f"has {records} rows, {landing.MANIFEST} says {listed.rows}."
        raise SourceError(what, file=file.relative, allowed="the file as listed, or a new manifest")
    return inspection


def _never_arrived(source: Source, landing_dir: Path) -> None:
    waiting = landing.unfinished(source, landing_dir)
    if waiting:
        raise SourceError(
            "is still being written.", file=waiting[0], allowed="a file under its final name, once it is complete"
        )
    raise SourceError(
        f"source {source.name}: no file has ever arrived.", allowed=f"at least one {source.files} in {landing_dir}"
    )
