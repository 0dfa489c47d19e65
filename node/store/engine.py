"""Opens a node's store and hands out transactions: many readers, one writer at a time.

Holds:    one connection pool. SQL parameters never reach an exception's text.
Refuses:  a store of another schema version; a SQLite file that others can read.
Promises: a database that fails is `StoreUnavailable` or `StoreBusy` to every caller of `read` and `write`.
Source:   SQLite: WAL with synchronous=FULL survives power loss; BEGIN IMMEDIATE takes the write lock at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from elsewhere.errors import StoreBusy, StoreUnavailable
from elsewhere.keyfiles import check_store_file
from node.errors import StoreVersionWrong
from node.store.schema import SCHEMA_VERSION, VERSION_KEY, meta, metadata

BUSY_TIMEOUT_MS = 10_000
_WRITES = "elsewhere_writes"


class Store:
    """An open store. Threads may share it; processes open their own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the store throughout, whatever others write meanwhile.

        Raises:
            StoreUnavailable: the store is gone or damaged.
        """
        with _translated(), self._engine.connect() as conn, conn.begin():
            yield conn

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are all durable when the block ends, or none if it raises.

        Raises:
            StoreBusy: another writer held the store for the whole of BUSY_TIMEOUT_MS. Try again.
            StoreUnavailable: the disk is full, or the store is gone or damaged.
        """
        with (
            _translated(),
            self._engine.connect().execution_options(**{_WRITES: True}) as conn,
            conn.begin(),
        ):
            yield conn

    def close(self) -> None:
        """Give up all connections."""
        self._engine.dispose()


def open_store(url: str) -> Store:
    """Open a store, and make its tables if it is new.

    Args:
        url: SQLAlchemy URL; `sqlite:////var/lib/elsewhere/police/store.sqlite` (four slashes: absolute).

    Raises:
        StoreUnavailable: no such engine, no such folder, or not a database.
        StoreExposed: the file can be read by others.
        StoreVersionWrong: made by another version of elsewhere.
    """
    # Their tables register themselves on the shared MetaData.
    from node.store import caseload, exchange, processes  # noqa: F401

    parsed = _parse_url(url)
    check_store_file(Path(str(parsed.database)).absolute())
    # hide_parameters: the parameters are people's names.
    engine = create_engine(parsed, hide_parameters=True, pool_size=16, max_overflow=16)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    store = Store(engine)
    try:
        _check_version(store)
    except BaseException:
        store.close()
        raise
    return store


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn a failure of the database into an error of ours; a broken rule of the tables is its caller's."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as err:
        if "locked" in str(err.orig):
            raise StoreBusy("expected the store to be free within 10 s; another process is writing") from None
        raise StoreUnavailable(f"expected a store that works; the database says: {err.orig}") from None


def _parse_url(url: str) -> URL:
    """Accept the engines this version speaks. The URL may hold a password, so it is never quoted."""
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise StoreUnavailable(
            "expected a database URL in store.url, such as sqlite:////path/store.sqlite"
        ) from None
    if name != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise StoreUnavailable(f"expected a sqlite:///FILE URL in store.url; {name!r} is not supported yet")
    return parsed


def _check_version(store: Store) -> None:
    """Make the tables of an empty store; refuse one of another version."""
    with store.read() as conn:
        found = _stored_version(conn)
    if found is None:
        with store.write() as conn:
            if (found := _stored_version(conn)) is None:
                if inspect(conn).get_table_names():
                    raise StoreUnavailable(
                        "expected an empty database or a node's store; it has other tables"
                    )
                metadata.create_all(conn)
                conn.execute(meta.insert().values(name=VERSION_KEY, value=str(SCHEMA_VERSION)))
                return
    if found != str(SCHEMA_VERSION):
        raise StoreVersionWrong(found=found, spoken=SCHEMA_VERSION)


def _stored_version(conn: Connection) -> str | None:
    """The schema version written in a store, None for one without tables of ours."""
    if not inspect(conn).has_table(meta.name):
        return None
    value = conn.execute(select(meta.c.value).where(meta.c.name == VERSION_KEY)).scalar_one_or_none()
    return "none" if value is None else str(value)


def _prepare_connection(raw: sqlite3.Connection, _record: Any) -> None:
    """Set a new connection up; transactions are begun by `_begin`, not guessed by the driver."""
    raw.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "cache_size = -65536",  # KiB
        "secure_delete = FAST",  # what is deleted is overwritten where that costs no further write
        "temp_store = MEMORY",  # nothing of a record in a file elsewhere
    ):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin(conn: Connection) -> None:
    """Begin the kind of transaction asked for: a writer that starts as a reader can be refused half-way."""
    writes = conn.get_execution_options().get(_WRITES, False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
