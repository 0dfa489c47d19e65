"""grpc.health.v1, asked by the standard client: whether a gateway or a desk serves, and who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from elsewhere.errors import StoreUnavailable
from elsewhere.wire.health import Health
from elsewhere.wire.socket_path import SocketAddress
from elsewhere.wire.v1 import directory_pb2, directory_pb2_grpc
from tests.federation import federation
from tests.gateway_support import PATIENCE_S, ask, attached, channel_to, found, join, question, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LINK, DIRECTORY, CATALOGUE = (
    f"elsewhere.wire.v1.{name}Service" for name in ("Link", "Directory", "Catalogue")
)
DESK = "elsewhere.wire.v1.DeskService"


async def check(channel: grpc.aio.Channel, service: str = "") -> int | grpc.StatusCode:
    """What is said of a service, or why nothing is."""
    request = health_pb2.HealthCheckRequest(service=service)
    try:
        answer = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=PATIENCE_S)
    except grpc.aio.AioRpcError as err:
        return err.code()
    return int(answer.status)


async def test_a_gateway_tells_any_certificate_of_its_federation_and_nobody_else(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        async with channel_to(gateway, police) as channel:
            for service in ("", LINK, DIRECTORY, CATALOGUE):
                assert await check(channel, service) == SERVING
            assert await check(channel, DESK) == grpc.StatusCode.NOT_FOUND
            unknown = health_pb2.HealthCheckRequest(service="x" * 1000)
            watch = health_pb2_grpc.HealthStub(channel).Watch(unknown, timeout=PATIENCE_S)
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await watch.read()
            assert refusal.value.code() is grpc.StatusCode.NOT_FOUND
        address = f"127.0.0.1:{gateway.port}"
        stranger = grpc.ssl_channel_credentials(police.admission.anchor.tls_ca_pem)
        async with grpc.aio.secure_channel(address, stranger) as channel:
            assert await check(channel) == grpc.StatusCode.UNAVAILABLE


async def test_a_gateway_tells_its_own_account_over_a_socket_and_serves_nothing_else_there(
    tmp_path: Path,
) -> None:
    found(tmp_path)
    path = tmp_path / "health.sock"
    async with running(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with SocketAddress(path) as address:
            async with grpc.aio.insecure_channel(address.target) as channel:
                assert await check(channel) == SERVING
                stub = directory_pb2_grpc.DirectoryServiceStub(channel)
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await stub.PublishStatement(
                        directory_pb2.PublishStatementRequest(statement=b"{}"), timeout=PATIENCE_S
                    )
                assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert not path.exists()


async def test_a_gateway_that_ends_says_so_while_it_lets_lookups_end(tmp_path: Path) -> None:
    found(tmp_path, drain_s=20)
    social, police = join(tmp_path, "social"), join(tmp_path, "police")
    async with running(tmp_path) as gateway, attached(gateway, social, police) as (searcher, custodian):
        await searcher.say(ask=ask(question("police")))
        await custodian.dispatch()
        async with channel_to(gateway, police) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == SERVING
            gateway.stop()
            assert (await watch.read()).status == NOT_SERVING
            assert await check(channel, LINK) == NOT_SERVING
            watch.cancel()
        searcher.call.cancel()
        custodian.call.cancel()


async def test_a_gateway_whose_store_fails_relays_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(seen: object) -> None:
        raise StoreUnavailable("as if the disk were full")

    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        with monkeypatch.context() as patched:
            patched.setattr(gateway._store, "put_seen", full)
            gateway._note_seen()
        said = [await check(channel, service) for service in ("", LINK, DIRECTORY, CATALOGUE)]
        assert said == [NOT_SERVING, SERVING, NOT_SERVING, NOT_SERVING]
        gateway._note_seen()
        assert await check(channel) == SERVING
        end = gateway.directory.roster.valid_until_utc
        monkeypatch.setattr(gateway._timing, "utc_now", lambda: end + timedelta(seconds=1))
        assert await check(channel, LINK) == NOT_SERVING


async def test_a_nodes_desk_serves_while_the_node_could_look_up(tmp_path: Path) -> None:
    async with federation(tmp_path) as made:
        for agency in ("social", "police"):
            made.join(agency)
        await made.start("social", "police")
        with SocketAddress(made.nodes["social"].config.dir / "desk.sock") as address:
            async with grpc.aio.insecure_channel(address.target) as channel, asyncio.timeout(PATIENCE_S):
                assert [await check(channel, service) for service in ("", DESK)] == [SERVING] * 2
                assert await check(channel, LINK) == grpc.StatusCode.NOT_FOUND
                await made.kill_gateway()
                while await check(channel, DESK) != NOT_SERVING:
                    await asyncio.sleep(0.05)


async def test_a_change_is_told_to_who_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("elsewhere.wire.health.WATCH_S", 0.01)
    is_ready = [False]
    server = grpc.aio.server()
    Health({DESK: lambda: is_ready[0]}).add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(PATIENCE_S):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=DESK))
        assert (await watch.read()).status == NOT_SERVING
        assert [await check(channel, service) for service in ("", DESK)] == [NOT_SERVING] * 2
        is_ready[0] = True
        assert (await watch.read()).status == SERVING
        with contextlib.suppress(asyncio.CancelledError):
            watch.cancel()
    await server.stop(None)
