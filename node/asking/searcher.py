"""The asking side: one question from a practitioner, logged, asked of everybody, told as answers come.

Holds:    the person asked about, in memory while it is asked; encrypted afterwards.
Sees:     everything this agency asks and is told.
Refuses:  to ask without a roster in force, or what could not be logged; to pass a part off as the whole.
Source:   docs/protocol.md, "A lookup".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection

from elsewhere.asking import Ask, CustodianAnswer, Done, Event, Started, coverage_of, summarise
from elsewhere.canonical import Json
from elsewhere.errors import AskInvalid, DeskBusy, ElsewhereError
from elsewhere.question import QuestionSecrets, commit
from elsewhere.roster import Member
from elsewhere.secondlook import check_reason, needs_second_look
from node.asking.history import History, Opening
from node.asking.questions import choose
from node.asking.retrying import Retrier
from node.asking.rounds import Exchange, ExchangeParts, Lookup
from node.asking.secondlook import await_after, await_look
from node.store.writer import Writer

T = TypeVar("T")
# For each lookup in flight. At a deadline of 3 s the last in the queue waits 24, within a desk's patience.
WAITING_PER_SLOT: Final = 8
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SearcherParts:
    """What a searcher works with."""

    exchange: ExchangeParts
    check_welcome: Callable[[], None]  # raises NotActive where this agency may not ask
    writer: Writer
    history: History
    retrier: Retrier
    in_flight: int


class Searcher:
    """Asks on behalf of this agency's staff."""

    def __init__(self, parts: SearcherParts) -> None:
        self._parts = parts
        self._exchange = Exchange(parts.exchange)
        # Beyond a few at once the deadline would be spent waiting for each other.
        self._slots = asyncio.Semaphore(parts.in_flight)
        self._waiting = 0
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, ask: Ask, *, desk_client: str = "") -> AsyncGenerator[Event, None]:
        """Ask about one child.

        Args:
            ask: the question.
            desk_client: which of the agency's own systems put it, for the log; empty: none, a call within.

        Yields:
            `Started`, then one `CustodianAnswer` for each custodian as it comes, then `Done`.

        Raises:
            AskInvalid, RosterExpired, NotActive: nobody was asked.
            ReasonMissing, SecondLookOverdue: of a question on vital interests. Nobody was asked.
            DeskBusy: too many wait already. Nobody was asked.
            LogUnavailable: the question could not be logged, so it was not asked.
        """
        lookup, running = await self._start(ask, desk_client)
        yield Started(lookup.id.hex(), lookup.prepared.notes, tuple(lookup.asked))
        for _ in lookup.asked:
            yield await lookup.ready.get()
        await asyncio.shield(running)
        answers = [lookup.answers[agency] for agency in lookup.asked]
        yield Done(coverage_of(answers), summarise(answers))

    async def drain(self) -> None:
        """Let the lookups in flight come to their end; the deadline bounds it."""
        if self._running:
            await asyncio.wait(self._running)

    async def again(self, what: Opening, member: Member, lookup_id: bytes) -> CustodianAnswer:
        """Ask one custodian the same question again: the same elements, commitment and lookup id.

        The gateway and the custodian see that it is asked again, and nothing else; it is counted once.
        """
        parts = self._parts.exchange
        async with self._slots:
            began = asyncio.get_running_loop().time()
            prepared = await self._work(partial(parts.maker.prepare, what.ask, what.secrets, parts.clock()))
            asked = {member.agency_id: member}
            ids = {member.agency_id: lookup_id}
            lookup = Lookup(what.ask, parts.random(16), began, prepared, asked, ids)
            await self._exchange.run(lookup)
        return lookup.answers[member.agency_id]

    async def _start(self, ask: Ask, desk_client: str) -> tuple[Lookup, asyncio.Task[None]]:
        """Wait for a slot and start a lookup in it; the slot is free again once the lookup has ended.

        Not tied to whoever listens: a lookup whose asker hangs up still redeems, or it would show; and one
        whose asker stops reading keeps nobody else from asking.
        """
        await self._take_slot()
        try:
            lookup = await self._begin(ask, desk_client)
        except BaseException:
            self._slots.release()
            raise
        running = asyncio.create_task(self._run(lookup))
        self._running.add(running)
        running.add_done_callback(self._ended)
        return lookup, running

    async def _take_slot(self) -> None:
        """Wait in turn, unless so many do that the last would be given up before it is asked."""
        most = WAITING_PER_SLOT * self._parts.in_flight
        if self._slots.locked() and self._waiting >= most:
            raise DeskBusy(f"expected at most {most} questions to wait at this node; ask again in a moment")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1

    def _ended(self, running: asyncio.Task[None]) -> None:
        self._running.discard(running)
        self._slots.release()

    async def _begin(self, ask: Ask, desk_client: str) -> Lookup:
        """Log the question and prepare it; the two take about as long and go side by side."""
        parts = self._parts.exchange
        now, trust = parts.clock(), parts.maker.trust
        self._parts.check_welcome()
        trust.self_member(now)
        asked = {member.agency_id: member for member in choose(trust.others(now), ask.custodians)}
        began, lookup_id = asyncio.get_running_loop().time(), parts.random(16)
        secrets = parts.maker.new_secrets(ask)
        facts = {**self._facts(ask, secrets, asked), "desk_client": desk_client}
        is_alone = needs_second_look(str(facts["basis"]))
        if is_alone and ask.urgency != "RED":
            raise AskInvalid("urgency: expected RED on vital interests; otherwise ask on another basis")
        if is_alone or ask.reason:
            check_reason(ask.reason)
            facts["reason"] = ask.reason

        def begin(connection: Connection) -> None:
            if is_alone:
                await_look(connection, lookup_id.hex(), ask, now)
            what = Opening(ask, secrets)
            self._parts.history.begin(connection, lookup_id.hex(), what, facts, now)

        logged = asyncio.ensure_future(self._parts.writer.run(begin))
        prepared = await self._work(partial(parts.maker.prepare, ask, secrets, now))
        await logged
        ids = {agency: parts.random(16) for agency in asked}
        return Lookup(ask, lookup_id, began, prepared, asked, ids)

    def _facts(self, ask: Ask, secrets: QuestionSecrets, asked: dict[str, Member]) -> dict[str, Json]:
        """What this agency's own log says: its staff and case too, so that it can answer for them."""
        maker, now = self._parts.exchange.maker, self._parts.exchange.clock()
        trust = maker.trust
        return {
            "custodians": list(asked),
            "commitment": commit(secrets).hex(),
            "purpose": ask.purpose,
            "basis": maker.basis_of(ask, now),
            "urgency": ask.urgency,
            "role": ask.role,
            "asker": ask.asker,
            "case_reference": ask.case_reference,
            "roster_version": trust.roster.version,
            "agreement": trust.agreement.digest.hex() if trust.agreement else "",
        }

    async def _run(self, lookup: Lookup) -> None:
        """Drive a lookup to its end, keep what was told, and have the rest asked again later."""
        await self._exchange.run(lookup)
        now, answers = self._parts.exchange.clock(), list(lookup.answers.values())

        def keep(connection: Connection) -> None:
            self._parts.history.keep(connection, lookup.id.hex(), answers, now=now)
            await_after(connection, lookup.id.hex(), lookup.ask, answers, now)

        try:
            await self._parts.writer.run(keep)
            await self._parts.retrier.take(lookup)
        except ElsewhereError as err:
            # The asker has the answers; only the history lacks them.
            _log.error("history.not_kept", code=err.code)

    async def _work(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.exchange.pool, step)
