"""Nodes that take part in studies: one stream an agency, and calls over it that wait for their answer.

Sees:     agency ids, signed documents of studies, masked shares.
Refuses:  callers that the roster does not list as active; frames that break study.proto; answers to what was
          not asked, which are passed over.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog
from grpc.aio import EOF  # type: ignore[attr-defined]  # its stubs lack it

from elsewhere.errors import ElsewhereError, FrameMalformed, LinkReplaced, NotActive
from elsewhere.pace import Pace
from elsewhere.wire.channel import agency_of
from elsewhere.wire.convert.study import answered_qid, check_from_node
from elsewhere.wire.status import LinksTaken, to_status
from elsewhere.wire.v1 import study_pb2, study_pb2_grpc
from gateway.directory import Directory
from gateway.timing import Timing

if TYPE_CHECKING:
    from elsewhere.wire.v1.study_pb2_grpc import _ServicerContext

ATTENDS, ATTEND_EVERY_S = 64, 1.0  # streams that one agency may open

_log = structlog.get_logger("elsewhere.gateway.studies")


class Away(Exception):
    """The agency's node does not attend, or left before it answered."""


@dataclass(slots=True, eq=False)
class Attendance:
    """One stream. What waits to go down it is bounded by the studies that may be under way."""

    agency: str
    waiting: deque[study_pb2.AttendResponse] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    error: ElsewhereError | None = None

    def send(self, frame: study_pb2.AttendResponse) -> None:
        """Queue a frame."""
        self.waiting.append(frame)
        self.news.set()

    def end(self, error: ElsewhereError | None = None) -> None:
        """End the stream; `error` is what the peer is told."""
        if not self.ended.is_set():
            self.error = error
            self.ended.set()
            self.news.set()


class Attending:
    """Who attends now. All calls on the event loop."""

    def __init__(self) -> None:
        self._here: dict[str, Attendance] = {}
        self._came = asyncio.Event()
        self._answers: dict[tuple[str, bytes], asyncio.Future[study_pb2.AttendRequest]] = {}

    def attach(self, agency: str) -> Attendance:
        """Begin a stream; an older one of this agency ends."""
        if (older := self._here.get(agency)) is not None:
            older.end(LinkReplaced(f"another process of {agency} takes part in studies now"))
        found = self._here[agency] = Attendance(agency)
        self._came.set()
        self._came = asyncio.Event()
        return found

    def detach(self, stream: Attendance) -> None:
        """Take a stream out."""
        stream.end()
        if self._here.get(stream.agency) is stream:
            del self._here[stream.agency]

    def agencies(self) -> list[str]:
        """Those whose nodes attend now, by name."""
        return sorted(self._here)

    def answer(self, agency: str, frame: study_pb2.AttendRequest) -> None:
        """Hand an answer to whoever waits for it; to nobody if nobody does."""
        waiter = self._answers.get((agency, answered_qid(frame)))
        if waiter is not None and not waiter.done():
            waiter.set_result(frame)

    async def call(
        self, agency: str, qid: bytes, frame: study_pb2.AttendResponse, *, patient: bool = False
    ) -> study_pb2.AttendRequest:
        """Ask one agency's node and wait for its answer; whoever calls sets the time limit.

        Args:
            agency: whose node.
            qid: what is asked about, 32 bytes; one call an agency and qid is under way at once.
            frame: the call.
            patient: wait for a node that is away, and ask again when it is back. It answers a share that it
                has charged with the same bytes.

        Raises:
            Away: its node does not attend, or left. Never when patient.
        """
        while True:
            came, stream = self._came, self._here.get(agency)
            if stream is not None:
                waiter = self._answers[agency, qid] = asyncio.get_running_loop().create_future()
                ended = asyncio.ensure_future(stream.ended.wait())
                try:
                    stream.send(frame)
                    await asyncio.wait([waiter, ended], return_when=asyncio.FIRST_COMPLETED)
                    if waiter.done():
                        answer: study_pb2.AttendRequest = waiter.result()
                        return answer
                finally:
                    ended.cancel()
                    self._answers.pop((agency, qid), None)
                if self._here.get(agency) not in (stream, None):
                    continue  # another process of the node has come in its place
            if not patient:
                raise Away
            await came.wait()

    def end_all(self, error: ElsewhereError, *, agencies: Iterable[str] | None = None) -> None:
        """End all streams, or those of some agencies."""
        for agency in tuple(self._here) if agencies is None else agencies:
            if (stream := self._here.get(agency)) is not None:
                stream.end(error)


class StudyService(study_pb2_grpc.StudyServiceServicer):
    """Serves `Attend`: one call for as long as a node stays."""

    def __init__(self, attending: Attending, directory: Directory, timing: Timing) -> None:
        self._attending, self._directory, self._timing = attending, directory, timing
        self._pace = Pace(ATTENDS, ATTEND_EVERY_S)

    async def Attend(  # type: ignore[override]  # noqa: N802 - the name in study.proto
        self, request_iterator: object, context: _ServicerContext
    ) -> None:
        """Serve one node's stream until either side ends it."""
        try:
            agency = agency_of(context)
            self._directory.check_active(agency)
            if not self._pace.take(agency, self._timing.steady_s()):
                raise LinksTaken(f"expected {agency} to keep its stream; it opens new ones all the time")
        except ElsewhereError as err:
            _log.warning("attendance refused", code=err.code)
            await context.abort(*to_status(err))
        stream = self._attending.attach(agency)
        reader = asyncio.create_task(self._read(stream, context))
        _log.info("attending", agency=agency)
        try:
            while not stream.ended.is_set():
                stream.news.clear()
                while stream.waiting:
                    await context.write(stream.waiting.popleft())
                if not stream.ended.is_set():
                    await stream.news.wait()
        finally:
            reader.cancel()
            self._attending.detach(stream)
            _log.info("not attending", agency=agency, code=stream.error.code if stream.error else "ok")
        if stream.error is not None:
            await context.abort(*to_status(stream.error))

    async def _read(self, stream: Attendance, context: _ServicerContext) -> None:
        """Take every frame a node sends, until it stops or errs."""
        try:
            while (frame := await context.read()) is not EOF:
                self._directory.check_active(stream.agency)
                check_from_node(frame)
                if frame.WhichOneof("frame") is not None:
                    self._attending.answer(stream.agency, frame)
            stream.end()
        except (FrameMalformed, NotActive) as err:
            stream.end(err)
        except Exception as err:
            # A mistake of ours: the stream ends, and the log gets its kind only.
            _log.error("attendance failed", agency=stream.agency, kind=type(err).__name__)
            stream.end(ElsewhereError("a mistake of the gateway's own"))
