"""Publishing: the only way a candidate becomes visible, and the gate in it.

    audit record of exactly (snapshot, contract)  ->  seal files  ->  one lake transaction:
    repoint the views of all tables + release record

The transaction is constant in the size of the data. Two publishers of one product meet in the catalog:
the later one gets a conflict, looks again and is either next or refused.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from mesh.audit import Audit
from mesh.contract import Contract
from mesh.errors import AuditFailed, PublishRefused
from mesh.failpoints import reached
from mesh.lake import LAKE, create_schema, current_snapshot, seal
from mesh.postgres import Postgres
from mesh.project import Project
from mesh.release.admission import admit
from mesh.release.bookkeeping import Build, find_audit
from mesh.release.history import History, read_history, read_whole
from mesh.release.record import Release, SealedFileRecord

ATTEMPTS = 2


def publish(
    connection: duckdb.DuckDBPyConnection,
    postgres: Postgres,
    project: Project,
    contract: Contract,
    build: Build,
    *,
    author: str,
) -> Release:
    """Release a built and audited candidate.

    Args:
        connection: a writer; must not be inside a transaction.
        project: tells who relies on the product, where its contract changed.
        build: the candidate; its snapshot is what consumers will see.
        author: who publishes, kept as the commit's author.

    Raises:
        AuditFailed: the contract's audit of this snapshot failed.
        PublishRefused: there is no audit of this snapshot under this contract, the contract's version does not
            admit how it changed, a newer candidate is already released, or another publisher won twice in a row.
    """
    product = contract.name
    audit = find_audit(postgres, product, build.snapshot, contract.hash)
    if audit is None:
        raise PublishRefused(
            f"{product}: no audit of snapshot {build.snapshot} under this text of contract {contract.version} is on "
            "record, so it cannot be released. Audit the candidate first (`mesh run` does both)."
        )
    if audit.verdict == "failed":
        raise audit_failed(audit)

    columns = {table.name: tuple(column.name for column in table.columns) for table in contract.tables}
    files = seal(connection, f"{contract.domain}_build", columns, build.snapshot)
    reached("publish.sealed", product)

    def record(history: History) -> Release:
        admit(postgres, project, history, contract)
        newest = history.newest.get(product)
        served = history.served.get(product)
        if newest is not None and served is not None and newest.snapshot == build.snapshot != served.snapshot:
            raise PublishRefused(
                f"{product}: this candidate is release {newest.release}, which {served.author} rolled back to "
                f"{served.release}: {served.why}. Build a new candidate, or serve it again: `mesh rollback {product} "
                f"--to {newest.release} --why TEXT`."
            )
        if newest is not None and newest.snapshot >= build.snapshot:
            raise PublishRefused(
                f"{product}: release {newest.release} was made from snapshot {newest.snapshot}, which is not older "
                f"than this candidate's {build.snapshot}. Another publisher was faster; build again to release more."
            )
        return Release(
            product=product,
            release=1 if newest is None else newest.release + 1,
            contract_version=contract.version,
            contract_hash=contract.hash,
            contract_text=contract.text,
            columns=columns,
            snapshot=build.snapshot,
            inputs_snapshot=build.inputs_snapshot,
            inputs=build.inputs,
            fingerprint=build.fingerprint,
            code_revision=build.code_revision,
            run_id=build.run_id,
            author=author,
            rows=dict(audit.rows),
            quarantined=dict(audit.quarantined),
            accounting=build.accounting,
            content=build.content,
            audit=_summary(audit),
            seconds=build.seconds,
            details=build.details,
            lineage=build.lineage,
            files=tuple(SealedFileRecord(**vars(file)) for file in files),
        )

    return in_transaction(connection, postgres, product, record, repoint)


def audit_failed(audit: Audit) -> AuditFailed:
    """The error that tells a failed audit."""
    return AuditFailed(audit.product, tuple(result.rule_id for result in audit.failed), snapshot=audit.snapshot)


def rollback(
    connection: duckdb.DuckDBPyConnection, postgres: Postgres, product: str, to: int, *, why: str, author: str
) -> Release:
    """Repoint a product to one of its earlier releases, with the reason on record.

    The views of that release's major version go back; nothing is rebuilt or deleted.

    Raises:
        NotFound: there is no such release. PublishRefused: it is the one already served.
    """

    def record(history: History) -> Release:
        target = history.get(product, to)
        served = history.served[product]
        if served.release == to:
            raise PublishRefused(f"{product}: release {to} is the one already served; nothing to roll back.")
        beside = f"{product}_v{target.major}"
        if target.major != served.major and beside in history.served:
            raise PublishRefused(
                f"{product}: release {to} is of major {target.major}, which {beside} serves now. "
                f"`mesh rollback {beside} --to RELEASE` goes back there."
            )
        whole = read_whole(postgres, target)
        return whole.model_copy(update={"kind": "rollback", "why": why, "author": author})

    read_history(postgres).get(product, to)  # a clear refusal before a transaction is opened
    return in_transaction(connection, postgres, product, record, repoint)


def repoint(connection: duckdb.DuckDBPyConnection, release: Release) -> None:
    """Let the public views of a release show its snapshot."""
    domain = release.product.split("/")[0]
    for table, view in zip(release.tables, release.views, strict=True):
        names = ", ".join(f'"{name}"' for name in release.columns[table])
        connection.execute(
            f"create or replace view {LAKE}.{view} as "
            f"select {names} from {domain}_build.{table} at (version => {release.snapshot})"
        )


def in_transaction(
    connection: duckdb.DuckDBPyConnection,
    postgres: Postgres,
    product: str,
    record: Callable[[History], Release],
    change: Callable[[duckdb.DuckDBPyConnection, Release], None],
) -> Release:
    """Change the views and write the record in one transaction; look again once after a conflict."""
    domain = product.split("/")[0]
    create_schema(connection, domain)
    for attempt in range(1, ATTEMPTS + 1):
        connection.execute("begin")
        try:
            # Fixes what this transaction is measured against: a publish of the same view after this
            # point makes the commit below fail, one before it is in the history read next.
            current_snapshot(connection)
            release = record(read_history(postgres))
            change(connection, release)
            message = f"{release.kind} {release.reference}"
            connection.execute(
                f"call {LAKE}.set_commit_message($author, $message, extra_info => $record)",
                {"author": release.author, "message": message, "record": release.stored()},
            )
            reached("publish.before_commit", product)
            connection.execute("commit")
            reached("publish.committed", product)
        except duckdb.TransactionException as error:
            _abandon(connection)
            if "conflict" not in str(error).lower():
                raise
            if attempt == ATTEMPTS:
                raise PublishRefused(
                    f"{product}: another publisher of the same product committed first, {ATTEMPTS} times in a row. "
                    "Nothing was published here; run again once the other one is done."
                ) from error
        except BaseException:
            _abandon(connection)
            raise
        else:
            mine = (r for r in reversed(read_history(postgres).of(product)) if r.kind == release.kind)
            return next(r for r in mine if r.release == release.release)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _abandon(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        connection.execute("rollback")
    except duckdb.TransactionException:
        return  # a failed commit has already ended the transaction


def _summary(audit: Audit) -> dict[str, object]:
    """What a release keeps of its audit; the whole of it stays in the audit's own record."""
    return {
        "id": audit.id,
        "verdict": audit.verdict,
        "rules": len(audit.results),
        "warnings": [result.rule_id for result in audit.warned],
    }
