"""What one gateway shows of the federation: documents to verify and to keep, catalogues to fetch.

Sees:     public documents, from a gateway that may withhold them but cannot make them.
Refuses:  what does not verify; more notices than a federation has use for.
Promises: the link that hands it something never waits; of several Directories only the newest is looked at.
          `settled` lets a question wait for the documents that came before it: who is suspended in them is
          not answered. Neither a disk nor the gateway can delay that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog

from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from node.trust import Trust

PUBLISH_TIMEOUT_S = 10.0
RETRY_S = 10.0  # before a statement that did not reach the gateway is sent again
MAX_CUSTODIANS = 100
MAX_OF_CUSTODIAN = 16  # collections and epochs

Notice = directory_pb2.CatalogueNotice
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """What an intake is made with."""

    trust: Trust
    statement: Callable[[], bytes]  # our own key statement, as it is now
    channel: Callable[[], grpc.aio.Channel | None]  # of this gateway, while it is linked
    tell: Callable[[Sequence[Notice]], None]  # hands on what can be fetched, again after every Directory
    retry_s: float = RETRY_S


class DirectoryIntake:
    """Takes what one gateway shows. `run` is its one task; all calls on the event loop."""

    def __init__(self, parts: IntakeParts) -> None:
        self._parts = parts
        self._directory: directory_pb2.Directory | None = None
        self._notices: dict[str, dict[tuple[str, int], Notice]] = {}
        self._told_over: grpc.aio.Channel | None = None  # the life of the link that the notices came on
        self._is_unstated = False
        self._has_notices = False
        self._news, self._settled = asyncio.Event(), asyncio.Event()
        self._settled.set()

    def take_directory(self, directory: directory_pb2.Directory) -> None:
        """Have a Directory looked at, in the place of one that has not been yet."""
        self._directory = directory
        self._settled.clear()
        self._news.set()

    def take_notices(self, notices: directory_pb2.CatalogueNotices) -> None:
        """Have notices handed on: on each life of a link first all there are, then what has changed."""
        channel = self._parts.channel()
        if channel is not self._told_over:
            self._told_over, self._notices = channel, {}
        for notice in notices.notices:
            if len(self._notices) < MAX_CUSTODIANS or notice.custodian in self._notices:
                held = self._notices.setdefault(notice.custodian, {})
                key = (notice.collection, notice.epoch)
                if len(held) < MAX_OF_CUSTODIAN or key in held:
                    held[key] = notice
        self._has_notices = True
        self._news.set()

    async def settled(self) -> None:
        """Wait until every Directory that came so far is in force, or refused."""
        await self._settled.wait()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._news.wait(), self._parts.retry_s if self._is_unstated else None
                    )
                self._news.clear()
                await self._step()
        finally:
            self._settled.set()  # nobody waits for a node that ends

    async def _step(self) -> None:
        """Take what has come: first what decides who is trusted, then what needs a disk or the gateway."""
        directory, self._directory = self._directory, None
        if directory is not None:
            await self._verify(directory)
            self._is_unstated = self._parts.statement() not in directory.statements
        if self._directory is None:
            self._settled.set()
        if directory is not None:
            await asyncio.to_thread(self._parts.trust.keep)
        if self._is_unstated:
            await self._state()
        # Again after every Directory: it may be the first with the statement that a notice needs.
        if self._has_notices or (directory is not None and self._is_told):
            self._has_notices = False
            self._parts.tell([notice for held in self._notices.values() for notice in held.values()])

    @property
    def _is_told(self) -> bool:
        """Whether this life of the link has brought its notices: without them a gateway seems empty."""
        return self._told_over is not None and self._told_over is self._parts.channel()

    async def _verify(self, directory: directory_pb2.Directory) -> None:
        """Take whatever holds up, off the event loop: a hundred signatures take a tenth of a second."""
        refused = await asyncio.to_thread(
            self._parts.trust.take_directory, directory.roster, directory.agreement, directory.statements
        )
        if refused:
            # A gateway that sends what does not verify is broken or hostile; what was held stays in force.
            _log.warning("directory.refused", codes=sorted(set(refused)))

    async def _state(self) -> None:
        """Give the gateway our own statement, which it lacks. It shows it in its next Directory."""
        channel = self._parts.channel()
        if channel is None:
            self._is_unstated = False  # the next life of the link begins with a Directory
            return
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        request = directory_pb2.PublishStatementRequest(statement=self._parts.statement())
        try:
            await stub.PublishStatement(request, timeout=PUBLISH_TIMEOUT_S)
            self._is_unstated = False
        except grpc.aio.AioRpcError as err:
            _log.warning("statement.not_taken", code=err.code().name)
