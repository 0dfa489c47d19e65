"""What one peer cannot exceed at a gateway: connections, handshakes, calls, bytes, fetches, statements."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from elsewhere.statement import MAX_STATEMENT_BYTES
from elsewhere.wire.channel import MAX_TO_GATEWAY_BYTES, WINDOW_BYTES, client_credentials
from elsewhere.wire.v1 import (
    catalogue_pb2,
    catalogue_pb2_grpc,
    directory_pb2,
    directory_pb2_grpc,
    link_pb2,
    link_pb2_grpc,
)
from gateway import __main__ as program
from gateway.directory import STATEMENTS
from gateway.service import Gateway
from tests.gateway_support import (
    PATIENCE_S,
    Agency,
    attach,
    channel_to,
    found,
    join,
    running,
    state_keys,
    statement,
)
from tests.integration.gateway_pieces import NAME, grant, parts, piece, publish

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def dial(gateway: Gateway) -> Stream:
    """A bare connection that says nothing."""
    return await asyncio.open_connection("127.0.0.1", gateway.port)


async def is_closed(stream: Stream, within_s: float) -> bool:
    """Whether the gateway closes a connection within that time."""
    try:
        async with asyncio.timeout(within_s):
            return await stream[0].read(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def is_head(message: object) -> bool:
    """Whether this is how what was asked for begins."""
    return isinstance(message, catalogue_pb2.FetchResponse) and message.HasField("piece")


def unbounded(gateway: Gateway, agency: Agency) -> grpc.aio.Channel:
    """A connection of a program that is not ours: it sends whatever it is told to."""
    credentials = client_credentials(
        ca_pem=agency.admission.anchor.tls_ca_pem,
        key_pem=agency.tls_pem,
        cert_pem=agency.admission.certificate_pem,
    )
    return grpc.aio.secure_channel(
        f"127.0.0.1:{gateway.port}", credentials, options=[("grpc.max_send_message_length", -1)]
    )


async def refused(gateway: Gateway, agency: Agency, statement: bytes) -> str:
    """The code that a key statement is refused with."""
    async with channel_to(gateway, agency) as channel:
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.PublishStatement(
                directory_pb2.PublishStatementRequest(statement=statement), timeout=PATIENCE_S
            )
        return refusal.value.details() or ""


async def test_a_connection_that_does_not_speak_tls_is_dropped_in_time(tmp_path: Path) -> None:
    found(tmp_path, link={"handshake_s": 0.3})
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        silent, halting = await dial(gateway), await dial(gateway)
        halting[1].write(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a handshake, and no more
        assert await is_closed(silent, PATIENCE_S)
        assert await is_closed(halting, PATIENCE_S)
        async with channel_to(gateway, police) as channel:
            await attach(channel, "police")


async def test_connections_over_the_bound_are_closed_and_room_comes_back(tmp_path: Path) -> None:
    found(tmp_path, link={"connections": 8, "handshake_s": 60, "beat_ms": 500})
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        peer = await attach(channel, "police")
        streams = [await dial(gateway) for _ in range(12)]
        closed = await asyncio.gather(*(is_closed(stream, 0.5) for stream in streams))
        assert closed.count(True) == 5
        await peer.say(beat=link_pb2.Beat(sequence=1))
        assert (await peer.frame("beat")).beat.sequence == 1, "a link that stands is not touched"
        for _, writer in streams:
            writer.close()
        async with asyncio.timeout(PATIENCE_S):
            while await is_closed(another := await dial(gateway), 0.5):
                pass
        another[1].close()


def test_the_program_allows_itself_the_files_that_its_connections_need() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
        program.allow_files(600)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, before[1])
        program.allow_files(550)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (600, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_one_connection_has_so_many_calls_and_no_more(tmp_path: Path) -> None:
    found(tmp_path, link={"hello_s": 60})
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        directory = directory_pb2_grpc.DirectoryServiceStub(channel)
        link = link_pb2_grpc.LinkServiceStub(channel)
        request = directory_pb2.PublishStatementRequest(statement=b"{}")
        calls = [link.Attach() for _ in range(63)]  # type: ignore[call-arg]  # they never say Hello
        with pytest.raises(grpc.aio.AioRpcError, match=r"signature\.invalid"):
            await directory.PublishStatement(request, timeout=PATIENCE_S, wait_for_ready=True)
        calls.append(link.Attach())  # type: ignore[call-arg]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await directory.PublishStatement(request, timeout=1)
        assert refusal.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        calls[0].cancel()
        with pytest.raises(grpc.aio.AioRpcError, match=r"signature\.invalid"):
            await directory.PublishStatement(request, timeout=PATIENCE_S)
        for call in calls:
            call.cancel()


async def test_what_is_not_read_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    size = 64 * 1024
    chunk = catalogue_pb2.PublishRequest(chunk=catalogue_pb2.Chunk(index=0, ciphertext=bytes(size)))
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:

        async def never_reads(caller: str, requests: AsyncIterator[object], show: object) -> object:
            return await asyncio.Event().wait()

        monkeypatch.setattr(gateway.catalogues, "publish", never_reads)
        call = catalogue_pb2_grpc.CatalogueServiceStub(channel).Publish()  # type: ignore[call-arg]
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 4 * MAX_TO_GATEWAY_BYTES:
                async with asyncio.timeout(2):
                    await call.write(chunk)
                sent += size
        call.cancel()
    own = 4 * size  # what this side keeps of what it was given
    assert size <= sent <= WINDOW_BYTES + own


async def test_one_agency_has_so_many_fetches_and_others_have_theirs(tmp_path: Path) -> None:
    found(tmp_path, catalogue={"fetches": 2})
    police, social, schools = (join(tmp_path, name) for name in ("police", "social", "schools"))
    request = catalogue_pb2.FetchRequest(custodian="police", collection=NAME, epoch=1)
    async with running(tmp_path) as gateway:
        state_keys(gateway, police, (NAME, 1))
        head = piece(1, 1, 32, grants=[grant("social"), grant("schools")])
        assert await publish(gateway, police, parts(head, [bytes(2**20)] * 32)) == 1
        async with channel_to(gateway, social) as channel, channel_to(gateway, schools) as another:
            stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
            slow = [stub.Fetch(request) for _ in range(2)]
            for call in slow:
                assert is_head(await call.read())
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.Fetch(request).read()
            assert (refusal.value.code(), refusal.value.details()) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "catalogue.busy",
            )
            other = catalogue_pb2_grpc.CatalogueServiceStub(another).Fetch(request)
            assert is_head(await other.read()), "another agency has its own"
            slow[0].cancel()  # the searcher is gone in the middle of it
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    with contextlib.suppress(grpc.aio.AioRpcError):
                        if len([one async for one in stub.Fetch(request)]) == 33:
                            break
                    await asyncio.sleep(0.02)


async def test_a_key_statement_over_its_size_is_refused(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        signed = statement(police)
        assert await refused(gateway, police, signed.ljust(MAX_STATEMENT_BYTES + 1)) == "signature.invalid"
        async with channel_to(gateway, police) as channel:
            stub = directory_pb2_grpc.DirectoryServiceStub(channel)
            whole = directory_pb2.PublishStatementRequest(statement=signed.ljust(MAX_STATEMENT_BYTES))
            assert (await stub.PublishStatement(whole, timeout=PATIENCE_S)).version == 1


async def test_one_agency_cannot_have_all_others_read_its_statements_all_the_time(tmp_path: Path) -> None:
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    async with running(tmp_path) as gateway:
        for version in range(1, STATEMENTS):
            state_keys(gateway, police, version=version)
        last = statement(police, version=STATEMENTS)
        gateway.directory.publish_statement("police", last)
        newer = statement(police, version=STATEMENTS + 1)
        assert await refused(gateway, police, newer) == "statement.busy"
        gateway.directory.publish_statement("police", last)  # the one held costs nothing
        state_keys(gateway, social)


async def test_one_agency_cannot_have_its_documents_verified_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.directory_service.CALLS", 4)
    monkeypatch.setattr("gateway.directory_service.CALL_EVERY_S", 60.0)
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    async with running(tmp_path) as gateway, channel_to(gateway, police) as channel:
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        codes = []
        for _ in range(3):
            for call in (
                stub.PublishStatement(directory_pb2.PublishStatementRequest(), timeout=PATIENCE_S),
                stub.PublishDocuments(
                    directory_pb2.PublishDocumentsRequest(roster=b"{}"), timeout=PATIENCE_S
                ),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await call
                codes.append(refusal.value.details())
        assert codes == ["signature.invalid"] * 4 + ["statement.busy"] * 2
        assert await refused(gateway, social, b"{}") == "signature.invalid"


async def test_one_agency_cannot_open_links_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.attach.ATTACHES", 3)
    monkeypatch.setattr("gateway.attach.ATTACH_EVERY_S", 60.0)
    found(tmp_path)
    police, social = join(tmp_path, "police"), join(tmp_path, "social")
    async with (
        running(tmp_path) as gateway,
        channel_to(gateway, police) as channel,
        channel_to(gateway, social) as another,
    ):
        for _ in range(3):
            await attach(channel, "police")  # each in the place of the one before
        hello = link_pb2.Hello(protocol_min=1, protocol_max=1, sent_ms=1)
        call = link_pb2_grpc.LinkServiceStub(channel).Attach()  # type: ignore[call-arg]
        await call.write(link_pb2.AttachRequest(hello=hello))
        with pytest.raises(grpc.aio.AioRpcError, match=r"link\.too_many"):
            await call.read()
        await attach(another, "social")


async def test_one_agency_cannot_have_all_others_fetch_its_catalogue_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.catalogues.SNAPSHOTS", 2)
    monkeypatch.setattr("gateway.catalogues.SNAPSHOT_EVERY_S", 60.0)
    monkeypatch.setattr("gateway.catalogues.DELTAS", 2)
    monkeypatch.setattr("gateway.catalogues.DELTA_EVERY_S", 60.0)
    found(tmp_path)
    agencies = [join(tmp_path, name) for name in ("police", "social")]
    async with running(tmp_path) as gateway:
        for agency in agencies:
            state_keys(gateway, agency, (NAME, 1))

        async def put(agency: Agency, version: int, snapshot: int) -> int | str:
            head = piece(version, snapshot, custodian=agency.agency_id, grants=[])
            return await publish(gateway, agency, parts(head, [b"c"]))

        police, social = agencies
        taken = [await put(police, 1, 1), await put(police, 2, 2)]
        assert [*taken, await put(police, 3, 3)] == [1, 2, "catalogue.too_often"]
        taken = [await put(police, 3, 2), await put(police, 3, 2), await put(police, 4, 2)]
        assert taken == [3, "catalogue.refused", 4], "what is not in order does not count"
        assert await put(police, 5, 2) == "catalogue.too_often"
        assert await put(social, 1, 1) == 1, "another has its own"


async def test_a_small_message_that_unpacks_to_a_large_one_is_refused(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, unbounded(gateway, police) as channel:
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        for size in (MAX_TO_GATEWAY_BYTES + 1, 32 * 2**20):  # packed, a thousandth of it
            request = directory_pb2.PublishStatementRequest(statement=bytes(size))
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.PublishStatement(request, timeout=PATIENCE_S, compression=grpc.Compression.Gzip)
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_over_its_bound_ends_the_call_and_no_other(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    request = directory_pb2.PublishStatementRequest(statement=b"{}")
    async with running(tmp_path) as gateway, unbounded(gateway, police) as channel:
        peer = await attach(channel, "police")
        stub = directory_pb2_grpc.DirectoryServiceStub(channel)
        for metadata in ([("x-long", "a" * 2**20)], [(f"x-{n}", "a" * 64) for n in range(4000)]):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.PublishStatement(request, timeout=PATIENCE_S, metadata=metadata)
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await peer.say(beat=link_pb2.Beat(sequence=1))
        assert (await peer.frame("beat")).beat.sequence == 1
