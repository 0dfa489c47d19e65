"""An open database of a node or gateway: many readers, one writer at a time, whatever engine is behind it.

Holds:    one connection pool. SQL parameters never reach an exception's text.
Refuses:  any engine but SQLite and PostgreSQL; what `elsewhere.database.sqlite` and `.postgresql` refuse.
Promises: a read sees one state throughout; a write is the only one until it ends, across all processes, and
          is durable when it ends; a database that fails is `StoreUnavailable` or `StoreBusy` to every caller.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from elsewhere.database import postgresql, sqlite
from elsewhere.database.kinds import REBUILDS, WRITES
from elsewhere.errors import ConfigInvalid, StoreBusy, StoreUnavailable

_SESSIONS = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = ANY(:held)")
_LOCK_NOT_AVAILABLE = "55P03"  # SQLSTATE of PostgreSQL's lock_timeout


class Database:
    """An open database. Threads may share it; processes open their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._held: set[int] = set()  # sessions at the server that hold a right, by their process there

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the store throughout, whatever others write meanwhile.

        Raises:
            StoreUnavailable: the store is gone or damaged.
        """
        with self._ours(), self._engine.connect() as conn, conn.begin():
            yield conn

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are all durable when the block ends, or none if it raises.

        One case is neither: a server that is lost while it commits may have committed. It raises as well, and
        the caller must take its change as possibly made.

        Raises:
            StoreBusy: another writer held the store for the whole of BUSY_TIMEOUT_MS. Try again.
            StoreUnavailable: the disk is full, or the store is gone or damaged; or a right that is held here
                is lost, so that somebody else may have it.
        """
        options = {WRITES: True}
        with self._ours(), self._engine.connect() as conn, conn.execution_options(**options).begin():
            self._check_held(conn)
            yield conn

    @contextlib.contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """As `write`, for a change of the tables themselves; nobody else may be connected.

        Raises:
            StoreBusy: another process is connected, and does not leave for LEAVING_MS.
        """
        options = {WRITES: True, REBUILDS: True}
        self._engine.dispose()  # its own idle connections count as well
        try:
            with (
                self._ours(),
                self._engine.connect() as conn,
                conn.execution_options(**options).begin(),
            ):
                yield conn
        finally:
            self._engine.dispose()  # a connection set up for this is good for nothing else

    @contextlib.contextmanager
    def hold(self, right: int, *, waits: bool = False) -> Iterator[bool]:
        """Hold a right that only one session at a server may have; give whether it was to be had.

        It ends with the block, with the process, or with its connection. Once that is lost somebody else may
        have it: nothing more is written through this object before the block ends, which then raises. A file
        gives out no rights: its processes are on one machine, where they lock a file beside it.

        Args:
            right: any number that stands for it.
            waits: for whoever has it.

        Raises:
            StoreBusy: it was waited for, for the whole of BUSY_TIMEOUT_MS. Try again.
            StoreUnavailable: the server is gone, or has ended the session meanwhile.
        """
        if self._engine.dialect.name != "postgresql":
            yield True
            return
        with self._ours(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            try:
                if waits:
                    conn.execute(select(func.pg_advisory_lock(right)))
                    is_had = True
                else:
                    is_had = bool(conn.execute(select(func.pg_try_advisory_lock(right))).scalar_one())
                with self._noted(conn) if is_had else contextlib.nullcontext():
                    yield is_had
                if (
                    is_had
                ):  # the server notices only later that a session has ended, and who is next does not wait
                    conn.execute(select(func.pg_advisory_unlock(right)))
            finally:
                conn.invalidate()  # the session ends, and the right with it

    @contextlib.contextmanager
    def _noted(self, conn: Connection) -> Iterator[None]:
        """Have writers look, while the block lasts, whether the session that holds a right lasts."""
        session = conn.execute(select(func.pg_backend_pid())).scalar_one()
        self._held.add(session)
        try:
            yield
            conn.execute(select(1))
        finally:
            self._held.discard(session)

    def _check_held(self, conn: Connection) -> None:
        """Return only if every right is held still, as seen while nobody else writes."""
        held = list(self._held)
        if held:
            # Whoever gets a right that was lost waits with its writing until this transaction has ended.
            alive = set(conn.execute(_SESSIONS, {"held": held}).scalars())
            if not alive.issuperset(self._held.intersection(held)):
                raise StoreUnavailable("expected to hold a right still; the server has ended its session")

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        """Turn a failing database's error into one of ours; a broken rule of the tables is its caller's."""
        try:
            yield
        except IntegrityError:
            raise
        except PoolTimeout:
            raise StoreBusy("expected a free connection to the store; all stay in use") from None
        except (DBAPIError, self._engine.dialect.loaded_dbapi.Error) as err:
            cause = err.orig if isinstance(err, DBAPIError) else err
            if _is_busy(cause):
                raise StoreBusy("expected the store to be free within 10 s; others are writing") from None
            raise StoreUnavailable(
                f"expected a store that works; the database says: {_said(cause)}"
            ) from None


def open_database(url: str, password_file: Path | None = None) -> Database:
    """Open a database; nothing is read or written yet.

    Args:
        url: SQLAlchemy URL; `sqlite:////var/lib/elsewhere/police/store.sqlite` (four slashes: absolute) or
            `postgresql://role@host/database?sslmode=verify-full`.
        password_file: read for every connection to a server, so that a new password takes no restart.

    Raises:
        ConfigInvalid: no such engine, a password in the URL, or a server that is reached without TLS.
        StoreUnavailable: no such folder or file.
        StoreExposed: the file can be read by others.
    """
    parsed = _parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Database(sqlite.make_engine(parsed))
    return Database(postgresql.make_engine(parsed, password_file))


def _parse_url(url: str) -> URL:
    """Accept the engines this version speaks. The URL may hold a password, so it is never quoted."""
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigInvalid(
            "expected a database URL in store.url, such as sqlite:////path/store.sqlite"
        ) from None
    if name not in ("sqlite", "postgresql"):
        raise ConfigInvalid(f"expected a sqlite or postgresql URL in store.url; {name!r} is not supported")
    return parsed


def _is_busy(err: BaseException | None) -> bool:
    """Whether a lock was not to be had in time."""
    if isinstance(err, sqlite3.Error):
        return "locked" in str(err)
    return getattr(err, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _said(err: BaseException | None) -> str:
    """What a database says of its failure. Only what is no fault of a row's is told in its words."""
    sqlstate = getattr(err, "sqlstate", None)
    if sqlstate is not None:
        return f"{type(err).__name__} ({sqlstate})"
    return str(err).strip() or type(err).__name__
