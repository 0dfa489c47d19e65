"""Relay of lookups: an Ask becomes one Dispatch per custodian, each Reply an Outcome, within one deadline.

Holds:    in memory and until a lookup ends: who asked whom, ids and routes; the sealed question, until it is
          answered, so that another process of the same custodian can be handed it if the first one is lost.
          Nothing of a lookup is written anywhere, and nothing of it is left afterwards.
Sees:     which agency asks which, when, in constant sizes.
Refuses:  a reply from anyone but the custodian asked, or on a route used before; a second Redeem; an
          ask_id in use; more lookups at once than the limits. Every part of a lookup ends, with a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from elsewhere.clock import to_ms
from elsewhere.random import RandomBytes
from elsewhere.wire.convert.link import ID_BYTES, check_reply_size
from elsewhere.wire.v1 import common_pb2, link_pb2
from gateway.links import Link, Links
from gateway.timing import Alarm, Timing

REFUSED = common_pb2.NON_ANSWER_REFUSED
TIMED_OUT = common_pb2.NON_ANSWER_TIMED_OUT
OVERLOADED = common_pb2.NON_ANSWER_OVERLOADED
UNREACHABLE = common_pb2.NON_ANSWER_UNREACHABLE
MAINTENANCE = common_pb2.NON_ANSWER_MAINTENANCE
KEPT = 16_384  # questions kept to be handed on again, 100 MB; beyond it, a lost process's are not


@dataclass(frozen=True, slots=True)
class Limits:
    """How many lookups may be under way."""

    of_agency: int
    of_all: int

    def __post_init__(self) -> None:
        if not 1 <= self.of_agency <= self.of_all:
            raise ValueError(f"expected 1 <= of_agency <= of_all, got {self.of_agency} and {self.of_all}")


class _Stage(Enum):
    """Where one custodian's part of a lookup stands."""

    ASKED = 1  # the first round is with the custodian
    ANSWERED = 2  # the first reply is with the searcher, whose Redeem is awaited
    REDEEMED = 3  # the second round is with the custodian
    DONE = 4


@dataclass(slots=True)
class _Part:
    """One custodian's part of a lookup."""

    custodian: str
    lookup_id: bytes
    stage: _Stage = _Stage.ASKED
    route: bytes = b""
    link: Link | None = None  # that the question went down; also where its second round goes, while it stands
    sealed: bytes = b""  # the question, while it is open and may be handed on again

    @property
    def round(self) -> int:
        """The round whose outcome is still owed."""
        return 1 if self.stage is _Stage.ASKED else 2


@dataclass(slots=True, eq=False)
class _Lookup:
    """One lookup under way."""

    link: Link  # the searcher's, that it came on; all outcomes go down it
    ask_id: bytes
    ends_at_s: float
    parts: dict[str, _Part] = field(default_factory=dict)
    open_parts: int = 0
    alarm: Alarm | None = None

    @property
    def searcher(self) -> str:
        """Who asks."""
        return self.link.agency


class Lookups:
    """All lookups under way. Every call is made on the event loop and returns at once.

    Args:
        links: where frames go.
        timing: clocks and alarms.
        random: returns n random bytes, for routes.
        limits: how many lookups may be under way.
    """

    def __init__(self, links: Links, timing: Timing, *, random: RandomBytes, limits: Limits) -> None:
        self._links, self._timing, self._random, self._limits = links, timing, random, limits
        self._lookups: dict[tuple[str, bytes], _Lookup] = {}
        self._routes: dict[bytes, tuple[_Lookup, _Part]] = {}
        self._by_searcher: Counter[str] = Counter()
        self._idle: list[Callable[[], None]] = []
        self.is_closing = False  # no new lookup is taken
        self.ignored: Counter[str] = Counter()  # frames dropped, by reason; numbers only

    @property
    def under_way(self) -> int:
        """How many lookups have not ended."""
        return len(self._lookups)

    @property
    def most_of_agency(self) -> int:
        """How many lookups one agency may have under way."""
        return self._limits.of_agency

    @property
    def open_routes(self) -> int:
        """How many dispatches await a reply."""
        return len(self._routes)

    def when_idle(self, call: Callable[[], None]) -> None:
        """Have something done once no lookup is under way; at once if none is."""
        if self._lookups:
            self._idle.append(call)
        else:
            call()

    def ask(self, link: Link, ask: link_pb2.Ask) -> None:
        """Hand the first round to every custodian named, and start the one deadline.

        Args:
            link: that the frame came on.
            ask: passed `check_ask`.
        """
        searcher = link.agency
        refusal = self._refusal(searcher, ask.ask_id)
        lookup = _Lookup(link, ask.ask_id, self._timing.steady_s() + ask.deadline_ms / 1000)
        if refusal is not None:
            self.ignored[f"ask {common_pb2.NonAnswer.Name(refusal)}"] += 1
            for question in ask.questions:
                self._tell(lookup, question.custodian, 1, refusal)
            return
        self._lookups[searcher, ask.ask_id] = lookup
        self._by_searcher[searcher] += 1
        lookup.alarm = self._timing.later(ask.deadline_ms / 1000, partial(self._expire, lookup))
        # All parts are there before the first is handed on: one that fails at once must not end the lookup.
        lookup.open_parts = len(ask.questions)
        for question in ask.questions:
            if self._lookups.get((searcher, ask.ask_id)) is not lookup:
                return  # telling the searcher of an earlier part has just ended its link
            part = _Part(question.custodian, question.lookup_id)
            lookup.parts[question.custodian] = part
            self._dispatch(lookup, part, question.sealed)

    def redeem(self, searcher: str, redeem: link_pb2.Redeem) -> None:
        """Hand the second round to a custodian whose first reply has been passed on.

        One custodian may be in its second round while another is in its first.
        """
        lookup = self._lookups.get((searcher, redeem.ask_id))
        if lookup is None:
            # It ended already, by its deadline, and the searcher has been told so.
            self.ignored["redeem of no lookup"] += 1
            return
        part = lookup.parts.get(redeem.custodian)
        if part is None or part.stage is not _Stage.ANSWERED:
            self.ignored["redeem out of turn"] += 1
            self._tell(lookup, redeem.custodian, 2, REFUSED)
            return
        part.stage = _Stage.REDEEMED
        # A custodian that announced a drain finishes what it has, so only a missing link stops this round.
        self._dispatch(lookup, part, redeem.sealed)

    def reply(self, custodian: str, reply: link_pb2.Reply) -> None:
        """Pass a custodian's reply to the searcher and close its route.

        Args:
            custodian: whose link the frame came on.
            reply: passed `check_reply`.

        Raises:
            FrameMalformed: not the constant size of its round. End the custodian's link.
        """
        lookup, part = self._routes.get(reply.route, (None, None))
        if lookup is None or part is None:
            self.ignored["reply on no route"] += 1
            return
        if part.custodian != custodian:
            # Routes are secret between gateway and custodian; whoever guessed one must not close it.
            self.ignored["reply of another agency"] += 1
            return
        check_reply_size(reply, part.round)
        if reply.refused:
            self._finish(lookup, part, REFUSED)
            return
        self._close_route(part)
        outcome = link_pb2.Outcome(
            ask_id=lookup.ask_id, custodian=custodian, round=part.round, sealed=reply.sealed
        )
        self._send(lookup.link, outcome)
        if part.stage is _Stage.ASKED:
            part.stage = _Stage.ANSWERED
        else:
            self._done(lookup, part)

    def lost(self, link: Link) -> None:
        """Settle what a link leaves behind that is gone: what it was asked, and what it asked itself.

        Another process of the same custodian is handed what the lost one did not answer. It is the same
        question, so the custodian counts and answers it once, whoever of its processes is first.
        """
        for lookup, part in [found for found in self._routes.values() if found[1].link is link]:
            self._offer(lookup, part)
        for lookup in [found for found in self._lookups.values() if found.link is link]:
            self._forget(lookup)

    def _refusal(self, searcher: str, ask_id: bytes) -> common_pb2.NonAnswer.ValueType | None:
        """Say why a lookup is not taken, if it is not."""
        if (searcher, ask_id) in self._lookups:
            return REFUSED
        full = self._by_searcher[searcher] >= self._limits.of_agency
        if self.is_closing or full or len(self._lookups) >= self._limits.of_all:
            return OVERLOADED
        return None

    def _dispatch(self, lookup: _Lookup, part: _Part, sealed: bytes) -> None:
        """Hand one sealed message to a custodian on a fresh route."""
        part.route, part.sealed = self._random(ID_BYTES), sealed
        self._routes[part.route] = (lookup, part)
        self._offer(lookup, part)

    def _offer(self, lookup: _Lookup, part: _Part) -> None:
        """Give an open question to a process of its custodian that takes it, or end its part."""
        links = self._links.for_question(part.custodian, not_new=part.stage is not _Stage.ASKED)
        if not links:
            self._absent(lookup, part)
            return
        if part.link in links:
            # The process that answered round one has what round two needs at hand.
            links.remove(part.link)
            links.insert(0, part.link)
        left_s = max(0.0, lookup.ends_at_s - self._timing.steady_s())
        dispatch = link_pb2.Dispatch(
            route=part.route,
            round=part.round,
            searcher=lookup.searcher,
            lookup_id=part.lookup_id,
            sealed=part.sealed,
            remaining_ms=int(left_s * 1000),
        )
        frame = link_pb2.AttachResponse(dispatch=dispatch)
        link = next((link for link in links if part.sealed and link.offer(frame)), None)
        if link is None:
            # All queues are full. The searcher hears so now instead of waiting for the deadline.
            self._finish(lookup, part, OVERLOADED)
            return
        part.link = link
        link.at_hand += 1
        if len(self._routes) > KEPT:
            part.sealed = b""

    def _expire(self, lookup: _Lookup) -> None:
        """End every open part: the deadline is the only thing that a lookup waits for."""
        for part in lookup.parts.values():
            if part.stage is not _Stage.DONE:
                self._finish(lookup, part, TIMED_OUT)

    def _absent(self, lookup: _Lookup, part: _Part) -> None:
        """End a part whose custodian takes no questions, saying since when."""
        absence = self._links.absence(part.custodian)
        announced = absence is not None and absence.is_announced
        since = absence.since_utc if absence is not None else None
        self._finish(lookup, part, MAINTENANCE if announced else UNREACHABLE, to_ms(since) if since else 0)

    def _finish(
        self, lookup: _Lookup, part: _Part, reason: common_pb2.NonAnswer.ValueType, since_ms: int = 0
    ) -> None:
        """End a part without an answer and say why."""
        self._close_route(part)
        self._tell(lookup, part.custodian, part.round, reason, since_ms)
        self._done(lookup, part)

    def _tell(
        self,
        lookup: _Lookup,
        custodian: str,
        round_: int,
        reason: common_pb2.NonAnswer.ValueType,
        since_ms: int = 0,
    ) -> None:
        """Send a non-answer to whoever asked."""
        outcome = link_pb2.Outcome(
            ask_id=lookup.ask_id, custodian=custodian, round=round_, non_answer=reason, since_ms=since_ms
        )
        self._send(lookup.link, outcome)

    def _send(self, link: Link, outcome: link_pb2.Outcome) -> None:
        """Queue an outcome on the link that asked; once that is gone nobody is left to be told."""
        link.send(link_pb2.AttachResponse(outcome=outcome))

    def _close_route(self, part: _Part) -> None:
        """Make sure that a route answers once."""
        if self._routes.pop(part.route, None) is not None and part.link is not None:
            part.link.at_hand -= 1
        part.route = part.sealed = b""

    def _done(self, lookup: _Lookup, part: _Part) -> None:
        """Count a part as ended; the last one takes the lookup with it."""
        part.stage = _Stage.DONE
        lookup.open_parts -= 1
        if lookup.open_parts == 0:
            self._forget(lookup)

    def _forget(self, lookup: _Lookup) -> None:
        """Drop every trace of a lookup."""
        key = (lookup.searcher, lookup.ask_id)
        if self._lookups.get(key) is not lookup:
            return
        del self._lookups[key]
        for part in lookup.parts.values():
            self._close_route(part)
        if lookup.alarm is not None:
            lookup.alarm.cancel()
        self._by_searcher[lookup.searcher] -= 1
        if self._by_searcher[lookup.searcher] == 0:
            del self._by_searcher[lookup.searcher]
        if not self._lookups:
            idle, self._idle = self._idle, []
            for call in idle:
                call()
