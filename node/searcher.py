"""The asking side of a lookup: one question, every custodian, both rounds, answers as they come.

Holds:    the person asked about and the question's secrets, in memory, until the lookup ends.
Sees:     everything this agency asks and is told.
Refuses:  to ask without a roster in force; to pass a partial answer off as a whole one.
Promises: each custodian reaches one state within the deadline, and none is made up.
Source:   docs/protocol.md, "A lookup".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import structlog

from elsewhere.asking import Ask, CustodianAnswer, Done, Event, Started, State, coverage_of, summarise
from elsewhere.clock import Clock, from_ms, to_ms
from elsewhere.errors import CatalogueDiverged, CatalogueStale, ElsewhereError, GatewayUnreachable
from elsewhere.lookup import Decision, EvaluateReply, Head, Reveal, Ruling
from elsewhere.random import RandomBytes
from elsewhere.roster import Member
from elsewhere.wire.v1 import common_pb2, link_pb2
from node import logbook, results
from node.holding import Held
from node.link import Link, Session
from node.part import Part
from node.peers import Peers
from node.questions import Prepared, QuestionMaker, choose
from node.store.exchange import asked as asked_table
from node.store.writer import Writer

T = TypeVar("T")
# The gateway stops a little before the asker does, so that its word on who was late still arrives.
GATEWAY_HEAD_START_MS: Final = 50

_ABSENT: Final[Mapping[int, tuple[State, str]]] = {
    common_pb2.NON_ANSWER_UNREACHABLE: (State.UNREACHABLE, "custodian.unreachable"),
    common_pb2.NON_ANSWER_TIMED_OUT: (State.TIMED_OUT, "custodian.timed_out"),
    common_pb2.NON_ANSWER_MAINTENANCE: (State.MAINTENANCE, "custodian.maintenance"),
    common_pb2.NON_ANSWER_REFUSED: (State.ERROR, "request.refused"),
}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SearcherParts:
    """What a searcher works with."""

    maker: QuestionMaker
    peers: Peers
    link: Callable[[], Link | None]  # one that is attached now, if any
    writer: Writer
    pool: Executor
    clock: Clock
    random: RandomBytes
    deadline_ms: int
    in_flight: int


@dataclass(slots=True, eq=False)
class _Lookup:
    """One lookup while it runs."""

    ask: Ask
    id: bytes
    began: float  # on the loop's clock
    prepared: Prepared
    asked: dict[str, Member]
    parts: dict[str, Part] = field(default_factory=dict)
    rulings: dict[str, Ruling] = field(default_factory=dict)
    answers: dict[str, CustodianAnswer] = field(default_factory=dict)
    ready: asyncio.Queue[CustodianAnswer] = field(default_factory=asyncio.Queue)
    finished: asyncio.Event = field(default_factory=asyncio.Event)  # everybody has a state

    @property
    def waiting(self) -> list[str]:
        """Custodians that have no state yet."""
        return [agency for agency in self.asked if agency not in self.answers]


class Searcher:
    """Asks on behalf of this agency's staff."""

    def __init__(self, parts: SearcherParts) -> None:
        self._parts = parts
        # Beyond a few at once the deadline would be spent waiting for each other.
        self._slots = asyncio.Semaphore(parts.in_flight)
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, ask: Ask) -> AsyncIterator[Event]:
        """Ask about one child.

        Yields:
            `Started`, then one `CustodianAnswer` for each custodian as it comes, then `Done`.

        Raises:
            AskInvalid, RosterExpired, NotActive: nobody was asked.
            LogUnavailable: the question could not be logged, so it was not asked.
        """
        async with self._slots:
            lookup = await self._begin(ask)
            yield Started(lookup.id.hex(), lookup.prepared.notes, tuple(lookup.asked))
            # Not tied to whoever listens: a lookup whose asker hangs up still redeems, or it would show.
            running = asyncio.create_task(self._run(lookup))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            for _ in lookup.asked:
                yield await lookup.ready.get()
            await asyncio.shield(running)
            answers = [lookup.answers[agency] for agency in lookup.asked]
            yield Done(coverage_of(answers), summarise(answers))

    async def drain(self) -> None:
        """Let the lookups in flight come to their end; the deadline bounds it."""
        if self._running:
            await asyncio.wait(self._running)

    async def _begin(self, ask: Ask) -> _Lookup:
        """Prepare the question and log it; the two take about as long and go side by side."""
        parts, now = self._parts, self._parts.clock()
        trust = parts.maker.trust
        trust.self_member(now)
        members = choose(trust.others(now), ask.custodians)
        basis = parts.maker.basis_of(ask, now)
        lookup_id = parts.random(16)
        entry = logbook.make_entry(
            "asked",
            {
                "lookup_id": lookup_id.hex(),
                "custodians": [member.agency_id for member in members],
                "purpose": ask.purpose,
                "basis": basis,
                "urgency": ask.urgency,
                "role": ask.role,
                # The agency's own staff and case, so that the agency itself can answer for them.
                "asker": ask.asker,
                "case_reference": ask.case_reference,
                "roster_version": trust.roster.version,
                "agreement": trust.agreement.digest.hex() if trust.agreement else "",
            },
            now,
        )
        began = asyncio.get_running_loop().time()
        logged = asyncio.ensure_future(parts.writer.run(lambda connection: logbook.append(connection, entry)))
        prepared = await self._work(lambda: parts.maker.prepare(ask, now))
        await logged
        return _Lookup(ask, lookup_id, began, prepared, {member.agency_id: member for member in members})

    async def _run(self, lookup: _Lookup) -> None:
        """Drive a lookup to its end: every custodian gets a state, by the deadline at the latest."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(lookup.began + self._parts.deadline_ms / 1000):
                await self._exchange(lookup, loop)
        except TimeoutError:
            self._settle_rest(lookup, State.TIMED_OUT, "custodian.timed_out")
        except ElsewhereError as err:
            state = State.UNREACHABLE if isinstance(err, GatewayUnreachable) else State.ERROR
            self._settle_rest(lookup, state, err.code)
        except Exception as err:
            _log.error("lookup.failed", error=type(err).__name__)
            self._settle_rest(lookup, State.ERROR, "internal")
        await self._remember(lookup)

    async def _exchange(self, lookup: _Lookup, loop: asyncio.AbstractEventLoop) -> None:
        """Both rounds with everybody."""
        link = self._parts.link()
        if link is None:
            raise GatewayUnreachable("expected a link to a gateway; there is none now")
        sealed = await self._seal_all(lookup)
        if not sealed:
            return
        session = link.open_session(lookup.id)
        working: set[asyncio.Task[None]] = set()
        try:
            spent_ms = int((loop.time() - lookup.began) * 1000)
            left_ms = max(100, self._parts.deadline_ms - spent_ms - GATEWAY_HEAD_START_MS)
            await link.ask(session, sealed, left_ms)
            receiving = loop.create_task(self._receive(lookup, link, session, working))
            finished = loop.create_task(_wait(lookup.finished))
            working |= {receiving, finished}
            await asyncio.wait((receiving, finished), return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                receiving.result()
        finally:
            link.close_session(session)
            for task in list(working):
                task.cancel()

    async def _receive(
        self, lookup: _Lookup, link: Link, session: Session, working: set[asyncio.Task[None]]
    ) -> None:
        """Act on outcomes as they come, each in a task of its own, until the link is lost."""
        while (outcome := await session.outcomes.get()) is not None:
            if outcome.custodian in lookup.parts and outcome.custodian not in lookup.answers:
                task = asyncio.create_task(self._take(lookup, link, session, outcome))
                working.add(task)
                task.add_done_callback(working.discard)
        raise GatewayUnreachable("the link to the gateway was lost in the middle of the lookup")

    async def _seal_all(self, lookup: _Lookup) -> list[tuple[str, bytes, bytes]]:
        """Seal round one for each custodian whose keys are held; the others are settled at once."""
        maker, now = self._parts.maker, self._parts.clock()
        for agency, member in lookup.asked.items():
            collection = maker.collection(lookup.ask, member, now)
            route = maker.route(member, collection, now)
            if route is None:
                self._settle(lookup, results.absent(member, State.UNREACHABLE, "statement.missing"))
                continue
            held = self._parts.peers.held(agency, collection, route.oprf.epoch)
            head = held.head if held is not None else Head(0)
            lookup.parts[agency] = maker.part(lookup.ask, lookup.prepared, route, head, now)
        seals = [self._work(part.seal_question) for part in lookup.parts.values()]
        sealed = await asyncio.gather(*seals)
        return [
            (agency, part.request.lookup_id, bytes_)
            for (agency, part), bytes_ in zip(lookup.parts.items(), sealed, strict=True)
        ]

    async def _take(self, lookup: _Lookup, link: Link, session: Session, outcome: link_pb2.Outcome) -> None:
        """Act on one outcome; whatever goes wrong is this custodian's state and nobody else's."""
        member = lookup.asked[outcome.custodian]
        try:
            ruling = lookup.rulings.get(outcome.custodian)
            if outcome.non_answer and ruling is not None and ruling.decision is not Decision.PERMIT:
                # Round one said it already; only the receipt is missing.
                self._settle(lookup, results.ruled(member, ruling, None))
            elif outcome.non_answer:
                state, code = _ABSENT[outcome.non_answer]
                since = from_ms(outcome.since_ms) if outcome.since_ms else None
                self._settle(lookup, results.absent(member, state, code, since))
            elif outcome.round == 1:
                await self._first_reply(lookup, link, session, outcome)
            elif outcome.custodian in lookup.rulings:
                await self._second_reply(lookup, outcome)
        except ElsewhereError as err:
            self._settle(lookup, results.absent(member, State.ERROR, err.code))
        except Exception as err:
            _log.error("lookup.failed", error=type(err).__name__, custodian=outcome.custodian)
            self._settle(lookup, results.absent(member, State.ERROR, "internal"))

    async def _first_reply(
        self, lookup: _Lookup, link: Link, session: Session, outcome: link_pb2.Outcome
    ) -> None:
        """Round one's reply: test what came back, then redeem, always."""
        part = lookup.parts[outcome.custodian]
        if part.redeem_digest or outcome.custodian in lookup.rulings:
            return  # a second reply to one question: the first one counts
        reveals: tuple[Reveal, ...] = ()
        try:
            reply = await self._work(lambda: part.open_reply(outcome.sealed))
        except ElsewhereError as err:
            ruling = Ruling(Decision.ERROR, err.code)
        else:
            held, stale = await self._bring_up_to_date(lookup, part, reply)
            reveals, ruling = await self._work(lambda: part.find_reveals(reply, held))
            if stale is not None and ruling.decision is Decision.PERMIT:
                ruling = stale
        lookup.rulings[outcome.custodian] = ruling
        sealed = await self._work(
            lambda: part.seal_redeem(
                reveals, names_asked=lookup.prepared.names_asked, random=self._parts.random
            )
        )
        await link.redeem(session, outcome.custodian, sealed)

    async def _bring_up_to_date(
        self, lookup: _Lookup, part: Part, reply: EvaluateReply
    ) -> tuple[Held | None, Ruling | None]:
        """The catalogue in the version named, or the ruling that stands in for testing it."""
        request = part.request
        left_s = lookup.began + self._parts.deadline_ms / 2000 - asyncio.get_running_loop().time()
        try:
            held = await self._parts.peers.ensure(
                request.custodian,
                request.collection,
                request.epoch,
                reply.published,
                timeout_s=max(0.1, left_s),
            )
        except (CatalogueStale, CatalogueDiverged) as err:
            return None, Ruling(Decision.ERROR, err.code)
        return held, None

    async def _second_reply(self, lookup: _Lookup, outcome: link_pb2.Outcome) -> None:
        """Round two's reply: the answer, or the proof of why there is none."""
        part, ruling = lookup.parts[outcome.custodian], lookup.rulings[outcome.custodian]
        reply = await self._work(lambda: part.open_answer(outcome.sealed))
        member = lookup.asked[outcome.custodian]
        if ruling.code in (CatalogueStale.code, CatalogueDiverged.code):
            stale = results.absent(member, State.STALE, ruling.code)
            self._settle(lookup, replace(stale, receipt=reply.receipt, call_reference=reply.call_reference))
        elif ruling.decision is Decision.PERMIT:
            self._settle(lookup, results.answered(member, reply, ruling.clause))
        else:
            self._settle(lookup, results.ruled(member, ruling, reply))

    def _settle(self, lookup: _Lookup, answer: CustodianAnswer) -> None:
        """Give one custodian its state, once."""
        if answer.custodian in lookup.answers:
            return
        now = asyncio.get_running_loop().time()
        answer = replace(
            answer,
            elapsed_ms=int((now - lookup.began) * 1000),
            duty_contact=results.duty_contact(self._parts.maker.trust.agreement, answer.custodian),
        )
        lookup.answers[answer.custodian] = answer
        lookup.ready.put_nowait(answer)
        if not lookup.waiting:
            lookup.finished.set()

    def _settle_rest(self, lookup: _Lookup, state: State, code: str) -> None:
        """Give everybody who has no state yet the same one; nobody is left out."""
        for agency in lookup.waiting:
            ruling = lookup.rulings.get(agency)
            if state is State.TIMED_OUT and ruling is not None and ruling.decision in _SAID_ENOUGH:
                # Only the receipt is missing: what was decided is known.
                self._settle(lookup, results.ruled(lookup.asked[agency], ruling, None))
            else:
                self._settle(lookup, results.absent(lookup.asked[agency], state, code))

    async def _remember(self, lookup: _Lookup) -> None:
        """Keep what was told, with its receipts, in the asker's history."""
        time_ms = to_ms(self._parts.clock())
        rows = [
            {
                "lookup_id": lookup.id.hex(),
                "time_ms": time_ms,
                "custodian": answer.custodian,
                "call_reference": answer.call_reference or None,
                "answer": results.history_of(answer).decode(),
                "receipt": answer.receipt or None,
            }
            for answer in lookup.answers.values()
        ]
        if rows:
            with contextlib.suppress(ElsewhereError):
                await self._parts.writer.run(
                    lambda connection: connection.execute(asked_table.insert(), rows)
                )

    async def _work(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.pool, step)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


_SAID_ENOUGH: Final = (Decision.DENY, Decision.REVIEW, Decision.RATE_LIMITED, Decision.INCOMPATIBLE)
