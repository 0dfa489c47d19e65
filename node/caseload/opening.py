"""Everything a load works with, out of a node's folder."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from elsewhere.errors import NotAdmitted
from node.caseload.job import LoadJob
from node.caseload.tagkeys import FolderKeys
from node.config import load_config
from node.keys.ring import read_signing
from node.membership.trust import read_anchor
from node.store.engine import open_store
from node.store.owner import Owner, check_owner, owner_of


@contextlib.contextmanager
def open_job(folder: Path, now: datetime.datetime) -> Iterator[LoadJob]:
    """Open the store; it is closed when the block ends. No tagging key is read yet.

    Args:
        folder: the node's.
        now: aware.

    Raises:
        ConfigInvalid: the folder is not a node's, or not in order.
        StoreUnavailable, StoreExposed, StoreVersionWrong: as `open_store`.
        StoreTaken: the store is another node's.
    """
    config = load_config(folder)
    store = open_store(config.store_url, config.store_password)
    try:
        with store.read() as conn:
            if owner_of(conn) is not None:
                federation = ""
                with contextlib.suppress(NotAdmitted):
                    federation = read_anchor(folder).federation_id
                check_owner(conn, Owner(config.agency, federation, read_signing(folder).key_id))
        yield LoadJob(store=store, keys=FolderKeys(folder, store), now=now, work=folder)
    finally:
        store.close()
