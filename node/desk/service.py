"""The desk API: this agency's own staff and systems ask their own node.

Sees:     the child asked about, in the clear; it listens inside the agency only.
Refuses:  to listen openly: a Unix socket of mode 0600, or TLS with a client certificate (`node.desk.tls`).
Promises: an accident ends a call with an incident number, never with a text that could quote a child.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import grpc
import structlog

from elsewhere.asking import CustodianAnswer, DeskStatus, ProcessStatus
from elsewhere.errors import ConfigInvalid, ElsewhereError, StoreUnavailable
from elsewhere.noticing import Notice
from elsewhere.reviewing import WaitingReview
from elsewhere.secondlook import SecondLook
from elsewhere.wire.channel import PING_MS, PING_TIMEOUT_MS
from elsewhere.wire.convert.desk import ask_from_wire, event_to_wire, history_to_wire, status_to_wire
from elsewhere.wire.convert.desk_notice import done_from_wire, notices_to_wire
from elsewhere.wire.convert.desk_review import decision_from_wire, reviews_to_wire
from elsewhere.wire.convert.desk_second import looks_to_wire, opinion_from_wire
from elsewhere.wire.desk_status import internal_desk_status, to_desk_status
from elsewhere.wire.health import Health
from elsewhere.wire.socket_path import SocketAddress
from elsewhere.wire.v1 import desk_pb2, desk_pb2_grpc
from node.answering.noticing import Notices
from node.answering.reviewing import Reviews
from node.asking.searcher import Searcher
from node.asking.secondlook import SecondLooks
from node.desk.callers import Act, Caller, Callers
from node.desk.tls import DeskTls, client_of

MAX_REQUEST_BYTES = 64 * 1024
MAX_METADATA_BYTES = 24 * 1024  # a token of the greatest length fits
HANDSHAKE_MS = 10_000
_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.so_reuseport", 0),  # another process could otherwise share the port, and be asked in our place
    ("grpc.max_concurrent_streams", 64),  # of one connection
    ("grpc.keepalive_time_ms", PING_MS),  # a system that is gone is let go of
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
)
T = TypeVar("T")
_log = structlog.get_logger(__name__)
_Context = grpc.aio.ServicerContext[desk_pb2.AskRequest, desk_pb2.AskResponse]


@dataclass(frozen=True, slots=True)
class DeskParts:
    """What a desk serves from."""

    searcher: Searcher
    callers: Callers
    status: Callable[[], DeskStatus]
    processes: Callable[[], tuple[ProcessStatus, ...]]
    answers: Callable[[str], list[CustodianAnswer]]
    asker: Callable[[str], str | None]  # of an earlier question; None: not known any more
    reviews: Reviews
    second_looks: SecondLooks
    notices: Notices


class DeskService(desk_pb2_grpc.DeskServiceServicer):
    """Serves practitioners."""

    def __init__(self, parts: DeskParts) -> None:
        self._parts = parts

    def is_ready(self) -> bool:
        """Whether a lookup could succeed now."""
        return self._parts.status().is_ready

    async def Ask(  # noqa: N802 - generated name
        self, request: desk_pb2.AskRequest, context: _Context
    ) -> AsyncIterator[desk_pb2.AskResponse]:
        """Stream one lookup."""
        try:
            caller = await self._parts.callers.identify(context)
            ask = caller.put(ask_from_wire(request))
            asked = self._parts.searcher.ask(ask, desk_client=caller.client)
            async with aclosing(asked) as events:
                async for event in events:
                    yield event_to_wire(event)
        except Exception as err:
            await _refuse(context, err)

    async def Status(  # noqa: N802
        self, request: desk_pb2.StatusRequest, context: _Context
    ) -> desk_pb2.StatusResponse:
        """Say whether a lookup could succeed now, and which processes of this node there are."""

        def read() -> tuple[tuple[ProcessStatus, ...], int, int]:
            client_of(context)  # no token: it says nothing of anybody, and whoever runs the node looks at it
            with suppress(StoreUnavailable):
                overdue, waiting = self._parts.second_looks.overdue(), self._parts.reviews.count()
                return self._parts.processes(), overdue, waiting
            return (), 0, 0

        try:
            processes, overdue, waiting = await asyncio.to_thread(read)
        except Exception as err:
            await _refuse(context, err)
        # Not in the other thread: what it looks at is changed on the event loop.
        status = replace(self._parts.status(), processes=processes, second_looks_overdue=overdue)
        return status_to_wire(replace(status, reviews_waiting=waiting))

    async def History(  # noqa: N802
        self, request: desk_pb2.HistoryRequest, context: _Context
    ) -> desk_pb2.HistoryResponse:
        """Say what was told so far about an earlier question: to whoever asked it, or may read them all."""

        def answers(caller: Caller) -> list[CustodianAnswer]:
            person = caller.identity
            if person is not None and person.subject != self._parts.asker(request.lookup_id):
                caller.check_may(Act.READ_ANY_HISTORY)
            return self._parts.answers(request.lookup_id)

        return history_to_wire(await self._run(context, answers))

    async def ListReviews(  # noqa: N802
        self, request: desk_pb2.ListReviewsRequest, context: _Context
    ) -> desk_pb2.ListReviewsResponse:
        """Say which questions wait for a person here."""

        def waiting(caller: Caller) -> list[WaitingReview]:
            caller.check_may(Act.REVIEW)
            return self._parts.reviews.waiting()

        return reviews_to_wire(await self._run(context, waiting))

    async def DecideReview(  # noqa: N802
        self, request: desk_pb2.DecideReviewRequest, context: _Context
    ) -> desk_pb2.DecideReviewResponse:
        """Let a question through once, or refuse it."""

        def decide(caller: Caller) -> None:
            caller.check_may(Act.REVIEW)
            decision = decision_from_wire(request)
            self._parts.reviews.decide(decision, caller.name(decision.reviewer))

        await self._run(context, decide)
        return desk_pb2.DecideReviewResponse()

    async def ListSecondLooks(  # noqa: N802
        self, request: desk_pb2.ListSecondLooksRequest, context: _Context
    ) -> desk_pb2.ListSecondLooksResponse:
        """Say which questions of this agency wait for a second person."""

        def waiting(caller: Caller) -> list[SecondLook]:
            caller.check_may(Act.SECOND_LOOK)
            return self._parts.second_looks.waiting()

        return looks_to_wire(await self._run(context, waiting))

    async def GiveSecondLook(  # noqa: N802
        self, request: desk_pb2.GiveSecondLookRequest, context: _Context
    ) -> desk_pb2.GiveSecondLookResponse:
        """Record what a second person finds."""

        def give(caller: Caller) -> None:
            caller.check_may(Act.SECOND_LOOK)
            opinion = opinion_from_wire(request)
            self._parts.second_looks.give(opinion, caller.name(opinion.by))

        await self._run(context, give)
        return desk_pb2.GiveSecondLookResponse()

    async def ListNotices(  # noqa: N802
        self, request: desk_pb2.ListNoticesRequest, context: _Context
    ) -> desk_pb2.ListNoticesResponse:
        """Say which messages wait for the duty desk."""

        def waiting(caller: Caller) -> list[Notice]:
            caller.check_may(Act.NOTICES)
            return self._parts.notices.waiting()

        return notices_to_wire(await self._run(context, waiting))

    async def FinishNotice(  # noqa: N802
        self, request: desk_pb2.FinishNoticeRequest, context: _Context
    ) -> desk_pb2.FinishNoticeResponse:
        """Note that somebody has dealt with one."""

        def finish(caller: Caller) -> None:
            caller.check_may(Act.NOTICES)
            done = done_from_wire(request)
            self._parts.notices.finish(done, caller.name(done.by))

        await self._run(context, finish)
        return desk_pb2.FinishNoticeResponse()

    async def _run(self, context: grpc.aio.ServicerContext[Any, Any], step: Callable[[Caller], T]) -> T:
        """Do a step that reads the store, for a caller that has a name."""
        try:
            caller = await self._parts.callers.identify(context)
            return await asyncio.to_thread(step, caller)
        except Exception as err:
            await _refuse(context, err)


async def _refuse(context: grpc.aio.ServicerContext[Any, Any], err: Exception) -> NoReturn:
    """End a call: by our own code, or with a number under which this node's log has the kind of accident."""
    if isinstance(err, ElsewhereError):
        await context.abort(*to_desk_status(err))
    if isinstance(err, grpc.aio.AbortError):
        raise err
    incident = secrets.token_hex(4)
    _log.error("desk.failed", incident=incident, error=type(err).__name__)
    await context.abort(*internal_desk_status(incident))
    raise err  # never: an abort raises


class DeskServer:
    """Listens for the desk; `close` takes the socket away again."""

    def __init__(self, service: DeskService, socket: Path, tls: DeskTls | None, *, connections: int) -> None:
        """Prepare to listen.

        Args:
            service: serves.
            socket: path of the Unix socket.
            tls: where else to listen; None: nowhere.
            connections: that may be open at once, at each of the two.
        """
        self._options = (*_OPTIONS, ("grpc.max_allowed_incoming_connections", connections))
        self._socket = socket
        self._address = SocketAddress(socket)
        self._service, self._tls = service, tls
        # Made only to be started: gRPC 1.85 can bring the process down when one that never was is collected.
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            ConfigInvalid: `desk.listen` is no address of this machine, or in use.
        """
        self._server = server = grpc.aio.server(options=self._options)
        desk_pb2_grpc.add_DeskServiceServicer_to_server(self._service, server)
        Health({"elsewhere.wire.v1.DeskService": self._service.is_ready}).add_to(server)
        self._socket.unlink(missing_ok=True)
        # The mask is in force while gRPC binds, so there is no moment at which others could connect.
        before = os.umask(0o177)
        try:
            server.add_insecure_port(self._address.target)
        finally:
            os.umask(before)
        self._socket.chmod(0o600)
        if self._tls is not None:
            try:
                server.add_secure_port(self._tls.listen, self._tls.credentials)
            except RuntimeError:
                raise ConfigInvalid("desk.listen: expected an address of this machine that is free") from None
        await server.start()

    async def close(self) -> None:
        """Finish calls for a moment, then stop."""
        if self._server is not None:
            await self._server.stop(grace=1.0)
        self._address.close()
        self._socket.unlink(missing_ok=True)
