"""Records leave on the day they may no longer be kept, with or without a load.

Promises: a record is answered about until the day before it expires and never after the next pass; its
          entries stay in catalogues until the epoch ends, as for any record that goes.
Source:   docs/caseload.md, "How long records are kept".
"""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path

from sqlalchemy import delete, select

from node.caseload.index import current_load
from node.caseload.sweep import sweep
from node.errors import LoadRunning
from node.processes.rights import hold_right_to_load
from node.store.caseload import member
from node.store.engine import Store

_BATCH = 5000


def expire(store: Store, work: Path, today: datetime.date) -> int:
    """Take every record out of force that may no longer be kept, and delete it.

    Args:
        work: the node's folder. While a load runs in it, deleting is left to that load.
        today: the day that has begun.

    Returns: how many records left.

    Raises:
        StoreBusy, StoreUnavailable: some may have left; try again.
    """
    gone = 0
    while True:
        with store.read() as conn:  # it goes through all records, which must not keep writers waiting
            due = (member.c.load_id == current_load(conn)) & (member.c.kept_until <= today)
            ids = conn.execute(select(member.c.record_id).where(due).limit(_BATCH)).scalars().all()
        if not ids:
            break
        with store.write() as conn:
            gone += conn.execute(delete(member).where(due, member.c.record_id.in_(ids))).rowcount
    if gone:
        with contextlib.suppress(LoadRunning), hold_right_to_load(work, store):
            sweep(store)
    return gone
