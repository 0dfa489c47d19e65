"""Which process of a node leads: it publishes, asks again and cleans up. At most one does so with effect.

Holds:    a lease: one row of the store, with a number that rises with every term.
Refuses:  through `check` whatever a process does in a term that is over, inside the very transaction.
Promises: a lead that ends in good order is followed at once, one that was killed after `lease_s`; a process
          that comes back under the same name takes its own term up without waiting, as that name is locked.

A lease is not judged by anybody's calendar: whoever waits sees that the row has not changed for `lease_s` on
its own clock. So clocks that differ, or are set, neither end a term nor keep a dead one alive.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import structlog
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.errors import ElsewhereError
from node.errors import LeadLost
from node.store.engine import Store
from node.store.processes import LEAD, lease
from node.store.writer import Writer

LEASE_S: Final = 10.0
BEATS: Final = 4  # in the time of a lease
LOOKS: Final = 10

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LeadParts:
    """What a lead is made with."""

    store: Store
    writer: Writer
    process: str  # this process's name, which no other process of this node has
    now_s: Callable[[], float] = time.monotonic  # never goes back
    lease_s: float = LEASE_S
    # Whether another process is better placed to lead; asked before each beat and before the lease is taken.
    yields: Callable[[Connection], bool] = lambda connection: False


class _Row(NamedTuple):
    """The lease as it is in the store."""

    holder: str
    number: int
    beat: int


class Lead:
    """One process's view of the lease. `number`, `is_leading`, `check` and `look` are for any thread."""

    def __init__(self, parts: LeadParts) -> None:
        self._parts = parts
        self._number = 0
        self._renewed_s = 0.0
        self._seen: _Row | None = None
        self._seen_s = 0.0  # since when the row has been as it was seen
        self._has_looked = self._is_over = False
        self._looking = threading.Lock()
        self._led, self._lost = asyncio.Event(), asyncio.Event()

    @property
    def number(self) -> int:
        """The number of this process's term, to be given to `check`; 0 while another leads."""
        return self._number

    @property
    def is_leading(self) -> bool:
        """Whether this process leads, as far as it can know without asking the store."""
        return bool(self._number) and self._parts.now_s() - self._renewed_s < self._parts.lease_s

    def check(self, connection: Connection, number: int) -> None:
        """Return only if a term still lasts, as this very transaction sees it.

        Args:
            connection: of a transaction that writes, which shuts other writers out until it ends.
            number: what `number` was when the work began.

        Raises:
            LeadLost: another process leads, or nobody. Nothing of the transaction may come about.
        """
        row = _read(connection)
        if not number or row is None or (row.holder, row.number) != (self._parts.process, number):
            raise LeadLost("expected to lead while this is written; another process does by now")

    def check_now(self, connection: Connection) -> None:
        """Return only if this process leads at this moment; raises LeadLost. Another may right after."""
        self.check(connection, self._number)

    def look(self) -> None:
        """Keep the lease, or take it if it is free. Blocks.

        Raises:
            LogUnavailable, StoreUnavailable: the store cannot be used now; look again.
        """
        with self._looking:
            if not self._is_over:
                self._look(self._parts.now_s())

    def _look(self, now_s: float) -> None:
        parts = self._parts
        if self._number:
            if now_s - self._renewed_s >= parts.lease_s / BEATS:
                self._keep(now_s)
            return
        with parts.store.read() as connection:
            row, yields = _read(connection), parts.yields(connection)
        if row != self._seen:
            self._seen, self._seen_s = row, now_s
        # A name is held by one process at a time, so the term of an earlier run of this one is over.
        is_own = not self._has_looked and row is not None and row.holder == parts.process
        self._has_looked = True
        is_free = row is None or not row.holder or is_own or now_s - self._seen_s >= parts.lease_s
        if is_free and not yields:
            number = parts.writer.submit(partial(_take, row=row, process=parts.process)).result()
            if number:
                self._number, self._renewed_s = number, now_s
                _log.info("lead.taken", process=parts.process, term=number)

    def release(self) -> None:
        """Give the lease up for good, so that another process leads at once. Blocks. Raises as `look`."""
        with self._looking:
            number, self._number, self._is_over = self._number, 0, True
            if number:
                self._parts.writer.submit(partial(_give_up, number=number)).result()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except (ElsewhereError, SQLAlchemyError) as err:
                _log.warning("lead.unsure", code=getattr(err, "code", "store.unavailable"))
            self._tell()
            await asyncio.sleep(self._parts.lease_s / LOOKS)

    async def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work in every term of this process, until it ends by itself; needs `run` beside it.

        Args:
            work: cancelled when the term is over, begun again in the next one. What it raises of ours or of
                the store is logged, and it begins again a moment later.
        """
        while True:
            await self._led.wait()
            try:
                if await self._until_lost(work):
                    return
            except (ElsewhereError, SQLAlchemyError, OSError) as err:
                code = getattr(err, "code", None) or type(err).__name__
                _log.warning("lead.work_failed", code=str(code))
                await asyncio.sleep(self._parts.lease_s / LOOKS)

    async def _until_lost(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do work until it ends, then True, or until the term does."""
        working = asyncio.ensure_future(work())
        losing = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((working, losing), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                return True
            return False
        finally:
            for task in (working, losing):
                task.cancel()
            await asyncio.gather(working, losing, return_exceptions=True)

    def _keep(self, now_s: float) -> None:
        """Renew the lease; find out here if another process took it."""
        yields = self._parts.yields
        renew = partial(_renew, number=self._number, process=self._parts.process, yields=yields)
        if self._parts.writer.submit(renew).result():
            self._renewed_s = now_s
            return
        self._number = 0
        _log.warning("lead.lost", process=self._parts.process)

    def _tell(self) -> None:
        """Let those who wait know; on the event loop."""
        is_led = bool(self._number)
        for event, is_so in ((self._led, is_led), (self._lost, not is_led)):
            if is_so:
                event.set()
            else:
                event.clear()


def leader(connection: Connection) -> str:
    """Name the process that leads, as the store says; empty for none."""
    row = _read(connection)
    return row.holder if row is not None else ""


def _read(connection: Connection) -> _Row | None:
    query = select(lease.c.holder, lease.c.number, lease.c.beat).where(lease.c.name == LEAD)
    row = connection.execute(query).one_or_none()
    return _Row(*row) if row is not None else None


def _take(connection: Connection, row: _Row | None, process: str) -> int:
    """Begin a term, unless the row is not as it was seen: somebody else was first, or is alive after all."""
    if _read(connection) != row:
        return 0
    number = row.number + 1 if row is not None else 1
    values = {"holder": process, "number": number, "beat": 0}
    if row is None:
        connection.execute(insert(lease).values(name=LEAD, **values))
    else:
        connection.execute(update(lease).where(lease.c.name == LEAD).values(values))
    return number


def _renew(connection: Connection, number: int, process: str, yields: Callable[[Connection], bool]) -> bool:
    """Beat once more; False if the term is over, also because it is given up now."""
    if yields(connection):
        _give_up(connection, number)
        return False
    mine = (lease.c.name == LEAD, lease.c.number == number, lease.c.holder == process)
    renewed = connection.execute(update(lease).where(*mine).values(beat=lease.c.beat + 1))
    return renewed.rowcount == 1


def _give_up(connection: Connection, number: int) -> None:
    mine = (lease.c.name == LEAD, lease.c.number == number)
    connection.execute(update(lease).where(*mine).values(holder=""))
