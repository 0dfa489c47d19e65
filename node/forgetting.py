"""Forgets what has served its time: once a minute, and records that may no longer be kept on their day.

Whichever process of a node leads does it for all.

Promises: what fails is tried again a minute later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.clock import Clock
from elsewhere.errors import ElsewhereError
from node.answering.kept import AT_ONCE, forget
from node.answering.noticing import forget_notices
from node.answering.reviewing import forget_reviews
from node.asking.history import History
from node.auditing.erasing import erase_again
from node.caseload.index import current_load
from node.caseload.retention import expire
from node.catalogues.holding import CatalogueName
from node.catalogues.leftovers import drop_leftovers
from node.ledger.witness import forget_witnessed
from node.processes.presence import forget_processes
from node.store.engine import Store
from node.store.writer import Writer
from node.studies.budget import forget_shares

EVERY_S: Final = 60.0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What is forgotten, and where."""

    directory: Path  # the node's folder
    store: Store
    writer: Writer
    history: History  # of what this agency asked
    may_hold: Callable[[CatalogueName], bool]  # whether a copy of it may be held now
    clock: Clock  # tells what is old

    async def run(self) -> None:
        """Forget again and again until cancelled."""
        is_erased = False
        expired: tuple[date, int] | None = None  # up to this day, of this load
        while True:
            # A store is set back while no process runs, so once is enough.
            is_erased = is_erased or await self._erase_again()
            try:
                expired = await self._expire(expired)
                while await self.writer.run(partial(forget, now=self.clock())) == AT_ONCE:
                    continue
                await self.writer.run(partial(forget_reviews, now=self.clock()))
                await self.writer.run(forget_notices)
                await self.writer.run(partial(self.history.forget, now=self.clock()))
                await self.writer.run(partial(forget_witnessed, now=self.clock()))
                await self.writer.run(partial(forget_shares, now=self.clock()))
                known = await self.writer.run(partial(forget_processes, clock=self.clock))
                await asyncio.to_thread(drop_leftovers, self.directory, known, self.may_hold)
            except (ElsewhereError, SQLAlchemyError, OSError) as err:
                _log.warning("forget.failed", code=getattr(err, "code", "store.unavailable"))
            await asyncio.sleep(EVERY_S)

    async def _erase_again(self) -> bool:
        """Erase in a restored store what was erased before; gives whether that is done."""
        again = partial(erase_again, directory=self.directory, now=self.clock())
        try:
            gone = await self.writer.run(again)
        except (ElsewhereError, SQLAlchemyError, OSError) as err:
            # Whatever else has served its time goes all the same.
            _log.error("log.not_erased_again", code=getattr(err, "code", "store.unavailable"))
            return False
        if gone:
            _log.warning("log.erased_again", entries=gone)
        return True

    async def _expire(self, before: tuple[date, int] | None) -> tuple[date, int]:
        """Let records leave that may no longer be kept, once a day and once for each load."""
        # After a load too: one that began before midnight brings back what has left since.
        loaded = await asyncio.to_thread(_newest_load, self.store)
        today = self.clock().date()
        is_due = before != (today, loaded)
        if is_due and (gone := await asyncio.to_thread(expire, self.store, self.directory, today)):
            _log.info("records.expired", count=gone)
        return today, loaded


def _newest_load(store: Store) -> int:
    with store.read() as connection:
        return current_load(connection)
