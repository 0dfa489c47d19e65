"""Which processes of a node there are: each says in a row, again and again, how it does, and that it ends.

Sees:     names of processes, and whether each is linked and ready.
Promises: a process that was killed shows as not running after `PRESENT_S`; its row is forgotten after a day.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.asking import ProcessStatus
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.errors import ElsewhereError
from node.processes.lead import leader
from node.store.processes import process
from node.store.writer import Writer

SEEN_EVERY_S: Final = 5.0
PRESENT_S: Final = 3 * SEEN_EVERY_S
FORGOTTEN_AFTER: Final = timedelta(days=1)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Condition:
    """How a process does."""

    is_linked: bool
    is_ready: bool


@dataclass(slots=True, eq=False)
class Presence:
    """One process's own row, and what it sees of the others."""

    name: str
    writer: Writer
    clock: Clock
    condition: Callable[[], Condition]
    now_s: Callable[[], float] = time.monotonic
    _linked_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._linked_s = self.now_s()

    async def run(self) -> None:
        """Say how this process does until cancelled."""
        while True:
            found = self.condition()
            if found.is_linked:
                self._linked_s = self.now_s()
            values: dict[str, object] = {
                "seen_ms": to_ms(self.clock()),
                "is_linked": found.is_linked,
                "is_ready": found.is_ready,
                "has_ended": False,
            }
            try:
                await self.writer.run(partial(_say, name=self.name, values=values))
            except (ElsewhereError, SQLAlchemyError) as err:
                _log.warning("process.not_noted", code=getattr(err, "code", "store.unavailable"))
            await asyncio.sleep(SEEN_EVERY_S)

    def leave(self) -> None:
        """Say that this process ends. Blocks. Raises LogUnavailable where it cannot."""
        values: dict[str, object] = {"seen_ms": to_ms(self.clock()), "has_ended": True}
        values |= {"is_linked": False, "is_ready": False}
        self.writer.submit(partial(_say, name=self.name, values=values)).result()

    def is_cut_off(self, connection: Connection) -> bool:
        """Whether another process has a gateway and this one has had none for a while: it had better lead."""
        if self.now_s() - self._linked_s < PRESENT_S:
            return False
        others = processes(connection, self.clock)
        return any(other.is_linked and other.is_running for other in others if other.name != self.name)


def processes(connection: Connection, clock: Clock) -> tuple[ProcessStatus, ...]:
    """Give every process of this node that is there or was lately, by name."""
    leads, now_ms = leader(connection), to_ms(clock())
    found = []
    for row in connection.execute(select(process).order_by(process.c.name)):
        is_running = not row.has_ended and abs(now_ms - row.seen_ms) < PRESENT_S * 1000
        found.append(
            ProcessStatus(
                row.name,
                is_running=is_running,
                leads=is_running and row.name == leads,
                is_linked=is_running and row.is_linked,
                is_ready=is_running and row.is_ready,
                seen_utc=from_ms(row.seen_ms),
            )
        )
    return tuple(found)


def forget_processes(connection: Connection, clock: Clock) -> frozenset[str]:
    """Delete the rows of processes that were not seen for a day; name the others."""
    connection.execute(delete(process).where(process.c.seen_ms < to_ms(clock() - FORGOTTEN_AFTER)))
    return frozenset(connection.execute(select(process.c.name)).scalars())


def _say(connection: Connection, name: str, values: dict[str, object]) -> None:
    if not connection.execute(update(process).where(process.c.name == name).values(values)).rowcount:
        connection.execute(insert(process).values(name=name, **values))
