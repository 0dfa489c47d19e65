"""A database in one file of its own.

Refuses:  a file that others can read; a database that would be gone with its process.
Source:   WAL with synchronous=FULL survives power loss; BEGIN IMMEDIATE takes the write lock at once.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from elsewhere.database import kinds
from elsewhere.errors import ConfigInvalid, StoreUnavailable
from elsewhere.keyfiles import check_store_file


def make_engine(url: URL) -> Engine:
    """Make an engine for one file, which is made for its owner alone if it is not there.

    Raises:
        ConfigInvalid: the URL names no file.
        StoreUnavailable: no such folder, or no right to it.
        StoreExposed: others can read the file.
    """
    if url.database in (None, "", ":memory:"):
        raise ConfigInvalid("expected a file in store.url: what is kept must survive a restart")
    check_store_file(Path(str(url.database)).absolute())
    # hide_parameters: the parameters are people's names.
    engine = create_engine(url, hide_parameters=True, pool_size=16, max_overflow=16)
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "commit", _check_rebuilt)
    return engine


def _prepare_connection(raw: sqlite3.Connection, _record: Any) -> None:
    """Set a new connection up; transactions are begun by `_begin`, not guessed by the driver."""
    raw.isolation_level = None
    for pragma in (
        f"busy_timeout = {kinds.BUSY_TIMEOUT_MS}",
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
    options = conn.get_execution_options()
    if options.get(kinds.REBUILDS, False):
        conn.exec_driver_sql("PRAGMA busy_timeout = 0")
        # Refused while anybody else is connected, which BEGIN EXCLUSIVE under WAL is not.
        conn.exec_driver_sql("PRAGMA journal_mode = DELETE")
        # A table is rebuilt by dropping it, which must not reach into those that refer to it.
        conn.exec_driver_sql("PRAGMA foreign_keys = OFF")
        conn.exec_driver_sql("BEGIN EXCLUSIVE")
    else:
        conn.exec_driver_sql("BEGIN IMMEDIATE" if options.get(kinds.WRITES, False) else "BEGIN")


def _check_rebuilt(conn: Connection) -> None:
    """Return only if every reference still holds after the tables were rebuilt."""
    if not conn.get_execution_options().get(kinds.REBUILDS, False):
        return
    if conn.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise StoreUnavailable(
            "expected every row to refer to one that exists; the tables were left as they were"
        )
