"""Forgets what has served its time: once a minute, and records that may no longer be kept on their day.

Whichever process of a node leads does it for all.

Promises: what fails is tried again a minute later.
"""

from __future__ import annotations

import asyncio
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError
from node.answering.keeping import AT_ONCE, forget
from node.asking.history import History
from node.caseload.index import current_load
from node.caseload.retention import expire
from node.presence import drop_copies, forget_processes
from node.store.engine import Store
from node.store.writer import Writer

EVERY_S: Final = 60.0
_log = structlog.get_logger(__name__)


async def forget_again_and_again(
    directory: Path, store: Store, writer: Writer, history: History, clock: Clock
) -> None:
    """Until cancelled.

    Args:
        directory: the node's folder.
        store, writer: its store.
        history: of what this agency asked.
        clock: tells what is old.
    """
    expired: tuple[date, int] | None = None  # up to this day, of this load
    while True:
        try:
            # After a load too: one that began before midnight brings back what has left since.
            loaded = await asyncio.to_thread(_newest_load, store)
            today = clock().date()
            if expired != (today, loaded):
                if gone := await asyncio.to_thread(expire, store, directory, today):
                    _log.info("records.expired", count=gone)
                expired = today, loaded
            while await writer.run(partial(forget, now=clock())) == AT_ONCE:
                continue
            await writer.run(partial(history.forget, now=clock()))
            known = await writer.run(partial(forget_processes, clock=clock))
            await asyncio.to_thread(drop_copies, directory, known)
        except (ElsewhereError, SQLAlchemyError, OSError) as err:
            _log.warning("forget.failed", code=getattr(err, "code", "store.unavailable"))
        await asyncio.sleep(EVERY_S)


def _newest_load(store: Store) -> int:
    with store.read() as connection:
        return current_load(connection)
