"""Both rounds of one lookup with every custodian at once, by one deadline.

Holds:    the question's secrets and each part's keys, in memory, until the lookup ends.
Sees:     everything this agency asks and is told.
Promises: each custodian reaches one state by the deadline, and none is made up; every custodian that
          replied to round one is sent round two.
Source:   docs/protocol.md, "A lookup".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

import structlog

from elsewhere.asking import Ask, CustodianAnswer, State
from elsewhere.clock import Clock, from_ms
from elsewhere.errors import ElsewhereError, GatewayUnreachable
from elsewhere.lookup import RESERVE, Decision, EvaluateReply, Head, Reveal, Ruling
from elsewhere.random import RandomBytes
from elsewhere.roster import Member
from elsewhere.wire.v1 import common_pb2, link_pb2
from node.asking import results
from node.asking.carrier import Carrier, CarrierParts
from node.asking.part import Part
from node.asking.questions import Prepared, QuestionMaker
from node.catalogues.holding import Held
from node.catalogues.peers import Peers
from node.errors import CatalogueDiverged, CatalogueStale
from node.links.link import Link
from node.pool import Pool

T = TypeVar("T")
_ABSENT: Final[Mapping[int, tuple[State, str]]] = {
    common_pb2.NON_ANSWER_UNREACHABLE: (State.UNREACHABLE, "custodian.unreachable"),
    common_pb2.NON_ANSWER_TIMED_OUT: (State.TIMED_OUT, "custodian.timed_out"),
    common_pb2.NON_ANSWER_MAINTENANCE: (State.MAINTENANCE, "custodian.maintenance"),
    common_pb2.NON_ANSWER_REFUSED: (State.ERROR, "request.refused"),
    common_pb2.NON_ANSWER_OVERLOADED: (State.TIMED_OUT, "gateway.overloaded"),
}
_STALE: Final = (CatalogueStale.code, CatalogueDiverged.code)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExchangeParts:
    """What an exchange works with."""

    maker: QuestionMaker
    peers: Peers
    links: Callable[[], Sequence[Link]]  # that are attached now, the best first
    pool: Pool
    clock: Clock
    random: RandomBytes
    deadline_ms: int


@dataclass(slots=True, eq=False)
class Lookup:
    """One lookup while it runs."""

    ask: Ask
    id: bytes
    began: float  # on the loop's clock
    prepared: Prepared
    asked: dict[str, Member]
    lookup_ids: Mapping[str, bytes]  # 16 bytes, another for each custodian
    parts: dict[str, Part] = field(default_factory=dict)
    rulings: dict[str, Ruling] = field(default_factory=dict)
    answers: dict[str, CustodianAnswer] = field(default_factory=dict)
    ready: asyncio.Queue[CustodianAnswer] = field(default_factory=asyncio.Queue)
    finished: asyncio.Event = field(default_factory=asyncio.Event)  # everybody has a state

    @property
    def waiting(self) -> list[str]:
        """Custodians that have no state yet."""
        return [agency for agency in self.asked if agency not in self.answers]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What became of one custodian's first reply: the ruling, and round two, ready to leave."""

    ruling: Ruling
    sealed: bytes = field(repr=False)
    reply: EvaluateReply | None = field(default=None, repr=False)


class Exchange:
    """Runs lookups for one node."""

    def __init__(self, parts: ExchangeParts) -> None:
        self._parts = parts

    async def run(self, lookup: Lookup) -> None:
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
            self._settle_rest(lookup, State.ERROR, "internal", remedy=self._note_accident(err))

    async def _exchange(self, lookup: Lookup, loop: asyncio.AbstractEventLoop) -> None:
        """Both rounds with everybody."""
        if not self._parts.links():
            raise GatewayUnreachable("expected a link to a gateway; there is none now")
        sealed = await self._seal_all(lookup)
        if not sealed:
            return
        working: set[asyncio.Task[None]] = set()

        def take(outcome: link_pb2.Outcome) -> None:
            if outcome.custodian not in lookup.answers:
                task = loop.create_task(self._take(lookup, carrier, outcome))
                working.add(task)
                task.add_done_callback(working.discard)

        def lose(custodian: str) -> None:
            absent = results.absent(lookup.asked[custodian], State.UNREACHABLE, GatewayUnreachable.code)
            self._settle_without(lookup, absent)

        ends_s = lookup.began + self._parts.deadline_ms / 1000
        parts = CarrierParts(self._parts.links, self._parts.random, ends_s, take, lose)
        carrier = Carrier(parts, sealed)
        finished = loop.create_task(_wait(lookup.finished))
        working.add(finished)
        try:
            carrier.begin(lookup.id)
            self._parts.pool.submit(lookup.prepared.question.inverses)  # while the custodians evaluate
            await asyncio.wait((finished, carrier.failed), return_when=asyncio.FIRST_COMPLETED)
            if carrier.failed.done():
                carrier.failed.result()
        finally:
            carrier.close()
            for task in list(working):
                task.cancel()

    async def _seal_all(self, lookup: Lookup) -> dict[str, tuple[bytes, bytes]]:
        """Seal round one for each custodian whose keys are held; the others are settled at once."""
        made = await asyncio.gather(
            *(self._work(partial(self._seal_one, lookup, member)) for member in lookup.asked.values())
        )
        questions = {}
        for member, found in zip(lookup.asked.values(), made, strict=True):
            if found is None:
                self._settle(lookup, results.absent(member, State.UNREACHABLE, "statement.missing"))
                continue
            part, sealed = found
            lookup.parts[member.agency_id] = part
            questions[member.agency_id] = (part.request.lookup_id, sealed)
        return questions

    def _seal_one(self, lookup: Lookup, member: Member) -> tuple[Part, bytes] | None:
        """Make and seal one custodian's part, on a crypto thread; None while its keys are not held."""
        maker, now, agency = self._parts.maker, self._parts.clock(), member.agency_id
        collection = maker.collection(lookup.ask, member, now)
        route = maker.route(member, collection, now, self._parts.peers.is_held)
        if route is None:
            return None
        held = self._parts.peers.held(agency, collection, route.oprf.epoch)
        head = held.head if held is not None else Head(0)
        part = maker.part(lookup.ask, lookup.prepared, route, head, lookup.lookup_ids[agency])
        return part, part.seal_question()

    async def _take(self, lookup: Lookup, carrier: Carrier, outcome: link_pb2.Outcome) -> None:
        """Act on one outcome; whatever goes wrong is this custodian's state and nobody else's."""
        member = lookup.asked[outcome.custodian]
        try:
            if outcome.non_answer:
                state, code = _ABSENT[outcome.non_answer]
                since = from_ms(outcome.since_ms) if outcome.since_ms else None
                self._settle_without(lookup, results.absent(member, state, code, since))
            elif outcome.round == 1:
                await self._first_reply(lookup, carrier, outcome)
            elif outcome.custodian in lookup.rulings:
                await self._second_reply(lookup, outcome)
        except ElsewhereError as err:
            self._settle_without(lookup, results.absent(member, State.ERROR, err.code))
        except Exception as err:
            absent = results.absent(member, State.ERROR, "internal")
            self._settle(lookup, replace(absent, remedy=self._note_accident(err)))

    async def _first_reply(self, lookup: Lookup, carrier: Carrier, outcome: link_pb2.Outcome) -> None:
        """Round one's reply: test what came back, then redeem, always."""
        part = lookup.parts[outcome.custodian]
        weighed = await self._work(partial(self._weigh, lookup, part, outcome.sealed))
        if isinstance(weighed, EvaluateReply):
            weighed = await self._weigh_against_newer(lookup, part, weighed)
        lookup.rulings[outcome.custodian] = weighed.ruling
        await carrier.redeem(outcome.custodian, weighed.sealed)
        if weighed.reply is not None:
            self._fetch_behind(part, weighed.reply)

    def _weigh(self, lookup: Lookup, part: Part, sealed: bytes) -> Weighed | EvaluateReply:
        """Open, test and redeem in one step where the copy held is what the custodian states: nearly always.

        Returns:
            Round two, sealed; the opened reply where another version of the catalogue is to be tested.
        """
        try:
            reply = part.open_reply(sealed)
            request = part.request
            held = self._parts.peers.held(request.custodian, request.collection, request.epoch)
            if held is None or held.head != reply.published:
                return reply
            reveals, ruling = part.find_reveals(reply, held)
        except Exception as err:
            return self._seal_weighed(lookup, part, (), self._ruling_after(err))
        return replace(self._seal_weighed(lookup, part, reveals, ruling), reply=reply)

    async def _weigh_against_newer(self, lookup: Lookup, part: Part, reply: EvaluateReply) -> Weighed:
        """The same in several steps: fetch what the custodian states, then test."""
        reveals: tuple[Reveal, ...] = ()
        try:
            held, stale = await self._bring_up_to_date(lookup, part, reply)
            reveals, ruling = await self._work(partial(part.find_reveals, reply, held))
            if stale is not None and ruling.decision is Decision.PERMIT:
                reveals, ruling = (), stale
        except Exception as err:
            ruling = self._ruling_after(err)
        return await self._work(partial(self._seal_weighed, lookup, part, reveals, ruling))

    def _ruling_after(self, err: Exception) -> Ruling:
        """Whatever goes wrong is a ruling too: a gateway would see that round two is missing."""
        if isinstance(err, ElsewhereError):
            return Ruling(Decision.ERROR, err.code)
        return Ruling(Decision.ERROR, "internal", remedy=self._note_accident(err))

    def _seal_weighed(
        self, lookup: Lookup, part: Part, reveals: tuple[Reveal, ...], ruling: Ruling
    ) -> Weighed:
        """Seal round two, whatever is revealed in it."""
        names_asked = lookup.prepared.names_asked
        return Weighed(ruling, part.seal_redeem(reveals, names_asked=names_asked, random=self._parts.random))

    def _note_accident(self, err: Exception) -> str:
        """Log a mistake of ours by type and number, and say which number to quote; its text stays here."""
        incident = self._parts.random(4).hex()
        _log.error("lookup.failed", incident=incident, error=type(err).__name__)
        return f"call the duty desk; quote incident {incident} to your administrator"

    async def _bring_up_to_date(
        self, lookup: Lookup, part: Part, reply: EvaluateReply
    ) -> tuple[Held | None, Ruling | None]:
        """The catalogue in the version named, or the ruling that stands in for testing it."""
        request = part.request
        self._fetch_behind(part, reply)
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
        if reply.published.version == 0:
            # Nothing is published that could be tested against: an older copy would mislead.
            return held, Ruling(Decision.ERROR, CatalogueStale.code)
        return held, None

    def _fetch_behind(self, part: Part, reply: EvaluateReply) -> None:
        """Begin to fetch what this custodian has published since, if anything."""
        request = part.request
        asked = (request.collection, request.epoch, reply.published)
        self._parts.peers.fetch_behind(request.custodian, (asked, *reply.others))

    async def _second_reply(self, lookup: Lookup, outcome: link_pb2.Outcome) -> None:
        """Round two's reply: the answer, or the proof of why there is none."""
        part, ruling = lookup.parts[outcome.custodian], lookup.rulings[outcome.custodian]
        # Somebody waits to read it; proofs of other custodians can wait.
        open_answer = partial(part.open_answer, outcome.sealed, self._parts.clock())
        reply = await asyncio.get_running_loop().run_in_executor(self._parts.pool.urgent, open_answer)
        member, ruling = lookup.asked[outcome.custodian], part.limited or ruling
        if ruling.code in _STALE:
            stale = results.absent(member, State.STALE, ruling.code)
            self._settle(lookup, replace(stale, receipt=reply.receipt, call_reference=reply.call_reference))
        elif ruling.decision is Decision.PERMIT:
            answer, now = results.answered(member, reply, ruling.clause), self._parts.clock()
            duties = self._parts.maker.obligations(lookup.ask, member, now)
            self._settle(lookup, results.under(answer, duties, now))
        else:
            self._settle(lookup, results.ruled(member, ruling, reply))

    def _settle(self, lookup: Lookup, answer: CustodianAnswer) -> None:
        """Give one custodian its state, once."""
        if answer.custodian in lookup.answers:
            return
        now, part = asyncio.get_running_loop().time(), lookup.parts.get(answer.custodian)
        stated = part.stated if part is not None else None
        answer = replace(
            answer,
            from_reserve=stated is not None and stated.code == RESERVE and lookup.ask.urgency == "RED",
            elapsed_ms=int((now - lookup.began) * 1000),
            duty_contact=results.duty_contact(self._parts.maker.trust.agreement, answer.custodian),
        )
        lookup.answers[answer.custodian] = answer
        lookup.ready.put_nowait(answer)
        if not lookup.waiting:
            lookup.finished.set()

    def _settle_without(self, lookup: Lookup, absence: CustodianAnswer) -> None:
        """Give a custodian whose round two did not come what round one said of it, else this absence."""
        member, ruling = lookup.asked[absence.custodian], lookup.rulings.get(absence.custodian)
        if ruling is None or ruling.decision is Decision.PERMIT:
            self._settle(lookup, absence)
        elif ruling.code in _STALE:
            self._settle(lookup, results.absent(member, State.STALE, ruling.code))
        else:
            # Only the receipt is missing: what was decided is known.
            self._settle(lookup, results.ruled(member, ruling, None))

    def _settle_rest(self, lookup: Lookup, state: State, code: str, *, remedy: str = "") -> None:
        """Settle everybody who has no state yet, for one reason; nobody is left out."""
        for agency in lookup.waiting:
            absent = results.absent(lookup.asked[agency], state, code)
            self._settle_without(lookup, replace(absent, remedy=remedy or absent.remedy))

    async def _work(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.pool, step)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
