"""What one gateway shows of the federation: documents to verify and to keep, catalogues to fetch.

Sees:     public documents, from a gateway that may withhold them but cannot make them.
Refuses:  what does not verify; more notices than a federation has use for.
Promises: the link that hands it something never waits; of several Directories only the newest is looked at.
          A gateway that is behind is handed the newer roster and agreement, so that two gateways soon agree.
          `settled` lets a question wait for the documents that came before it: who is suspended in them is
          not answered. Neither a disk nor the gateway can delay that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog

from elsewhere.random import RandomBytes
from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from node.links.calls import CallBroke, breaking
from node.membership.trust import Trust

PUBLISH_TIMEOUT_S = 10.0
RETRY_S = 10.0  # before a statement that did not reach the gateway is sent again
CARRY_WITHIN_S = 2.0  # before a gateway is handed newer documents: mostly another member was first by then
MAX_CUSTODIANS = 100
MAX_OF_CUSTODIAN = 16  # collections and epochs
LIVE_EPOCHS = 2  # of a collection

Notice = directory_pb2.CatalogueNotice
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """What an intake is made with."""

    trust: Trust
    statement: Callable[[], bytes]  # our own key statement, as it is now
    channel: Callable[[], grpc.aio.Channel | None]  # of this gateway, while it is linked
    tell: Callable[[Sequence[Notice]], None]  # hands on what can be fetched, again after every Directory
    changed: Callable[[], None]  # called after every Directory: the gateways' intakes are to `compare`
    random: RandomBytes
    retry_s: float = RETRY_S
    carry_s: float = CARRY_WITHIN_S


class DirectoryIntake:
    """Takes what one gateway shows. `run` is its one task; all calls on the event loop."""

    def __init__(self, parts: IntakeParts) -> None:
        self._parts = parts
        self._directory: directory_pb2.Directory | None = None
        self._notices: dict[str, dict[tuple[str, int], Notice]] = {}
        self._told_over: grpc.aio.Channel | None = None  # the life of the link that the notices came on
        self._is_unstated = False
        self._shown: tuple[bytes, bytes] | None = None  # roster and agreement in its last Directory
        self._lacks = (b"", b"")  # of the two, what this gateway is behind in
        self._carry_in_s = 0.0
        self._has_notices = False
        self._news, self._settled = asyncio.Event(), asyncio.Event()
        self._settled.set()

    def take_directory(self, directory: directory_pb2.Directory) -> None:
        """Have a Directory looked at, in the place of one that has not been yet."""
        self._directory = directory
        self._settled.clear()
        self._news.set()

    def restate(self) -> None:
        """Have our own statement given to the gateway: it is a newer one."""
        self._is_unstated = True
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
                for other in [k for k in held if k[0] == key[0] and k[1] <= key[1] - LIVE_EPOCHS]:
                    del held[other]  # its key is destroyed, and a link may outlive many of them
                if len(held) < MAX_OF_CUSTODIAN or key in held:
                    held[key] = notice
        self._has_notices = True
        self._news.set()

    async def settled(self) -> None:
        """Wait until every Directory that came so far is in force, or refused."""
        await self._settled.wait()

    async def turned_away(self, channel: grpc.aio.Channel) -> None:
        """Tell a gateway that calls this agency no active member what makes it one, if we know better."""
        trust = self._parts.trust
        if trust.is_active(trust.me):
            await _hand_on(channel, trust, *trust.newer_than(b"", b""))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                try:
                    await asyncio.wait_for(self._news.wait(), self._pause_s())
                except TimeoutError:
                    await self._carry()
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
            self._shown = directory.roster, directory.agreement
            self._parts.changed()
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

    def compare(self) -> None:
        """See whether this gateway is behind what is held, which another one may have shown."""
        lacks = self._parts.trust.newer_than(*self._shown) if self._shown is not None else (b"", b"")
        if lacks != self._lacks:
            self._lacks = lacks
            self._carry_in_s = self._parts.carry_s * int.from_bytes(self._parts.random(4)) / 2**32
            self._news.set()

    def _pause_s(self) -> float | None:
        """How long to wait for news before something that did not reach the gateway is sent again."""
        if any(self._lacks):
            return self._carry_in_s
        return self._parts.retry_s if self._is_unstated else None

    async def _carry(self) -> None:
        """Hand on what the gateway is behind in. It shows it in its next Directory."""
        channel = self._parts.channel()
        self._carry_in_s = self._parts.retry_s
        # Without a channel: the next life of the link begins with a Directory.
        if channel is None or await _hand_on(channel, self._parts.trust, *self._lacks):
            self._lacks = (b"", b"")

    @property
    def _is_told(self) -> bool:
        """Whether this life of the link has brought its notices: without them a gateway seems empty."""
        return self._told_over is not None and self._told_over is self._parts.channel()

    async def _verify(self, directory: directory_pb2.Directory) -> None:
        """Take whatever holds up, off the event loop: a hundred signatures take a tenth of a second."""
        refused = await asyncio.to_thread(
            self._parts.trust.take_directory,
            directory.roster,
            directory.agreement,
            directory.statements,
            directory.stewards_rosters,
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
            with breaking():
                await stub.PublishStatement(request, timeout=PUBLISH_TIMEOUT_S)
            self._is_unstated = False
        except CallBroke as err:
            _log.warning("statement.not_taken", code=err.code)


async def _hand_on(channel: grpc.aio.Channel, trust: Trust, roster: bytes, agreement: bytes) -> bool:
    """Give a gateway signed documents; tells whether it took them."""
    if not roster and not agreement:
        return True
    stub = directory_pb2_grpc.DirectoryServiceStub(channel)
    chain = trust.chain() if roster else []
    request = directory_pb2.PublishDocumentsRequest(
        roster=roster, agreement=agreement, stewards_rosters=chain
    )
    try:
        with breaking():
            await stub.PublishDocuments(request, timeout=PUBLISH_TIMEOUT_S)
    except CallBroke as err:
        _log.warning("directory.not_carried", code=err.code)
        return False
    _log.info("directory.carried")
    return True
