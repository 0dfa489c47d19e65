"""What one caller cannot exceed at a desk: connections, handshakes, calls, bytes. What accidents tell."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from elsewhere.asking import CustodianAnswer, DeskStatus
from elsewhere.wire.channel import server_credentials
from elsewhere.wire.tls import make_authority, make_key, make_request, sign_gateway, sign_node
from elsewhere.wire.v1 import desk_pb2, desk_pb2_grpc
from node.desk import service as desk_service
from node.desk.callers import Callers
from node.desk.service import MAX_REQUEST_BYTES, DeskParts, DeskServer, DeskService
from node.desk.tls import DeskTls

NOW = datetime.now(UTC)
CA = make_authority("Social care systems", now=NOW)
PATIENCE_S = 10.0
CONNECTIONS = 8


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def no_answers(lookup_id: str) -> list[CustodianAnswer]:
    return []


@asynccontextmanager
async def serving(
    folder: Path, answers: Callable[[str], list[CustodianAnswer]] = no_answers
) -> AsyncIterator[str]:
    """A desk alone; gives the address of its port."""
    key, listen = make_key(), f"127.0.0.1:{free_port()}"
    cert = sign_gateway(CA, key, hosts=["127.0.0.1"], now=NOW)
    tls = DeskTls(listen, server_credentials(ca_pem=CA.cert_pem, key_pem=key, cert_pem=cert))
    nobody: Any = None
    status, callers = DeskStatus("social", True, ()), Callers(None, (), lambda: NOW)
    parts = DeskParts(nobody, callers, lambda: status, lambda: (), answers, lambda _: None, *[nobody] * 3)
    service = DeskService(parts)
    server = DeskServer(service, folder / "desk.sock", tls, connections=CONNECTIONS)
    await server.start()
    try:
        yield listen
    finally:
        await server.close()


def client(listen: str, name: str = "case-system") -> grpc.aio.Channel:
    """A system with a certificate of the agency's, that sends whatever it is told to."""
    key = make_key()
    cert = sign_node(CA, make_request(key, name), agency=name, now=NOW)
    credentials = grpc.ssl_channel_credentials(CA.cert_pem, key, cert)
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.secure_channel(listen, credentials, options=options)


async def is_closed(reader: asyncio.StreamReader, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def history(
    channel: grpc.aio.Channel, lookup_id: str = "x", *, within_s: float = PATIENCE_S, **call: Any
) -> grpc.StatusCode:
    """Ask for a history; gives how that ended."""
    stub = desk_pb2_grpc.DeskServiceStub(channel)
    try:
        await stub.History(desk_pb2.HistoryRequest(lookup_id=lookup_id), timeout=within_s, **call)
    except grpc.aio.AioRpcError as err:
        return err.code()
    return grpc.StatusCode.OK


async def test_connections_over_the_bound_are_closed_and_room_comes_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as listen:
        host, port = listen.split(":")
        streams = [await asyncio.open_connection(host, int(port)) for _ in range(CONNECTIONS + 4)]
        closed = await asyncio.gather(*(is_closed(reader, 0.5) for reader, _ in streams))
        assert closed.count(True) == 4
        for _, writer in streams:
            writer.close()
        async with client(listen) as channel:
            assert await history(channel, wait_for_ready=True) is grpc.StatusCode.OK


async def test_a_handshake_that_does_not_end_is_dropped_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**dict(desk_service._OPTIONS), "grpc.server_handshake_timeout_ms": 300}
    monkeypatch.setattr(desk_service, "_OPTIONS", tuple(options.items()))
    async with serving(tmp_path) as listen:
        host, port = listen.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01\x02\x00\x01")
        assert await is_closed(reader, PATIENCE_S)
        writer.close()


async def test_connections_that_say_nothing_give_their_places_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**dict(desk_service._OPTIONS), "grpc.server_handshake_timeout_ms": 2500}
    monkeypatch.setattr(desk_service, "_OPTIONS", tuple(options.items()))
    async with serving(tmp_path) as listen:
        host, port = listen.split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(CONNECTIONS)]
        further, late = await asyncio.open_connection(host, int(port))
        assert await is_closed(further, 0.5), "all places are taken"
        # Nobody lets go: they are thrown out.
        assert all(await asyncio.gather(*(is_closed(reader, PATIENCE_S) for reader, _ in silent)))
        async with client(listen) as channel:
            assert await history(channel, wait_for_ready=True) is grpc.StatusCode.OK
        for _, writer in silent:
            writer.close()
        late.close()


async def test_a_message_over_the_bound_is_refused_packed_or_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as listen, client(listen) as channel:
        for size in (MAX_REQUEST_BYTES + 1, 16 * 2**20):
            for packed in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
                ended = await history(channel, "x" * size, compression=packed)
                assert ended is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await history(channel, "x" * (MAX_REQUEST_BYTES - 100)) is grpc.StatusCode.OK


async def test_one_connection_has_so_many_calls_and_no_more(tmp_path: Path) -> None:
    async with serving(tmp_path) as listen, client(listen) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        calls = [watch(health_pb2.HealthCheckRequest()) for _ in range(64)]  # each goes on for ever
        await asyncio.gather(*(call.read() for call in calls))
        assert await history(channel, within_s=1) is grpc.StatusCode.DEADLINE_EXCEEDED
        calls[0].cancel()
        assert await history(channel) is grpc.StatusCode.OK
        for call in calls:
            call.cancel()


async def test_an_accident_in_a_history_is_told_as_a_number(tmp_path: Path) -> None:
    def fails(lookup_id: str) -> list[CustodianAnswer]:
        raise RuntimeError(f"SELECT of {lookup_id} for Ada Quilla")

    with capture_logs() as logged:
        async with serving(tmp_path, fails) as listen, client(listen) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await desk_pb2_grpc.DeskServiceStub(channel).History(
                    desk_pb2.HistoryRequest(lookup_id="x"), timeout=PATIENCE_S
                )
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    (line,) = [line for line in logged if line["event"] == "desk.failed"]
    assert line["incident"] in (failed.value.details() or "")
    assert "Quilla" not in f"{failed.value.details()} {failed.value.debug_error_string()} {logged}"


async def test_a_caller_without_a_plain_name_reads_no_history(tmp_path: Path) -> None:
    async with serving(tmp_path) as listen, client(listen, "socket") as channel:
        assert await history(channel) is grpc.StatusCode.UNAUTHENTICATED
