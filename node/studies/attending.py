"""The node's stream for studies to each gateway: calls come in, answers and refusals go out.

Sees:     signed documents of studies.
Refuses:  frames that break study.proto.
Promises: a refusal says a code that begins with `refused.` and nothing more. A share leaves at the next tick
          after its call came, so that how long counting took is told to a tenth of a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import grpc
import structlog

from elsewhere.errors import ElsewhereError, FrameMalformed
from elsewhere.wire.convert.study import REFUSAL, check_from_gateway
from elsewhere.wire.v1 import study_pb2, study_pb2_grpc
from node.config import NodeConfig
from node.links.calls import CallBroke, breaking
from node.studies.answering import Studies, StudyParts
from node.studies.errors import TooManyStudies

AGAIN_S: Final = 0.5  # until a gateway is dialled again, or looked whether it is linked
AT_ONCE: Final = 32  # calls of one gateway under way
OTHER: Final = "refused.query"  # for what is wrong with a document itself
MISTAKE: Final = "refused.internal"

_log = structlog.get_logger(__name__)


class Attending:
    """Attends at every gateway while this process leads.

    Args:
        studies: what answers.
        gateways: for each, its channel while it is linked.
        tick_s: shares leave a multiple of it after their call came.
        is_ready: whether this node knows by now whether its ledger is the newest: before, it would refuse.
    """

    def __init__(
        self,
        studies: Studies,
        gateways: Sequence[Callable[[], grpc.aio.Channel | None]],
        tick_s: float,
        *,
        is_ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self._studies, self._gateways, self._tick_s = studies, gateways, tick_s
        self._is_ready = is_ready

    async def run(self) -> None:
        """Attend until cancelled."""
        async with asyncio.TaskGroup() as group:
            for place, source in enumerate(self._gateways):
                group.create_task(self._attend_always(place, source))

    async def _attend_always(self, place: int, source: Callable[[], grpc.aio.Channel | None]) -> None:
        """Attend at one gateway again and again."""
        while True:
            channel = source()
            if channel is not None and await self._is_ready():
                try:
                    with breaking():
                        await self._attend(channel)
                except (CallBroke, FrameMalformed) as err:
                    _log.warning("studies.not_attending", gateway=place, code=err.code)
            await asyncio.sleep(AGAIN_S)

    async def _attend(self, channel: grpc.aio.Channel) -> None:
        """One life of the stream."""
        outgoing: asyncio.Queue[study_pb2.AttendRequest] = asyncio.Queue()

        async def frames() -> AsyncIterator[study_pb2.AttendRequest]:
            while True:
                yield await outgoing.get()

        call = study_pb2_grpc.StudyServiceStub(channel).Attend(frames())
        under_way: set[asyncio.Task[None]] = set()
        try:
            while isinstance(frame := await call.read(), study_pb2.AttendResponse):
                check_from_gateway(frame)
                if frame.WhichOneof("frame") is None:
                    continue
                if len(under_way) >= AT_ONCE:
                    # At once, and not in silence: whoever waits would wait until the query has run out.
                    await outgoing.put(_refusal(frame, TooManyStudies.code))
                    continue
                task = asyncio.create_task(self._answer(frame, outgoing))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        finally:
            call.cancel()
            # What was begun is finished: a charge that is under way must not be cut off from its share.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*under_way, return_exceptions=True)

    async def _answer(
        self, frame: study_pb2.AttendResponse, outgoing: asyncio.Queue[study_pb2.AttendRequest]
    ) -> None:
        """Answer one call."""
        came = asyncio.get_running_loop().time()
        kind = frame.WhichOneof("frame")
        steps: dict[str | None, Callable[[], Coroutine[Any, Any, study_pb2.AttendRequest]]] = {
            "prepare": lambda: self._prepare(frame.prepare),
            "commit": lambda: self._commit(frame.commit),
            "budget": lambda: self._state(frame.budget),
        }
        try:
            answer = await steps[kind]()
        except ElsewhereError as err:
            _log.warning("study.refused", step=kind, code=err.code)
            answer = _refusal(frame, err.code if REFUSAL.fullmatch(err.code) else OTHER)
        except Exception as err:
            # A mistake of ours, or a table that cannot be read: its own words could quote a row.
            _log.error("study.failed", step=kind, kind=type(err).__name__)
            answer = _refusal(frame, MISTAKE)
        if kind == "commit":
            took = asyncio.get_running_loop().time() - came
            await asyncio.sleep(self._tick_s - took % self._tick_s)
        await outgoing.put(answer)

    async def _prepare(self, call: study_pb2.PrepareCall) -> study_pb2.AttendRequest:
        found = await self._studies.prepare(call.qid, call.query)
        seals = [study_pb2.Seal(agency=agency, sealed=sealed) for agency, sealed in found.seals.items()]
        prepared = study_pb2.Prepared(qid=call.qid, prepare=found.prepare, seals=seals)
        return study_pb2.AttendRequest(prepared=prepared)

    async def _commit(self, call: study_pb2.CommitCall) -> study_pb2.AttendRequest:
        seals = {seal.agency: seal.sealed for seal in call.seals}
        share = await self._studies.commit(call.qid, call.query, list(call.prepares), seals)
        return study_pb2.AttendRequest(shared=study_pb2.Shared(qid=call.qid, share=share))

    async def _state(self, call: study_pb2.BudgetCall) -> study_pb2.AttendRequest:
        stated = await self._studies.state_budget(call.qid, call.request)
        return study_pb2.AttendRequest(budget=study_pb2.BudgetStated(qid=call.qid, budget=stated))


def make_attending(
    config: NodeConfig,
    parts: StudyParts,
    gateways: Sequence[Callable[[], grpc.aio.Channel | None]],
) -> Attending:
    """Make the part of a node that takes part in studies."""

    async def is_ready() -> bool:
        agreement = parts.trust.agreement
        return agreement is not None and agreement.research is not None and await parts.is_sure()

    return Attending(Studies(parts), gateways, config.research.tick_ms / 1000, is_ready=is_ready)


def _refusal(frame: study_pb2.AttendResponse, code: str) -> study_pb2.AttendRequest:
    """Say no to a call."""
    kind = frame.WhichOneof("frame")
    qid = bytes(getattr(frame, kind).qid) if kind else b""
    return study_pb2.AttendRequest(refused=study_pb2.StudyRefused(qid=qid, code=code))
