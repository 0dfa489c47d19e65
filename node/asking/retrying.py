"""Asks again, in the background, those who could not be reached, and those where a person decides.

Sees:     which custodians are waited for; the question itself stays encrypted until it is asked.
Promises: the same question under the same id, so that a custodian counts it once; where a person decides it
          goes under another id each time, or a gateway would read from that who was told so. A late answer
          lands in the asker's history; nothing outlives its window or a restart unseen. Of
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
from elsewhere.asking import Ask, CustodianAnswer, State
from elsewhere.clock import Clock, to_ms
from elsewhere.errors import ElsewhereError
from elsewhere.matchkeys import version as match_key_version
from elsewhere.roster import Member
from node.asking.history import History, Opening
from node.asking.rounds import Lookup
from node.asking.secondlook import await_after
from node.membership.trust import Trust
from node.store.engine import Store
from node.store.exchange import waiting
from node.store.writer import Writer

LONGEST_PAUSE: Final = timedelta(minutes=15)
LONGEST_LOOK: Final = timedelta(seconds=30)  # between looks at the list
# Longer than a turn and a lookup take. A process that is killed meanwhile costs its row no more than this.
CLAIMED_FOR: Final = timedelta(minutes=2)
# A person may decide for three days, and a release may be used for three more.
REVIEWED_WITHIN: Final = timedelta(days=6)
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
    review_pause: timedelta = timedelta(minutes=2)  # where a person decides


class Retrier:
    """Keeps the list of those to be asked again, and works it off."""

    def __init__(self, parts: RetrierParts) -> None:
        self._parts = parts

    async def take(self, lookup: Lookup) -> None:
        """Note who is to be asked again: who did not come to the end of round two; where a person decides.

        Of the former whatever was decided in round one: were only some decisions asked again about, a gateway
        that drops replies would learn which was taken.
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
                "for_review": False,
                **(self._for_review(now) if answer.receipt else {}),
            }
            for agency, answer in lookup.answers.items()
            if not answer.receipt or answer.state is State.REVIEW
        ]
        if rows:
            await self._parts.writer.run(lambda connection: connection.execute(insert(waiting), rows))

    def _for_review(self, now: datetime) -> dict[str, Any]:
        """The columns of a row whose question a person is to decide about."""
        return {
            "custodian_lookup_id": self._parts.history.random(16),
            "next_ms": to_ms(now + self._parts.review_pause),
            "until_ms": to_ms(now + REVIEWED_WITHIN),
            "attempts": 0,
            "for_review": True,
        }

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
        elif answer.state is State.REVIEW:
            await self._await_review(row, answer)
        elif row.for_review and not (answer.state.is_answer or answer.state is State.DENIED):
            await self._postpone(row)  # an agency that is busy or out of date has not decided
        else:
            late = partial(self._keep_late, row=row, ask=what.ask, answer=answer)
            await self._parts.writer.run(late)
            _log.info("retry.answered", custodian=row.custodian, attempts=row.attempts + 1)

    async def _await_review(self, row: Row[Any], answer: CustodianAnswer) -> None:
        """A person has not decided yet: ask again under another id; the first time the asker is told so."""
        now = self._parts.clock()
        if row.for_review:
            await self._postpone(row, custodian_lookup_id=self._parts.history.random(16))
            return
        values = self._for_review(now)

        def change(connection: Connection) -> None:
            self._parts.history.keep(connection, row.lookup_id, [answer], now=now, kind="late")
            connection.execute(update(waiting).where(*_is(row)).values(values))

        await self._parts.writer.run(change)

    def _open(self, lookup_id: str) -> Opening | None:
        with self._parts.store.read() as connection:
            return self._parts.history.opening(connection, lookup_id)

    async def _postpone(self, row: Row[Any], **values: Any) -> None:
        """Try again after twice the pause, at most a quarter of an hour."""
        first = self._parts.review_pause if row.for_review else self._parts.first_pause
        pause = min(first * 2 ** min(row.attempts + 1, 20), LONGEST_PAUSE)
        values |= {"next_ms": to_ms(self._parts.clock() + pause), "attempts": row.attempts + 1}
        change = update(waiting).where(*_is(row)).values(values)
        await self._parts.writer.run(lambda connection: connection.execute(change))

    def _keep_late(self, connection: Connection, row: Row[Any], ask: Ask, answer: CustodianAnswer) -> None:
        """A late answer into the history, and the custodian off the list, in one."""
        now = self._parts.clock()
        self._parts.history.keep(connection, row.lookup_id, [answer], now=now, kind="late")
        await_after(connection, row.lookup_id, ask, [answer], now)
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
