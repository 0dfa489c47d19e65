"""What a gateway cannot exceed at a node: outcomes that wait for a lookup, and the size of a message."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from elsewhere.clock import from_ms
from elsewhere.wire.channel import CLIENT_OPTIONS, MAX_TO_NODE_BYTES
from elsewhere.wire.convert.link import MAX_QUESTIONS, MISSED_BEATS
from elsewhere.wire.v1 import common_pb2, directory_pb2, link_pb2
from node.links import link as link_module
from node.links.link import OUTCOMES, Link, LinkParts


class NoIntake:
    """Nothing is shown."""

    def take_directory(self, directory: directory_pb2.Directory) -> None: ...

    def take_notices(self, notices: directory_pb2.CatalogueNotices) -> None: ...

    async def settled(self) -> None: ...

    async def turned_away(self, channel: grpc.aio.Channel) -> None: ...


def outcome(custodian: str, round_: int) -> link_pb2.AttachResponse:
    late = common_pb2.NON_ANSWER_TIMED_OUT
    return link_pb2.AttachResponse(
        outcome=link_pb2.Outcome(ask_id=b"a" * 16, custodian=custodian, round=round_, non_answer=late)
    )


def a_link() -> Link:
    """A link that was never dialled."""

    async def handle(dispatch: link_pb2.Dispatch) -> None: ...

    return Link(
        LinkParts("gateway:1", grpc.ssl_channel_credentials(), handle, NoIntake(), lambda: from_ms(0), bytes)
    )


async def test_outcomes_that_nobody_takes_fill_no_memory_and_all_there_can_be_have_room() -> None:
    link = a_link()
    link.attached.set()
    session = link.open_session(b"a" * 16)
    for number in range(MAX_QUESTIONS):
        for round_ in (1, 2):
            link._take(outcome(f"agency-{number}", round_))
    assert session.outcomes.qsize() == OUTCOMES == 2 * MAX_QUESTIONS
    for _ in range(1000):
        link._take(outcome("agency-1", 2))
    assert session.outcomes.qsize() == OUTCOMES
    assert (await session.outcomes.get()) is not None
    link._take(outcome("agency-1", 2))
    assert session.outcomes.qsize() == OUTCOMES


async def test_a_gateway_that_falls_silent_is_dialled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    beats = [link_pb2.AttachResponse(beat=link_pb2.Beat(sequence=number)) for number in (2, 1)]

    async def read(call: list[link_pb2.AttachResponse]) -> link_pb2.AttachResponse:
        return call.pop() if call else await asyncio.Event().wait()  # type: ignore[return-value]

    monkeypatch.setattr(link_module, "_read", read)
    silent: Any = beats
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError):
        await a_link()._receive(silent, beat_s=0.05)
    assert asyncio.get_running_loop().time() - began >= MISSED_BEATS * 0.05 * 0.9


@pytest.mark.parametrize("packed", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_over_the_bound_is_refused_packed_or_not(packed: grpc.Compression) -> None:
    async def reply(request: bytes, context: object) -> bytes:
        return bytes(int(request))

    handler = grpc.unary_unary_rpc_method_handler(reply)
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)], compression=packed)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("gateway", {"Any": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=CLIENT_OPTIONS) as channel:
            call = channel.unary_unary("/gateway/Any", bytes, bytes)
            assert len(await call(str(MAX_TO_NODE_BYTES).encode(), timeout=20)) == MAX_TO_NODE_BYTES
            for size in (MAX_TO_NODE_BYTES + 1, 4 * MAX_TO_NODE_BYTES):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await call(str(size).encode(), timeout=20)
                assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        await server.stop(None)
