"""The link service: who may attach, what each frame leads to, and how a link ends.

Sees:     frames of attached nodes, with sealed parts that it passes on unread.
Refuses:  callers that the roster does not list as active, at the start and again with every frame, so that
          a revoked member is gone as soon as the roster changes; frames that break a rule of link.proto.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs lack it

from elsewhere.clock import to_ms
from elsewhere.errors import (
    ElsewhereError,
    GatewayDraining,
    LinkOutOfOrder,
    LinkSilent,
    VersionsApart,
)
from elsewhere.pace import Pace
from elsewhere.wire.channel import agency_of
from elsewhere.wire.convert.link import MAX_QUESTIONS, agree_version, check_from_node
from elsewhere.wire.status import LinksTaken, to_status
from elsewhere.wire.v1 import link_pb2, link_pb2_grpc
from gateway.config import LinkConfig
from gateway.directory import Directory
from gateway.links import Link, Links
from gateway.lookups import Lookups
from gateway.notices import to_frame
from gateway.timing import Timing

if TYPE_CHECKING:
    from elsewhere.wire.v1.link_pb2_grpc import _ServicerContext

# Links that one agency may open: each begins with the whole directory.
ATTACHES, ATTACH_EVERY_S = 128, 0.25
UNSTICK_S = 2.0  # a writer that the peer blocks is given this long after the end of its link

_log = structlog.get_logger("elsewhere.gateway.links")


class LinkService(link_pb2_grpc.LinkServiceServicer):
    """Serves `Attach`: one call for as long as a node stays."""

    def __init__(
        self, links: Links, lookups: Lookups, directory: Directory, *, config: LinkConfig, timing: Timing
    ) -> None:
        self._links, self._lookups, self._directory = links, lookups, directory
        self._config, self._timing = config, timing
        self._pace = Pace(ATTACHES, ATTACH_EVERY_S)
        self._on_frame: dict[str, Callable[[Link, Any], None]] = {
            "ask": lambda link, ask: self._lookups.ask(link, ask),
            "redeem": lambda link, redeem: self._lookups.redeem(link.agency, redeem),
            "reply": lambda link, reply: self._lookups.reply(link.agency, reply),
            "beat": lambda link, beat: link.beat(beat.sequence),
            "drain": lambda link, drain: self._links.drain(link, draining=drain.draining),
            "hello": self._refuse_hello,
        }

    # Reads and writes through the context: with gRPC's iterators each frame costs a twentieth more.
    async def Attach(  # type: ignore[override]  # noqa: N802 - the name in link.proto
        self, request_iterator: object, context: _ServicerContext
    ) -> None:
        """Serve one link until either side ends it."""
        try:
            agency = self._admit(context)
            hello, welcome = await self._greet(context)
            self._directory.check_active(agency)  # again: the roster may have changed meanwhile
            link = self._attach(agency, hello, welcome)
        except ElsewhereError as err:
            _log.warning("link refused", code=err.code)
            await context.abort(*to_status(err))
        call = asyncio.current_task()
        if call is not None:
            link.when_ended(self._unstick(call))
            call.add_done_callback(lambda _: link.end(None))
        reader = asyncio.create_task(self._read(link, context))
        _log.info("link attached", agency=agency, version=welcome.protocol_version)
        try:
            while (frame := await link.next_frame()) is not None:
                await context.write(frame)
        finally:
            reader.cancel()
            link.end(None)
            _log.info("link ended", agency=agency, code=link.error.code if link.error else "ok")
        if link.error is not None:
            await context.abort(*to_status(link.error))

    def _admit(self, context: _ServicerContext) -> str:
        """Find out who is there, and whether it may attach now."""
        agency = agency_of(context)
        self._directory.check_active(agency)
        if self._lookups.is_closing:
            raise GatewayDraining("the gateway is going down")
        return agency

    def _attach(self, agency: str, hello: link_pb2.Hello, welcome: link_pb2.Welcome) -> Link:
        """Make a link that begins with what every node has to know; raises LinksTaken."""
        if not self._pace.take(agency, self._timing.steady_s()):
            raise LinksTaken(f"expected {agency} to keep its links; it opens new ones all the time")
        owed = (self._lookups.most_of_agency + 1) * MAX_QUESTIONS  # one more: an Ask that is turned away
        link = Link(agency, capacity=self._config.queue_frames, owed=owed, process=hello.process)
        # Queued before the link is known to anybody, so that nothing can go out ahead of it.
        link.send(link_pb2.AttachResponse(welcome=welcome))
        link.send(self._directory.frame())
        link.send(to_frame(self._directory.newest()))
        self._links.attach(link, takes_over=hello.takes_over)
        return link

    async def _greet(self, context: _ServicerContext) -> tuple[link_pb2.Hello, link_pb2.Welcome]:
        """Wait for the Hello, and agree on a version."""
        try:
            async with asyncio.timeout(self._config.hello_s):
                first = await context.read()
        except TimeoutError:
            first = EOF
        if first is EOF:
            raise LinkSilent("expected a Hello; none came")
        if first.WhichOneof("frame") != "hello":
            raise LinkOutOfOrder("expected a Hello first; another frame came")
        check_from_node(first)
        version = agree_version(first.hello)
        if version is None:
            raise VersionsApart("expected a protocol version in common; there is none")
        welcome = link_pb2.Welcome(
            protocol_version=version,
            sent_ms=to_ms(self._timing.utc_now()),
            beat_ms=self._config.beat_ms,
        )
        return first.hello, welcome

    async def _read(self, link: Link, context: _ServicerContext) -> None:
        """Act on every frame a node sends, until it stops, errs, or the link ends."""
        try:
            while (frame := await context.read()) is not EOF:
                if link.is_ended:
                    return
                link.heard = True
                self._directory.check_active(link.agency)
                check_from_node(frame)
                kind = frame.WhichOneof("frame")
                if kind is not None:
                    self._on_frame[kind](link, getattr(frame, kind))
                if link.is_full:
                    await link.has_room()
            link.end(None)
        except ElsewhereError as err:
            link.end(err)
        except Exception as err:
            # A mistake of ours: the link ends, the peer learns nothing of it, and the log gets its kind only,
            # because a traceback could quote a frame.
            _log.error("link failed", agency=link.agency, kind=type(err).__name__)
            link.end(ElsewhereError("a mistake of the gateway's own"))

    def _refuse_hello(self, link: Link, hello: link_pb2.Hello) -> None:
        """One Hello opens a link; a second one has no meaning."""
        raise LinkOutOfOrder("expected one Hello; a second came")

    def _unstick(self, task: asyncio.Task[Any]) -> Callable[[], None]:
        """Make sure that an ended link's call ends too, also when its peer has stopped reading."""

        def cancel() -> None:
            task.cancel()

        def soon() -> None:
            alarm = self._timing.later(UNSTICK_S, cancel)
            task.add_done_callback(lambda _: alarm.cancel())

        return soon
