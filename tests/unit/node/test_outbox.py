"""What waits to leave a node: in order, bounded, and nobody is left waiting when the connection ends."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from elsewhere.clock import from_ms
from elsewhere.wire.v1 import directory_pb2, link_pb2
from node.links import link as link_module
from node.links.link import Link, LinkParts
from node.links.outbox import Outbox


def frame(number: int) -> link_pb2.AttachRequest:
    return link_pb2.AttachRequest(beat=link_pb2.Beat(sequence=number))


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_frames_leave_in_order_and_are_flushed_once_the_last_is_written() -> None:
    outbox = Outbox(4)
    for number in (1, 2):
        await outbox.put(frame(number))
    flushed = asyncio.create_task(outbox.flushed())
    frames = outbox.frames()
    assert [(await anext(frames)).beat.sequence for _ in range(2)] == [1, 2]
    await settle()
    assert not flushed.done()  # the second has been handed over, and not been asked after

    waiting = asyncio.ensure_future(anext(frames))
    await flushed
    await outbox.put(frame(3))

    assert (await waiting).beat.sequence == 3


async def test_a_full_one_makes_senders_wait_and_its_end_lets_all_of_them_go() -> None:
    outbox = Outbox(1)
    await outbox.put(frame(1))
    senders = [asyncio.create_task(outbox.put(frame(number))) for number in range(2, 6)]
    await settle()
    assert not any(sender.done() for sender in senders)

    outbox.end()
    await asyncio.gather(*senders)
    await outbox.put(frame(6))  # dropped
    await outbox.flushed()

    assert [sent async for sent in outbox.frames()] == []


class NoIntake:
    """Nothing is shown."""

    def take_directory(self, directory: directory_pb2.Directory) -> None: ...

    def take_notices(self, notices: directory_pb2.CatalogueNotices) -> None: ...

    async def settled(self) -> None: ...

    async def turned_away(self, channel: grpc.aio.Channel) -> None: ...


def attached_link() -> Link:
    """A link whose peer takes nothing; its one life was never dialled."""

    async def handle(dispatch: link_pb2.Dispatch) -> link_pb2.Reply:
        return link_pb2.Reply(route=dispatch.route, refused=True)

    parts = LinkParts(
        "gateway:1", grpc.ssl_channel_credentials(), handle, NoIntake(), lambda: from_ms(0), bytes
    )
    found = Link(parts)
    found._outbox = Outbox(0)
    found.attached.set()
    return found


async def test_a_drain_ends_with_the_link_though_replies_wait_for_room() -> None:
    link = attached_link()
    reply = asyncio.create_task(link._handle(link_pb2.Dispatch(round=1)))
    link._handling.add(reply)
    reply.add_done_callback(link._handling.discard)
    draining = asyncio.create_task(link.drain())
    await settle()
    assert not draining.done()

    link.attached.clear()
    link._outbox.end()

    await draining
    assert reply.done()


async def test_a_drain_ends_in_time_when_a_gateway_beats_and_reads_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "DRAIN_S", 0.0)
    with capture_logs() as logs:
        await attached_link().drain()
    assert [entry["event"] for entry in logs] == ["link.drain_cut"]


async def test_a_question_stays_with_the_connection_it_was_begun_on() -> None:
    link = attached_link()
    first = link._outbox = Outbox(4)
    session = link.open_session(bytes(16))
    second = link._outbox = Outbox(4)  # dialled again meanwhile: the gateway knows nothing of the question
    first.end()

    await link.redeem(session, "police", b"sealed")
    second.end()

    assert [sent async for sent in first.frames()] == []
    assert session.outbox is first
