"""Asks again, in the background, those who could not be reached in time, for as long as it may still help.

Sees:     which custodians are waited for; the question itself stays encrypted until it is asked.
Promises: the same question under the same id, so that a custodian counts it once; a late answer lands in
          the asker's history; nothing outlives the window of the question's urgency or a restart unseen. Of
          several processes one at a time asks about a row: it has claimed it before, durably.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from elsewhere.agreement.vocabulary import vocabulary
from elsewhere.asking import CustodianAnswer
from elsewhere.clock import Clock, to_ms
from elsewhere.errors import ElsewhereError
from elsewhere.matchkeys import version as match_key_version
from elsewhere.roster import Member
from node.asking.history import History, Opening
from node.asking.rounds import Lookup
from node.membership.trust import Trust
from node.store.engine import Store
from node.store.exchange import waiting
from node.store.writer import Writer

LONGEST_PAUSE: Final = timedelta(minutes=15)
LONGEST_LOOK: Final = timedelta(seconds=30)  # between looks at the list
# Longer than a turn and a lookup take. A process that is killed meanwhile costs its row no more than this.
CLAIMED_FOR: Final = timedelta(minutes=2)
_log = structlog.get_logger(__name__)

Again = Callable[[Opening, Member, bytes], Awaitable[CustodianAnswer]]


@dataclass(frozen=True, slots=True)
class RetrierParts:
    """What a retrier works with."""

    trust: Trust
    store: Store
    writer: Writer
    history: History
    clock: Clock
    first_pause: timedelta


class Retrier:
    """Keeps the list of those to be asked again, and works it off."""

    def __init__(self, parts: RetrierParts) -> None:
        self._parts = parts

    async def take(self, lookup: Lookup) -> None:
        """Note who is to be asked again: whoever did not come to the end of round two.

        Whatever was decided in round one: were only some decisions asked again about, a gateway that drops
        replies would learn which was taken.
        """
        now = self._parts.clock()
        window = timedelta(hours=vocabulary().urgencies[lookup.ask.urgency].hours)
        rows = [
            {
                "lookup_id": lookup.id.hex(),
                "custodian": agency,
                "custodian_lookup_id": lookup.lookup_ids[agency],
                "next_ms": to_ms(now + self._parts.first_pause),
                "until_ms": to_ms(now + window),
                "attempts": 0,
            }
            for agency, answer in lookup.answers.items()
            if not answer.receipt
        ]
        if rows:
            await self._parts.writer.run(lambda connection: connection.execute(insert(waiting), rows))

    async def run(self, again: Again) -> None:
        """Work the list off until cancelled.

        Args:
            again: asks one custodian the same question; it never raises for what others do.
        """
        pause = min(self._parts.first_pause, LONGEST_LOOK)
        while True:
            await asyncio.sleep(pause.total_seconds())
            try:
                await self.work_off(again)
            except (ElsewhereError, SQLAlchemyError) as err:
                # A store that is away comes back; those who wait are still on the list then.
                _log.warning("retry.failed", code=getattr(err, "code", "store.unavailable"))

    async def work_off(self, again: Again) -> int:
        """Ask everyone who is due, one after another; give how many that were."""
        asked = 0
        while (row := await self._claim()) is not None:
            asked += 1
            try:
                await self._ask_again(row, again)
            except Exception as err:
                # One row that cannot be worked on must not keep the others waiting, nor end the node.
                code = getattr(err, "code", None) or type(err).__name__
                _log.warning("retry.failed", code=str(code), custodian=row.custodian)
                await self._postpone(row)
        return asked

    async def _claim(self) -> Row[Any] | None:
        """Take whoever has been due for longest, so that nobody else does; None if nobody is due."""
        now = self._parts.clock()
        if not await asyncio.to_thread(self._is_any_due, now):
            return None
        return await self._parts.writer.run(partial(_claim, now=now))

    def _is_any_due(self, now: datetime) -> bool:
        """Look before writing: mostly nobody waits."""
        with self._parts.store.read() as connection:
            return connection.execute(_longest_due(now)).first() is not None

    async def _ask_again(self, row: Row[Any], again: Again) -> None:
        """Ask one custodian again, and keep what it says or when to try next."""
        now = self._parts.clock()
        what = await asyncio.to_thread(self._open, row.lookup_id)
        member = self._parts.trust.roster.member(row.custodian)
        # Keys of another version would not be those that the question committed to.
        if (
            what is None
            or member is None
            or to_ms(now) >= row.until_ms
            or what.secrets.key_version != match_key_version()
            or not self._parts.trust.is_active(row.custodian)
        ):
            await self._parts.writer.run(partial(_drop, row=row))
            return
        answer = await again(what, member, row.custodian_lookup_id)
        if not answer.receipt:
            await self._postpone(row)
            return
        await self._parts.writer.run(
            partial(self._keep_late, row=row, answer=answer, now=self._parts.clock())
        )
        _log.info("retry.answered", custodian=row.custodian, attempts=row.attempts + 1)

    def _open(self, lookup_id: str) -> Opening | None:
        with self._parts.store.read() as connection:
            return self._parts.history.opening(connection, lookup_id)

    async def _postpone(self, row: Row[Any]) -> None:
        """Try again after twice the pause, at most a quarter of an hour."""
        pause = min(self._parts.first_pause * 2 ** min(row.attempts + 1, 20), LONGEST_PAUSE)
        following = to_ms(self._parts.clock() + pause)
        await self._parts.writer.run(
            lambda connection: connection.execute(
                update(waiting).where(*_is(row)).values(next_ms=following, attempts=row.attempts + 1)
            )
        )

    def _keep_late(
        self, connection: Connection, row: Row[Any], answer: CustodianAnswer, now: datetime
    ) -> None:
        """A late answer into the history, and the custodian off the list, in one."""
        self._parts.history.keep(connection, row.lookup_id, [answer], now=now, kind="late")
        _drop(connection, row)


def _longest_due(now: datetime) -> Select[Any]:
    return select(waiting).where(waiting.c.next_ms <= to_ms(now)).order_by(waiting.c.next_ms).limit(1)


def _claim(connection: Connection, now: datetime) -> Row[Any] | None:
    """Take one row that is due, in a transaction in which nobody else writes."""
    row = connection.execute(_longest_due(now)).one_or_none()
    if row is not None:
        connection.execute(update(waiting).where(*_is(row)).values(next_ms=to_ms(now + CLAIMED_FOR)))
    return row


def _is(row: Row[Any]) -> tuple[Any, Any]:
    return waiting.c.lookup_id == row.lookup_id, waiting.c.custodian == row.custodian


def _drop(connection: Connection, row: Row[Any]) -> None:
    connection.execute(delete(waiting).where(*_is(row)))
