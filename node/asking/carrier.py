"""How a lookup's sealed messages travel: through one gateway, and through another where that one fails.

Holds:    the sealed messages of a lookup until it ends, so that the very same bytes can be sent again.
Sees:     sealed bytes, and which gateway serves; nothing of what was asked or answered.
Promises: whoever did not answer by one gateway is asked by each other one that is linked, within the same
          deadline; if none is left it is said so, at once. The same bytes get the same reply and count once
          at the custodian, so nobody's limit is spent on a gateway that failed. When and by which way
          something is sent again hangs on gateways alone, never on what a reply said.
Source:   docs/protocol.md, "Several gateways".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from elsewhere.errors import GatewayUnreachable
from elsewhere.random import RandomBytes
from elsewhere.wire.v1 import common_pb2, link_pb2
from node.links.link import Link, Session

# The gateway stops a little before the asker does, so that its word on who was late still arrives.
GATEWAY_HEAD_START_MS: Final = 50
DEADLINE_STEP_MS: Final = 100
SILENT_SHARE: Final = 1 / 3  # of the time left: a gateway that says nothing for so long is passed over
GATHER_S: Final = 0.01  # those whom a gateway cannot reach are asked together by the next one
# What another gateway may do better: it may have a link to whom this one has none, or be less busy.
_ELSEWHERE: Final = (common_pb2.NON_ANSWER_UNREACHABLE, common_pb2.NON_ANSWER_OVERLOADED)


@dataclass(frozen=True, slots=True)
class CarrierParts:
    """What a carrier works with."""

    links: Callable[[], Sequence[Link]]  # that are attached now, the best first
    random: RandomBytes
    ends_s: float  # the lookup's deadline, on the loop's clock
    take: Callable[[link_pb2.Outcome], None]  # is handed each custodian's first reply and its last outcome
    lose: Callable[[str], None]  # is told whom no gateway is left to ask through


@dataclass(slots=True, eq=False)
class _Way:
    """One Ask through one gateway, and who answered its first round there."""

    link: Link
    session: Session
    asked_s: float
    heard: set[str] = field(default_factory=set)


class Carrier:
    """Carries one lookup. All calls on the event loop; `failed` ends with a mistake of ours, if there is one.

    Args:
        parts: links, and whom to tell.
        questions: for each custodian the lookup id and the sealed first round.
    """

    def __init__(self, parts: CarrierParts, questions: Mapping[str, tuple[bytes, bytes]]) -> None:
        self._parts, self._questions = parts, questions
        self._loop = asyncio.get_running_loop()
        self._opened: list[_Way] = []
        self._ways: dict[str, _Way] = {}  # by custodian, the one that counts now
        self._tried: dict[str, set[Link]] = {custodian: set() for custodian in questions}
        self._replied: set[str] = set()
        self._redeems: dict[str, bytes] = {}
        self._ended: set[str] = set()
        self._stranded: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._gathering: asyncio.TimerHandle | None = None
        self.failed: asyncio.Future[None] = self._loop.create_future()

    def begin(self, ask_id: bytes) -> None:
        """Ask everybody; the first Ask goes under this id, any other one under a fresh id."""
        self._ask(list(self._questions), ask_id)

    async def redeem(self, custodian: str, sealed: bytes) -> None:
        """Send a second round, now and by any other way that its first round has to be repeated on."""
        self._redeems[custodian] = sealed
        await self._send_redeem(custodian)

    def close(self) -> None:
        """Carry nothing more; later outcomes are ignored."""
        if self._gathering is not None:
            self._gathering.cancel()
        for task in self._tasks:
            task.cancel()
        for way in self._opened:
            way.link.close_session(way.session)

    def _ask(self, custodians: Iterable[str], ask_id: bytes = b"") -> None:
        """Ask each through the best gateway that it was not asked through; give up those with none left."""
        links = self._parts.links()
        chosen: dict[Link, list[str]] = {}
        for custodian in custodians:
            link = next((link for link in links if link not in self._tried[custodian]), None)
            if link is not None:
                chosen.setdefault(link, []).append(custodian)
                continue
            self._ended.add(custodian)
            self._parts.lose(custodian)
        for link, names in chosen.items():
            self._open(link, names, ask_id or self._parts.random(16))

    def _open(self, link: Link, custodians: list[str], ask_id: bytes) -> None:
        """Make a way through one gateway."""
        for custodian in custodians:
            self._tried[custodian].add(link)
        try:
            way = _Way(link, link.open_session(ask_id), self._loop.time())
        except GatewayUnreachable:
            self._ask(custodians)
            return
        self._opened.append(way)
        self._ways |= dict.fromkeys(custodians, way)
        task = self._loop.create_task(self._serve(way, custodians))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    async def _serve(self, way: _Way, custodians: list[str]) -> None:
        """Ask by one way and hand on what comes by it, until it is lost or passed over."""
        left_ms = int((self._parts.ends_s - self._loop.time()) * 1000) - GATEWAY_HEAD_START_MS
        # In steps, or the gateway would read off to the millisecond how long this question took to make.
        left_ms = max(DEADLINE_STEP_MS, left_ms // DEADLINE_STEP_MS * DEADLINE_STEP_MS)
        asked = [(custodian, *self._questions[custodian]) for custodian in custodians]
        await way.link.ask(way.session, asked, left_ms)
        while (outcome := await self._next(way, left_ms / 1000 * SILENT_SHARE)) is not None:
            if self._ways.get(outcome.custodian) is way and outcome.custodian not in self._ended:
                await self._take(way, outcome)
        way.link.close_session(way.session)
        gone = self._ended | self._stranded
        self._ask([name for name, other in self._ways.items() if other is way and name not in gone])

    async def _next(self, way: _Way, silence_s: float) -> link_pb2.Outcome | None:
        """The next outcome; None once the link is lost, or silent where another one could serve."""
        outcomes = way.session.outcomes
        while True:
            try:
                async with asyncio.timeout(silence_s if outcomes.empty() else None):
                    return await outcomes.get()
            except TimeoutError:
                silent_s = self._loop.time() - max(way.link.heard_s, way.asked_s)
            if silent_s >= silence_s and any(link is not way.link for link in self._parts.links()):
                way.link.doubt()
                return None

    async def _take(self, way: _Way, outcome: link_pb2.Outcome) -> None:
        """Act on one outcome of a custodian that has not come to its end."""
        custodian = outcome.custodian
        if outcome.non_answer in _ELSEWHERE and self._has_other(custodian):
            self._strand(custodian)
        elif outcome.non_answer or (outcome.round == 2 and custodian in self._redeems):
            self._ended.add(custodian)
            self._parts.take(outcome)
        elif outcome.round == 1 and custodian not in way.heard:
            way.heard.add(custodian)
            if custodian not in self._replied:
                self._replied.add(custodian)
                self._parts.take(outcome)
            await self._send_redeem(custodian)

    async def _send_redeem(self, custodian: str) -> None:
        """Send the second round once it is made and the gateway in use has passed on the first reply."""
        way, sealed = self._ways[custodian], self._redeems.get(custodian)
        if sealed is not None and custodian in way.heard:
            await way.link.redeem(way.session, custodian, sealed)

    def _has_other(self, custodian: str) -> bool:
        """Whether there is a gateway by which a custodian was not asked yet."""
        return any(link not in self._tried[custodian] for link in self._parts.links())

    def _strand(self, custodian: str) -> None:
        """Have a custodian asked by another gateway, together with others whom this one cannot reach."""
        self._stranded.add(custodian)
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_S, self._ask_stranded)

    def _ask_stranded(self) -> None:
        """Ask those who have gathered."""
        stranded, self._stranded, self._gathering = self._stranded, set(), None
        self._ask(sorted(stranded - self._ended))

    def _served(self, task: asyncio.Task[None]) -> None:
        """Let whoever waits know of a mistake of ours."""
        self._tasks.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None and not self.failed.done():
            self.failed.set_exception(err)
