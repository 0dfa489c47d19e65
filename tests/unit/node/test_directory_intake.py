"""What a gateway shows: taken by one task, the newest alone; nobody waits for a disk or a call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import grpc
import pytest

from elsewhere.wire.v1 import directory_pb2
from node.membership.directory import MAX_CUSTODIANS, MAX_OF_CUSTODIAN, DirectoryIntake, IntakeParts, Notice
from node.membership.trust import Trust

OWN = b"our own statement"
PATIENCE_S = 20.0


@dataclass
class Slow:
    """A trust that verifies and writes only when a test lets it."""

    taken: list[bytes] = field(default_factory=list)
    kept: int = 0
    me: str = "police"
    newer: tuple[bytes, bytes] = (b"", b"")  # than what the gateway showed
    may_verify: threading.Event = field(default_factory=threading.Event)
    may_keep: threading.Event = field(default_factory=threading.Event)

    def take_directory(
        self, roster: bytes, agreement: bytes, statements: Sequence[bytes], chain: Sequence[bytes]
    ) -> list[str]:
        assert self.may_verify.wait(PATIENCE_S)
        self.taken.append(roster)
        return []

    def newer_than(self, roster: bytes, agreement: bytes) -> tuple[bytes, bytes]:
        return self.newer

    def chain(self) -> list[bytes]:
        return [b"of stewards"]

    def is_active(self, agency: str) -> bool:
        return agency == self.me

    def keep(self) -> None:
        assert self.may_keep.wait(PATIENCE_S)
        self.kept += 1


@dataclass
class World:
    """An intake that runs, and what it hands on."""

    trust: Slow
    told: asyncio.Queue[list[tuple[str, int, int]]]
    channel: object = "first life"
    intake: DirectoryIntake = field(init=False)

    def __post_init__(self) -> None:
        self.intake = DirectoryIntake(
            IntakeParts(
                trust=cast(Trust, self.trust),
                statement=lambda: OWN,
                channel=lambda: cast("grpc.aio.Channel", self.channel),
                tell=lambda found: self.told.put_nowait([(n.custodian, n.epoch, n.version) for n in found]),
                changed=lambda: self.intake.compare(),
                random=bytes,
                retry_s=0.0,
            )
        )


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World(Slow(), asyncio.Queue())
    task = asyncio.create_task(world.intake.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield world
    finally:
        world.trust.may_verify.set()
        world.trust.may_keep.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def shown(roster: bytes, *statements: bytes) -> directory_pb2.Directory:
    return directory_pb2.Directory(roster=roster, statements=statements or [OWN])


def notices(*listed: tuple[str, int, int]) -> directory_pb2.CatalogueNotices:
    found = [
        Notice(custodian=custodian, collection="involvement", epoch=epoch, version=version)
        for custodian, epoch, version in listed
    ]
    return directory_pb2.CatalogueNotices(notices=found)


async def test_of_several_directories_only_the_newest_is_looked_at() -> None:
    async with running() as world:
        for roster in (b"1", b"2", b"3"):
            world.intake.take_directory(shown(roster))
        world.trust.may_verify.set()
        await world.intake.settled()
    assert world.trust.taken == [b"3"]


async def test_a_question_waits_for_the_documents_before_it_and_not_for_the_disk() -> None:
    async with running() as world:
        await world.intake.settled()
        world.intake.take_directory(shown(b"suspended"))
        waiting = asyncio.create_task(world.intake.settled())
        done, _ = await asyncio.wait([waiting], timeout=0)
        assert not done

        world.trust.may_verify.set()

        await waiting
        assert (world.trust.taken, world.trust.kept) == ([b"suspended"], 0)


async def test_notices_add_up_on_one_link_and_are_handed_on_again_after_a_directory() -> None:
    async with running() as world:
        world.trust.may_verify.set()
        world.trust.may_keep.set()
        world.intake.take_notices(notices(("police", 1, 4), ("schools", 1, 1)))
        assert await world.told.get() == [("police", 1, 4), ("schools", 1, 1)]
        world.intake.take_notices(notices(("police", 2, 1), ("schools", 1, 2)))
        everything = [("police", 1, 4), ("police", 2, 1), ("schools", 1, 2)]
        assert await world.told.get() == everything
        world.intake.take_directory(shown(b"1"))
        assert await world.told.get() == everything

        world.channel = "second life"
        world.intake.take_directory(shown(b"1"))  # its notices are still to come: the gateway is not empty
        world.intake.take_notices(notices(("police", 2, 1)))
        assert await world.told.get() == [("police", 2, 1)]


async def test_more_notices_than_a_federation_has_use_for_are_passed_over() -> None:
    many = [(f"agency-{n}", 1, 1) for n in range(MAX_CUSTODIANS + 5)]
    collections = [f"c-{n}" for n in range(MAX_OF_CUSTODIAN + 5)]
    async with running() as world:
        shown_first = notices(*many)
        for name in collections:
            shown_first.notices.append(Notice(custodian="agency-1", collection=name, epoch=1, version=1))
        world.intake.take_notices(shown_first)
        assert len(await world.told.get()) == MAX_CUSTODIANS + MAX_OF_CUSTODIAN - 1


async def test_a_link_that_outlives_many_keys_forgets_the_notices_of_those_that_are_gone() -> None:
    async with running() as world:
        for epoch in range(1, 3 * MAX_OF_CUSTODIAN):
            world.intake.take_notices(notices(("police", epoch, 1)))
            assert await world.told.get() == [("police", e, 1) for e in (epoch - 1, epoch) if e]


async def test_a_statement_that_did_not_reach_the_gateway_is_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: asyncio.Queue[bytes] = asyncio.Queue()

    class Stub:
        calls = 0

        def __init__(self, channel: object) -> None: ...

        async def PublishStatement(  # noqa: N802 - the name in directory.proto
            self, request: directory_pb2.PublishStatementRequest, timeout: float
        ) -> None:
            Stub.calls += 1
            if Stub.calls < 3:
                metadata = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata, None, None)
            sent.put_nowait(request.statement)

    monkeypatch.setattr("node.membership.directory.directory_pb2_grpc.DirectoryServiceStub", Stub)
    async with running() as world:
        world.trust.may_verify.set()
        world.trust.may_keep.set()
        world.intake.take_directory(shown(b"1", b"somebody else's"))
        assert await sent.get() == OWN
    assert Stub.calls == 3


@pytest.mark.parametrize("is_active", [True, False])
async def test_a_gateway_that_is_behind_is_handed_newer_documents_until_it_takes_them(
    monkeypatch: pytest.MonkeyPatch, is_active: bool
) -> None:
    sent: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()

    class Stub:
        calls = 0

        def __init__(self, channel: object) -> None: ...

        async def PublishDocuments(  # noqa: N802 - the name in directory.proto
            self, request: directory_pb2.PublishDocumentsRequest, timeout: float
        ) -> None:
            Stub.calls += 1
            if Stub.calls == 1:
                metadata = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, metadata, metadata, None, None)
            assert list(request.stewards_rosters) == ([b"of stewards"] if request.roster else [])
            sent.put_nowait((request.roster, request.agreement))

    monkeypatch.setattr("node.membership.directory.directory_pb2_grpc.DirectoryServiceStub", Stub)
    async with running() as world:
        world.trust.may_verify.set()
        world.trust.may_keep.set()
        world.intake.take_directory(shown(b"1", OWN))
        await world.intake.settled()
        assert Stub.calls == 0
        world.trust.newer = b"2", b""  # as another gateway has just shown
        world.intake.compare()
        assert await sent.get() == (b"2", b"")

        # One that is so far behind that it lets nobody in is told as well, by whoever knows better.
        world.trust.me = "police" if is_active else "suspended"
        world.trust.newer = b"3", b"agreement"
        monkeypatch.setattr(world.trust, "is_active", lambda agency: is_active)
        await world.intake.turned_away(cast("grpc.aio.Channel", "refused"))
        assert sent.qsize() == is_active
