"""The node's one connection to a gateway: dialled out, kept alive, opened again when it breaks.

Holds:    the TLS credentials of this node; questions in flight until their lookup ends.
Sees:     frames; sealed bytes pass through it unopened.
Refuses:  frames that break link.proto; a link that stays silent for three beats is ended and dialled anew.
Promises: whoever reads never waits: not for a disk, a call, or a handler.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import grpc
import structlog

from elsewhere.clock import Clock, to_ms
from elsewhere.errors import FrameMalformed, GatewayUnreachable, LinkReplaced, NotActive
from elsewhere.lookup import PROTOCOL_VERSION
from elsewhere.random import RandomBytes
from elsewhere.wire.channel import CLIENT_OPTIONS
from elsewhere.wire.convert.link import MAX_DEADLINE_MS, MAX_QUESTIONS, MISSED_BEATS, check_from_gateway
from elsewhere.wire.status import code_of
from elsewhere.wire.v1 import directory_pb2, link_pb2, link_pb2_grpc
from node.links.calls import is_told_to_end
from node.links.outbox import Outbox

BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.2, 5.0
DIAL_TIMEOUT_S = 10.0
OUTGOING = 256  # frames waiting to leave; beyond it, whoever sends waits
HANDLING = 16_384  # dispatches at hand, waiting ones included: every member's two queues, full
OUTCOMES = 2 * MAX_QUESTIONS  # of one lookup that wait: all there can be, two for each custodian
LAST_WORDS_S = 2.0  # for what waits to leave when this node goes
DRAIN_S = MAX_DEADLINE_MS / 1000  # for all of it: nothing asked before is of use to anybody after that
DOUBTED_BEATS = 1.5  # of silence; another gateway is asked first then
LAST_ROUND_S = 5.0  # for a second round that is still to come then; its searcher may have gone too

_log = structlog.get_logger(__name__)

Handler = Callable[[link_pb2.Dispatch], Awaitable[link_pb2.Reply | None]]
_Call = grpc.aio.StreamStreamCall[link_pb2.AttachRequest, link_pb2.AttachResponse]


class Intake(Protocol):
    """Who takes what the gateway shows, without making the link wait: see `node.membership.directory`."""

    def take_directory(self, directory: directory_pb2.Directory) -> None: ...

    def take_notices(self, notices: directory_pb2.CatalogueNotices) -> None: ...

    async def settled(self) -> None: ...

    async def turned_away(self, channel: grpc.aio.Channel) -> None: ...


@dataclass(frozen=True, slots=True)
class LinkParts:
    """What a link is made with."""

    address: str
    credentials: grpc.ChannelCredentials
    handle: Handler
    intake: Intake
    clock: Clock
    random: RandomBytes
    process: str = ""  # which of this agency's processes it is; empty for the only one
    takes_over: bool = False  # from an older link of this process, which finishes what is under way on it
    welcomed: Callable[[Link], None] = lambda _: None  # told each time that the link is attached


@dataclass(slots=True, eq=False)
class Session:
    """One lookup in flight on one life of a link: outcomes in the order they came, None if it was lost."""

    ask_id: bytes
    outbox: Outbox
    outcomes: asyncio.Queue[link_pb2.Outcome | None] = field(default_factory=asyncio.Queue)


class Link:
    """Dials one gateway for as long as the node runs."""

    def __init__(self, parts: LinkParts) -> None:
        self._parts = parts
        self._sessions: dict[bytes, Session] = {}
        self._outbox = Outbox(OUTGOING)  # of the newest life
        self._handling: set[asyncio.Task[None]] = set()
        self._owed: dict[bytes, float] = {}  # lookups whose second round is to come, and until when
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._was_welcome, self._takes_over = False, parts.takes_over
        self.channel: grpc.aio.Channel | None = None
        self.attached = asyncio.Event()
        self.heard_s = 0.0  # when the last frame came, on the loop's clock
        self._doubt_after_s = 0.0  # of silence
        self.refusal = ""  # the code with which the gateway last turned this node away, until it does not

    async def run(self) -> None:
        """Dial, serve, and dial again with growing, jittered pauses, until `close`."""
        pause = BACKOFF_FIRST_S
        while not self._closing.is_set():
            self._was_welcome = False
            try:
                await self._attach_once()
            except (grpc.aio.AioRpcError, FrameMalformed, OSError) as err:
                self.refusal = code_of(err) if isinstance(err, grpc.aio.AioRpcError) else ""
                code = (
                    err.code().name if isinstance(err, grpc.aio.AioRpcError) else getattr(err, "code", "os")
                )
                _log.warning("link.lost", gateway=self._parts.address, code=str(code))
            except asyncio.CancelledError:
                if is_told_to_end():
                    raise
                # `close` has closed the channel, which cancels whoever reads from it.
            # However it ended: pauses that grew from one lost link to the next would only ever grow.
            pause = BACKOFF_FIRST_S if self._was_welcome else min(pause * 2, BACKOFF_MOST_S)
            if self.refusal == LinkReplaced.code:
                # Two that call themselves the same must not take the link from each other all the time.
                pause = BACKOFF_MOST_S
                _log.error("link.taken", gateway=self._parts.address, remedy="run each process name once")
            # Jitter, so that a gateway that comes back is not dialled by all nodes in one instant.
            jitter = int.from_bytes(self._parts.random(4)) / 2**32
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause * (0.5 + jitter / 2))

    @property
    def is_doubtful(self) -> bool:
        """Whether it is silent for longer than a gateway that is well would be."""
        return asyncio.get_running_loop().time() - self.heard_s > self._doubt_after_s

    def doubt(self) -> None:
        """Hold it doubtful until the next frame comes."""
        self._doubt_after_s = 0.0

    def open_session(self, ask_id: bytes) -> Session:
        """Begin to collect outcomes for an ask.

        Raises:
            GatewayUnreachable: no link now; nobody was asked.
        """
        if not self.attached.is_set():
            raise GatewayUnreachable("expected a link to the gateway; there is none now")
        session = self._sessions[ask_id] = Session(ask_id, self._outbox)
        return session

    def close_session(self, session: Session) -> None:
        """Stop collecting; later outcomes of this ask are ignored."""
        self._sessions.pop(session.ask_id, None)
        self._news.set()

    async def ask(
        self, session: Session, questions: Sequence[tuple[str, bytes, bytes]], deadline_ms: int
    ) -> None:
        """Send round one: (custodian, lookup id, sealed) for each; all parts travel together."""
        frame = link_pb2.Ask(ask_id=session.ask_id, deadline_ms=deadline_ms)
        for custodian, lookup_id, sealed in questions:
            frame.questions.add(custodian=custodian, lookup_id=lookup_id, sealed=sealed)
        await session.outbox.put(link_pb2.AttachRequest(ask=frame))

    async def redeem(self, session: Session, custodian: str, sealed: bytes) -> None:
        """Send one custodian's second round."""
        frame = link_pb2.Redeem(ask_id=session.ask_id, custodian=custodian, sealed=sealed)
        await session.outbox.put(link_pb2.AttachRequest(redeem=frame))

    async def retire(self) -> None:
        """Give way to a link that has taken over: finish all that was asked or is answered here, and end.

        It dials no more, whatever happens to it meanwhile, and ends in time.
        """
        self._closing.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._sessions and self.attached.is_set():
                    self._news.clear()
                    await self._news.wait()
        await self.drain()
        self.close()

    async def drain(self) -> None:
        """Announce that no new questions are taken, and finish those at hand, both rounds of them.

        It ends in time whatever the gateway does or leaves undone.
        """
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._finish()
        except TimeoutError:
            _log.warning("link.drain_cut", gateway=self._parts.address)

    async def _finish(self) -> None:
        """Send the announcement, then wait for what is at hand."""
        if self.attached.is_set():
            await self._outbox.put(link_pb2.AttachRequest(drain=link_pb2.Drain(draining=True)))
        while True:
            if self._handling:
                await asyncio.wait(self._handling)
                continue
            left_s = max(self._owed.values(), default=0.0) - asyncio.get_running_loop().time()
            if left_s <= 0 or not self.attached.is_set():
                break
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left_s)
        if self.attached.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.flushed(), LAST_WORDS_S)

    def close(self) -> None:
        """End the link and dial no more."""
        self._closing.set()
        if self.channel is not None:
            self._drop = asyncio.ensure_future(self.channel.close(None))

    async def _attach_once(self) -> None:
        """One life of the link."""
        async with grpc.aio.secure_channel(
            self._parts.address, self._parts.credentials, options=CLIENT_OPTIONS
        ) as channel:
            self.channel = channel
            self._outbox = Outbox(OUTGOING)
            call = link_pb2_grpc.LinkServiceStub(channel).Attach(self._frames(self._outbox))
            beating: asyncio.Task[None] | None = None
            try:
                first = await asyncio.wait_for(_read(call), DIAL_TIMEOUT_S)
                if first is None or first.WhichOneof("frame") != "welcome":
                    raise FrameMalformed("frame", "expected a welcome first")
                self._was_welcome, self.refusal = True, ""
                beat_s = first.welcome.beat_ms / 1000
                self._warn_of_clock(first.welcome.sent_ms)
                beating = asyncio.create_task(self._beat(self._outbox, beat_s))
                self.attached.set()
                self._takes_over = False
                self._parts.welcomed(self)
                _log.info("link.attached", gateway=self._parts.address)
                await self._receive(call, beat_s)
            except TimeoutError:
                _log.warning("link.silent", gateway=self._parts.address)
            except grpc.aio.AioRpcError as err:
                if code_of(err) == NotActive.code:
                    await self._parts.intake.turned_away(channel)
                raise
            finally:
                self.attached.clear()
                self.channel = None
                self._outbox.end()  # nobody may wait for a connection that is gone
                if beating is not None:
                    beating.cancel()
                call.cancel()
                self._lose_sessions()

    async def _receive(self, call: _Call, beat_s: float) -> None:
        """Take frames until the gateway ends the link or stays silent for too long."""
        clock = asyncio.get_running_loop().time
        self.heard_s, self._doubt_after_s = clock(), beat_s * DOUBTED_BEATS
        # One timer that is put off: a wait with a timeout would be a task and a timer for each frame.
        async with asyncio.timeout(beat_s * MISSED_BEATS) as silence:
            while (frame := await _read(call)) is not None:
                self.heard_s = clock()
                silence.reschedule(self.heard_s + beat_s * MISSED_BEATS)
                self._take(frame)

    def _take(self, frame: link_pb2.AttachResponse) -> None:
        """Act on one frame, waiting for nothing."""
        kind = frame.WhichOneof("frame")
        if kind == "dispatch":
            if len(self._handling) >= HANDLING:
                return  # no member can cause this, only a gateway that floods
            self._news.set()
            task = asyncio.create_task(self._handle(frame.dispatch))
            self._handling.add(task)
            task.add_done_callback(self._handling.discard)
        elif kind == "outcome":
            session = self._sessions.get(frame.outcome.ask_id)
            if session is not None and session.outcomes.qsize() < OUTCOMES:
                session.outcomes.put_nowait(frame.outcome)
        elif kind == "directory":
            self._parts.intake.take_directory(frame.directory)
        elif kind == "notices":
            self._parts.intake.take_notices(frame.notices)

    async def _handle(self, dispatch: link_pb2.Dispatch) -> None:
        """Work on one dispatch and send its reply on whatever link life is current."""
        expires = asyncio.get_running_loop().time() + dispatch.remaining_ms / 1000
        self._owed.pop(dispatch.lookup_id, None)
        # A suspension that came before this question holds for it.
        await self._parts.intake.settled()
        dispatch.remaining_ms = max(0, int((expires - asyncio.get_running_loop().time()) * 1000))
        reply = await self._parts.handle(dispatch)
        if reply is None or not self.attached.is_set():
            return
        if dispatch.round == 1 and not reply.refused:
            now = asyncio.get_running_loop().time()
            self._owed = {lookup: until for lookup, until in self._owed.items() if until > now}
            self._owed[dispatch.lookup_id] = now + min(dispatch.remaining_ms / 1000, LAST_ROUND_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(expires):  # nor does a gateway that reads nothing fill the memory
                await self._outbox.put(link_pb2.AttachRequest(reply=reply))

    async def _frames(self, outbox: Outbox) -> AsyncIterator[link_pb2.AttachRequest]:
        """What this node sends: a hello, then whatever waits, in order."""
        yield link_pb2.AttachRequest(
            hello=link_pb2.Hello(
                protocol_min=PROTOCOL_VERSION,
                protocol_max=PROTOCOL_VERSION,
                sent_ms=to_ms(self._parts.clock()),
                process=self._parts.process,
                takes_over=self._takes_over,
            )
        )
        async for frame in outbox.frames():
            yield frame  # gRPC asks for the next one once this one is written

    async def _beat(self, outbox: Outbox, beat_s: float) -> None:
        sequence = 0
        while True:
            sequence += 1
            await outbox.put(link_pb2.AttachRequest(beat=link_pb2.Beat(sequence=sequence)))
            await asyncio.sleep(beat_s)

    def _lose_sessions(self) -> None:
        """Tell every lookup in flight that no more outcomes can come, and nobody that a round is owed."""
        self._owed.clear()
        self._news.set()
        for session in self._sessions.values():
            session.outcomes.put_nowait(None)
        self._sessions.clear()

    def _warn_of_clock(self, sent_ms: int) -> None:
        skew_s = abs(to_ms(self._parts.clock()) - sent_ms) / 1000
        if skew_s > 60:
            _log.warning("clock.skew", seconds=round(skew_s), remedy="set both clocks by NTP")


async def _read(call: _Call) -> link_pb2.AttachResponse | None:
    """The next frame, checked; None when the gateway ended the link."""
    frame = await call.read()
    if not isinstance(frame, link_pb2.AttachResponse):
        return None
    check_from_gateway(frame)
    return frame
