"""Gateways for tests of catalogues: the real service over mutual TLS, and one that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

import grpc

from elsewhere.catalogue.sealed import seal_snapshot
from elsewhere.errors import NotActive, PieceRefused
from elsewhere.sealing import SealingKey
from elsewhere.statement import KeyStatement
from elsewhere.wire import tls
from elsewhere.wire.channel import CLIENT_OPTIONS, SERVER_OPTIONS, client_credentials, server_credentials
from elsewhere.wire.status import to_status
from elsewhere.wire.v1 import catalogue_pb2, catalogue_pb2_grpc, directory_pb2
from gateway.catalogues import Catalogues, CatalogueService
from gateway.config import CatalogueConfig
from gateway.directory import Directory
from gateway.store import CatalogueName as CachedName
from gateway.store import Store as GatewayStore
from node.catalogues.grants import seal_grant
from node.catalogues.own import OwnState
from node.catalogues.peers import Peers, PeersParts
from node.catalogues.publisher import Publisher, PublisherParts
from tests.partnership import first_roster
from tests.stores import PLACES
from tests.unit.node.exchange_world import AGENCIES, MEMBERS, NAMES, NOW, Agency, make_statement

Message = catalogue_pb2.FetchResponse


class Notices:
    """What the gateway's directory does for catalogues: say who is active, remember what is newest."""

    def __init__(self) -> None:
        self.newest: dict[CachedName, int] = {}
        self.active = set(AGENCIES)

        self.roster = first_roster(*MEMBERS, issued=NOW - timedelta(days=1), until=NOW + timedelta(days=400))

    def statement(self, agency: str) -> KeyStatement | None:
        return make_statement(agency, SealingKey(bytes(range(96))))

    def check_active(self, agency: str) -> None:
        if agency not in self.active:
            raise NotActive(agency, "suspended")

    def show_catalogue(self, name: CachedName, version: int) -> None:
        self.newest[name] = version

    def changed(self) -> None:
        """A real one would be sent to all."""

    def listed(self) -> list[directory_pb2.CatalogueNotice]:
        return [
            directory_pb2.CatalogueNotice(
                custodian=name.custodian, collection=name.collection, epoch=name.epoch, version=version
            )
            for name, version in self.newest.items()
        ]


class Gateway:
    """The catalogue service of a gateway that can be stopped, and started with or without its memory."""

    def __init__(self, folder: Path, authority: tls.Authority) -> None:
        self.folder, self._authority = folder, authority
        self._clients = {name: _certified(authority, name) for name in AGENCIES}
        self.channels: dict[str, grpc.aio.Channel] = {}

    async def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.notices = Notices()
        self._store = GatewayStore(PLACES.url(self.folder))
        catalogues = Catalogues(self.folder / "catalogues", self._store, CatalogueConfig(), self.notices)
        self.notices.newest.update(dict(catalogues.newest()))
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        service = CatalogueService(catalogues, cast("Directory", self.notices), fetches=64)
        catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(service, self._server)
        key = tls.make_key()
        cert = tls.sign_gateway(self._authority, key, hosts=["127.0.0.1"], now=NOW)
        serving = server_credentials(ca_pem=self._authority.cert_pem, key_pem=key, cert_pem=cert)
        port = self._server.add_secure_port("127.0.0.1:0", serving)
        await self._server.start()
        for name, (key, cert) in self._clients.items():
            credentials = client_credentials(ca_pem=self._authority.cert_pem, key_pem=key, cert_pem=cert)
            self.channels[name] = grpc.aio.secure_channel(
                f"127.0.0.1:{port}", credentials, options=CLIENT_OPTIONS
            )

    async def stop(self) -> None:
        for channel in self.channels.values():
            await channel.close(None)
        self.channels = {}
        await self._server.stop(grace=None)
        self._store.close()


def _certified(authority: tls.Authority, name: str) -> tuple[bytes, bytes]:
    key = tls.make_key()
    return key, tls.sign_node(authority, tls.make_request(key, name), agency=name, now=NOW, days=397)


class Scripted(catalogue_pb2_grpc.CatalogueServiceServicer):
    """A gateway that sends what a test tells it to, one script a fetch, and takes what a test lets it."""

    def __init__(self) -> None:
        self.scripts: list[Sequence[Message | Exception | asyncio.Event]] = []
        self.fetches: list[catalogue_pb2.FetchRequest] = []
        self.taken: list[catalogue_pb2.Piece] = []
        self.sizes: list[list[int]] = []
        self.refuses_deltas = False
        self.gate: asyncio.Event | None = None  # publications wait for it

    async def Fetch(  # noqa: N802 - the name in catalogue.proto
        self,
        request: catalogue_pb2.FetchRequest,
        context: grpc.aio.ServicerContext[catalogue_pb2.FetchRequest, Message],
    ) -> AsyncIterator[Message]:
        self.fetches.append(request)
        for step in self.scripts.pop(0):
            if isinstance(step, asyncio.Event):
                await step.wait()
            elif isinstance(step, Exception):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
            else:
                yield step

    async def Publish(  # noqa: N802
        self,
        request_iterator: AsyncIterator[catalogue_pb2.PublishRequest],
        context: grpc.aio.ServicerContext[catalogue_pb2.PublishRequest, catalogue_pb2.PublishResponse],
    ) -> catalogue_pb2.PublishResponse:
        frames = [frame async for frame in request_iterator]
        piece = frames[0].piece
        if self.gate is not None:
            self.taken.append(piece)
            await self.gate.wait()
        if self.refuses_deltas and piece.version != piece.snapshot_version:
            await context.abort(*to_status(PieceRefused("full")))
        self.taken.append(piece)
        self.sizes.append([frame.ByteSize() for frame in frames])
        return catalogue_pb2.PublishResponse(version=piece.version)

    async def Grant(  # noqa: N802
        self,
        request: catalogue_pb2.GrantRequest,
        context: grpc.aio.ServicerContext[catalogue_pb2.GrantRequest, catalogue_pb2.GrantResponse],
    ) -> catalogue_pb2.GrantResponse:
        return catalogue_pb2.GrantResponse(added=len(request.grants))


def version(state: OwnState, agencies: dict[str, Agency], index: int = -1) -> list[Message]:
    """One version as the schools are sent it."""
    piece = state.pieces[index]
    told = piece.statement
    head = catalogue_pb2.Piece(
        custodian=told.custodian,
        collection=told.collection,
        epoch=told.epoch,
        version=told.version,
        snapshot_version=told.snapshot_version,
        chunks=told.chunks,
        statement=piece.envelope,
    )
    sealed = [piece.ciphertext]
    if told.is_snapshot:
        entry = agencies["police"].trust.statements["schools"].sealing_keys[0]
        head.grants.add(searcher="schools", sealed=seal_grant(state.key, told.which, "schools", entry))
        sealed = list(seal_snapshot(state.catalogue.base, state.key, told.which))
    chunks = [catalogue_pb2.Chunk(index=i, ciphertext=data) for i, data in enumerate(sealed)]
    return [Message(piece=head), *(Message(chunk=chunk) for chunk in chunks)]


def _channel(gateway: Gateway, name: str) -> grpc.aio.Channel | None:
    """The channel of an agency to a gateway that runs."""
    return gateway.channels.get(name)


async def publisher_of(
    agency: Agency, *gateways: Gateway, set_back: Callable[[], None] = lambda: None
) -> Publisher:
    """A publisher as a new process makes it, which has heard from every gateway."""
    made = Publisher(
        PublisherParts(
            own=agency.own_parts,
            names=lambda: NAMES,
            trust=agency.trust,
            gateways=[partial(_channel, gateway, agency.name) for gateway in gateways],
            executor=agency.executor,
            tick_s=60,
            set_back=set_back,
        )
    )
    await made.open()
    await made.make()
    for place, gateway in enumerate(gateways):
        made.take_notices(place, gateway.notices.listed())
    return made


async def tick(publisher: Publisher) -> None:
    await publisher.make()
    await publisher.send()


async def peers_of(agency: Agency, gateway: Gateway, **changes: object) -> Peers:
    """Peers as a new process makes them."""
    parts = PeersParts(
        folder=agency.folder / "catalogues",
        local=agency.local,
        sealing=lambda: (agency.sealing,),
        trust=agency.trust,
        channels=lambda: [gateway.channels[agency.name]] if agency.name in gateway.channels else [],
        executor=agency.executor,
        clock=agency.clock,
        random=agency.random,
    )
    made = Peers(replace(parts, **changes))  # type: ignore[arg-type]
    await made.open()
    return made
