"""Opens a node's store: the database named by `store.url`, with the tables of this version."""

from __future__ import annotations

from pathlib import Path

from elsewhere.database.engine import Database as Store
from elsewhere.database.engine import open_database
from elsewhere.database.revisions import prepare
from node.store.schema import SCHEMA

__all__ = ["Store", "open_store"]


def open_store(url: str, password_file: Path | None = None) -> Store:
    """Open a store, and make its tables if it is new.

    Args:
        url, password_file: as `open_database` takes them.

    Raises:
        ConfigInvalid: the URL is none, or names a server in a way that is not safe.
        StoreUnavailable: no such folder, or not a database.
        StoreExposed: the database can be read by others.
        StoreVersionWrong: made by another version of elsewhere; `elsewhere node upgrade` changes that.
    """
    store = open_database(url, password_file)
    try:
        prepare(store, SCHEMA)
    except BaseException:
        store.close()
        raise
    return store
