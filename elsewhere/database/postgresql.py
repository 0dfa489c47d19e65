"""A database on a PostgreSQL server, through psycopg.

Refuses:  a password in the URL; a server on another machine without TLS that proves who it is; a server that
          would not keep what it confirmed, or would write parameters into its own log.
Promises: what holds for SQLite: a reader sees one state, there is one writer at a time among all processes,
          a commit is on the disk, and no message quotes a row.
Source:   PostgreSQL 15, 13.2 Transaction Isolation, 13.3.5 Advisory Locks, 19.5 Write Ahead Log; libpq 34.19.
"""

from __future__ import annotations

import select
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InvalidatePoolError

from elsewhere.database import kinds
from elsewhere.database.transport import ALWAYS, check_transport
from elsewhere.errors import ConfigInvalid, StoreBusy, StoreUnavailable
from elsewhere.keyfiles import StoreExposed, read_secret

# Whom all writers of one database wait for: any number, the same in every process ("elsewher" in ASCII).
WRITERS: Final = 0x656C736577686572
IDLE_MS = 60_000
LEAVING_MS = 5_000
_LOOK_AGAIN_MS = 50
_SECRETS = ("password", "sslpassword")
# What the URL may say otherwise.
_CONNECT: Final = {
    "application_name": "elsewhere",
    "connect_timeout": 10,
    # A server that vanished is noticed while a statement waits for it, not two hours later.
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_SESSION: Final = """
SELECT set_config('lock_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', %s, false),
       set_config('log_parameter_max_length_on_error', '0', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)
"""
_SERVER: Final = """
SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
       current_setting('server_encoding') = 'UTF8',
       current_setting('log_parameter_max_length', true) IS DISTINCT FROM '0'
       AND (current_setting('log_statement') IN ('mod', 'all')
            OR current_setting('log_min_duration_statement') <> '-1'
            OR current_setting('log_min_duration_sample', true) <> '-1'
            OR current_setting('log_transaction_sample_rate', true) <> '0'),
       EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE relkind IN ('r', 'p', 'v', 'm') AND nspname = current_schema()
               AND has_table_privilege('public', pg_class.oid, 'SELECT'))
"""
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def make_engine(url: URL, password_file: Path | None) -> Engine:
    """Make an engine for one database of a server; it is connected to when it is first used.

    Args:
        url: without a password.
        password_file: absent: libpq looks for one itself, PGPASSFILE for instance.

    Raises:
        ConfigInvalid: psycopg is missing, a password stands in the URL, or TLS is wanted and not asked for.
    """
    if url.password is not None or any(name in url.query for name in _SECRETS):
        raise ConfigInvalid(
            "expected no password in store.url; put it into a file and name that in store.password_file"
        )
    if not url.database:
        raise ConfigInvalid("expected the name of a database in store.url, as in postgresql://role@host/name")
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # the parameters are people's names
            connect_args={name: value for name, value in _CONNECT.items() if name not in url.query} | ALWAYS,
            pool_size=8,
            max_overflow=16,
        )
    except ImportError:
        raise ConfigInvalid(
            "expected psycopg for the PostgreSQL that store.url names; in the checkout: "
            "pip install '.[node,postgres]', or '.[gateway,postgres]' for a gateway"
        ) from None
    check_transport(engine.dialect.create_connect_args(engine.url)[1], "store.url")

    def connect(_dialect: Any, _record: Any, _args: Any, parameters: dict[str, Any]) -> None:
        if password_file is not None:
            parameters["password"] = read_secret(password_file).decode().rstrip("\r\n")

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "checkout", _check_alive)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", _check_sound)
    event.listen(engine, "handle_error", _quote_nothing)
    return engine


def _prepare_connection(raw: Any, _record: Any) -> None:
    """Set a new connection up, and return only if its server keeps what it is given, to itself."""
    raw.autocommit = True
    # A process that is stopped within a transaction must not keep all others of its agency from writing.
    raw.execute(_SESSION, (f"{kinds.BUSY_TIMEOUT_MS}ms", f"{IDLE_MS}ms"))
    keeps, speaks_utf8, logs_parameters, is_public = raw.execute(_SERVER).fetchone()
    raw.autocommit = False
    if not keeps:
        raise StoreUnavailable(
            "expected a server with fsync and full_page_writes on: an answer must be logged for good"
        )
    if not speaks_utf8:
        raise StoreUnavailable("expected a database with the encoding UTF8")
    if logs_parameters:
        raise StoreExposed(
            "expected a server that logs no parameters: they are records of people; "
            "as its superuser: ALTER ROLE ... SET log_parameter_max_length = 0"
        )
    if is_public:
        raise StoreExposed("expected tables that PUBLIC has no right to; some can be read by every role")


def _check_alive(raw: Any, _record: Any, _proxy: Any) -> None:
    """Return only if the server has not ended an idle connection, which shows without asking it."""
    waiting = select.poll()
    waiting.register(raw.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError  # the pool makes new ones


def _begin(conn: Connection) -> None:
    """Begin the kind of transaction asked for.

    A writer reads committed rows, not a snapshot: that would be taken before the lock is had, and be older
    than what the writer before it did. With the lock nobody else writes, so its reads agree with one another.
    """
    from psycopg import IsolationLevel

    options = conn.get_execution_options()
    writes = bool(options.get(kinds.WRITES, False))
    raw: Any = conn.connection.dbapi_connection
    raw.isolation_level = IsolationLevel.READ_COMMITTED if writes else IsolationLevel.REPEATABLE_READ
    raw.read_only = not writes
    if writes:
        conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")
    if options.get(kinds.REBUILDS, False):
        _wait_for_others_to_leave(conn)


def _wait_for_others_to_leave(conn: Connection) -> None:
    """Return when nobody else is connected: a server lists one until its process has ended."""
    for _ in range(LEAVING_MS // _LOOK_AGAIN_MS):
        if not (others := conn.exec_driver_sql(_OTHERS).scalar_one()):
            return
        # A transaction sees one picture of the activity unless it asks for another.
        conn.exec_driver_sql(f"SELECT pg_sleep({_LOOK_AGAIN_MS / 1000}), pg_stat_clear_snapshot()")
    raise StoreBusy(
        f"expected nobody else to be connected to the database; {others} are: stop node, loads and shells"
    )


def _check_sound(conn: Connection) -> None:
    """Return only if a commit would commit: PostgreSQL answers one after an error with a silent rollback."""
    from psycopg.pq import TransactionStatus

    raw: Any = conn.connection.dbapi_connection
    if raw.info.transaction_status == TransactionStatus.INERROR:
        raise StoreUnavailable(
            "expected a transaction without errors; one was passed over, so nothing is kept"
        )


def _quote_nothing(context: ExceptionContext) -> None:
    """Keep the kind of an error of the server's and drop its words: they quote the row."""
    from psycopg import Error

    err = context.original_exception
    if isinstance(err, Error) and err.sqlstate is not None:
        err.args = (f"{type(err).__name__} ({err.sqlstate})",)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = err.args
