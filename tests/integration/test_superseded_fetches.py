"""A fetch of what is superseded meanwhile ends at once at the gateway; the node goes on with what is new."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from elsewhere.errors import PieceMissing, StoreUnavailable
from elsewhere.wire import tls
from elsewhere.wire.channel import CLIENT_OPTIONS, client_credentials
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc
from gateway import catalogues
from gateway.catalogues import CatalogueService
from gateway.custody import MAX_PIECE_STATEMENT_BYTES
from gateway.pieces import PieceWriter, piece_path, read_chunks
from gateway.service import Gateway
from gateway.store import CachedPiece, CatalogueName
from node.catalogues.publisher import Publisher
from tests.gateway_support import Agency, channel_to, found, join, running, state_keys
from tests.integration import catalogue_hosts
from tests.integration.catalogue_hosts import peers_of, publisher_of, tick
from tests.integration.gateway_pieces import NAME, REFUSED, fetch, parts, piece, publish
from tests.unit.node.exchange_world import NAMES, NOW, make_agencies, numbers

CHUNK = bytes(2**20)
Chunks = AsyncIterator[catalogue_pb2.Chunk]


def unlinked(folder: Path) -> list[str]:
    """Files of a folder that this process has open though they were removed: they still take disk."""
    links = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
    paths = [os.readlink(link) for link in links if link.is_symlink()]
    return [path for path in paths if path.startswith(str(folder)) and path.endswith("(deleted)")]


def slow_channel(gateway: Gateway, agency: Agency) -> grpc.aio.Channel:
    """A connection whose calls take little that is not read."""
    credentials = client_credentials(
        ca_pem=agency.admission.anchor.tls_ca_pem,
        key_pem=agency.tls_pem,
        cert_pem=agency.admission.certificate_pem,
    )
    small = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
    return grpc.aio.secure_channel(
        f"127.0.0.1:{gateway.port}", credentials, options=(*CLIENT_OPTIONS, *small)
    )


async def rest_of(
    call: grpc.aio.UnaryStreamCall[catalogue_pb2.FetchRequest, catalogue_pb2.FetchResponse],
) -> list[int]:
    """The chunks that are still to come."""
    found = []
    while isinstance(message := await call.read(), catalogue_pb2.FetchResponse):
        found.append(message.chunk.index)
    return found


async def test_what_was_superseded_leaves_the_disk_though_fetches_of_it_have_stalled(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    request = catalogue_pb2.FetchRequest(custodian="police", collection=NAME, epoch=1)
    async with running(tmp_path) as gateway, slow_channel(gateway, police) as channel:
        state_keys(gateway, police, (NAME, 1))
        calls = []
        for version in (1, 2, 3):
            head = piece(version, version, 8, grants=[])
            assert await publish(gateway, police, parts(head, [CHUNK] * 8)) == version
            calls.append(catalogue_pb2_grpc.CatalogueServiceStub(channel).Fetch(request))
            assert isinstance(await calls[-1].read(), catalogue_pb2.FetchResponse)
            first = await calls[-1].read()
            assert isinstance(first, catalogue_pb2.FetchResponse)
            assert first.HasField("chunk"), "it has begun to read the file"

        assert unlinked(tmp_path) == []
        assert [path.name for path in tmp_path.rglob("*.piece")] == ["3.piece"]
        for call in calls[:2]:
            with pytest.raises(grpc.aio.AioRpcError, match=r"catalogue\.missing"):
                await rest_of(call)
        assert await rest_of(calls[2]) == [1, 2, 3, 4, 5, 6, 7], "the newest one goes on"


def test_chunks_are_of_one_file_and_not_of_another_in_its_place(tmp_path: Path) -> None:
    path = piece_path(tmp_path, CatalogueName("police", NAME, 1), 1)

    def write() -> None:
        writer = PieceWriter(path, 2, 2**20)
        writer.add(0, b"first")
        writer.add(1, b"second")
        writer.finish()

    write()
    assert list(read_chunks(path, range(1, 2))) == [(1, b"second")]
    chunks = read_chunks(path, range(2))
    assert next(chunks) == (0, b"first")
    held = path.open("rb")  # so that the number of the file is not given to the next one
    write()
    with held, pytest.raises(PieceMissing):
        next(chunks)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreUnavailable):
        list(read_chunks(path, range(2)))


@pytest_asyncio.fixture
async def host(tmp_path: Path) -> AsyncIterator[catalogue_hosts.Gateway]:
    made = catalogue_hosts.Gateway(tmp_path / "gateway", tls.make_authority("northshire", now=NOW))
    await made.start()
    yield made
    await made.stop()


@pytest.mark.parametrize("sent", [0, 1])
async def test_a_node_goes_on_with_the_snapshot_that_took_the_place_of_the_one_it_fetched(
    tmp_path: Path, host: catalogue_hosts.Gateway, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    agencies = make_agencies(tmp_path)
    for agency in agencies.values():
        agency.start()
    try:
        agencies["police"].add_tags(numbers(131_082, 3), [NAMES[0]])  # two chunks
        publisher = await publisher_of(agencies["police"], host)
        await publisher.send()
        peers = await peers_of(agencies["schools"], host)
        monkeypatch.setattr(CatalogueService, "_chunks", superseding(publisher, sent))

        held = await peers.ensure("police", NAME, 1, publisher.head(NAME, 1), timeout_s=20)

        assert held.head.version == 2
        assert held.statement.chunks > 1
    finally:
        for agency in agencies.values():
            agency.stop()


def superseding(publisher: Publisher, sent: int) -> Callable[..., Chunks]:
    """What sends chunks, and after so many of the first version publishes another snapshot."""
    send = CatalogueService._chunks

    async def supersede(piece: CachedPiece) -> None:
        if piece.version == 1:
            for own in publisher._own:
                own.renew()
            await tick(publisher)

    async def chunks(self: CatalogueService, caller: str, piece: CachedPiece, from_chunk: int) -> Chunks:
        if not sent:
            await supersede(piece)
        async for chunk in send(self, caller, piece, from_chunk):
            yield chunk
            await supersede(piece)

    return chunks


async def test_a_long_chain_is_read_page_by_page_and_sent_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogues, "PAGE", 3)
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway:
        state_keys(gateway, police, (NAME, 1))
        for version in range(1, 9):
            assert (
                await publish(gateway, police, parts(piece(version, 1, grants=[]), [b"c%d" % version]))
                == version
            )
        request = catalogue_pb2.FetchRequest(custodian="police", collection=NAME, epoch=1)
        page, _ = gateway.catalogues.wanted("police", request)
        assert [one.version for one in page] == [1, 2, 3]
        got = await fetch(gateway, police)
        assert isinstance(got, tuple)
        assert [head.version for head in got[0]] == list(range(1, 9))
        assert [chunk.ciphertext for chunk in got[1]] == [b"c%d" % version for version in range(1, 9)]


async def test_a_statement_much_longer_than_ours_is_refused(tmp_path: Path) -> None:
    found(tmp_path)
    police = join(tmp_path, "police")
    async with running(tmp_path) as gateway, channel_to(gateway, police):
        state_keys(gateway, police, (NAME, 1))
        head = piece(1, 1, grants=[], statement=bytes(MAX_PIECE_STATEMENT_BYTES + 1))
        assert await publish(gateway, police, parts(head, [b"c"])) == REFUSED
