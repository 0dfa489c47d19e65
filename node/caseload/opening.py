"""Everything a load works with, out of a node's folder."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from node.caseload.job import LoadJob
from node.caseload.tagkeys import FolderKeys
from node.config import load_config
from node.store.engine import open_store


@contextlib.contextmanager
def open_job(folder: Path, now: datetime.datetime) -> Iterator[LoadJob]:
    """Open the store; it is closed when the block ends. No key is read yet.

    Args:
        folder: the node's.
        now: aware.

    Raises:
        ConfigInvalid: the folder is not a node's, or not in order.
        StoreUnavailable, StoreExposed, StoreVersionWrong: as `open_store`.
    """
    config = load_config(folder)
    store = open_store(config.store_url, config.store_password)
    try:
        yield LoadJob(store=store, keys=FolderKeys(folder, store), now=now, work=folder)
    finally:
        store.close()
