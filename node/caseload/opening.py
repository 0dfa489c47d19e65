"""Everything a load works with, out of a node's folder."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import select

from node.caseload.job import LoadJob
from node.caseload.tagkeys import FolderKeys
from node.config import load_config
from node.owning import open_own
from node.store.caseload import source
from node.storemark import follow, read_mark


@contextlib.contextmanager
def open_job(folder: Path, now: datetime.datetime) -> Iterator[LoadJob]:
    """Open the store, which is this node's from now on if it was nobody's; it is closed when the block ends.

    No tagging key is read yet.

    Args:
        folder: the node's.
        now: aware.

    Raises:
        ConfigInvalid: the folder is not a node's, or not in order.
        StoreUnavailable, StoreExposed, StoreVersionWrong: as `open_store`.
        StoreTaken: the store is another node's.
    """
    with open_own(load_config(folder), claims=True) as store:
        yield LoadJob(store=store, keys=FolderKeys(folder, store), now=now, work=folder)


def loads_in_force(folder: Path) -> dict[str, int]:
    """Give the load of each source that stands: it is in force, and not to be loaded again after a set-back.

    Raises: as `open_job`, and StateDamaged.
    """
    with open_own(load_config(folder)) as store, store.read() as conn:
        awaited = follow(read_mark(folder), conn).awaited or {}
        rows = conn.execute(select(source.c.name, source.c.load_id))
        return {row.name: int(row.load_id) for row in rows if row.name not in awaited}
