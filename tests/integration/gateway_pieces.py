"""Publications of ciphertext as a gateway meets them: signed, sent and fetched by bare clients."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from elsewhere.canonical import Json
from elsewhere.sealing import CATALOGUE_KEY, sealed_size
from elsewhere.signing import sign_document
from elsewhere.statement import CATALOGUE_STATEMENT_TYPE
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc
from gateway.service import Gateway
from tests.gateway_support import PATIENCE_S, Agency, channel_to, running, state_keys

NAME, REFUSED = "involvement", "catalogue.refused"
GRANT_BYTES = sealed_size(CATALOGUE_KEY)
LABELS = ("custodian", "collection", "epoch", "version", "snapshot_version")
Chunks = list[bytes]


def grant(searcher: str) -> catalogue_pb2.KeyGrant:
    """A sealed key, as far as the gateway can tell."""
    return catalogue_pb2.KeyGrant(searcher=searcher, sealed=secrets.token_bytes(GRANT_BYTES))


def piece(version: int, snapshot: int, chunks: int = 1, **changes: object) -> catalogue_pb2.Piece:
    """The head of a piece of the police's catalogue."""
    base: dict[str, object] = {
        "custodian": "police",
        "collection": "involvement",
        "epoch": 1,
        "version": version,
        "snapshot_version": snapshot,
        "chunks": chunks,
        "grants": [grant("social"), grant("schools")] if version == snapshot else [],
    }
    return catalogue_pb2.Piece(**(base | changes))  # type: ignore[arg-type]


def sign(
    head: catalogue_pb2.Piece, agency: Agency, kind: str = CATALOGUE_STATEMENT_TYPE, **more: Json
) -> bytes:
    """A catalogue statement that says of a piece what its head says."""
    told: dict[str, Json] = {name: getattr(head, name) for name in LABELS}
    told |= {"snapshot_count": 1, "delta_size": 64, "published_utc": "2026-09-01T12:00:00Z"}
    told |= {"root": "00" * 32, "padding_commitment": "00" * 32, **more}
    return sign_document([agency.signing], kind, told)


def parts(head: catalogue_pb2.Piece, chunks: Chunks) -> list[catalogue_pb2.PublishRequest]:
    """A publication as it goes over the wire."""
    return [
        catalogue_pb2.PublishRequest(piece=head),
        *(
            catalogue_pb2.PublishRequest(chunk=catalogue_pb2.Chunk(index=index, ciphertext=chunk))
            for index, chunk in enumerate(chunks)
        ),
    ]


async def publish(
    gateway: Gateway, agency: Agency, requests: list[catalogue_pb2.PublishRequest]
) -> int | str:
    """Publish, signed unless the head has a statement; gives the version, or the code of the refusal."""

    async def stream() -> AsyncIterator[catalogue_pb2.PublishRequest]:
        for request in requests:
            if request.HasField("piece") and not request.piece.statement:
                request.piece.statement = sign(request.piece, agency)
            yield request

    async with channel_to(gateway, agency) as channel:
        stub = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        try:
            return (await stub.Publish(stream(), timeout=PATIENCE_S)).version
        except grpc.aio.AioRpcError as err:
            return err.details() or ""


async def fetch(
    gateway: Gateway, agency: Agency, *, held: int = 0, from_chunk: int = 0, **changes: object
) -> tuple[list[catalogue_pb2.Piece], list[catalogue_pb2.Chunk]] | str:
    """Fetch the police's catalogue; gives heads and chunks, or the code it was refused with."""
    base: dict[str, object] = {"custodian": "police", "collection": "involvement", "epoch": 1}
    request = catalogue_pb2.FetchRequest(held_version=held, from_chunk=from_chunk, **(base | changes))  # type: ignore[arg-type]
    heads, chunks = [], []
    async with channel_to(gateway, agency) as channel:
        call = catalogue_pb2_grpc.CatalogueServiceStub(channel).Fetch(request, timeout=PATIENCE_S)
        try:
            async for response in call:
                if response.HasField("piece"):
                    heads.append(response.piece)
                else:
                    chunks.append(response.chunk)
        except grpc.aio.AioRpcError as err:
            return err.details() or ""
    return heads, chunks


@asynccontextmanager
async def serving(folder: Path, agencies: dict[str, Agency]) -> AsyncIterator[Gateway]:
    """A gateway that holds the police's key statement."""
    async with running(folder) as gateway:
        if gateway.directory.statement("police") is None:
            state_keys(gateway, agencies["police"], (NAME, 1), (NAME, 2))
            gateway.directory._push_now()  # nobody is linked: what comes later is told because of a test
        yield gateway
