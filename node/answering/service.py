"""Carries a dispatched question through the custodian: queue, crypto thread, durable change, tick, reply.

Sees:     sealed bytes and the agency id that the gateway names; the custodian opens them.
Refuses:  without a word what its searcher may not ask now or nobody waits for.
Promises: what one gateway says in a member's name takes no turn of that member at another gateway;
          nothing leaves before its change is durable; round two leaves a whole number of ticks after it
          came, so that the time its work took is not what the gateway sees.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial

import structlog

from elsewhere.clock import to_ms
from elsewhere.errors import ElsewhereError
from elsewhere.lookup import Ruling
from elsewhere.wire.v1 import link_pb2
from node.answering.custodian import Custodian, LimitReached, Prepared
from node.answering.intake import DAY_FULL, note_refused
from node.answering.queueing import LOG_EVERY_S, Dropped, Drops, Told, Turns
from node.errors import ReplayRefused
from node.store.writer import Writer

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answering:
    """The asynchronous half of answering."""

    custodian: Custodian
    writer: Writer
    pool: Executor
    tick_s: float  # 0: replies leave at once
    turns: Turns
    drops: Drops = field(default_factory=Drops)

    async def handle(self, dispatch: link_pb2.Dispatch, link: str = "") -> link_pb2.Reply | None:
        """Answer one dispatch that came just now.

        Args:
            dispatch: as it came.
            link: the gateway that it came from.

        Returns:
            None if it was dropped, or if the store cannot be written: nothing may be released then.
        """
        arrived = asyncio.get_running_loop().time()
        searcher = self._counted_as(dispatch.searcher)
        try:
            async with self.turns.turn((link, searcher), dispatch.round, dispatch.remaining_ms / 1000):
                sealed = await self._answer(dispatch)
        except Dropped as drop:
            if drop.code == DAY_FULL:  # it was opened, so the searcher did sign it
                self._note_beyond(searcher)
            self._tell(drop.code, self.drops.note(drop.code, searcher, arrived))
            if self.drops.is_first_untold(drop.code):
                asyncio.get_running_loop().call_later(LOG_EVERY_S, self._tell_rest, drop.code)
            return None
        except ElsewhereError as err:
            _log.warning("question.refused", code=err.code, searcher=dispatch.searcher, round=dispatch.round)
            if err.code == "log.unavailable":
                return None
            return link_pb2.Reply(route=dispatch.route, refused=True)
        except Exception as err:
            # What went wrong may quote a record, so only its type is logged, under a number to look for.
            incident = secrets.token_hex(4)
            _log.error("question.failed", incident=incident, error=type(err).__name__, round=dispatch.round)
            return link_pb2.Reply(route=dispatch.route, refused=True)
        if dispatch.round == 2:
            await _next_tick(self.tick_s, arrived)
        return link_pb2.Reply(route=dispatch.route, sealed=sealed)

    def _counted_as(self, searcher: str) -> str:
        """The searcher, if it is a member; all others are as one, or made-up names would fill the memory."""
        return searcher if self.custodian.guard.trust.is_active(searcher) else ""

    def _tell(self, code: str, told: Told | None) -> None:
        """Log what was dropped, if a line is due."""
        if told is not None:
            said = {"searcher": told.searcher, "dropped": told.dropped, "of_others": told.of_others}
            _log.warning("question.dropped", code=code, **said)

    def _tell_rest(self, code: str) -> None:
        """Log what was dropped since the last line: a flood that has ended is told whole."""
        self._tell(code, self.drops.rest(code, asyncio.get_running_loop().time()))

    def _note_beyond(self, searcher: str) -> None:
        """Count a question beyond its agency's day for the log entry of the hour; nothing waits for that."""
        came = to_ms(self.custodian.clock())
        self.writer.submit(partial(note_refused, searcher=searcher, code=DAY_FULL, received_ms=came))

    async def _answer(self, dispatch: link_pb2.Dispatch) -> bytes:
        try:
            return await self._decide(dispatch)
        except ReplayRefused:
            # Where the same bytes came twice at once, one of them was first: its reply is kept by now.
            return await self._decide(dispatch)

    async def _decide(self, dispatch: link_pb2.Dispatch) -> bytes:
        answer = self.custodian.evaluate if dispatch.round == 1 else self.custodian.redeem
        limited: Ruling | None = None
        while True:
            message = (dispatch.searcher, dispatch.lookup_id, dispatch.sealed)
            try:
                return await self._work(partial(answer, *message, limited=limited))
            except LimitReached as reached:
                limited = reached.ruling

    async def _work(self, step: Callable[[], Prepared]) -> bytes:
        """Do a step on a crypto thread, which hands its change on; the reply once that is durable."""
        sealed: Future[bytes] = Future()
        self.pool.submit(self._prepare, step, sealed)
        return await asyncio.wrap_future(sealed)

    def _prepare(self, step: Callable[[], Prepared], sealed: Future[bytes]) -> None:
        """Prepare a reply; whoever waits for it is woken once, at the very end."""
        if not sealed.set_running_or_notify_cancel():
            return
        try:
            prepared = step()
        except Exception as err:
            sealed.set_exception(err)
        else:
            self._settle(prepared, sealed)

    def _settle(self, prepared: Prepared, sealed: Future[bytes]) -> None:
        """Have the change made durable, then give up the reply."""
        if prepared.change is None:
            sealed.set_result(prepared.sealed)
        else:
            self.writer.submit(prepared.change).add_done_callback(partial(_release, sealed))


def _release(sealed: Future[bytes], written: Future[bytes]) -> None:
    """Give up a reply whose change is durable; one whose change failed is never given up."""
    error = written.exception()
    if error is None:
        sealed.set_result(written.result())
    else:
        sealed.set_exception(error)


async def _next_tick(tick_s: float, arrived: float) -> None:
    """Wait until a whole number of ticks has passed since something arrived, by the loop's clock."""
    if tick_s > 0:
        spent_s = asyncio.get_running_loop().time() - arrived
        await asyncio.sleep(tick_s - spent_s % tick_s)
